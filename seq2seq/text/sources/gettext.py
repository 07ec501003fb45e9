"""Corpora of gettext catalogues, the messages of programs with their translations."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seq2seq.runtime.errors import InputError
from seq2seq.text.corpus import Pair, pair_digest
from seq2seq.text.lines import in_one_line, read_lines

LINE = re.compile(r'\s*(#.*|((msgctxt|msgid|msgid_plural|msgstr(\[\d+\])?)\s*)?"([^"\\]|\\.)*"\s*)?')
"""A line of a catalogue. polib overlooks others."""


@dataclass(frozen=True)
class Gettext:
    """A catalogue `.po`: each message is a pair, and each plural form that has a translation is another.

    The singular goes with the first form, the plural with the last. A message that is not translated, or that is marked
    as fuzzy, is a pair with an empty target. Obsolete messages are no part of it. Line ends become spaces. Raises
    `InputError` for what is no catalogue.
    """

    path: Path
    name: str

    def __iter__(self) -> Iterator[Pair]:
        for entry in _catalogue(self.path):
            if not entry.obsolete:
                yield from _pairs(entry)

    def fingerprint(self) -> str:
        """See `Split.fingerprint`."""
        return pair_digest(self)


def _catalogue(path: Path) -> Any:
    try:
        import polib  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        raise InputError(f"{path}: reading gettext catalogues needs polib: `pip install polib`") from None
    lines = list(read_lines(path))
    for number, line in enumerate(lines, start=1):
        if not LINE.fullmatch(line):
            raise InputError(f'{path}, line {number}: expected a comment, "TEXT", msgid "TEXT" or msgstr "TEXT"')
    text = "".join(f"{line}\n" for line in lines)
    try:
        catalogue = polib.pofile(text)
    except (OSError, ValueError, IndexError) as error:
        reason = str(error).partition("(line ")[2].rstrip(")")
        raise InputError(f"{path}{f', line {reason}' if reason else ''}: no gettext catalogue") from None
    if not catalogue:
        raise InputError(f"{path} has no messages; expected a gettext catalogue with msgid and msgstr")
    return catalogue


def _pairs(entry: Any) -> Iterator[Pair]:
    sides = [(entry.msgid, entry.msgstr)]
    if entry.msgid_plural:
        forms = [form for _, form in sorted(entry.msgstr_plural.items())] or [""]
        sides = [(entry.msgid, forms[0]), (entry.msgid_plural, forms[-1])]
    for source, target in sides:
        yield Pair(in_one_line(source), "" if entry.fuzzy else in_one_line(target))
