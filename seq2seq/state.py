"""What a run must know to go on as if it had never stopped: plain numbers. Its tensors stand beside them by name."""

import math

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveInt


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


class Standing(Numbers):
    """The best validations, (value, step), best first, and how many there were since the first of them."""

    ranking: tuple[tuple[float, NonNegativeInt], ...] = ()
    waited: NonNegativeInt = 0

    def after(self, step: int, value: float, *, keep: int, higher_is_better: bool) -> "Standing":
        """The standing after another validation, of which the `keep` best are remembered.

        Of equals, the first wins; NaN, as a model gives whose training went astray, is worse than any number.
        """
        sign = 1 if higher_is_better else -1
        if math.isnan(value):
            value = -sign * math.inf
        rank = sum(sign * other >= sign * value for other, _ in self.ranking)
        ranking = (*self.ranking[:rank], (value, step), *self.ranking[rank:])[:keep]
        return Standing(ranking=ranking, waited=self.waited + 1 if rank else 0)


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
