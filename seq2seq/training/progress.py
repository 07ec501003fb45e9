"""How training goes: a bar where someone watches, lines in the log, curves in TensorBoard."""

import logging
import math
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any

import torch
from tqdm import tqdm

from seq2seq.checkpoint.state import Counts, Sums
from seq2seq.evaluation.teacher_forcing import format_perplexity
from seq2seq.runtime import distributed
from seq2seq.training.step import Update

Number = torch.Tensor | float
Bar = Callable[..., "tqdm[Any]"]
"""Makes a progress bar of tqdm's arguments `total`, `initial` and `unit`."""

CROWDED = 0.8
"""CPU time for each thread and second below which a warning of oversubscription is due. Threads that have the cores to
themselves use 0.99 and more, since they spin while they wait; beside a busy process 0.5 to 0.7, and then training takes
3 to 100 times as long."""

log = logging.getLogger(__name__)


class Progress:
    """Sums of the steps since the last line, and the clock of training alone: it stands between `pause` and `resume`.

    `step` and `counts` are where an earlier process was, for a run that is resumed; `threads` is how many compute
    on the CPU. `bar` makes the progress bar; without it, there is one if the error stream is a terminal.
    Steps that were skipped are counted and add nothing to the sums.
    """

    def __init__(
        self,
        scalars: Callable[[Mapping[str, float], int], None],
        *,
        total: int,
        steps_per_epoch: int,
        step: int,
        counts: Counts,
        threads: int,
        bar: Bar | None = None,
    ) -> None:
        self.scalars, self.total, self.steps_per_epoch = scalars, total, steps_per_epoch
        self.step, self.before = step, counts
        since = counts.since
        # Numbers, and tensors on the device as soon as a step is added: adding up waits for nothing.
        self.since: list[Number] = [since.loss, since.likelihood, since.tokens, since.padding, since.positions]
        self.skipped: list[Number] = [counts.skipped, counts.skipped_in_a_row]
        self.seconds = since.seconds
        self.threads, self.worked, self.warned = threads, 0.0, False
        self.make_bar = bar or partial(tqdm, disable=not sys.stderr.isatty(), dynamic_ncols=True)

    def __enter__(self) -> "Progress":
        make_bar = self.make_bar if distributed.is_rank0() else partial(tqdm, disable=True)
        self.bar = make_bar(total=self.total, initial=self.step, unit="step")
        self.resume()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.bar.close()

    def add(self, update: Update) -> None:
        """Counts a step."""
        self.step = update.step
        added: list[Number] = [*update.loss, update.tokens, update.padding, update.positions]
        finite = update.finite
        self.since = [total + torch.where(finite, part, 0) for total, part in zip(self.since, added, strict=True)]
        skipped = (~update.finite).long()
        self.skipped = [self.skipped[0] + skipped, (self.skipped[1] + skipped) * skipped]
        self.bar.update()

    def counts(self) -> Counts:
        """The numbers so far; waits for the device."""
        loss, likelihood = map(float, self.since[:2])
        tokens, padding, positions = map(int, self.since[2:])
        skipped, in_a_row = map(int, self.skipped)
        return Counts(
            tokens=self.before.tokens,
            seconds=self.before.seconds,
            since=Sums(
                loss=loss,
                likelihood=likelihood,
                tokens=tokens,
                padding=padding,
                positions=positions,
                seconds=self.seconds,
            ),
            skipped=skipped,
            skipped_in_a_row=in_a_row,
        )

    def line(self, *, learning_rate: float, gradient_norm: torch.Tensor) -> None:
        """One line and one point of each curve for the steps since the last; waits for the device."""
        found = self.counts()
        self.pause()
        self.resume()
        since, elapsed = found.since, self.seconds
        if elapsed > 1:
            self._warn(self.worked / elapsed)
        tokens, positions = since.tokens or math.nan, since.positions or math.nan  # 0 where all steps were skipped
        values = {
            "loss": since.loss / tokens,
            "perplexity": math.exp(min(since.likelihood / tokens, 700)),  # what a float can hold
            "learning_rate": learning_rate,
            "gradient_norm": float(gradient_norm),
            "target_tokens_per_second": since.tokens / elapsed,
            "padding": since.padding / positions,
            "seconds": found.seconds + elapsed,
        }
        self.before = Counts(tokens=found.tokens + since.tokens, seconds=values["seconds"])
        self.since, self.seconds, self.worked = [0.0, 0.0, 0, 0, 0], 0.0, 0.0
        self.bar.set_postfix(loss=f"{values['loss']:.3f}", refresh=False)
        self.scalars({f"train/{name}": value for name, value in values.items()}, self.step)
        left = self.before.seconds / self.step * (self.total - self.step)
        log.info(
            "step %d/%d  epoch %.1f  loss %.3f  perplexity %s  %.0f tokens/s  %s left%s",
            self.step,
            self.total,
            self.step / self.steps_per_epoch,
            values["loss"],
            format_perplexity(values["perplexity"]),
            values["target_tokens_per_second"],
            tqdm.format_interval(left),
            f"  {found.skipped} steps skipped: not finite" if found.skipped else "",
        )

    def _warn(self, processors: float) -> None:
        """Once, where threads have fewer processors than they are."""
        if self.threads > 1 and processors < CROWDED * self.threads and not self.warned:
            self.warned = True
            log.warning(
                "%d threads have the time of %.1f processors and wait for one another, which can make training many "
                "times slower: end what else runs, or start with device.threads=%d",
                self.threads,
                processors,
                max(1, int(processors)),
            )

    def pause(self) -> None:
        """Stops the clock: what comes now is not training."""
        self.seconds += time.perf_counter() - self.started
        self.worked += time.process_time() - self.work_before

    def resume(self) -> None:
        """Starts the clock again."""
        self.started, self.work_before = time.perf_counter(), time.process_time()
