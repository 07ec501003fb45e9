"""Tables of scores: their columns, means over the seeds, and a table in Markdown."""

import re
from collections.abc import Callable, Mapping, Sequence
from statistics import mean, stdev
from typing import Any, NamedTuple

NO_VALUE = "–"
MARKUP = re.compile(r"[\\`*{}\[\]<>#&~!]|(?<!\w)_|_(?!\w)")  # an underscore inside a word is no markup

Scores = Mapping[str, Any]


class Table(NamedTuple):
    """A table of text. The first column names the row; the other columns are numbers."""

    headings: list[str]
    rows: list[list[str]]


class Column(NamedTuple):
    """A column of numbers. `value` reads the number of one seed from its scores; it is None if there is no such."""

    heading: str
    value: Callable[[Scores], Any]
    number_format: str
    has_deviation: bool = True

    def values(self, seeds: Sequence[Scores]) -> list[float]:
        """The numbers of the seeds that have one."""
        return [float(value) for scores in seeds if (value := self.value(scores)) is not None]

    def cell(self, seeds: Sequence[Scores]) -> str:
        """The mean over the seeds and its standard deviation (n - 1)."""
        values = self.values(seeds)
        if not values:
            return NO_VALUE
        center = self.number_format.format(mean(values))
        if not self.has_deviation or len(values) == 1:
            return center
        return f"{center} ± {self.number_format.format(stdev(values))}"


def percent(share: int | float | None) -> float | None:
    """The share in per cent."""
    return None if share is None else 100 * share


def markdown_table(table: Table, *, numbers: bool = True) -> list[str]:
    """The lines of a Markdown table, padded so that its source is readable too."""
    cells = [[escape(cell).replace("|", "\\|") for cell in row] for row in (table.headings, *table.rows)]
    widths = [max(3, *(len(cell) for cell in column)) for column in zip(*cells, strict=True)]
    ruler = ["-" * width if i == 0 or not numbers else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    padded = [
        [cell.ljust(width) if i == 0 or not numbers else cell.rjust(width) for i, (cell, width) in enumerate(pairs)]
        for pairs in (list(zip(row, widths, strict=True)) for row in cells)
    ]
    return [f"| {' | '.join(row)} |" for row in (padded[0], ruler, *padded[1:])]


def escape(text: str) -> str:
    """The text on one line with Markdown's special characters escaped; `markdown_table` escapes the vertical bar."""
    return MARKUP.sub(r"\\\g<0>", " ".join(text.split()))
