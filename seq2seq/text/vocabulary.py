"""Vocabularies of whole words or of characters, with an unknown token for what is rare."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

from seq2seq.runtime.errors import InputError
from seq2seq.text.tokenizer import EOS, SPECIAL, UNK, check_symbols
from seq2seq.text.units import META_SPACE, is_unspaced

UNKNOWN_WORD = META_SPACE + SPECIAL[UNK]
"""The piece of an unknown word after a space; `SPECIAL[UNK]` is that of one without a space before it."""
UNITS = {"word": "words", "char": "characters"}
HEAD = b'{"seq2seq vocabulary": '
"""The first bytes of a vocabulary's file."""
CACHE = 2**15  # parts of a text between spaces whose ids are remembered
LONGEST_CACHED = 64  # characters: longer parts, sentences without spaces, seldom come back


class Vocabulary:
    """Text to the ids of its words or characters, and back. `UNK` is what the vocabulary does not have.

    With `kind` "word", each run of letters, digits and their marks is a word; each other character is one of its own,
    and so is each character of a script without spaces (BERT's basic tokenizer, Devlin et al. 2019). A word after a
    space begins with "▁", so that `decode` restores the text, with three exceptions. Spaces at both ends of a text are
    lost, and several become one. If the vocabulary has a word in the other form only, with or without "▁", that form
    takes its place, which adds or removes a space.

    With `kind` "char" each code point is a piece, and "▁" is a space. Each of `symbols` is always one piece.
    """

    fallback = SPECIAL[UNK]

    def __init__(self, tokens: Sequence[str], *, kind: str, symbols: Sequence[str] = ()) -> None:
        """`tokens` are the pieces by id."""
        description = {"seq2seq vocabulary": 1, "kind": kind, "symbols": list(symbols), "tokens": list(tokens)}
        self.model = (json.dumps(description) + "\n").encode()
        self.kind, self.unit = kind, UNITS[kind]
        self._tokens = list(tokens)
        self._index = {token: index for index, token in enumerate(tokens)}
        self._symbols = _pattern(symbols)
        self.unknown_ids = {UNK, self._index.get(UNKNOWN_WORD, UNK)}
        self._ids_of_part = lru_cache(CACHE)(self._encode_part)

    @classmethod
    def read(cls, model: bytes) -> "Vocabulary":
        """The vocabulary with this `model`. Raises InputError where there is none."""
        try:
            values: Any = json.loads(model)
            kind, symbols, tokens = values["kind"], values["symbols"], values["tokens"]
            first = _first(kind, [])
            check_symbols(symbols)
            is_known = values["seq2seq vocabulary"] == 1 and kind in UNITS
            if not is_known or (*tokens[: len(first)],) != first or len({*map(str.encode, tokens)}) < len(tokens):
                raise ValueError("the pieces are not those of a vocabulary")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"the {len(model)} bytes of the tokenizer are not a vocabulary") from error
        return cls(tokens, kind=kind, symbols=symbols)

    def __reduce__(self) -> tuple[Callable[[bytes], "Vocabulary"], tuple[bytes]]:
        """A copy or a pickle, such as another process gets, is made from the `model`."""
        return (Vocabulary.read, (self.model,))

    def __len__(self) -> int:
        return len(self._tokens)

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without BOS and EOS."""
        ids: list[int] = []
        for part in _parts(text, self.kind):
            ids += self._ids_of_part(part) if len(part) <= LONGEST_CACHED else self._encode_part(part)
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` for each text. Raises TypeError for a single string."""
        if isinstance(texts, str):
            raise TypeError(f"expected a list of texts, found the string {texts[:40]!r}: put it into a list")
        return [self.encode(text) for text in texts]

    def _encode_part(self, part: str) -> tuple[int, ...]:
        return tuple(map(self._id, _split(part, self.kind, self._symbols)))

    def _id(self, token: str) -> int:
        """The id of a token; for a word also of its other form, with or without "▁"."""
        index = self._index.get(token)
        if index is None and self.kind == "word":
            spaced = token.startswith(META_SPACE)
            index = self._index.get(token[1:] if spaced else META_SPACE + token)
            index = self._index[UNKNOWN_WORD] if index is None and spaced else index
        return UNK if index is None else index

    def count_fallbacks(self, texts: Sequence[str]) -> list[int]:
        """The number of unknown tokens in each text."""
        return [sum(index in self.unknown_ids for index in ids) for ids in self.encode_batch(texts)]

    def unknown(self, text: str) -> list[str]:
        """The words or characters of a text that are not in the vocabulary."""
        tokens = [token for part in _parts(text, self.kind) for token in _split(part, self.kind, self._symbols)]
        return [token.removeprefix(META_SPACE) for token in tokens if self._id(token) in self.unknown_ids]

    def decode(self, ids: list[int]) -> str:
        """The text of the ids; special ids except `UNK` are left out. An unknown word or character is "<unk>"."""
        text = "".join(self._tokens[index] for index in ids if index == UNK or index > EOS)
        return (text.removeprefix(META_SPACE) if self.kind == "word" else text).replace(META_SPACE, " ")

    def pieces(self, ids: list[int]) -> list[str]:
        """The words or characters: "▁" is a space."""
        return [self._tokens[index] for index in ids]

    def ids(self, pieces: Sequence[str]) -> list[int]:
        """The ids of pieces: the inverse of `pieces`. An unknown piece is `UNK`."""
        return [self._index.get(piece, UNK) for piece in pieces]


