"""The prefixes of `prefix=FILE`: the file has the start of the translation for each line of standard input."""

from collections.abc import Iterator
from pathlib import Path

from seq2seq.decoding.prefix import prefix_ids
from seq2seq.decoding.translator import Translator
from seq2seq.runtime.errors import InputError
from seq2seq.text.lines import read_lines


class Prefixes:
    """The prefixes of lines that arrive in groups, in the order of the file. Without a file, no line has one."""

    def __init__(self, path: Path | None, translator: Translator) -> None:
        """Opens the file. Raises InputError where it cannot be read."""
        self._path, self._translator = path, translator
        self._lines: Iterator[str] = iter(()) if path is None else read_lines(path)
        self._next = next(self._lines, None)
        self._number = 0

    def take(self, count: int) -> list[list[int]] | None:
        """The target ids of the next `count` prefixes. Raises InputError where the file has fewer lines."""
        if self._path is None:
            return None
        return [self._take_one(self._path) for _ in range(count)]

    def _take_one(self, path: Path) -> list[int]:
        if self._next is None:
            raise InputError(
                f"{path} has {self._number} lines, fewer than the input; give a line for each, empty for no prefix"
            )
        self._number += 1
        text = self._translator.normalize(self._next)
        self._next = next(self._lines, None)
        return prefix_ids(text, self._translator.tokenizers.target, f"{path}, line {self._number}:")

    def check_end(self) -> None:
        """Raises InputError where prefixes are left after the last line of the input."""
        if self._next is not None:
            raise InputError(
                f"{self._path} has more lines than the input, which has {self._number}; give a line for each, "
                "empty for no prefix"
            )
