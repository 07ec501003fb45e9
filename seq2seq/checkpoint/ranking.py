"""The ranking of validations: which checkpoints are best, and how long patience has waited."""

import math
from typing import Annotated, Any

from pydantic import BeforeValidator, NonNegativeInt

from seq2seq.checkpoint.numbers import Numbers


def _with_loss(ranked: Any) -> Any:
    """A validation as (value, step, loss); runs older than the third have no loss, which is worse than any."""
    if not isinstance(ranked, list | tuple):
        return ranked
    return (*ranked, math.inf) if len(ranked) == 2 else tuple(ranked)


class ValidationRanking(Numbers):
    """The best validations, (value, step, loss), best first, and how many there were since the first of them.

    `latest` are the value and the loss of the last validation; `unchanged` counts those in a row, the last included,
    whose value was the one before while the loss fell.
    """

    ranking: tuple[Annotated[tuple[float, NonNegativeInt, float], BeforeValidator(_with_loss)], ...] = ()
    waited: NonNegativeInt = 0
    latest: tuple[float, float] | None = None
    unchanged: NonNegativeInt = 0

    def after(self, step: int, value: float, *, loss: float, keep: int, higher_is_better: bool) -> "ValidationRanking":
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
        return ValidationRanking(
            ranking=ranking,
            waited=self.waited + 1 if rank else 0,
            latest=(value, loss),
            unchanged=self.unchanged + 1 if stuck else 0,
        )
