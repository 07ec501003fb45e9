"""The rows of a tab-separated file, plain or as a spreadsheet writes them."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from seq2seq.runtime.errors import InputError
from seq2seq.text.corpus import Corpus, OnDemand, Pair, concatenate
from seq2seq.text.lines import digest_lines, read_lines

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


def looks_like_header(pair: Pair, languages: tuple[str, str]) -> bool:
    """Whether a row names its columns: `source` and `target`, or the two languages."""
    names = tuple(cell.strip().lower() for cell in pair)
    return names in {("source", "target"), ("src", "trg"), ("src", "tgt"), tuple(map(str.lower, languages))}


@dataclass(frozen=True)
class TabSeparated:
    """A file with a source, a TAB and its target in each line, or with both in two columns of several.

    `columns` are those of source and target, counted from 1; None means that there are two. A line with another number
    of columns (than two, or than the first line) is refused: what stands behind a second TAB may as well be half a
    sentence; an empty line is a pair with two empty sides. `quoting` is that of `parse_rows`; with `header` the first
    row is left out.
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
                raise InputError(f"{self.path}, line {number}: {self._wrong(row, width)}")
            yield Pair(row[source - 1], row[target - 1])

    def _wrong(self, row: Sequence[str], width: int) -> str:
        found = len(row)
        counts = f"found {found} column{'s'[: found != 1]}, need {width}"
        if self.columns is not None:
            return f"{counts}: dataset.columns is {list(self.columns)}, and all lines have as many as the first"
        advice = ""
        if self.quoting == "none" and any(cell.startswith('"') for cell in row):
            advice = "; dataset.quoting=csv reads cells between quotation marks, as spreadsheets write them"
        elif found > 2:
            advice = "; dataset.columns=[1,2] takes the first two, [2,3] the next"
        elif separator := next((one for one in (";", ",") if one in row[0]), None):
            advice = f"; {separator!r} separates no columns: export the table with tabs between"
        return f"{counts}: the source, a TAB, the target{advice}"

    def fingerprint(self) -> str:
        """See `Split.fingerprint`."""
        return digest_lines("\t".join(pair) for pair in self)[0]


def tsv(
    *,
    train: Path | Sequence[Path],
    validation: Path,
    test: Path | None,
    source: str,
    target: str,
    columns: tuple[int, int] | None = None,
    quoting: str = "none",
    header: bool = False,
) -> Corpus:
    """A corpus of `TabSeparated` files, of which `train` may be several."""

    def split(path: Path, name: str) -> OnDemand:
        return OnDemand(name, lambda: TabSeparated(path, name, columns, quoting, header))

    scored = None if test is None else split(test, "test")
    return Corpus(source, target, concatenate(train, split), split(validation, "validation"), scored)
