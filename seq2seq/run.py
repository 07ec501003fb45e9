"""One training run from start to finish; the only file that knows everything."""

import json
import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from tqdm.contrib.logging import logging_redirect_tqdm

from seq2seq import build, checkpoint, config, device
from seq2seq.errors import InputError
from seq2seq.evaluation import challenge, evaluate
from seq2seq.nn.model import Model
from seq2seq.text.batches import Epochs
from seq2seq.text.gold import hold
from seq2seq.text.store import Prepared
from seq2seq.training import make_optimizer, updates
from seq2seq.validation import Validator
from seq2seq.watch.progress import Progress, Sums
from seq2seq.watch.tensorboard import Board

log = logging.getLogger(__name__)

TRANSLATIONS = "results.test"
"""The file, but for its language, with the translations of the test split that `results.json` scores."""


def check_unused(folder: Path) -> None:
    """Raises InputError where the folder holds a run, which another would mix with."""
    if any((folder / name).exists() for name in ("checkpoints", "tensorboard", "results.json")):
        raise InputError(f"{folder} already holds a run: name another folder with hydra.run.dir=FOLDER")


def train(configuration: config.Train, folder: Path) -> dict[str, Any]:
    """Trains, keeps the best checkpoint by validation, and scores it on the test split: `results.json` in `folder`."""
    device.set_up(configuration.device.threads)
    place = device.choose(configuration.device.kind)
    text = build.corpus(configuration.dataset)
    validation, test = hold(text.validation), hold(text.test)
    prepared = build.prepared(configuration.dataset, text)
    torch.manual_seed(configuration.training.seed)
    positions = int(prepared.store.source.lengths.max()) + 1  # EOS takes one
    model = build.model(configuration, prepared.tokenizers, positions=positions).to(place)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    _introduce(prepared, parameters, place)

    with Board(folder / "tensorboard") as board:
        search = configuration.search.model_copy(update={"size": 1, "n_best": 1, "too_long": "refuse"})
        translator = build.translator(search, model, prepared.tokenizers, place)
        validator = Validator(model, prepared.tokenizers, validation, translator, board)
        with logging_redirect_tqdm():
            timing = _train(configuration, prepared, model, validator, folder, place, board)
        found = checkpoint.load(folder / "checkpoints" / "best")
        build.load_weights(model, found, folder)
        results: dict[str, Any] = {
            "parameters": parameters,
            "best": {"step": found.step, "metric": configuration.training.metric, **found.scores},
            "train": timing,
        }
        translator = build.translator(configuration.search, model, prepared.tokenizers, place)
        for name, split in (("validation", validation), ("test", test)):
            results[name], hypotheses = evaluate(model, prepared.tokenizers, translator, split, place)
            log.info("%s  %s", name, _summary(results[name]))
        results["decoding"] = hypotheses.speed()  # of the test split, the last of the two
        write_text(folder / f"{TRANSLATIONS}.{text.target}", hypotheses.lines())
        if text.challenges:
            results["challenges"] = {
                split.name: challenge(model, prepared.tokenizers, translator, hold(split), place)
                for split in text.challenges
            }
        write_json(folder / "results.json", results)
        board.hyperparameters(flat(configuration.model_dump(mode="json")), _final(results))
    log.info("results in %s", folder / "results.json")
    return results


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


def _train(
    configuration: config.Train,
    prepared: Prepared,
    model: Model,
    validator: Validator,
    folder: Path,
    place: torch.device,
    board: Board,
) -> dict[str, Any]:
    """The loop: steps, log lines, validations, checkpoints, until the last step or until patience ends."""
    options = configuration.training
    epochs = Epochs(
        prepared.store,
        size=options.batch.size,
        unit=options.batch.unit,
        accumulate=options.accumulate,
        seed=options.seed,
    )
    total = min(options.epochs * epochs.steps_per_epoch, options.steps or 10**15)
    every = epochs.steps_per_epoch if options.validate_every == "epoch" else options.validate_every
    best = checkpoint.Best(folder / "checkpoints", keep=options.keep_best, higher_is_better=options.metric != "loss")
    steps = updates(
        model,
        make_optimizer(model, betas=options.betas, weight_decay=options.weight_decay),
        ([batch.to(place, non_blocking=True) for batch in group] for group in epochs.steps(total)),
        schedule=build.schedule(options, total=total),
        smoothing=options.label_smoothing,
        clip=options.clip,
    )
    with Progress(board.scalars, total=total, steps_per_epoch=epochs.steps_per_epoch) as progress:
        for update in steps:
            progress.add(Sums(*update.loss, update.tokens, update.padding, update.positions))
            validate = update.step == total or update.step % every == 0
            if validate or update.step % options.log_every == 0:
                progress.line(learning_rate=update.learning_rate, gradient_norm=update.gradient_norm)
            if validate:
                values = validator(update.step, place)
                kept = checkpoint.Checkpoint(
                    configuration=configuration.model_dump(mode="json"),
                    tokenizers=prepared.tokenizers,
                    weights=dict(model.named_parameters()),
                    positions=model.positions,
                    step=update.step,
                    scores=values,
                )
                checkpoint.save(kept, folder / "checkpoints" / "last")
                improved = best.offer(kept, values[options.metric])
                log.info(
                    "validation  loss %.3f  perplexity %.2f  BLEU %.2f  chrF %.2f%s",
                    *(values[name] for name in ("loss", "perplexity", "bleu", "chrf")),
                    "  best so far" if improved else "",
                )
                if options.patience is not None and best.since >= options.patience:
                    log.info("stopped: %s has not improved for %d validations", options.metric, best.since)
                    break
                progress.resume()
    return {
        "steps": progress.step,
        "epochs": progress.step / epochs.steps_per_epoch,
        "seconds": progress.seconds,
        "target_tokens": progress.tokens,
        "target_tokens_per_second": progress.tokens / progress.seconds,
    }


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


def write_text(path: Path, text: str) -> None:
    """Writes beside the place and renames, so that a reader sees the whole file or none."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """`write_text` of the values; what is no number, such as the mean of nothing, is null."""
    write_text(path, json.dumps(_numbers(values), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _numbers(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _numbers(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, bool | int | float | str]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`; what is no plain value is JSON."""
    return dict(_walk(values, prefix))


def _walk(value: Any, name: str) -> Iterator[tuple[str, bool | int | float | str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _walk(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value if isinstance(value, bool | int | float | str) else json.dumps(value)
