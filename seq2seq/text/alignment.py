"""Word alignment: links from attention, gold links in the Pharaoh format, the alignment error rate, diagnostics."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from seq2seq.runtime.errors import InputError
from seq2seq.text.lines import read_lines

PHARAOH = re.compile("([0-9]{1,6})([-p])([0-9]{1,6})")


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
