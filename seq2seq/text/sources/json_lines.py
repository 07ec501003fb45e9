"""Corpora of JSON Lines: an object on each line, with a field for each side."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seq2seq.runtime.errors import InputError
from seq2seq.text.corpus import Pair, pair_digest
from seq2seq.text.lines import in_one_line, read_lines


@dataclass(frozen=True)
class JsonLines:
    """A file with an object on each line; blank lines are skipped.

    `fields` are the fields of source and target. "translation.de" is the field `de` of the object `translation`. Line
    ends and tabs in a text become spaces. Raises `InputError` for a line that has no such object or no such text.
    """

    path: Path
    name: str
    fields: tuple[str, str]

    def __iter__(self) -> Iterator[Pair]:
        for number, line in enumerate(read_lines(self.path), start=1):
            if line.strip():
                yield self._pair(line, f"{self.path}, line {number}")

    def _pair(self, line: str, title: str) -> Pair:
        try:
            values = json.loads(line)
        except ValueError as error:
            reason = f"{error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else error
            raise InputError(f"{title}: no JSON: {reason}; expected an object with a field for each side") from None
        except RecursionError:
            raise InputError(f"{title}: JSON that is nested too deeply") from None
        return Pair(*(field_text(values, field, title) for field in self.fields))

    def fingerprint(self) -> str:
        """See `Split.fingerprint`."""
        return pair_digest(self)


def field_text(values: Any, field: str, title: str) -> str:
    """The text of a field, in one line; `a.b` is the field b of the object a.

    Raises `InputError` where there is none; its message begins with `title`.
    """
    value = values
    for key in [field] if isinstance(values, dict) and field in values else field.split("."):
        if not isinstance(value, dict):
            raise InputError(f"{title}: expected an object with the field {field!r}, found {_describe(value)}")
        if key not in value:
            names = ", ".join(repr(name) for name in list(value)[:10]) or "none"
            advice = "dataset.fields=[SOURCE,TARGET] names those of the text"
            raise InputError(f"{title}: no field {key!r}; its fields are {names}; {advice}")
        value = value[key]
    if not isinstance(value, str):
        raise InputError(
            f"{title}: the field {field!r} must be text, found {_describe(value)}; mend the row or remove it"
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(f"{title}: the field {field!r} has half of a character, a lone surrogate") from None
    return in_one_line(value)


def _describe(value: Any) -> str:
    names = {dict: "an object", list: "a list", bool: "true or false", str: "text", type(None): "null"}
    return names.get(type(value), "a number")
