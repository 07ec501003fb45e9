"""The rows of a tab-separated file, plain or as a spreadsheet writes them."""

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from seq2seq.errors import InputError

QUOTINGS = ("none", "csv")


def parse_rows(lines: Iterable[str], *, quoting: str, file: Path) -> Iterator[tuple[int, list[str]]]:
    """The fields of each row, with the number of its (last) line.

    With `quoting="csv"` a field may stand between quotation marks, doubled within it, as spreadsheets and Python's
    `csv` write it; a TAB or a line end within it becomes a space, since neither can be in a sentence. With "none" a
    quotation mark is text. Raises `InputError` where the quotes are not those of `csv`.
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
            yield rows.line_num, [re.sub(r"\r?\n|\t", " ", field) for field in row] or [""]
            begin = rows.line_num + 1
    except csv.Error as error:
        where = f"line {begin}" if rows.line_num <= begin else f"lines {begin} to {rows.line_num}"
        raise InputError(
            f"{file}, {where}: {error}; with dataset.quoting=csv a field that holds a quotation mark stands between "
            "quotation marks and doubles it; dataset.quoting=none takes them as text"
        ) from error


def looks_quoted(field: str) -> bool:
    """Whether a spreadsheet wrote the field: `"He said ""hello""."`, between quotation marks and doubled within."""
    inside = field[1:-1]
    return field[:1] == field[-1:] == '"' and '""' in inside and '"' not in inside.replace('""', "")