def train_vocabulary(
    lines: Iterable[str], *, largest: int, kind: str, min_frequency: int = 1, symbols: Sequence[str] = ()
) -> Vocabulary:
    """The vocabulary of a text: the special pieces, the symbols, and the most frequent words or characters.

    It has at most `largest` pieces. What occurs less than `min_frequency` times is left out. Of equally frequent ones
    the first in the order of code points are taken. Raises InputError if nothing is left.
    """
    pattern = _pattern(symbols)
    parts: Counter[str] = Counter()
    for line in lines:
        parts.update(_parts(line, kind))
    counts: Counter[str] = Counter()
    for part, count in parts.items():
        for token in _split(part, kind, pattern):
            counts[token] += count
    first = _first(kind, symbols)
    frequent = {token: count for token, count in counts.items() if count >= min_frequency and token not in first}
    if not frequent:
        raise InputError(
            f"the training text has no {UNITS[kind][:-1]} that occurs {min_frequency} times or more: lower "
            "dataset.min_frequency"
        )
    if largest <= len(first):
        raise InputError(
            f"dataset.vocabulary is {largest}, but the special pieces and symbols are {len(first)}: set "
            f"dataset.vocabulary to {len(first) + 1} or more"
        )
    ranked = sorted(frequent, key=lambda token: (-frequent[token], token))
    return Vocabulary([*first, *ranked[: largest - len(first)]], kind=kind, symbols=symbols)


def _first(kind: str, symbols: Sequence[str]) -> tuple[str, ...]:
    """The first pieces of a vocabulary: the special ones and the symbols, those of words in both forms."""
    if kind == "word":
        return (*SPECIAL, UNKNOWN_WORD, *symbols, *(META_SPACE + symbol for symbol in symbols))
    return (*SPECIAL, *symbols)


# --- text into tokens -------------------------------------------------------------------------------------------------


def _parts(text: str, kind: str) -> list[str]:
    """The parts of a text that are split on their own: between spaces. With "char" the spaces are parts, too."""
    parts = text.replace(META_SPACE, " ").split(" ")
    if kind == "word":
        return [META_SPACE + part for part in parts if part]
    spaced = [META_SPACE] * (2 * len(parts) - 1)
    spaced[::2] = parts
    return spaced


def _split(part: str, kind: str, symbols: re.Pattern[str] | None) -> list[str]:
    """The words or characters of a part of a text. The first word takes the "▁" that the part begins with."""
    if kind == "char":
        return _split_at(part, symbols, list)
    space, text = (META_SPACE, part[1:]) if part.startswith(META_SPACE) else ("", part)
    first, *rest = _split_at(text, symbols, split_words)
    return [space + first, *rest]


def _split_at(text: str, symbols: re.Pattern[str] | None, split_rest: Callable[[str], list[str]]) -> list[str]:
    """The symbols of a text, and what `split_rest` makes of the text between them."""
    if symbols is None:
        return split_rest(text)
    pieces = symbols.split(text)  # text and symbols by turns
    return [token for i, piece in enumerate(pieces) for token in ([piece] if i % 2 else split_rest(piece))]


def split_words(text: str) -> list[str]:
    """The words of a text without spaces: runs of letters and digits, and single other characters, with marks."""
    starts: list[int] = []
    previous = False  # whether the last character that is no mark is a letter or digit
    for index, character in enumerate(text):
        kind = _kind(character)
        if not starts or not (kind == "mark" or (kind == "letter" and previous)):
            starts.append(index)
        if kind != "mark":
            previous = kind == "letter"
    return [text[start:end] for start, end in pairwise([*starts, len(text)])]


@cache
def _kind(character: str) -> str:
    """A "letter" or digit, a combining "mark" or joiner, or a character that is a word "apart"."""
    category = unicodedata.category(character)
    if category.startswith("M") or category == "Cf":
        return "mark"
    return "letter" if category[0] in "LN" and not is_unspaced(character) else "apart"


def _pattern(symbols: Sequence[str]) -> re.Pattern[str] | None:
    """Finds the symbols in a text, longer ones first."""
    ordered = sorted(symbols, key=len, reverse=True)
    return re.compile(f"({'|'.join(map(re.escape, ordered))})") if symbols else None
