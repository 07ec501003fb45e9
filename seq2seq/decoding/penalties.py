"""What the score of a hypothesis is beside its log-probability: a division by its length, and a penalty for coverage.

Wu et al. 2016, "Google's Neural Machine Translation System", section 7, equation 14:

    s(Y, X) = log P(Y|X) / lp(Y) + cp(X; Y)
    lp(Y) = (5 + |Y|)^alpha / (5 + 1)^alpha
    cp(X; Y) = beta * sum_i log(min(sum_j p_ij, 1))

p_ij is the attention weight of source token i when target token j is predicted.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

LENGTH_FORMS = ("power", "wu")
SMALLEST_COVERAGE = 1e-6
"""Takes the place of a smaller sum of attention weights: sparse and hard attention have sums of 0."""


class Penalties(NamedTuple):
    """`length` is alpha, and `coverage` is beta. `form` is that of lp(Y): "wu" as above, "power" |Y|^alpha.

    |Y| is the number of target tokens with EOS, and i runs over the source tokens without EOS.
    """

    length: float
    form: str = "power"
    coverage: float = 0.0

    def divisor(self, length: int) -> float:
        """lp(Y) for |Y| = `length`."""
        return float(length**self.length if self.form == "power" else ((5 + length) / 6) ** self.length)

    def of_coverage(self, attended: Float[np.ndarray, "source"]) -> float:
        """cp(X; Y) for the sums of attention weights of the source tokens."""
        if not self.coverage:
            return 0.0
        return self.coverage * float(np.log(attended.clip(SMALLEST_COVERAGE, 1), dtype=np.float64).sum())

    def score(self, log_probability: float, weights: Float[np.ndarray, "target source"]) -> float:
        """s(Y, X). `weights` have a row for each target token with EOS, and a column for each source token with EOS."""
        return log_probability / self.divisor(len(weights)) + self.of_coverage(weights[:, :-1].sum(axis=0))


class Coverage:
    """cp(X; Y) of the hypotheses of a search: the sums of attention weights of each row, and what they cost."""

    def __init__(self, penalties: Penalties, sources: Sequence[int]) -> None:
        """`sources` are the numbers of source tokens of the sentences, without EOS."""
        self._penalties, self._sources = penalties, sources
        self._attended: Float[np.ndarray, "rows source"] | None = None

    def add(self, weights: Float[np.ndarray, "rows source"], parents: Int[np.ndarray, "rows"]) -> None:
        """Adds the weights of a step, whose rows extend the rows `parents` of the step before."""
        self._attended = weights if self._attended is None else self._attended[parents] + weights

    def of_row(self, row: int, sentence: int) -> float:
        """cp(X; Y) of a row of the last step."""
        assert self._attended is not None
        return self._penalties.of_coverage(self._attended[row, : self._sources[sentence]])
