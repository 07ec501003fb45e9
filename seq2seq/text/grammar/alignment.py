"""Tokens with units of meaning; the sentence that they spell, and the word links between two sentences."""

from functools import cache
from typing import NamedTuple

from seq2seq.text.alignment import Link


class Token(NamedTuple):
    """A word and the ids of the units of meaning that it expresses, surely or possibly. A comma is a token, too."""

    text: str
    sure: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()


COMMA = Token(",")


def sentence(tokens: list[Token], mark: str) -> tuple[str, list[Token]]:
    """The text of a sentence that ends with `mark`, and its words: tokens with commas joined to the word before."""
    words: list[Token] = []
    for token in tokens:
        if token.text != ",":
            words.append(token)
        elif words[-1].text[-1] != ",":
            last = words[-1]
            words[-1] = Token(last.text + ",", last.sure, last.possible)
    return spell(words, mark), words


def spell(tokens: list[Token], mark: str) -> str:
    """The text of the tokens, with a capital letter at the beginning and `mark` at the end."""
    text = " ".join([token[0] for token in tokens]).replace(" ,", ",").replace(",,", ",").rstrip(",")
    return text[0].upper() + text[1:] + mark


def links(source: list[Token], target: list[Token]) -> tuple[Link, ...]:
    """Links between words that share a unit: sure where both express it surely, else possible."""
    words_of_unit: dict[str, list[tuple[int, bool]]] = {}  # target words that express a unit, and whether surely
    for j, (_, sure, possible) in enumerate(target):
        for unit in sure:
            words_of_unit.setdefault(unit, []).append((j, True))
        for unit in possible:
            words_of_unit.setdefault(unit, []).append((j, False))
    pairs: list[Link] = []
    for i, (_, sure, possible) in enumerate(source):
        is_sure: dict[int, bool] = {}  # by target word
        for unit in sure:
            for j, surely in words_of_unit.get(unit, ()):
                is_sure[j] = surely or is_sure.get(j, False)
        for unit in possible:
            for j, _ in words_of_unit.get(unit, ()):
                is_sure.setdefault(j, False)
        pairs += [_link(i, j, is_sure[j]) for j in sorted(is_sure)]
    return tuple(pairs)


@cache
def _link(source: int, target: int, sure: bool) -> Link:
    """The link; equal links are one object, since a corpus has a million of them, of a few hundred values."""
    return Link(source, target, sure)
