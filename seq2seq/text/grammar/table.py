"""Tab-separated tables, checked cell by cell. An error names file, line, column, and what is expected."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from seq2seq.runtime.errors import InputError
from seq2seq.text.grammar.entries import Preposition

Entry = TypeVar("Entry")
PREPOSITION_CASES = ("accusative", "dative")


class Row:
    """One line of a table. Each method reads a cell, and raises `InputError` where the cell is not what it expects."""

    def __init__(self, path: Path, line: int, cells: dict[str, str]) -> None:
        self.path, self.line, self.cells = path, line, cells

    def error(self, column: str, expectation: str) -> InputError:
        """The error for a cell; `expectation` ends its sentence."""
        return InputError(
            f"{self.path}, line {self.line}, column '{column}': found '{self.cells[column]}', {expectation}"
        )

    def optional(self, column: str) -> str:
        """The text of the cell; "" where it is empty."""
        cell = self.cells[column]
        return "" if cell == "-" else cell

    def text(self, column: str) -> str:
        cell = self.optional(column)
        if not cell:
            raise self.error(column, "expected a word")
        return cell

    def choice(self, column: str, choices: Sequence[str]) -> str:
        cell = self.text(column)
        if cell not in choices:
            raise self.error(column, f"expected one of: {', '.join(choices)}")
        return cell

    def items(self, column: str, choices: Sequence[str] | None = None) -> tuple[str, ...]:
        cell = self.optional(column)
        items = tuple(cell.split(",")) if cell else ()
        for item in items:
            if not item or item != item.strip():
                raise self.error(column, "expected words separated by single commas without spaces, or '-'")
            if choices is not None and item not in choices:
                raise self.error(column, f"where '{item}' is not one of: {', '.join(choices)}")
        return items

    def preposition(self, column: str) -> Preposition | None:
        cell = self.optional(column)
        if not cell:
            return None
        german, _, rest = cell.partition("+")
        case, _, english = rest.partition("=")
        if not german or case not in PREPOSITION_CASES or not english:
            raise self.error(column, "expected PREPOSITION+CASE=ENGLISH, such as auf+accusative=for, or '-'")
        return Preposition(german, case, tuple(english.split(" ")))


def _rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a table, without comments and empty lines."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file, but the lexicon needs this table") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8; save the table as UTF-8") from None
    if lines[0].split("\t") != list(columns):
        raise InputError(
            f"{path}, line 1: found '{lines[0]}', expected the tab-separated column names: {' '.join(columns)}"
        )
    for number, line in enumerate(lines[1:], 2):
        if not line or line.startswith("#"):
            continue
        cells = line.split("\t")
        if len(cells) != len(columns):
            raise InputError(f"{path}, line {number}: found {len(cells)} tab-separated cells, expected {len(columns)}")
        for column, cell in zip(columns, cells, strict=True):
            if not cell or cell != cell.strip() or not cell.isprintable():
                raise InputError(
                    f"{path}, line {number}, column '{column}': found '{cell}', "
                    "expected a word without space around it, or '-'"
                )
        yield Row(path, number, dict(zip(columns, cells, strict=True)))


def read_table(folder: Path, name: str, columns: str, read: Callable[[Row], Entry]) -> list[Entry]:
    """What `read` makes of each row of a table; `columns` are its column names, separated by spaces."""
    entries = [read(row) for row in _rows(folder / name, columns.split())]
    if not entries:
        raise InputError(f"{folder / name}: found no entry, expected at least one line below the column names")
    return entries
