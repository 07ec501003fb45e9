"""The progress of training: a bar in the terminal, lines in the log, curves in TensorBoard."""

import logging
import math
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any

import torch
from tqdm import TqdmWarning, tqdm

from seq2seq.checkpoint.state import Counts, Sums
from seq2seq.evaluation.teacher_forcing import format_perplexity
from seq2seq.runtime import distributed
from seq2seq.training.step import Update

with warnings.catch_warnings():
    warnings.simplefilter("ignore", TqdmWarning)  # without ipywidgets, a notebook has a bar of text
    from tqdm.auto import tqdm as auto_tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

__all__ = ["Bar", "Progress", "auto_tqdm", "logging_redirect_tqdm"]

Bar = Callable[..., "tqdm[Any]"]
"""Makes a progress bar of tqdm's arguments `total`, `initial` and `unit`."""

MIN_CPU_SHARE = 0.8
"""Seconds of CPU time for each thread and second. Less than this causes a warning of CPU oversubscription.

On free cores threads use 0.99 and more, since they spin while they wait. If another process keeps a core busy they use
0.5 to 0.7, and training takes 3 to 100 times as long."""

EARLY_WARNING = 10.0
"""Seconds of training without a log line after which oversubscription is looked for."""

MAX_PENDING = 1000
"""Steps whose tensors are kept on the device until they are added to the sums: to read them, Python waits for it."""

SUMS = ("loss", "likelihood", "guide", "tokens", "linked", "padding", "positions")
"""The fields of `Sums` that a step adds to: its losses, and then its counts."""

log = logging.getLogger(__name__)


class Progress:
    """Sums over the steps since the last line, and a clock that measures training without validation and saving.

    Between `pause` and `resume` the clock does not run. For a resumed run, `step` and `counts` are those of its
    checkpoint. `threads` is the number of threads that compute on the CPU, 0 on a GPU. A skipped step is counted, but
    adds nothing to the sums. `bar` makes the progress bar; without it, there is one
    if the error stream is a terminal.
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
        self.step, self.earlier = step, counts
        self.since, self.seconds = counts.since.model_dump(include=set(SUMS)), counts.since.seconds
        self.skipped, self.skipped_in_a_row = counts.skipped, counts.skipped_in_a_row
        self.pending: list[Update] = []
        self.threads, self.warned = threads, False
        self.own_seconds, self.cpu_seconds = 0.0, 0.0  # of this process since the last line
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
        """Adds a step to the sums. Does not wait for the device."""
        self.step = update.step
        self.pending.append(update)
        if len(self.pending) == MAX_PENDING:
            self.sum_pending()
        self.bar.update()
        if time.perf_counter() - self.started > EARLY_WARNING:  # the first log line may be minutes away
            self.pause()
            self.resume()
            self._warn_of_oversubscription()

    def sum_pending(self) -> None:
        """Adds the pending steps to the sums. Waits for the device."""
        if not self.pending:
            return
        losses = torch.stack([value for update in self.pending for value in update.loss]).view(-1, 3).tolist()
        all_finite = torch.stack([update.finite for update in self.pending]).tolist()
        for update, loss, finite in zip(self.pending, losses, all_finite, strict=True):
            self.skipped += not finite
            self.skipped_in_a_row = 0 if finite else self.skipped_in_a_row + 1
            if finite:
                counts = update.tokens, update.linked, update.padding, update.positions
                for name, value in zip(SUMS, (*loss, *counts), strict=True):
                    self.since[name] += value
        self.pending.clear()

    def counts(self) -> Counts:
        """The counts and sums up to the current step. Waits for the device."""
        self.sum_pending()
        return Counts(
            tokens=self.earlier.tokens,
            seconds=self.earlier.seconds,
            since=Sums(**self.since, seconds=self.seconds),
            skipped=self.skipped,
            skipped_in_a_row=self.skipped_in_a_row,
        )

    def write_line(self, *, learning_rate: float, gradient_norm: torch.Tensor) -> None:
        """Writes a log line and a point of each curve, for the steps since the last line. Waits for the device."""
        counts = self.counts()
        self.pause()
        self.resume()
        since, elapsed = counts.since, self.seconds
        self._warn_of_oversubscription()
        tokens, positions = since.tokens or math.nan, since.positions or math.nan  # 0 if all steps were skipped
        values = {
            "loss": since.loss / tokens,
            "perplexity": math.exp(min(since.likelihood / tokens, 700)),  # exp(710) is too large for a float
            "learning_rate": learning_rate,
            "gradient_norm": float(gradient_norm),
            "target_tokens_per_second": since.tokens / elapsed,
            "padding": since.padding / positions,
            "seconds": counts.seconds + elapsed,
        }
        if since.linked:
            values["guide"] = since.guide / since.linked
        self.earlier = Counts(tokens=counts.tokens + since.tokens, seconds=values["seconds"])
        self.since = dict.fromkeys(SUMS, 0)
        self.seconds = self.own_seconds = self.cpu_seconds = 0.0
        self.bar.set_postfix(loss=f"{values['loss']:.3f}", refresh=False)
        self.scalars({f"train/{name}": value for name, value in values.items()}, self.step)
        seconds_left = self.earlier.seconds / self.step * (self.total - self.step)
        log.info(
            "step %d/%d  epoch %.1f  loss %.3f  perplexity %s%s  %.0f tokens/s  %s left%s",
            self.step,
            self.total,
            self.step / self.steps_per_epoch,
            values["loss"],
            format_perplexity(values["perplexity"]),
            f"  guide {values['guide']:.3f}" if since.linked else "",
            values["target_tokens_per_second"],
            tqdm.format_interval(seconds_left),
            f"  {counts.skipped} steps skipped: not finite" if counts.skipped else "",
        )

    def _warn_of_oversubscription(self) -> None:
        """Warns once if a thread has had less than `MIN_CPU_SHARE` of a processor since the last log line."""
        if self.threads < 2 or self.warned or self.own_seconds < 1:
            return
        processors = self.cpu_seconds / self.own_seconds
        if processors < MIN_CPU_SHARE * self.threads:
            self.warned = True
            log.warning(
                "the machine is busy: %d threads share %.1f processors, so training can be many times slower; end "
                "other programs, or stop with Ctrl-C and resume with device.threads=%d",
                self.threads,
                processors,
                max(1, int(processors)),
            )

    def pause(self) -> None:
        """Stops the clock, before validation or saving."""
        elapsed = time.perf_counter() - self.started
        self.seconds += elapsed
        self.own_seconds += elapsed
        self.cpu_seconds += time.process_time() - self.cpu_started

    def resume(self) -> None:
        """Starts the clock again."""
        self.started, self.cpu_started = time.perf_counter(), time.process_time()
