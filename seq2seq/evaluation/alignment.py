"""Links from attention, the alignment error rate, and what attention does."""

import math
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import astuple, dataclass

import numpy as np
from jaxtyping import Float

from seq2seq.text.alignment import Link


def links(weights: Float[np.ndarray, "target_words source_words"]) -> set[tuple[int, int]]:
    """`(source, target)` of each target word and its most attended source word; of equals, the first.

    A target word whose row is 0 (all its mass is on EOS) has no link.
    """
    if weights.shape[1] == 0:
        return set()
    best = weights.argmax(axis=1)
    return {(int(source), target) for target, source in enumerate(best) if weights[target, source] > 0}


@dataclass(frozen=True)
class AlignmentError:
    """The sums of the alignment error rate: add them over sentences, divide once.

    A are the links found, S the sure and P the possible gold links, S a part of P (Och & Ney 2003).
    """

    sure_found: int = 0  # |A ∩ S|
    possible_found: int = 0  # |A ∩ P|
    found: int = 0  # |A|
    sure: int = 0  # |S|

    @classmethod
    def of(cls, found: AbstractSet[tuple[int, int]], gold: Iterable[Link]) -> "AlignmentError":
        """Count one sentence; `found` are pairs `(source, target)`, and a sure link is possible too."""
        gold = frozenset(gold)
        possible = {(link.source, link.target) for link in gold}
        sure = {(link.source, link.target) for link in gold if link.sure}
        return cls(len(found & sure), len(found & possible), len(found), len(sure))

    def __add__(self, other: "AlignmentError") -> "AlignmentError":
        return AlignmentError(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    @property
    def rate(self) -> float:
        """`1 - (|A ∩ S| + |A ∩ P|) / (|A| + |S|)`, from 0 (best) to 1; NaN where nothing was found nor sure."""
        return 1 - _ratio(self.sure_found + self.possible_found, self.found + self.sure)


@dataclass(frozen=True)
class Diagnostics:
    """Sums that say how attention behaves, with their counts: add them over sentences, divide once."""

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
        """Measure one sentence; the last column is the source's EOS, the rows are target pieces without EOS."""
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
        """The measures by name; NaN where there was nothing to measure.

        - entropy: of a target piece's weights, EOS included, in nats; 0 is one-hot
        - greatest_weight: of a target piece, EOS included
        - mass_on_end: a target piece's weight on the source's EOS
        - coverage: `min(sum over target of w_tj, 1)` of a source piece; the term of Wu et al. 2016, equation 14,
          without its logarithm, so that a piece never looked at counts 0 and not minus infinity
        - monotonicity: the share of steps from one target piece to the next at which the most attended source piece
          does not lie further left; pieces with all their mass on EOS are passed over
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
