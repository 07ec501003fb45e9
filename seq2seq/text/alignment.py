"""Word alignment: links from attention, gold links in the Pharaoh format, the alignment error rate, diagnostics."""

import math
import re
from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from seq2seq.errors import InputError
from seq2seq.text.corpus import read_lines

PHARAOH = re.compile("([0-9]{1,6})([-p])([0-9]{1,6})")


def links(weights: Float[np.ndarray, "target_words source_words"]) -> set[tuple[int, int]]:
    """`(source, target)` of each target word and its most attended source word; of equals, the first.

    A target word whose row is 0 (all its mass is on EOS) has no link.
    """
    if weights.shape[1] == 0:
        return set()
    best = weights.argmax(axis=1)
    return {(int(source), target) for target, source in enumerate(best) if weights[target, source] > 0}


class Link(NamedTuple):
    """A link of a source and a target word, counted from 0: `sure`, or merely possible."""

    source: int
    target: int
    sure: bool = True


def parse_pharaoh(line: str, *, file: Path, line_number: int) -> frozenset[Link]:
    """Read one line of the Pharaoh format: `0-0 1p2` is a sure and a possible link, source first, counted from 0.

    Raises:
        InputError: a token is not of that form.
    """
    found = []
    for token in line.split():
        match = PHARAOH.fullmatch(token)
        if match is None:
            shown = token if len(token) <= 40 else token[:39] + "…"
            raise InputError(
                f"{file}, line {line_number}: {shown!r} is no alignment link like 0-0 (sure) or 1p2 (possible)"
            )
        found.append(Link(int(match[1]), int(match[3]), sure=match[2] == "-"))
    return frozenset(found)


def read_pharaoh(path: Path) -> list[frozenset[Link]]:
    """Read one sentence's links from each line; an empty line is a sentence without links.

    Raises:
        InputError: `read_lines` refuses the file or `parse_pharaoh` a line.
    """
    return [parse_pharaoh(line, file=path, line_number=number) for number, line in enumerate(read_lines(path), start=1)]


def format_pharaoh(found: Iterable[Link]) -> str:
    """Write links in the Pharaoh format, in order."""
    return " ".join(f"{link.source}{'-' if link.sure else 'p'}{link.target}" for link in sorted(found))


def check(
    gold: Collection[Link], *, source: int, target: int, file: Path, line_number: int, units: str = "words"
) -> None:
    """Refuse links that point outside their sentence pair, which has so many source and target `units`.

    Raises:
        InputError: an index is not below its sentence's number of units.
    """
    for link in sorted(gold):
        for side, index, count in (("source", link.source, source), ("target", link.target, target)):
            if index >= count:
                raise InputError(
                    f"{file}, line {line_number}: {format_pharaoh([link])} points at {side} {units.removesuffix('s')} "
                    f"{index}, but the {side} sentence has {count} {units}, counted from 0 (alignment_units says what "
                    "the links count: words between spaces, or characters in scripts without spaces)"
                )


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
