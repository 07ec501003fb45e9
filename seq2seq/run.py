"""One training run from start to finish; the only file that knows everything."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.contrib.logging import logging_redirect_tqdm

from seq2seq import build, checkpoint, config, device, distributed
from seq2seq.checkpoint import Checkpoint
from seq2seq.errors import InputError
from seq2seq.evaluation import challenge, evaluate
from seq2seq.loop import Run, steps
from seq2seq.state import State
from seq2seq.text.gold import Held, hold
from seq2seq.text.store import Prepared
from seq2seq.training import make_optimizer, resume
from seq2seq.validation import Validator
from seq2seq.watch.tensorboard import Board, Unseen
from seq2seq.writing import write_json, write_text

log = logging.getLogger(__name__)

TRANSLATIONS = "results.test"
"""The file, but for its language, with the translations of the test split that `results.json` scores."""


def check_unused(folder: Path) -> None:
    """Raises InputError where the folder holds a run, which another would mix with."""
    if any((folder / name).exists() for name in ("checkpoints/last", "tensorboard", "results.json")):
        raise InputError(
            f"{folder} already holds a run: name another folder with hydra.run.dir=FOLDER, or go on with "
            f"resume={folder}"
        )


def train(configuration: config.Train, folder: Path, resumed: Checkpoint | None = None) -> dict[str, Any]:
    """Trains, keeps the best checkpoint by validation, and scores it on the test split: `results.json` in `folder`.

    `resumed` is the last checkpoint of a run that was stopped in this folder, where nobody else may be at work (see
    `seq2seq.lock`).
    """
    device.set_up(configuration.device.threads, deterministic=configuration.device.deterministic)
    place = device.choose(configuration.device.kind)
    with distributed.in_turn():
        text = build.corpus(configuration.dataset)
        validation, test = hold(text.validation), hold(text.test)
        prepared = build.prepared(configuration.dataset, text)
    for line in build.remarks(configuration.dataset, text, prepared.tokenizers, (validation, test)):
        log.info("%s", line)
    fingerprint = _fingerprint(prepared, validation, test)
    options = configuration.training
    torch.manual_seed(options.seed)
    positions = int(prepared.store.source.lengths.max()) + 1  # EOS takes one
    model = build.model(configuration, prepared.tokenizers, positions=positions).to(place)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    _introduce(prepared, parameters, place)
    distributed.start_alike([parameter.detach() for parameter in model.parameters()])
    _draw_apart(options.seed)
    optimizer = make_optimizer(model, betas=options.betas, weight_decay=options.weight_decay)
    run = Run(configuration, prepared, model, optimizer, place)
    start = _start(run, folder, resumed, fingerprint)

    with _board(folder / "tensorboard", resumed) as board:
        search, batch = configuration.search, configuration.search.size * configuration.search.batch
        search = search.model_copy(update={"size": 1, "n_best": 1, "too_long": "refuse", "batch": batch})
        normalization = configuration.dataset.normalization
        greedy = partial(build.translator, search, model, prepared.tokenizers, place, normalization=normalization)
        validator = Validator(model, prepared.tokenizers, validation, greedy, board)
        with logging_redirect_tqdm():
            timing = steps(run, start, validator, folder, board)
        found = distributed.once(lambda: checkpoint.load(folder / "checkpoints" / "best"))
        build.load_weights(model, found, folder)
        results: dict[str, Any] = {
            "parameters": parameters,
            "best": {"step": found.step, "metric": configuration.training.metric, **found.scores},
            "train": timing,
        }
        translator = build.translator(
            configuration.search, model, prepared.tokenizers, place, normalization=normalization
        )
        for name, split in (("validation", validation), ("test", test)):
            results[name], hypotheses = evaluate(model, prepared.tokenizers, translator, split, place)
            log.info("%s  %s", name, _summary(results[name]))
        results["decoding"] = hypotheses.speed()  # of the test split, the last of the two
        if text.challenges:
            results["challenges"] = {
                split.name: challenge(model, prepared.tokenizers, translator, hold(split), place)
                for split in text.challenges
            }
        if not distributed.first():
            return results
        write_text(folder / f"{TRANSLATIONS}.{text.target}", hypotheses.lines())
        board.hyperparameters(flat(configuration.model_dump(mode="json")), _final(results))
    write_json(folder / "results.json", results)  # the last thing: where it is, the run is finished
    log.info("results in %s", folder / "results.json")
    return results


def _start(run: Run, folder: Path, resumed: Checkpoint | None, text: str) -> Checkpoint:
    """The checkpoint that the loop starts from: the resumed one, or one of step 0, so that there always is one."""
    if resumed is None:
        start = run.checkpoint(0, State(text=text, processes=distributed.processes()), {})
        if distributed.first():
            checkpoint.store(start, folder / "checkpoints" / "last")
        return start
    assert resumed.training is not None
    if resumed.training.state.text != text:
        raise InputError(f"resume={folder}: the text is not what it was when this run began, or is prepared otherwise")
    build.load_weights(run.model, resumed, folder)
    resume(run.model, run.optimizer, resumed.training.tensors)
    log.info("resumed after step %d", resumed.step)
    configuration = run.configuration.model_dump(mode="json")
    if configuration != resumed.configuration:  # on disk, before a finished run is one that is not
        resumed = resumed._replace(configuration=configuration)
        if distributed.first():
            checkpoint.store(resumed, folder / "checkpoints" / "last", keep=True)
            (folder / "results.json").unlink(missing_ok=True)
    return resumed


def _board(folder: Path, resumed: Checkpoint | None) -> Board:
    """Curves of one piece: what was written after the checkpoint that is resumed goes."""
    if not distributed.first():
        return Unseen()
    if resumed is None or resumed.training is None:
        return Board(folder)
    return Board(folder, purge_from=resumed.step + 1, sizes=resumed.training.state.events)


def _draw_apart(seed: int) -> None:
    """Gives each process but the first random numbers of its own, so that dropout differs."""
    if (rank := distributed.rank()) > 0:
        torch.manual_seed(int(np.random.SeedSequence([seed, rank]).generate_state(1, np.uint64)[0]))


def _fingerprint(prepared: Prepared, *splits: Held) -> str:
    """Of the text learnt from and the pairs that are scored. Raises InputError where processes find different ones."""
    digest = hashlib.sha256()
    for side, tokenizer in zip(prepared.store[:2], prepared.tokenizers, strict=True):
        for part in (side.ids.data, side.offsets.data, tokenizer.model):
            digest.update(part)
    for split in splits:
        digest.update(json.dumps(split.pairs).encode())
    found = digest.hexdigest()
    if {*distributed.gathered(found)} != {found}:
        raise InputError("the text is not the same on all machines: give each the same files")
    return found


def _final(results: Mapping[str, Any]) -> dict[str, float]:
    """The scores that stand beside the hyper-parameters."""
    return {
        f"{split}_{metric}": results[split][metric]
        for split in ("validation", "test")
        for metric in ("bleu", "chrf", "ter", "perplexity", "exact", "aer")
        if metric in results[split]
    }


def _summary(found: Mapping[str, Any]) -> str:
    """One line of scores."""
    aer = f"alignment error {found['aer']:.3f}  " if "aer" in found else ""
    return (
        f"BLEU {found['bleu']:.2f}  chrF {found['chrf']:.2f}  TER {found['ter']:.2f}  "
        f"perplexity {found['perplexity']:.2f}  exact {found['exact']:.3f}  {aer}{found['signature']}"
    )


def _introduce(prepared: Prepared, parameters: int, place: torch.device) -> None:
    """What is about to be trained, and what was left out."""
    store, tokenizers = prepared.store, prepared.tokenizers
    log.info("%s training pairs; left out: %d empty, %d too long", f"{len(store.source):,}", *store.filtered)
    log.info(
        "vocabulary %s, %s parameters, on %s",
        f"{len(tokenizers.source):,} joint"
        if tokenizers.joint
        else f"{len(tokenizers.source):,} and {len(tokenizers.target):,}",
        f"{parameters:,}",
        place,
    )


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, bool | int | float | str]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`; what is no plain value is JSON."""
    return dict(_walk(values, prefix))


def _walk(value: Any, name: str) -> Iterator[tuple[str, bool | int | float | str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _walk(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value if isinstance(value, bool | int | float | str) else json.dumps(value)
