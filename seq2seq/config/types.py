"""The types of options: text, paths, numbers within limits, names of a table."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from seq2seq.config.suggestions import near, shorten, show


def one_of(choices: Iterable[str]) -> AfterValidator:
    """The text is one of the choices."""
    names = tuple(choices)

    def check(value: str) -> str:
        if value not in names:
            raise ValueError(f"no such choice '{shorten(value)}', {near(shorten(value), names)}")
        return value

    return AfterValidator(check)


def _not_empty(path: object) -> object:
    if path == "":
        raise ValueError("empty; give a path, or . for the current folder")
    return path


def _no_null(path: Path) -> Path:
    if "\0" in str(path):
        raise ValueError("the path contains the character NUL, which no file name can")
    return path


def as_names(value: object) -> object:
    """One name, or a list of names, as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def as_text(value: object) -> object:
    """Undoes YAML's conversion of text to an integer or NaN: a file 2024, or the language nan.

    Raises ValueError for other floats and for booleans, whose text is unknown: 1.1 may have been "1.10", false "no".
    """
    if isinstance(value, bool) or (isinstance(value, float) and not math.isnan(value)):
        kind = "boolean" if isinstance(value, bool) else "number"
        raise ValueError(
            f'found the {kind} {show(value)} and not text; for text, put quotes around it: "TEXT" in YAML, '
            "'KEY=\"TEXT\"' on the command line"
        )
    return str(value).lower() if isinstance(value, int | float) else value


Fraction = Annotated[float, Field(ge=0, lt=1)]
Language = Annotated[  # the ending of a file name, such as a BCP 47 tag or sr@latin
    str, Field(pattern=r"^[\w.@-]+$", max_length=40), BeforeValidator(as_text)
]
PathOption = Annotated[Path, BeforeValidator(_not_empty), BeforeValidator(as_text), AfterValidator(_no_null)]
Paths = Annotated[
    Annotated[PathOption, Tag("one")] | Annotated[tuple[PathOption, ...], Field(min_length=1), Tag("several")],
    Discriminator(lambda value: "several" if isinstance(value, list | tuple) else "one"),
]

Column = Annotated[int, Field(ge=1, le=1000)]
Symbol = Annotated[str, Field(max_length=200), BeforeValidator(as_text)]
Positive = Annotated[float, Field(gt=0)]
Width = Annotated[int, Field(gt=0, le=2**16)]


class Section(BaseModel):
    """A group of options: immutable, without type conversion; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def as_tuple(paths: Path | tuple[Path, ...]) -> tuple[Path, ...]:
    """One path or several, as a tuple."""
    return (paths,) if isinstance(paths, Path) else paths


def show_paths(paths: Path | tuple[Path, ...]) -> str:
    """One path or several, for a message."""
    return ", ".join(map(str, as_tuple(paths)))


class WithCheckpoints(Section):
    """The options of a program that uses a checkpoint, or several."""

    checkpoint: Paths

    @property
    def checkpoints(self) -> tuple[Path, ...]:
        """The paths of the models."""
        return as_tuple(self.checkpoint)
