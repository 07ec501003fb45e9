"""Who is aligned with whom: attention between pieces becomes attention between words, links, and their error.

A word is what spaces (U+0020, the one character that SentencePiece marks) separate in the raw text, counted from 0: the
n-th of `text.split(" ")`, empty strings left out. The end-of-sentence symbol (EOS) is no word.
"""

import math
import re
from collections.abc import Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import astuple, dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from seq2seq.errors import InputError
from seq2seq.text.corpus import read_lines

MARK = "▁"  # U+2581, SentencePiece's sign for the space before a word
BYTE = re.compile("<0x([0-9A-F]{2})>")
PHARAOH = re.compile("([0-9]{1,6})([-p])([0-9]{1,6})")


class Word(NamedTuple):
    """A word's text, and the pieces `[start, end)` that it is made of."""

    text: str
    start: int
    end: int


def words(pieces: Sequence[str]) -> list[Word]:
    """Group SentencePiece's `pieces` (without EOS) into words; together they cover every piece, in order.

    A word starts at a piece with the mark. A lone mark belongs to what follows, or at the very end to the last word.
    A text of spaces alone is one word without text. Bytes (`<0xE2>`) are decoded for display; what is no UTF-8 shows as
    U+FFFD.
    """
    last = max((index for index, piece in enumerate(pieces) if piece.strip(MARK)), default=0)
    starts: list[int] = []
    blank = False  # the piece before is nothing but the mark
    for index, piece in enumerate(pieces[: last + 1]):
        if index == 0 or (piece.startswith(MARK) and not blank):
            starts.append(index)
        blank = not piece.strip(MARK)
    spans = pairwise([*starts, len(pieces)])
    return [Word(_text(pieces[start:end]), start, end) for start, end in spans]


def _text(pieces: Iterable[str]) -> str:
    matches = ((piece, BYTE.fullmatch(piece)) for piece in pieces)
    encoded = (bytes.fromhex(match[1]) if match else piece.encode() for piece, match in matches)
    return b"".join(encoded).decode(errors="replace").replace(MARK, "")


def merge(
    weights: Float[np.ndarray, "target_pieces source_pieces"], source: Sequence[Word], target: Sequence[Word]
) -> Float[np.ndarray, "target_words source_words"]:
    """Attention between words: the sum over a source word's pieces, the mean over a target word's pieces.

    A last column or row beyond the words' pieces is EOS and is left out. Nothing is scaled up in its place, so that a
    row sums to 1 less the mass on EOS.
    """
    rows, columns = (side[-1].end if side else 0 for side in (target, source))
    assert weights.shape[0] - rows in (0, 1), f"{weights.shape[0]} rows for {rows} target pieces and perhaps EOS"
    assert weights.shape[1] - columns in (0, 1), f"{weights.shape[1]} columns for {columns} source pieces"
    summed = np.add.reduceat(weights[:rows, :columns], _starts(source), axis=1)
    sizes = np.array([word.end - word.start for word in target], dtype=weights.dtype)
    merged: Float[np.ndarray, "target_words source_words"] = (
        np.add.reduceat(summed, _starts(target), axis=0) / sizes[:, None]
    )
    return merged


def _starts(side: Sequence[Word]) -> np.ndarray:
    return np.array([word.start for word in side], dtype=np.intp)


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


def check(gold: Collection[Link], *, source_words: int, target_words: int, file: Path, line_number: int) -> None:
    """Refuse links that point outside their sentence pair.

    Raises:
        InputError: an index is not below its sentence's number of words.
    """
    for link in sorted(gold):
        for side, index, count in (("source", link.source, source_words), ("target", link.target, target_words)):
            if index >= count:
                raise InputError(
                    f"{file}, line {line_number}: {format_pharaoh([link])} points at {side} word {index}, but the "
                    f"{side} sentence has {count} words, counted from 0"
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
