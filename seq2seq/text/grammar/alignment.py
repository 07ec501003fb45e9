"""From two lists of tokens with unit ids to sentences and word links."""

from functools import cache
from typing import NamedTuple

from seq2seq.text.alignment import Link


class Token(NamedTuple):
    """A word with the units of meaning that it surely and possibly expresses. A comma is a token that belongs to the
    word before it.
    """

    text: str
    sure: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()


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
    return spelled(words, mark), words


def spelled(tokens: list[Token], mark: str) -> str:
    """The text alone."""
    text = " ".join([token[0] for token in tokens]).replace(" ,", ",").replace(",,", ",").rstrip(",")
    return text[0].upper() + text[1:] + mark


def links(source: list[Token], target: list[Token]) -> tuple[Link, ...]:
    """A link is sure where sure units meet, possible where any do."""
    speaking: dict[str, list[tuple[int, bool]]] = {}  # of a unit: target words, and whether they surely speak of it
    for j, (_, sure, possible) in enumerate(target):
        for unit in sure:
            speaking.setdefault(unit, []).append((j, True))
        for unit in possible:
            speaking.setdefault(unit, []).append((j, False))
    found: list[Link] = []
    for i, (_, sure, possible) in enumerate(source):
        linked: dict[int, bool] = {}
        for unit in sure:
            for j, surely in speaking.get(unit, ()):
                linked[j] = surely or linked.get(j, False)
        for unit in possible:
            for j, _ in speaking.get(unit, ()):
                linked.setdefault(j, False)
        found += [_link(i, j, linked[j]) for j in sorted(linked)]
    return tuple(found)


@cache
def _link(source: int, target: int, sure: bool) -> Link:
    """One object for all equal links: a corpus has a million, of a few hundred kinds."""
    return Link(source, target, sure)
