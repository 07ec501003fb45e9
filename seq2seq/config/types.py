"""The types of options: text, paths, numbers within limits, names from a table."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)

from seq2seq.config.messages import near, shorten, show


def one_of(choices: Iterable[str]) -> AfterValidator:
    names = tuple(choices)

    def check(value: str) -> str:
        if value not in names:
            raise ValueError(f"no such choice '{shorten(value)}', {near(shorten(value), names)}")
        return value

    return AfterValidator(check)


def _not_empty(path: object) -> object:
    if path == "":
        raise ValueError("empty; give a path, or . for the folder you are in")
    return path


def _no_null(path: Path) -> Path:
    if "\0" in str(path):
        raise ValueError("no name of a file holds the character NUL")
    return path


def as_text(value: object) -> object:
    """The text that was typed where YAML or the command line took it for a number: 2024, or the language nan.

    A boolean may have been "no" or "off", and 1.1 "1.10", so these are refused.
    """
    if isinstance(value, bool) or (isinstance(value, float) and not math.isnan(value)):
        kind = "boolean" if isinstance(value, bool) else "number"
        raise ValueError(
            f'found the {kind} {show(value)} and not text; if you wrote text, put quotes around it: "TEXT" in YAML, '
            "'KEY=\"TEXT\"' on the command line"
        )
    return str(value).lower() if isinstance(value, int | float) else value


Fraction = Annotated[float, Field(ge=0, lt=1)]
Language = Annotated[  # it ends the names of files; tags of BCP 47, and sr@latin
    str, Field(pattern=r"^[\w.@-]+$", max_length=40), BeforeValidator(as_text)
]
Place = Annotated[Path, BeforeValidator(_not_empty), BeforeValidator(as_text), AfterValidator(_no_null)]
Paths = Annotated[
    Annotated[Place, Tag("one")] | Annotated[tuple[Place, ...], Field(min_length=1), Tag("several")],
    Discriminator(lambda value: "several" if isinstance(value, list | tuple) else "one"),
]
Column = Annotated[int, Field(ge=1, le=1000)]
Symbol = Annotated[str, Field(max_length=200), BeforeValidator(as_text)]
Positive = Annotated[float, Field(gt=0)]
Width = Annotated[int, Field(gt=0, le=2**16)]


class Section(BaseModel):
    """Frozen, strict, and closed: an unknown key is a mistake, not an extra."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
