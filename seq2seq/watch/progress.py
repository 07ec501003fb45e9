"""How training goes: a bar where someone watches, lines in the log, curves in TensorBoard."""

import logging
import math
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType

import torch
from tqdm import tqdm

from seq2seq import distributed
from seq2seq.state import Counts, Sums
from seq2seq.training import Update

Number = torch.Tensor | float

log = logging.getLogger(__name__)


class Progress:
    """Sums of the steps since the last line, and the clock of training alone: it stands between `pause` and `go_on`.

    `step` and `counts` are where an earlier process was, for a run that is resumed. Steps that were skipped are counted
    and add nothing to the sums.
    """

    def __init__(
        self,
        scalars: Callable[[Mapping[str, float], int], None],
        *,
        total: int,
        steps_per_epoch: int,
        step: int,
        counts: Counts,
    ) -> None:
        self.scalars, self.total, self.steps_per_epoch = scalars, total, steps_per_epoch
        self.step, self.before = step, counts
        since = counts.since
        # Numbers, and tensors on the device as soon as a step is added: adding up waits for nothing.
        self.since: list[Number] = [since.loss, since.likelihood, since.tokens, since.padding, since.positions]
        self.skipped: list[Number] = [counts.skipped, counts.skipped_in_a_row]
        self.seconds = since.seconds

    def __enter__(self) -> "Progress":
        shown = sys.stderr.isatty() and distributed.first()
        self.bar = tqdm(total=self.total, initial=self.step, unit="step", disable=not shown, dynamic_ncols=True)
        self.go_on()
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
        self.go_on()
        since, elapsed = found.since, self.seconds
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
        self.since, self.seconds = [0.0, 0.0, 0, 0, 0], 0.0
        self.scalars({f"train/{name}": value for name, value in values.items()}, self.step)
        left = self.before.seconds / self.step * (self.total - self.step)
        log.info(
            "step %d/%d  epoch %.1f  loss %.3f  perplexity %.2f  %.0f tokens/s  %s left%s",
            self.step,
            self.total,
            self.step / self.steps_per_epoch,
            values["loss"],
            values["perplexity"],
            values["target_tokens_per_second"],
            tqdm.format_interval(left),
            f"  {found.skipped} steps skipped: not finite" if found.skipped else "",
        )

    def pause(self) -> None:
        """Stops the clock: what comes now is not training."""
        self.seconds += time.perf_counter() - self.started

    def go_on(self) -> None:
        """Starts the clock again."""
        self.started = time.perf_counter()
