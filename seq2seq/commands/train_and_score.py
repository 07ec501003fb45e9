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

from seq2seq import build, checkpoint, config
from seq2seq.checkpoint import Checkpoint
from seq2seq.checkpoint.state import State
from seq2seq.commands.resume import check_text, restore
from seq2seq.commands.text_remarks import scored_remarks, training_remarks
from seq2seq.config.schema import search_name
from seq2seq.evaluation.evaluator import challenge, evaluate
from seq2seq.evaluation.metrics import Metrics, choose_tokenizer
from seq2seq.evaluation.teacher_forcing import format_perplexity
from seq2seq.evaluation.tokenized_text import tokenization_warning
from seq2seq.reporting.tensorboard import Board, NullBoard
from seq2seq.runtime import distributed
from seq2seq.runtime.device import choose_device, set_up_device
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.files import write_json, write_text
from seq2seq.runtime.run_folder import RunFolder
from seq2seq.text.annotations import LoadedSplit, load_split
from seq2seq.text.batches import LENGTH_MULTIPLE
from seq2seq.text.store import Prepared
from seq2seq.training.loop import Run, steps
from seq2seq.training.optimizer import make_optimizer
from seq2seq.training.validation import Validator

log = logging.getLogger(__name__)


def check_unused(folder: Path) -> None:
    """Raises InputError where the folder holds a run, which another would mix with."""
    if RunFolder(folder).holds_run():
        raise InputError(
            f"{folder} already holds a run: name another folder with hydra.run.dir=FOLDER, or go on with "
            f"resume={folder}"
        )


def train(configuration: config.Train, folder: Path, resumed: Checkpoint | None = None) -> dict[str, Any]:
    """Trains, keeps the best checkpoint by validation, and scores it on the test split: `results.json` in `folder`.

    Without a test split `results.json` has no `test`, and there is no file of translations.

    `resumed` is the last checkpoint of a run that was stopped in this folder, where nobody else may be at work (see
    `seq2seq.runtime.lock`).
    """
    names = RunFolder(folder)
    set_up_device(configuration.device.threads, deterministic=configuration.device.deterministic)
    device = choose_device(configuration.device.kind)
    with distributed.rank0_of_machine_first():
        text = build.corpus(configuration.dataset)
        scored = {name: load_split(split) for name, split in text.splits().items() if name != "train"}
        splits = {name: split.fingerprint() for name, split in text.splits().items()}
        check_text(splits, resumed, folder)  # before anything is made of it
        prepared = build.prepared(configuration.dataset, text)
    if distributed.is_rank0():
        for line in training_remarks(configuration.dataset, text, splits):
            log.info("%s", line)
        for split in scored.values():
            for line in scored_remarks(split, prepared.tokenizers, normalization=configuration.dataset.normalization):
                log.info("%s", line)
    state = State(
        text=_fingerprint(prepared, *scored.values()),
        splits=splits,
        processes=distributed.world_size(),
        length_multiple=LENGTH_MULTIPLE if device.type == "cuda" else 1,
    )
    references = [pair.target for pair in scored["validation"].pairs]
    metrics = Metrics(choose_tokenizer(configuration.evaluation.tokenize, text.target, references))
    options = configuration.training
    torch.manual_seed(options.seed)
    positions = int(prepared.store.source.lengths.max()) + 1  # EOS takes one
    model = build.model(configuration, prepared.tokenizers, positions=positions).to(device)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    _introduce(prepared, parameters, device)
    distributed.broadcast_([parameter.detach() for parameter in model.parameters()])
    _draw_apart(options.seed)
    optimizer = make_optimizer(model, betas=options.betas, weight_decay=options.weight_decay)
    schedule = partial(build.schedule, options)
    run = Run(configuration, prepared, model, optimizer, schedule, device)
    start = restore(run, folder, resumed, state)

    with _board(names.tensorboard, resumed) as board:
        search, batch = configuration.search, configuration.search.size * configuration.search.batch
        search = search.model_copy(update={"size": 1, "n_best": 1, "too_long": "refuse", "batch": batch})
        normalization = configuration.dataset.normalization
        greedy = partial(build.translator, search, model, prepared.tokenizers, device, normalization=normalization)
        validator = Validator(model, prepared.tokenizers, scored["validation"], greedy, metrics, options.metric, board)
        with logging_redirect_tqdm():
            timing = steps(run, start, validator, folder, board)
        found = distributed.run_on_rank0_and_broadcast(lambda: checkpoint.load(names.best))
        build.load_weights(model, found, folder)
        results: dict[str, Any] = {
            "parameters": parameters,
            "best": {"step": found.step, "metric": validator.metric, **found.scores},
            "train": timing,
        }
        translator = build.translator(
            configuration.search, model, prepared.tokenizers, device, normalization=normalization
        )
        for name, split in scored.items():
            results[name], hypotheses = evaluate(model, prepared.tokenizers, translator, split, metrics, device)
            log.info("%s, %s  %s", name, search_name(configuration.search), _summary(results[name]))
        if warning := tokenization_warning(name, [pair.target for pair in split.pairs], hypotheses.texts):
            log.warning(warning)
        if text.test is None:
            log.info("test  no scores, since there is no test split (dataset.test=null)")
        results["decoding"] = hypotheses.speed()  # of the test split, or of the validation split where there is none
        if text.challenges:
            results["challenges"] = {
                split.name: challenge(model, prepared.tokenizers, translator, load_split(split), metrics, device)
                for split in text.challenges
            }
        if not distributed.is_rank0():
            return results
        if text.test is not None:
            write_text(names.translations(text.target), hypotheses.lines())
        board.hyperparameters(flat(configuration.model_dump(mode="json")), _final(results))
    write_json(names.results, results)  # the last thing: where it is, the run is finished
    log.info("results in %s", names.results)
    return results


