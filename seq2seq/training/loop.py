"""The loop of a training run: steps, log lines, validations, checkpoints."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from seq2seq import checkpoint
from seq2seq.checkpoint import Checkpoint
from seq2seq.evaluation.teacher_forcing import format_perplexity
from seq2seq.reporting.tensorboard import Board
from seq2seq.runtime import distributed
from seq2seq.runtime.errors import DivergenceError
from seq2seq.runtime.run_folder import RunFolder
from seq2seq.runtime.stopwatch import Stopwatch
from seq2seq.text.epochs import Epochs
from seq2seq.training.progress import Bar, Progress
from seq2seq.training.run import Run
from seq2seq.training.signals import Interruption
from seq2seq.training.step import Update
from seq2seq.training.validation import Validator

MAX_SKIPPED = 3
"""Training ends after this number of skipped steps in a row (see `Update.finite`)."""

MAX_UNCHANGED = 3
"""A warning appears after this number of validations in a row with the same value of the metric and a falling loss."""

log = logging.getLogger(__name__)


def steps(
    run: Run,
    start: Checkpoint,
    validator: Validator,
    folder: Path,
    board: Board,
    watch: Stopwatch,
    *,
    bar: Bar | None = None,
) -> dict[str, Any]:
    """Trains from the step of the checkpoint `start` to the last step, or until patience ends.

    Returns the training part of `results.json`: numbers of steps, epochs and target tokens, seconds, tokens a second.

    The caller has saved `start` in `folder` and loaded it into the model. A run that was interrupted and then resumed
    from the last checkpoint in `folder` has the same weights, curves and scores as a run without interruption.
    Raises DivergenceError if training diverges, TrainingStopped after a signal.
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
        resample=run.resample,
        step_counts=start.training.state.step_counts,
    )
    total = options.total_steps(epochs.steps_per_epoch)
    validation_interval = epochs.steps_per_epoch if options.validate_every == "epoch" else options.validate_every
    counts, ranking = start.training.state.counts, start.training.state.standing
    if distributed.is_rank0():
        # The interrupted process may have written `last`, but not yet `best`.
        checkpoint.keep_best(start, RunFolder(folder).checkpoints)
    if start.step == total:
        log.info("step %d of %d: training is complete", start.step, total)
    end = start.step if options.patience is not None and ranking.waited >= options.patience else total
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
        for update in run.updates(epochs, start=start.step, end=end, schedule=run.schedule(total)):
            progress.add(update)
            if run.average is not None:
                run.average.update(update.step)
            validate = update.step == total or update.step % validation_interval == 0
            write_line = validate or update.step % options.log_every == 0
            if write_line or run.device.type == "cpu":  # on a GPU, reading the values makes Python wait
                _check_finite(update, progress)
            if write_line:
                progress.write_line(learning_rate=update.learning_rate, gradient_norm=update.gradient_norm)
            save = options.save_every is not None and update.step % options.save_every == 0
            if not (validate or save or interruption.requested_signal()):
                continue
            progress.pause()
            values: dict[str, float] = {}
            average: dict[str, float] = {}
            if validate:
                with watch.part("validation"):
                    values, average = validator.with_average(update.step, run.device, run.average)
                ranked = average or values
                ranking = ranking.after(
                    update.step,
                    ranked[validator.metric],
                    loss=ranked["loss"],
                    keep=options.keep_best,
                    higher_is_better=validator.metric != "loss",
                )
            state = start.training.state.model_copy(
                update={
                    "events": board.flush(),
                    "counts": progress.counts(),
                    "standing": ranking,
                    "average": average,
                    "step_counts": epochs.step_counts if run.resample else [],
                }
            )
            with watch.part("checkpoints"):
                _save(run.checkpoint(update.step, state, values), RunFolder(folder))
            if validate:
                _log_validation("validation", values, best=ranking.waited == 0 and not average)
                if average:
                    _log_validation("average of the weights", average, best=ranking.waited == 0)
                if ranking.unchanged == MAX_UNCHANGED - 1 and ranked["exact"] < 1:
                    log.warning(
                        "%s did not change in %d validations while the loss fell, so the loss decides which checkpoint "
                        "is best; training.metric chooses another metric, evaluation.tokenize the tokens of BLEU",
                        validator.metric,
                        MAX_UNCHANGED,
                    )
            interruption.check(update.step, folder)
            if options.patience is not None and ranking.waited >= options.patience:
                log.info("stopped: %s has not improved for %d validations", validator.metric, ranking.waited)
                break
            progress.resume()
        interruption.check(progress.step, folder)
    counts = progress.counts()
    seconds, tokens = counts.seconds + counts.since.seconds, counts.tokens + counts.since.tokens
    return {
        "steps": progress.step,
        "skipped_steps": counts.skipped,
        "epochs": progress.step / epochs.steps_per_epoch,
        "seconds": seconds,
        "target_tokens": tokens,
        "target_tokens_per_second": tokens / seconds,
    }


def _save(latest: Checkpoint, folder: RunFolder) -> None:
    """Write `last` first; after a crash in between, `best` is rebuilt from it."""
    if distributed.is_rank0():
        checkpoint.store(latest, folder.last, keep=True)
        checkpoint.keep_best(latest, folder.checkpoints)


def _log_validation(title: str, values: Mapping[str, float], *, best: bool) -> None:
    log.info(
        "%s  loss %.3f  perplexity %s  BLEU %.2f  chrF %.2f (greedy)%s",
        title,
        values["loss"],
        format_perplexity(values["perplexity"]),
        values["bleu"],
        values["chrf"],
        "  best so far" if best else "",
    )


def _check_finite(update: Update, progress: Progress) -> None:
    """Raises DivergenceError after `MAX_SKIPPED` skipped steps in a row: training will not recover."""
    progress.sum_pending()
    skipped = progress.skipped_in_a_row
    if skipped >= MAX_SKIPPED:
        raise DivergenceError(
            f"step {update.step}: training diverged: in {skipped} steps in a row the loss or its gradient was infinite "
            "or NaN; lower training.learning_rate, set training.clip, or raise training.warmup (checkpoints/last is of "
            "an earlier step)"
        )
