"""How training goes: a bar where someone watches, lines in the log, curves in TensorBoard."""

import logging
import math
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import NamedTuple

from torch import Tensor
from tqdm import tqdm

log = logging.getLogger(__name__)


class Sums(NamedTuple):
    """What one step adds: the losses' sums in nats, and the counts that they are divided by."""

    loss: Tensor | float
    likelihood: Tensor | float
    tokens: int
    padding: int
    positions: int


class Progress:
    """Sums of the steps since the last line, and the clock of training alone: `resume` leaves out what ran since."""

    def __init__(
        self, scalars: Callable[[Mapping[str, float], int], None], *, total: int, steps_per_epoch: int
    ) -> None:
        self.scalars, self.total, self.steps_per_epoch = scalars, total, steps_per_epoch
        self.step = self.tokens = 0
        self.seconds = 0.0
        self.since: list[Sums] = []

    def __enter__(self) -> "Progress":
        self.bar = tqdm(total=self.total, unit="step", disable=not sys.stderr.isatty(), dynamic_ncols=True)
        self.started = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.bar.close()

    def add(self, sums: Sums) -> None:
        """Counts a step."""
        self.step += 1
        self.since.append(sums)
        self.bar.update()

    def line(self, *, learning_rate: float, gradient_norm: Tensor) -> None:
        """One line and one point of each curve for the steps since the last; waits for the device."""
        loss, likelihood, tokens, padding, positions = (float(sum(parts)) for parts in zip(*self.since, strict=True))
        self.since.clear()
        now = time.perf_counter()
        elapsed, self.started = now - self.started, now
        self.seconds += elapsed
        self.tokens += int(tokens)
        values = {
            "loss": loss / tokens,
            "perplexity": math.exp(min(likelihood / tokens, 700)),  # what a float can hold
            "learning_rate": learning_rate,
            "gradient_norm": float(gradient_norm),
            "target_tokens_per_second": tokens / elapsed,
            "padding": padding / positions,
        }
        self.scalars({f"train/{name}": value for name, value in values.items()}, self.step)
        left = self.seconds / self.step * (self.total - self.step)
        log.info(
            "step %d/%d  epoch %.1f  loss %.3f  perplexity %.2f  %.0f tokens/s  %s left",
            self.step,
            self.total,
            self.step / self.steps_per_epoch,
            values["loss"],
            values["perplexity"],
            values["target_tokens_per_second"],
            tqdm.format_interval(left),
        )

    def resume(self) -> None:
        """Starts the clock again: what ran since the last line was not training."""
        self.started = time.perf_counter()