def _board(folder: Path, resumed: Checkpoint | None) -> Board:
    """Curves of one piece: what was written after the checkpoint that is resumed goes."""
    if not distributed.is_rank0():
        return NullBoard()
    if resumed is None or resumed.training is None:
        return Board(folder)
    return Board(folder, purge_from=resumed.step + 1, sizes=resumed.training.state.events)


def _draw_apart(seed: int) -> None:
    """Gives each process but the first random numbers of its own, so that dropout differs."""
    if (rank := distributed.rank()) > 0:
        torch.manual_seed(int(np.random.SeedSequence([seed, rank]).generate_state(1, np.uint64)[0]))


def _fingerprint(prepared: Prepared, *splits: LoadedSplit) -> str:
    """Of the text learnt from and the pairs that are scored. Raises InputError where processes find different ones."""
    digest = hashlib.sha256()
    for side, tokenizer in zip(prepared.store[:2], prepared.tokenizers, strict=True):
        for part in (side.ids.data, side.offsets.data, tokenizer.model):
            digest.update(part)
    for split in splits:
        digest.update(json.dumps(split.pairs).encode())
    found = digest.hexdigest()
    if {*distributed.all_gather(found)} != {found}:
        raise InputError("the text is not the same on all machines: give each the same files")
    return found


def _final(results: Mapping[str, Any]) -> dict[str, float]:
    """The scores shown with the hyper-parameters."""
    return {
        f"{split}_{metric}": results[split][metric]
        for split in ("validation", "test")
        for metric in ("bleu", "chrf", "ter", "perplexity", "exact", "aer")
        if metric in results.get(split, {})
    }


def _summary(found: Mapping[str, Any]) -> str:
    """One line of scores."""
    aer = f"alignment error {found['aer']:.3f}  " if "aer" in found else ""
    return (
        f"BLEU {found['bleu']:.2f}  chrF {found['chrf']:.2f}  TER {found['ter']:.2f}  "
        f"perplexity {format_perplexity(found['perplexity'])}  exact {found['exact']:.3f}  {aer}{found['signature']}"
    )


def _introduce(prepared: Prepared, parameters: int, device: torch.device) -> None:
    """What is about to be trained, and what was left out."""
    store, tokenizers = prepared.store, prepared.tokenizers
    log.info("%s training pairs; left out: %d empty, %d too long", f"{len(store.source):,}", *store.filtered)
    log.info(
        "vocabulary %s, %s parameters, on %s",
        f"{len(tokenizers.source):,} joint"
        if tokenizers.joint
        else f"{len(tokenizers.source):,} and {len(tokenizers.target):,}",
        f"{parameters:,}",
        device,
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
