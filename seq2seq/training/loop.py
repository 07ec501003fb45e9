"""The loop of a training run: steps, log lines, validations, checkpoints."""

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from seq2seq import checkpoint, config
from seq2seq.checkpoint import Checkpoint, Training
from seq2seq.checkpoint.state import State
from seq2seq.evaluation.teacher_forcing import format_perplexity
from seq2seq.nn.model import Model
from seq2seq.reporting.tensorboard import Board
from seq2seq.runtime import distributed
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.run_folder import RunFolder
from seq2seq.text.batches import Epochs
from seq2seq.text.store import Prepared
from seq2seq.training.optimizer import tensors_to_resume
from seq2seq.training.progress import Bar, Progress
from seq2seq.training.schedule import Schedule
from seq2seq.training.signals import Interruption
from seq2seq.training.static_step import StaticStep, collate_static, static_updates
from seq2seq.training.step import Update, updates
from seq2seq.training.validation import Validator

ASTRAY = 3
"""So many steps in a row that are not finite end training."""

UNCHANGED = 3
"""After so many validations with the same value of the metric, although the loss fell, there is a warning."""

log = logging.getLogger(__name__)


class Run(NamedTuple):
    """What a run works on. `schedule` gives the learning rates of a run of so many steps."""

    configuration: config.Train
    prepared: Prepared
    model: Model
    optimizer: torch.optim.Optimizer
    schedule: Callable[[int], Schedule]
    device: torch.device

    def checkpoint(self, step: int, state: State, scores: dict[str, float]) -> Checkpoint:
        """The run as it stands. Tensors are the run's own, not copies."""
        return Checkpoint(
            configuration=self.configuration.model_dump(mode="json"),
            tokenizers=self.prepared.tokenizers,
            weights=dict(self.model.named_parameters()),
            positions=self.model.positions,
            step=step,
            scores=scores,
            training=Training(tensors_to_resume(self.model, self.optimizer), state),
        )


def steps(
    run: Run, start: Checkpoint, validator: Validator, folder: Path, board: Board, *, bar: Bar | None = None
) -> dict[str, Any]:
    """Trains from a checkpoint's step to the last one, or until patience ends; what it took.

    `start` is in `folder` and in the model already. Where the loop is stopped, going on from the last checkpoint in
    `folder` gives the same weights, curves and scores.
    """
    assert start.training is not None
    options = run.configuration.training
    batch = options.batch
    epochs = Epochs(
        run.prepared.store,
        size=batch.size,
        unit=batch.unit,
        accumulate=options.accumulate,
        seed=options.seed,
        multiple=start.training.state.length_multiple,
        rank=distributed.rank(),
        processes=distributed.world_size(),
    )
    total = min(options.epochs * epochs.steps_per_epoch, options.steps or 10**15)
    every = epochs.steps_per_epoch if options.validate_every == "epoch" else options.validate_every
    counts, standing = start.training.state.counts, start.training.state.standing
    if distributed.is_rank0():
        checkpoint.keep_best(start, RunFolder(folder).checkpoints)  # in case that was where an interruption came
    if start.step == total > 0:
        log.info("step %d of %d: no training is left", start.step, total)
    end = start.step if options.patience is not None and standing.waited >= options.patience else total
    with (
        Interruption() as interruption,
        Progress(
            board.scalars,
            total=total,
            steps_per_epoch=epochs.steps_per_epoch,
            step=start.step,
            counts=counts,
            threads=torch.get_num_threads() if run.device.type == "cpu" else 0,
            bar=bar,
        ) as progress,
    ):
        for update in _updates(run, epochs, start=start.step, end=end, schedule=run.schedule(total)):
            progress.add(update)
            validate = update.step == total or update.step % every == 0
            write_line = validate or update.step % options.log_every == 0
            if write_line or run.device.type == "cpu":  # elsewhere it would wait for the device
                _check_finite(update, progress)
            if write_line:
                progress.line(learning_rate=update.learning_rate, gradient_norm=update.gradient_norm)
            save = options.save_every is not None and update.step % options.save_every == 0
            if not (validate or save or interruption.requested_signal()):
                continue
            progress.pause()
            values = validator(update.step, run.device) if validate else {}
            if validate:
                standing = standing.after(
                    update.step,
                    values[validator.metric],
                    loss=values["loss"],
                    keep=options.keep_best,
                    higher_is_better=validator.metric != "loss",
                )
            state = start.training.state.model_copy(
                update={"events": board.flush(), "counts": progress.counts(), "standing": standing}
            )
            _save(run.checkpoint(update.step, state, values), RunFolder(folder))
            if validate:
                _tell(values, best=standing.waited == 0)
                if standing.unchanged == UNCHANGED - 1 and values["exact"] < 1:
                    log.warning(
                        "%s was the same in %d validations while the loss fell, so the lowest loss ranks first; "
                        "training.metric chooses another metric, evaluation.tokenize the tokens that BLEU counts",
                        validator.metric,
                        UNCHANGED,
                    )
            interruption.check(update.step, folder)
            if options.patience is not None and standing.waited >= options.patience:
                log.info("stopped: %s has not improved for %d validations", validator.metric, standing.waited)
                break
            progress.resume()
        interruption.check(progress.step, folder)
    spent = progress.counts()
    seconds, tokens = spent.seconds + spent.since.seconds, spent.tokens + spent.since.tokens
    return {
        "steps": progress.step,
        "skipped_steps": spent.skipped,
        "epochs": progress.step / epochs.steps_per_epoch,
        "seconds": seconds,
        "target_tokens": tokens,
        "target_tokens_per_second": tokens / seconds,
    }


