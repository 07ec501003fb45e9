"""Word links from attention, the alignment error rate, and diagnostics of attention."""

import math
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import astuple, dataclass

import numpy as np
from jaxtyping import Float

from seq2seq.text.alignment import Link


def links(weights: Float[np.ndarray, "target_words source_words"]) -> set[tuple[int, int]]:
    """A link `(source, target)` of each target word with its most attended source word; of equal weights, the first.

    A target word whose weights are all 0 (they are on EOS) has no link.
    """
    if weights.shape[1] == 0:
        return set()
    best = weights.argmax(axis=1)
    return {(int(source), target) for target, source in enumerate(best) if weights[target, source] > 0}


@dataclass(frozen=True)
class AlignmentError:
    """The counts of the alignment error rate: add them over sentences, divide once.

    A are the links of attention, S the sure gold links, P the possible gold links; S is a subset of P (Och & Ney 2003).
    """

    sure_hits: int = 0  # |A ∩ S|
    possible_hits: int = 0  # |A ∩ P|
    predicted: int = 0  # |A|
    sure: int = 0  # |S|

    @classmethod
    def of(cls, predicted: AbstractSet[tuple[int, int]], gold: Iterable[Link]) -> "AlignmentError":
        """The counts of one sentence. `predicted` are pairs `(source, target)`; a sure link counts as possible too."""
        gold = frozenset(gold)
        possible = {(link.source, link.target) for link in gold}
        sure = {(link.source, link.target) for link in gold if link.sure}
        return cls(len(predicted & sure), len(predicted & possible), len(predicted), len(sure))

    def __add__(self, other: "AlignmentError") -> "AlignmentError":
        return AlignmentError(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    @property
    def rate(self) -> float:
        """`1 - (|A ∩ S| + |A ∩ P|) / (|A| + |S|)`, from 0 (best) to 1; NaN where A and S are empty."""
        return 1 - _ratio(self.sure_hits + self.possible_hits, self.predicted + self.sure)


@dataclass(frozen=True)
class Diagnostics:
    """Sums over attention weights, with their counts: add them over sentences, divide once (see `means`)."""

    rows: int = 0
    entropy: float = 0.0
    greatest: float = 0.0
    end: float = 0.0
    columns: int = 0
    covered: float = 0.0
    steps: int = 0
    forward: int = 0

    @classmethod
    def of(cls, weights: Float[np.ndarray, "target_pieces source_pieces_and_end"]) -> "Diagnostics":
        """The sums of one sentence. The last column is the source's EOS; the rows are target pieces without EOS."""
        weights = weights.astype(np.float64)
        pieces = weights[:, :-1]
        logarithms = np.log(weights, where=weights > 0, out=np.zeros_like(weights))
        peaks = pieces.argmax(axis=1)[pieces.any(axis=1)] if pieces.size else np.zeros(0)
        return cls(
            rows=len(weights),
            entropy=float(-(weights * logarithms).sum()),
            greatest=float(weights.max(axis=1).sum()),
            end=float(weights[:, -1].sum()),
            columns=pieces.shape[1],
            covered=float(np.minimum(pieces.sum(axis=0), 1).sum()),
            steps=max(len(peaks) - 1, 0),
            forward=int((np.diff(peaks) >= 0).sum()),
        )

    def __add__(self, other: "Diagnostics") -> "Diagnostics":
        return Diagnostics(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    def means(self) -> dict[str, float]:
        """The means by name; NaN where the count is 0.

        - entropy: of the weights of a target piece, including EOS, in nats; 0 is one-hot
        - greatest_weight: of a target piece, including EOS
        - mass_on_end: the weight of a target piece on the source's EOS
        - coverage: `min(sum over target of w_tj, 1)` of a source piece; this is the term of Wu et al. 2016, equation
          14, without its logarithm, so a piece without attention counts 0 instead of minus infinity
        - monotonicity: the share of steps from one target piece to the next at which the most attended source piece
          stays or moves right; target pieces with all their weight on EOS are skipped
        """
        return {
            "entropy": _ratio(self.entropy, self.rows),
            "greatest_weight": _ratio(self.greatest, self.rows),
            "mass_on_end": _ratio(self.end, self.rows),
            "coverage": _ratio(self.covered, self.columns),
            "monotonicity": _ratio(self.forward, self.steps),
        }


def _ratio(total: int | float, count: int) -> float:
    return total / count if count else math.nan
