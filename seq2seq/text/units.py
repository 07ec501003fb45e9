"""Words and other units of text, and attention between them.

A *word* is the text between spaces (U+0020, the only space that SentencePiece marks). Words are counted from 0, without
empty ones. Scripts without spaces (Chinese, Japanese, Thai, Khmer and others) have no such words: there a *unit* is a
piece of the tokenizer, and a *segment* of raw text is a character. In mixed text each part follows its own script. The
end-of-sentence token (EOS) is not a word.
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

META_SPACE = "▁"  # U+2581, SentencePiece's character for a space
BYTE = re.compile("<0x([0-9A-F]{2})>")
CONTINUATION = re.compile("<0x[89AB][0-9A-F]>")  # a continuation byte of UTF-8

KANA = ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA")
WITHOUT_SPACES = frozenset(
    (*KANA, "CJK", "BOPOMOFO", "YI", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "JAVANESE", "BALINESE", "TAI")
)
"""Scripts without spaces, by the first word of their characters' Unicode names."""


class Word(NamedTuple):
    """The text of a word, and its range of pieces `[start, end)`."""

    text: str
    start: int
    end: int


# --- raw text ---------------------------------------------------------------------------------------------------------


@cache
def script(character: str) -> str:
    """The first word of the character's Unicode name, or "". For a letter this is its script."""
    return unicodedata.name(character, "").removeprefix("HALFWIDTH ").partition(" ")[0]


@cache
def is_unspaced(character: str) -> bool:
    """Whether the character belongs to a script without spaces; wide punctuation and digits do, too."""
    if script(character) in WITHOUT_SPACES:
        return True
    wide = unicodedata.east_asian_width(character) in ("W", "F") and script(character) != "HANGUL"
    return wide and not unicodedata.category(character).startswith("S")  # emoji are wide symbols


def scripts(lines: Iterable[str]) -> Counter[str]:
    """The number of letters in each script."""
    return Counter(script(character) for line in lines for character in line if character.isalpha())


def count_words(text: str) -> int:
    """The number of words of raw text."""
    return sum(map(bool, text.split(" ")))


def segments(text: str) -> list[str]:
    """The words of raw text; in scripts without spaces the characters, each with its combining marks."""
    return [segment for word in text.split(" ") if word for segment in _characters(word)]


def _characters(word: str) -> list[str]:
    """The word, split before and after each character of a script without spaces."""
    starts = [0] if word else []
    for index, (previous, character) in enumerate(pairwise(word), start=1):
        if (is_unspaced(previous) or is_unspaced(character)) and not _is_mark(character):
            starts.append(index)
    return [word[start:end] for start, end in pairwise([*starts, len(word)])]


def _is_mark(character: str) -> bool:
    """Whether the character is a combining mark."""
    return unicodedata.category(character).startswith("M")


# --- pieces -----------------------------------------------------------------------------------------------------------


def words(pieces: Sequence[str]) -> list[Word]:
    """The words that SentencePiece's `pieces` (without EOS) form; each piece is in one word, in order.

    A word starts at a piece that starts with the mark "▁". A piece of marks only belongs to the word after it, or at
    the end of the text to the last word. A text of spaces is one word with empty text. Bytes (`<0xE2>`) are decoded;
    bytes that are not UTF-8 become U+FFFD.
    """
    last = max((index for index, piece in enumerate(pieces) if piece.strip(META_SPACE)), default=0)
    starts: list[int] = []
    blank = False  # whether the previous piece consists of marks only
    for index, piece in enumerate(pieces[: last + 1]):
        if index == 0 or (piece.startswith(META_SPACE) and not blank):
            starts.append(index)
        blank = not piece.strip(META_SPACE)
    spans = pairwise([*starts, len(pieces)])
    return [Word(_text(pieces[start:end]), start, end) for start, end in spans]


def units(pieces: Sequence[str]) -> list[Word]:
    """Like `words`, but in scripts without spaces each piece is a unit."""
    return [unit for word in words(pieces) for unit in _divide(pieces, word)]