def _updates(run: Run, epochs: Epochs, *, start: int, end: int, schedule: Schedule) -> Iterator[Update]:
    """The steps `start + 1` to `end` on the run's device."""
    options, precision = run.configuration.training, run.configuration.device.precision
    batch = options.batch
    if run.device.type == "cpu":
        return updates(
            run.model,
            run.optimizer,
            epochs.steps(end, start=start),
            schedule=schedule,
            smoothing=options.label_smoothing,
            clip=options.clip,
            precision=precision,
            start=start,
        )
    step = StaticStep(
        run.model,
        run.optimizer,
        smoothing=options.label_smoothing,
        clip=options.clip,
        precision=precision,
        graphs=run.configuration.device.graphs,
    )
    collate = partial(
        collate_static, run.prepared.store, size=batch.size, unit=batch.unit, multiple=epochs.multiple, pin=True
    )
    groups = ([collate(indices) for indices in group] for group in epochs.indices(end, start=start))
    return static_updates(step, groups, schedule=schedule, start=start)


def _save(latest: Checkpoint, folder: RunFolder) -> None:
    """Write `last` first; after a crash in between, `best` is rebuilt from it."""
    if distributed.is_rank0():
        checkpoint.store(latest, folder.last, keep=True)
        checkpoint.keep_best(latest, folder.checkpoints)


def _tell(values: Mapping[str, float], *, best: bool) -> None:
    log.info(
        "validation  loss %.3f  perplexity %s  BLEU %.2f  chrF %.2f (greedy)%s",
        values["loss"],
        format_perplexity(values["perplexity"]),
        values["bleu"],
        values["chrf"],
        "  best so far" if best else "",
    )


def _check_finite(update: Update, progress: Progress) -> None:
    """Raises InputError where steps were skipped so often in a row that training will not recover."""
    skipped = int(progress.skipped[1])
    if skipped >= ASTRAY:
        raise InputError(
            f"step {update.step}: for {skipped} steps in a row the loss or its gradient was no finite number; lower "
            "training.learning_rate, set training.clip, or take more steps of training.warmup (checkpoints/last is "
            "from before)"
        )
