"""The learning rate of each step."""

import math
from typing import NamedTuple


class Schedule(NamedTuple):
    """Linear warm-up to the rate `peak` in `warmup` steps, then the decay.

    Steps are optimiser steps, counted from 1 to `total`. With w the number of warm-up steps, and with the share of the
    steps that are left, `f = (total + 1 - step) / (total + 1 - w)`, `decay` is one of

    - `constant`: `peak`
    - `linear`: `peak f`
    - `cosine`: `peak (1 + cos(pi (1 - f))) / 2` (Loshchilov and Hutter 2017, equation 5, without restarts)
    - `inverse_sqrt`: `peak sqrt(max(w, 1) / step)` (Vaswani et al. 2017, section 5.3)
    """

    peak: float
    warmup: int
    total: int
    decay: str

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        if step <= self.warmup:
            return self.peak * step / self.warmup
        # `total + 1` instead of `total`: the rate is 0 one step after the last, so the last step still has an effect.
        share_left = (self.total + 1 - step) / (self.total + 1 - self.warmup)
        return (
            self.peak
            * {
                "constant": 1.0,
                "linear": share_left,
                "cosine": (1 + math.cos(math.pi * (1 - share_left))) / 2,
                "inverse_sqrt": math.sqrt(max(self.warmup, 1) / step),
            }[self.decay]
        )