def _divide(pieces: Sequence[str], word: Word) -> list[Word]:
    """The units of one word."""
    first, *rest = _atoms(pieces, word)
    parts = [first]
    for atom in rest:
        last = parts[-1]
        if _is_mark(atom.text[0]) or not (is_unspaced(last.text[-1]) or is_unspaced(atom.text[0])):
            parts[-1] = Word(last.text + atom.text, last.start, atom.end)
        else:
            parts.append(atom)
    return parts


def _atoms(pieces: Sequence[str], word: Word) -> list[Word]:
    """The pieces of the word; the bytes of one character are one atom, and a piece of marks joins the next piece."""
    starts = [word.start]
    for index in range(word.start + 1, word.end):
        complete = any(piece.strip(META_SPACE) for piece in pieces[starts[-1] : index])
        if complete and pieces[index].strip(META_SPACE) and not CONTINUATION.fullmatch(pieces[index]):
            starts.append(index)
    return [Word(_text(pieces[start:end]), start, end) for start, end in pairwise([*starts, word.end])]


def _text(pieces: Iterable[str]) -> str:
    """The text of the pieces, without spaces and with bytes decoded; bytes may spell the character of the mark."""
    matches = ((piece, BYTE.fullmatch(piece)) for piece in pieces)
    encoded = (bytes.fromhex(match[1]) if match else piece.replace(META_SPACE, "").encode() for piece, match in matches)
    return b"".join(encoded).decode(errors="replace")


# --- attention --------------------------------------------------------------------------------------------------------


def merge(
    weights: Float[np.ndarray, "target_pieces source_pieces"], source: Sequence[Word], target: Sequence[Word]
) -> Float[np.ndarray, "target_words source_words"]:
    """Attention between words: the sum over the pieces of a source word, the mean over the pieces of a target word.

    A last row or column after the words' pieces is EOS and is left out. The rest is not normalised again: a row sums to
    1 minus the weight on EOS.
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
    """Attention between the `segments` of raw text, computed from the attention between `source` and `target` pieces.

    Each character of a target piece has the weights of the piece. The characters of a source piece share its weight
    equally.
    """
    (source_atoms, source_segments), (target_atoms, target_segments) = map(_segmented, (source, target))
    by_atom = merge(weights, source_atoms, target_atoms)
    columns, rows = (np.array([len(atom.text) for atom in side]) for side in (source_atoms, target_atoms))
    by_character = np.repeat(np.repeat(by_atom / np.maximum(columns, 1), columns, axis=1), rows, axis=0)
    return merge(by_character.astype(weights.dtype), source_segments, target_segments)


def segment_spans(pieces: Sequence[str]) -> list[Word]:
    """The `segments` of raw text, with the ranges of the pieces that they are in. Segments may share a piece."""
    atoms, spans = _segmented(pieces)
    ends = np.cumsum([len(atom.text) for atom in atoms])
    first, last = (
        np.searchsorted(ends, positions, side="right").tolist()
        for positions in ([span.start for span in spans], [span.end - 1 for span in spans])
    )
    return [Word(span.text, atoms[i].start, atoms[j].end) for span, i, j in zip(spans, first, last, strict=True)]


def _segmented(pieces: Sequence[str]) -> tuple[list[Word], list[Word]]:
    """The atoms of a sentence, and its segments with their ranges `[start, end)` of characters, without spaces."""
    by_word = [_atoms(pieces, word) for word in words(pieces)]
    texts = [segment for atoms in by_word for segment in _characters("".join(atom.text for atom in atoms))]
    ends = np.cumsum([len(text) for text in texts], dtype=np.intp).tolist()
    spans = [Word(text, end - len(text), end) for text, end in zip(texts, ends, strict=True)]
    return [atom for atoms in by_word for atom in atoms], spans


def _starts(side: Sequence[Word]) -> np.ndarray:
    return np.array([word.start for word in side], dtype=np.intp)
