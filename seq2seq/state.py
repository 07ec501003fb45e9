"""What a run must know to go on as if it had never stopped: plain numbers. Its tensors stand beside them by name."""

import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveInt


class Numbers(BaseModel):
    """Frozen, strict, and closed, since it comes from a file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Sums(Numbers):
    """Sums over the steps since the last line of the log; `seconds` are of training alone."""

    loss: float = 0.0
    likelihood: float = 0.0
    tokens: NonNegativeInt = 0
    padding: NonNegativeInt = 0
    positions: NonNegativeInt = 0
    seconds: NonNegativeFloat = 0.0


class Counts(Numbers):
    """Target tokens and seconds up to the last line of the log, what came since, and steps that were skipped."""

    tokens: NonNegativeInt = 0
    seconds: NonNegativeFloat = 0.0
    since: Sums = Sums()
    skipped: NonNegativeInt = 0
    skipped_in_a_row: NonNegativeInt = 0


def _with_loss(ranked: Any) -> Any:
    """A validation as (value, step, loss); runs older than the third have no loss, which is worse than any."""
    if not isinstance(ranked, list | tuple):
        return ranked
    return (*ranked, math.inf) if len(ranked) == 2 else tuple(ranked)


class Standing(Numbers):
    """The best validations, (value, step, loss), best first, and how many there were since the first of them.

    `latest` are the value and the loss of the last validation; `unchanged` counts those in a row, the last included,
    whose value was the one before while the loss fell.
    """

    ranking: tuple[Annotated[tuple[float, NonNegativeInt, float], BeforeValidator(_with_loss)], ...] = ()
    waited: NonNegativeInt = 0
    latest: tuple[float, float] | None = None
    unchanged: NonNegativeInt = 0

    def after(self, step: int, value: float, *, loss: float, keep: int, higher_is_better: bool) -> "Standing":
        """The standing after another validation, of which the `keep` best are remembered.

        Of equal values the lower loss wins, then the first; NaN, as a model gives whose training went astray, is worse
        than any number.
        """
        sign = 1 if higher_is_better else -1
        if math.isnan(value):
            value = -sign * math.inf
        rank = sum((sign * other, -its_loss) >= (sign * value, -loss) for other, _, its_loss in self.ranking)
        ranking = (*self.ranking[:rank], (value, step, loss), *self.ranking[rank:])[:keep]
        stuck = self.latest is not None and self.latest[0] == value and loss < self.latest[1]
        return Standing(
            ranking=ranking,
            waited=self.waited + 1 if rank else 0,
            latest=(value, loss),
            unchanged=self.unchanged + 1 if stuck else 0,
        )


class State(Numbers):
    """`text` is the fingerprint of what the run learns from and is measured on, `events` TensorBoard's files' sizes.

    `splits` are the fingerprints of the raw text of each split, which checkpoints had not from the beginning.
    As many `processes` must go on: each has its own part of the batches and its own random numbers.
    """

    text: str
    splits: dict[str, str] = {}
    processes: PositiveInt = 1
    events: dict[str, NonNegativeInt] = {}
    counts: Counts = Counts()
    standing: Standing = Standing()
