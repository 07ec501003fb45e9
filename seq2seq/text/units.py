"""What counts as a word: in raw text, and among a tokenizer's pieces.

A *word* is what spaces separate (U+0020, the one character that SentencePiece marks), counted from 0: the n-th of
`text.split(" ")`, empty strings left out. Scripts that are written without spaces (Chinese, Japanese, Thai, Khmer, and
others) have no such words: there the *unit* is the piece, and in raw text the *character*. In mixed text each part is
counted as it is written. The end-of-sentence symbol (EOS) is no word.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

MARK = "▁"  # U+2581, SentencePiece's sign for the space before a word
BYTE = re.compile("<0x([0-9A-F]{2})>")
CONTINUATION = re.compile("<0x[89AB][0-9A-F]>")  # a byte of a UTF-8 character that is not its first

KANA = ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA")
WITHOUT_SPACES = frozenset(
    (*KANA, "CJK", "BOPOMOFO", "YI", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "JAVANESE", "BALINESE", "TAI")
)
"""Scripts, by the first word of their characters' Unicode names."""


class Word(NamedTuple):
    """A word's text, and the pieces `[start, end)` that it is made of."""

    text: str
    start: int
    end: int


# --- raw text ---------------------------------------------------------------------------------------------------------


@cache
def script(character: str) -> str:
    """The first word of the character's Unicode name, which is its script where it is a letter; "" without a name."""
    return unicodedata.name(character, "").removeprefix("HALFWIDTH ").partition(" ")[0]


@cache
def is_unspaced(character: str) -> bool:
    """Whether the character belongs to a script without spaces, its wide punctuation and digits included."""
    if script(character) in WITHOUT_SPACES:
        return True
    wide = unicodedata.east_asian_width(character) in ("W", "F") and script(character) != "HANGUL"
    return wide and not unicodedata.category(character).startswith("S")  # emoji are wide symbols


def scripts(lines: Iterable[str]) -> Counter[str]:
    """How many letters the lines have of each script."""
    return Counter(script(character) for line in lines for character in line if character.isalpha())


def count_words(text: str) -> int:
    """The number of words of raw text."""
    return sum(map(bool, text.split(" ")))


def segments(text: str) -> list[str]:
    """The words of raw text; in scripts without spaces its characters, each with its combining marks."""
    return [segment for word in text.split(" ") if word for segment in _characters(word)]


def _characters(word: str) -> list[str]:
    """One word without spaces, cut at each character of a script without spaces."""
    found = [word[0]] if word else []
    for before, character in pairwise(word):
        if _is_mark(character) or not (is_unspaced(before) or is_unspaced(character)):
            found[-1] += character
        else:
            found.append(character)
    return found


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


# --- pieces -----------------------------------------------------------------------------------------------------------


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


def units(pieces: Sequence[str]) -> list[Word]:
    """As `words`, but in scripts without spaces each piece is a unit of its own."""
    return [unit for word in words(pieces) for unit in _divide(pieces, word)]


def _divide(pieces: Sequence[str], word: Word) -> list[Word]:
    """The units of one word."""
    first, *others = _atoms(pieces, word)
    found = [first]
    for atom in others:
        last = found[-1]
        if _is_mark(atom.text[0]) or not (is_unspaced(last.text[-1]) or is_unspaced(atom.text[0])):
            found[-1] = Word(last.text + atom.text, last.start, atom.end)
        else:
            found.append(atom)
    return found


def _atoms(pieces: Sequence[str], word: Word) -> list[Word]:
    """The word's pieces one by one, but those of one character's bytes together, and lone marks with their word."""
    starts = [word.start]
    for index in range(word.start + 1, word.end):
        complete = any(piece.strip(MARK) for piece in pieces[starts[-1] : index])
        if complete and pieces[index].strip(MARK) and not CONTINUATION.fullmatch(pieces[index]):
            starts.append(index)
    return [Word(_text(pieces[start:end]), start, end) for start, end in pairwise([*starts, word.end])]


def _text(pieces: Iterable[str]) -> str:
    matches = ((piece, BYTE.fullmatch(piece)) for piece in pieces)
    encoded = (bytes.fromhex(match[1]) if match else piece.encode() for piece, match in matches)
    return b"".join(encoded).decode(errors="replace").replace(MARK, "")


# --- attention --------------------------------------------------------------------------------------------------------


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


def merge_segments(
    weights: Float[np.ndarray, "target_pieces source_pieces"], source: Sequence[str], target: Sequence[str]
) -> Float[np.ndarray, "target_segments source_segments"]:
    """Attention between the `segments` of raw text, from that between `source` and `target` pieces.

    The characters of a target piece look where the piece looks, and those of a source piece share its weight evenly.
    """
    (source_atoms, source_segments), (target_atoms, target_segments) = map(_segmented, (source, target))
    by_atom = merge(weights, source_atoms, target_atoms)
    columns, rows = (np.array([len(atom.text) for atom in side]) for side in (source_atoms, target_atoms))
    by_character = np.repeat(np.repeat(by_atom / np.maximum(columns, 1), columns, axis=1), rows, axis=0)
    return merge(by_character.astype(weights.dtype), source_segments, target_segments)


def _segmented(pieces: Sequence[str]) -> tuple[list[Word], list[Word]]:
    """The atoms of a sentence's pieces, and its segments as spans `[start, end)` of characters, spaces left out."""
    by_word = [_atoms(pieces, word) for word in words(pieces)]
    texts = [segment for atoms in by_word for segment in _characters("".join(atom.text for atom in atoms))]
    ends = np.cumsum([len(text) for text in texts], dtype=np.intp).tolist()
    spans = [Word(text, end - len(text), end) for text, end in zip(texts, ends, strict=True)]
    return [atom for atoms in by_word for atom in atoms], spans


def _starts(side: Sequence[Word]) -> np.ndarray:
    return np.array([word.start for word in side], dtype=np.intp)
