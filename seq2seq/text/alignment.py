"""Links between the words of a sentence pair, and the Pharaoh format in which files store them."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from seq2seq.runtime.errors import InputError
from seq2seq.text.lines import read_lines

PHARAOH = re.compile("([0-9]{1,6})([-p])([0-9]{1,6})")


class Link(NamedTuple):
    """A link between a source and a target word, by their positions from 0. A link that is not `sure` is possible."""

    source: int
    target: int
    sure: bool = True


def parse_pharaoh(line: str, *, file: Path, line_number: int) -> frozenset[Link]:
    """The links in one line of the Pharaoh format: `0-0 1p2` is a sure and a possible link, source position first.

    Raises:
        InputError: a token does not have this form.
    """
    links = []
    for token in line.split():
        match = PHARAOH.fullmatch(token)
        if match is None:
            excerpt = token if len(token) <= 40 else token[:39] + "…"
            raise InputError(
                f"{file}, line {line_number}: {excerpt!r} is not an alignment link; expected links like 0-0 (sure) or "
                "1p2 (possible)"
            )
        links.append(Link(int(match[1]), int(match[3]), sure=match[2] == "-"))
    return frozenset(links)


def read_pharaoh(path: Path) -> list[frozenset[Link]]:
    """The links of each sentence pair, one line each; an empty line is a pair without links.

    Raises:
        InputError: from `read_lines` or `parse_pharaoh`.
    """
    return [parse_pharaoh(line, file=path, line_number=number) for number, line in enumerate(read_lines(path), start=1)]


def format_pharaoh(links: Iterable[Link]) -> str:
    """One line of the Pharaoh format; links are sorted."""
    return " ".join(f"{link.source}{'-' if link.sure else 'p'}{link.target}" for link in sorted(links))


def check(
    gold: Collection[Link], *, source: int, target: int, file: Path, line_number: int, units: str = "words"
) -> None:
    """Checks that all links are inside a sentence pair of `source` and `target` units (the name of which is `units`).

    Raises:
        InputError: a position is not less than its sentence's number of units.
    """
    for link in sorted(gold):
        for side, index, count in (("source", link.source, source), ("target", link.target, target)):
            if index >= count:
                raise InputError(
                    f"{file}, line {line_number}: {format_pharaoh([link])} points at {side} {units.removesuffix('s')} "
                    f"{index}, but the {side} sentence has {count} {units}, counted from 0 (alignment_units says what "
                    "the links count: words between spaces, or characters in scripts without spaces)"
                )
