"""Pretrained word vectors from a text file, as fastText (`.vec`) and GloVe write them."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from seq2seq.runtime.errors import InputError
from seq2seq.text.lines import read_lines
from seq2seq.text.tokenizer import Tokenizer
from seq2seq.text.units import META_SPACE

LARGEST = float(np.finfo(np.float32).max)


class Vectors(NamedTuple):
    """The vectors of those pieces of a vocabulary that a file has.

    `words` is the number of words in the file, `announced` what its first line says of it, if it does. `repeated` is
    the number of vectors that are left out because their word has one already.
    """

    ids: Int[np.ndarray, "pieces"]
    values: Float[np.ndarray, "pieces width"]
    words: int
    announced: int | None
    repeated: int


def read_vectors(path: Path, tokenizer: Tokenizer, *, width: int) -> Vectors:
    """The vectors of the tokenizer's pieces. Holds no more of the file in memory.

    Each line is a word and its numbers, with single spaces between; a first line of two integers, as fastText writes
    it, is the number of words and the width. A piece has the vector of its own spelling, `▁Haus`, where the file has
    it (BPEmb, Heinzerling and Strube 2018), else that of `Haus`. Of several vectors of a word the first counts. The
    numbers of other words are counted and not read.

    Raises InputError for a file that cannot be read, for vectors of another width, for a line of another form, and
    where no piece has a vector.
    """
    wanted = _spellings(tokenizer)
    announced = _check_first_line(path, width)
    rows: dict[int, tuple[bool, np.ndarray]] = {}  # id -> whether by its own spelling, and the vector
    read: set[str] = set()
    words = repeated = 0
    for number, line in enumerate(read_lines(path), start=1):
        if (number == 1 and announced is not None) or not line.strip():
            continue
        words += 1
        word, numbers = _split(line, width, f"{path}, line {number}")
        if word not in wanted:
            continue
        if word in read:
            repeated += 1
            continue
        read.add(word)
        vector = _parse(numbers, f"{path}, line {number}")
        for index, is_own in wanted[word]:
            if is_own or index not in rows:
                rows[index] = (is_own, vector)
    if not rows:
        raise InputError(
            f"none of the {words:,} words of {path} is in the vocabulary: is it of the language of the text, and are "
            "its words written as in the text, with capital letters?"
        )
    ids = sorted(rows)
    return Vectors(np.array(ids), np.stack([rows[index][1] for index in ids]), words, announced, repeated)


def _spellings(tokenizer: Tokenizer) -> dict[str, list[tuple[int, bool]]]:
    """For each spelling in a file the ids of its pieces, and whether it is the piece's own spelling."""
    wanted: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    for index, piece in enumerate(tokenizer.pieces(list(range(len(tokenizer))))):
        wanted[piece].append((index, True))
        if piece.startswith(META_SPACE) and (word := piece.removeprefix(META_SPACE)):
            wanted[word].append((index, False))
    return dict(wanted)


def _check_first_line(path: Path, width: int) -> int | None:
    """The number of words that the first line announces, or None where it is the first vector."""
    line = next(read_lines(path))
    parts = line.rstrip(" ").split(" ")
    is_header = len(parts) == 2 and all(part.isdecimal() for part in parts)
    size = int(parts[1]) if is_header else len(parts) - 1
    if size < 1:
        raise InputError(f"{path}, line 1: expected a word and its numbers with spaces between, found {line[:40]!r}")
    if size != width:
        raise InputError(
            f"{path} has vectors of {size} numbers, and model.embedding={width}: set model.embedding={size}"
        )
    return int(parts[0]) if is_header else None


def _split(line: str, width: int, title: str) -> tuple[str, str]:
    """The word and its numbers. A word may contain spaces, as some of GloVe's do."""
    text = line.rstrip(" ")
    size = text.count(" ")
    if size == width:
        word, _, numbers = text.partition(" ")
        return word, numbers
    word, *rest = text.rsplit(" ", width)
    last = word.rpartition(" ")[2]
    if size < width or not last or _is_number(last):
        raise InputError(
            f"{title}: expected a word and {width} numbers with single spaces between, found {size} numbers"
        )
    return word, " ".join(rest)


def _parse(numbers: str, title: str) -> Float[np.ndarray, "width"]:
    parts = numbers.split(" ")
    if wrong := [part for part in parts if not _is_number(part)]:
        raise InputError(f"{title}: {wrong[0][:40]!r} is not a finite number")
    return np.array(parts, dtype=np.float32)


def _is_number(text: str) -> bool:
    """Whether the text is a number that float32 can hold."""
    try:
        return abs(float(text)) <= LARGEST
    except ValueError:
        return False
