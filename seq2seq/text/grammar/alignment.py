"""From two lists of tokens with unit ids to sentences and word links."""

from functools import cache
from typing import NamedTuple


class Token(NamedTuple):
    """A word with the units of meaning that it surely and possibly expresses. A comma is a token that belongs to the
    word before it.
    """

    text: str
    sure: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()


class Link(NamedTuple):
    """Source word, target word (counted from 0); possible where not sure."""

    source: int
    target: int
    sure: bool


COMMA = Token(",")


def sentence(tokens: list[Token], mark: str) -> tuple[str, list[Token]]:
    """The text, capital letter first and `mark` last, and the tokens that are words (commas joined to the word
    before).
    """
    words: list[Token] = []
    for token in tokens:
        if token.text != ",":
            words.append(token)
        elif words[-1].text[-1] != ",":
            last = words[-1]
            words[-1] = Token(last.text + ",", last.sure, last.possible)
    text = " ".join([word.text for word in words]).rstrip(",")
    return text[0].upper() + text[1:] + mark, words


def links(source: list[Token], target: list[Token]) -> tuple[Link, ...]:
    """A link is sure where sure units meet, possible where any do."""
    speaking: dict[str, list[tuple[int, bool]]] = {}  # of a unit: target words, and whether they surely speak of it
    for j, (_, sure, possible) in enumerate(target):
        for unit in sure:
            speaking.setdefault(unit, []).append((j, True))
        for unit in possible:
            speaking.setdefault(unit, []).append((j, False))
    found: dict[tuple[int, int], bool] = {}
    for i, (_, sure, possible) in enumerate(source):
        for unit in sure:
            for j, surely in speaking.get(unit, ()):
                if surely:
                    found[i, j] = True
                else:
                    found.setdefault((i, j), False)
        for unit in possible:
            for j, _ in speaking.get(unit, ()):
                found.setdefault((i, j), False)
    return tuple([_link(i, j, found[i, j]) for i, j in sorted(found)])


@cache
def _link(source: int, target: int, sure: bool) -> Link:
    """One object for all equal links: a corpus has a million, of a few hundred kinds."""
    return Link(source, target, sure)
