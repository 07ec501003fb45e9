"""The learning rate of each step."""

import math
from typing import NamedTuple


class Schedule(NamedTuple):
    """Linear warm-up to `peak`, then `decay`: constant, linear or cosine to 0 at `total`, or inverse_sqrt.

    Steps are optimiser steps, counted from 1; `inverse_sqrt` is `peak * sqrt(warmup / step)` (Vaswani et al. 2017).
    """

    peak: float
    warmup: int
    total: int
    decay: str

    def rate(self, step: int) -> float:
        """The learning rate of the given step."""
        if step <= self.warmup:
            return self.peak * step / self.warmup
        # The step after the last would have rate 0, so that the last one still moves.
        left = (self.total + 1 - step) / (self.total + 1 - self.warmup)
        return (
            self.peak
            * {
                "constant": 1.0,
                "linear": left,
                "cosine": (1 + math.cos(math.pi * (1 - left))) / 2,
                "inverse_sqrt": math.sqrt(max(self.warmup, 1) / step),
            }[self.decay]
        )
