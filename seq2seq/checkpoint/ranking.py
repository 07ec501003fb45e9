"""The ranking of validations: which checkpoints are best, and how many validations brought no new best."""

import math
from typing import Annotated, Any

from pydantic import BeforeValidator, NonNegativeInt

from seq2seq.checkpoint.numbers import Numbers


def _with_loss(ranked: Any) -> Any:
    """A validation as (value, step, loss). Older checkpoints have no loss; infinity ranks it last among equals."""
    if not isinstance(ranked, list | tuple):
        return ranked
    return (*ranked, math.inf) if len(ranked) == 2 else tuple(ranked)


class ValidationRanking(Numbers):
    """The best validations, and the counts that patience and a warning need.

    - `ranking`: the best validations as (value, step, loss), best first
    - `waited`: the number of validations since the best one
    - `latest`: the value and the loss of the last validation
    - `unchanged`: the number of validations in a row, up to the last, that kept the value while the loss fell
    """

    ranking: tuple[Annotated[tuple[float, NonNegativeInt, float], BeforeValidator(_with_loss)], ...] = ()
    waited: NonNegativeInt = 0
    latest: tuple[float, float] | None = None
    unchanged: NonNegativeInt = 0

    def after(self, step: int, value: float, *, loss: float, keep: int, higher_is_better: bool) -> "ValidationRanking":
        """The ranking after another validation; it keeps the `keep` best.

        Of equal values the lower loss ranks first, then the earlier step. NaN, from a model that diverged, ranks last.
        """
        sign = 1 if higher_is_better else -1
        if math.isnan(value):
            value = -sign * math.inf
        rank = sum((sign * other, -other_loss) >= (sign * value, -loss) for other, _, other_loss in self.ranking)
        ranking = (*self.ranking[:rank], (value, step, loss), *self.ranking[rank:])[:keep]
        stuck = self.latest is not None and self.latest[0] == value and loss < self.latest[1]
        return ValidationRanking(
            ranking=ranking,
            waited=self.waited + 1 if rank else 0,
            latest=(value, loss),
            unchanged=self.unchanged + 1 if stuck else 0,
        )
