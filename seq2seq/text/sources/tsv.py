"""Corpora of tab-separated files, plain or with the quotation marks of a spreadsheet."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from seq2seq.runtime.errors import InputError
from seq2seq.text.corpus import Pair, pair_digest
from seq2seq.text.lines import in_one_line, read_lines

QUOTINGS = ("none", "csv")


def parse_rows(lines: Iterable[str], *, quoting: str, file: Path) -> Iterator[tuple[int, list[str]]]:
    """The fields of each row, with the number of its last line.

    With `quoting="csv"` a field may be enclosed in quotation marks, and marks inside it are doubled, as spreadsheets
    and Python's `csv` write it. A TAB or line end inside a field becomes a space, since a sentence has neither. With
    "none" a quotation mark is text. Raises `InputError` for quotation marks that do not follow these rules.
    """
    if quoting == "none":
        for number, line in enumerate(lines, start=1):
            yield number, line.split("\t")
        return
    assert quoting == "csv", quoting
    rows = csv.reader((f"{line}\n" for line in lines), delimiter="\t", strict=True)
    begin = 1
    try:
        for row in rows:
            yield rows.line_num, [in_one_line(field) for field in row] or [""]
            begin = rows.line_num + 1
    except csv.Error as error:
        location = f"line {begin}" if rows.line_num <= begin else f"lines {begin} to {rows.line_num}"
        raise InputError(
            f'{file}, {location}: {error}; dataset.quoting=csv expects fields like "He said ""hello"".", in quotation '
            "marks and with marks inside doubled; dataset.quoting=none reads quotation marks as text"
        ) from error


def looks_quoted(field: str) -> bool:
    """Whether the field looks as if a spreadsheet wrote it: `"He said ""hello""."`."""
    inside = field[1:-1]
    return field[:1] == field[-1:] == '"' and '""' in inside and '"' not in inside.replace('""', "")


def looks_like_header(pair: Pair, languages: tuple[str, str]) -> bool:
    """Whether a row holds the names of columns: `source` and `target`, or the two languages."""
    names = tuple(cell.strip().lower() for cell in pair)
    return names in {("source", "target"), ("src", "trg"), ("src", "tgt"), tuple(map(str.lower, languages))}


@dataclass(frozen=True)
class TabSeparated:
    """A file with a sentence pair on each line, in two columns or in two of several columns.

    `columns` are the columns of source and target, counted from 1; None means that the file has two. A line with a
    different number of columns raises `InputError`, since text after another TAB could be part of a sentence; without
    `columns` two are expected, otherwise as many as in the first line. An empty line is a pair with two empty sides.
    For `quoting` see `parse_rows`; with `header` the first row is skipped.
    """

    path: Path
    name: str
    columns: tuple[int, int] | None = None
    quoting: str = "none"
    header: bool = False

    def __iter__(self) -> Iterator[Pair]:
        source, target = self.columns or (1, 2)
        width = None if self.columns is not None else 2
        rows = parse_rows(read_lines(self.path), quoting=self.quoting, file=self.path)
        for number, row in islice(rows, int(self.header), None):
            if row == [""]:
                yield Pair("", "")
                continue
            width = width or max(len(row), source, target)
            if len(row) != width:
                raise InputError(f"{self.path}, line {number}: {self._describe_mismatch(row, width)}")
            yield Pair(row[source - 1], row[target - 1])

    def _describe_mismatch(self, row: Sequence[str], width: int) -> str:
        """The error message for a row that does not have `width` columns."""
        counts = f"found {len(row)} column{'s'[: len(row) != 1]}, need {width}"
        if self.columns is not None:
            return f"{counts}: dataset.columns is {list(self.columns)}, and all lines need as many as the first"
        advice = ""
        if self.quoting == "none" and any(cell.startswith('"') for cell in row):
            advice = "; dataset.quoting=csv reads cells in quotation marks, as spreadsheets write them"
        elif len(row) > 2:
            advice = "; dataset.columns=[1,2] reads the first two, [2,3] the second and third"
        elif separator := next((character for character in (";", ",") if character in row[0]), None):
            advice = f"; {separator!r} does not separate columns: export the table with tabs"
        return f"{counts}: the source, a TAB, the target{advice}"

    def fingerprint(self) -> str:
        """See `Split.fingerprint`."""
        return pair_digest(self)
