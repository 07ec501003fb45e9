"""The options of each dataset."""

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt, model_validator

from seq2seq.config.suggestions import show
from seq2seq.config.types import (
    Column,
    Language,
    PathOption,
    Paths,
    Section,
    Symbol,
    as_text,
    as_tuple,
    one_of,
    show_paths,
)
from seq2seq.text.normalization import NORMALIZATIONS
from seq2seq.text.sources.tsv import QUOTINGS
from seq2seq.text.tokenizer import check_symbols
from seq2seq.text.tokenizer_kinds import KINDS as TOKENIZERS
from seq2seq.text.tokenizer_kinds import SUBWORDS


def _check_different(fields: tuple[str, str]) -> tuple[str, str]:
    if fields[0] == fields[1]:
        raise ValueError(f"names the field {fields[0]} twice; expected that of the source and that of the target")
    return fields


Fields = Annotated[
    tuple[Annotated[str, Field(min_length=1)], Annotated[str, Field(min_length=1)]], AfterValidator(_check_different)
]


class Text(Section):
    """The options of every dataset: its languages, its tokenizers, and which pairs are left out.

    `vocabulary` is the number of subwords, or the greatest number of words or characters. Words or characters that
    occur less than `min_frequency` times in the training text are unknown.
    `character_coverage` is the share of the training text's characters that have a piece; the others become bytes.
    `symbols` are pieces that are never split. With `both_directions` the training split also has each pair with its
    sides exchanged, and with `distilled` each source with its line of each of these files. `longest` is the maximum
    number of subwords of a side in training; longer pairs are left out and counted.
    """

    source: Language
    target: Language
    normalization: Annotated[str, one_of(NORMALIZATIONS)]
    vocabulary: Annotated[int, Field(ge=8, le=1_000_000)]
    tokenizer: Annotated[str, one_of(TOKENIZERS)]
    min_frequency: PositiveInt
    character_coverage: Annotated[float, Field(ge=0.98, le=1)]  # SentencePiece's limits
    symbols: Annotated[tuple[Symbol, ...], AfterValidator(check_symbols)]
    joint: bool
    both_directions: bool
    distilled: Paths | None
    longest: PositiveInt
    cache: PathOption

    @model_validator(mode="after")
    def _check_rare_text(self) -> "Text":
        if self.tokenizer in SUBWORDS and self.min_frequency > 1:
            raise ValueError(
                f"dataset.min_frequency={self.min_frequency} is for dataset.tokenizer=word and char, and "
                f"dataset.tokenizer={self.tokenizer} splits rare words into subwords: leave it out"
            )
        if self.tokenizer not in SUBWORDS and self.character_coverage < 1:
            raise ValueError(
                f"dataset.character_coverage={self.character_coverage} is for dataset.tokenizer=unigram and bpe; with "
                f"dataset.tokenizer={self.tokenizer} use dataset.min_frequency or dataset.vocabulary"
            )
        return self

    @model_validator(mode="after")
    def _check_both_directions(self) -> "Text":
        if self.both_directions and not self.joint:
            raise ValueError("dataset.both_directions=true needs one vocabulary for both languages, dataset.joint=true")
        return self

    @model_validator(mode="after")
    def _check_symbols_are_normalized(self) -> "Text":
        for symbol in self.symbols:
            if (text := NORMALIZATIONS[self.normalization](symbol)) != symbol:
                raise ValueError(
                    f"dataset.symbols: dataset.normalization={self.normalization} changes {show(symbol)} to "
                    f"{show(text)}, so the text never contains it; use the normalised form"
                )
        return self


class Grammar(Text):
    name: Literal["grammar"]
    preset: Annotated[str, one_of(("tiny", "small", "full"))]
    seed: Annotated[int, Field(ge=0)]
    invented_names: Annotated[float, Field(ge=0, le=1)]

    @model_validator(mode="after")
    def _check_languages(self) -> "Grammar":
        if (self.source, self.target) != ("de", "en"):
            raise ValueError("the built-in corpus is German-English: dataset.source=de dataset.target=en")
        return self


class Multi30k(Text):
    name: Literal["multi30k"]
    folder: PathOption
    test: Annotated[str, BeforeValidator(as_text)] | None


class OwnText(Text):
    """The options of datasets of one's own files: one path for each split, or several.

    `hold_out` is the number of pairs that are cut from the training text for `validation`, and for `test`, where they
    are null. Without it, `test` null is no test split.
    """

    train: Paths
    validation: Paths | None
    test: Paths | None
    hold_out: PositiveInt | None

    def paths_of(self, split: str) -> tuple[Path, ...]:
        """What a split is read from: the training text, where it is cut from it; nothing, where it does not exist."""
        paths: Path | tuple[Path, ...] | None = self.train if self.is_cut(split) else getattr(self, split)
        return () if paths is None else as_tuple(paths)

    def is_cut(self, split: str) -> bool:
        """Whether the split, validation or test, is cut from the training text."""
        return self.hold_out is not None and getattr(self, split) is None

    @model_validator(mode="after")
    def _check_hold_out(self) -> "OwnText":
        if self.hold_out is None and self.validation is None:
            raise ValueError(
                "dataset.validation=null: training needs a validation split; give its path, or dataset.hold_out=1000, "
                "which cuts so many pairs from the training text"
            )
        if self.hold_out is not None and self.validation is not None and self.test is not None:
            raise ValueError(
                f"dataset.hold_out={self.hold_out} cuts pairs for validation or test from the training text, but both "
                f"are set ({show_paths(self.validation)} and {show_paths(self.test)}): leave it out, or set "
                "dataset.validation=null or dataset.test=null"
            )
        return self


class Files(OwnText):
    """`train`, `validation` and `test` are prefixes: `/my/train` stands for `/my/train.de` and `/my/train.en`."""

    name: Literal["files"]


class Tsv(OwnText):
    """`columns` are the columns of source and target, counted from 1; null for a file with two columns.

    With `header` the first line names the columns and is skipped.
    """

    name: Literal["tsv"]
    columns: tuple[Column, Column] | None
    quoting: Annotated[str, one_of(QUOTINGS)]
    header: bool

    @model_validator(mode="after")
    def _check_columns(self) -> "Tsv":
        if self.columns is not None and self.columns[0] == self.columns[1]:
            raise ValueError(f"dataset.columns={list(self.columns)} names one column twice; expected two columns")
        return self


class JsonLines(OwnText):
    """`fields` are the fields of source and target, `translation.de` one within another; null for the languages."""

    name: Literal["jsonl"]
    fields: Fields | None


class HuggingFace(OwnText):
    """`path` is a folder, a file, or a name on the hub. `train`, `validation` and `test` are names of its splits."""

    name: Literal["huggingface"]
    path: Annotated[str, BeforeValidator(as_text), Field(min_length=1)]
    subset: Annotated[str, BeforeValidator(as_text)] | None
    fields: Fields | None


class Tmx(OwnText):
    name: Literal["tmx"]


class Gettext(OwnText):
    name: Literal["gettext"]


KINDS = (Grammar, Multi30k, Files, Tsv, JsonLines, Tmx, Gettext, HuggingFace)
DATASETS = {get_args(kind.model_fields["name"].annotation)[0] for kind in KINDS}
Dataset = Annotated[
    Grammar | Multi30k | Files | Tsv | JsonLines | Tmx | Gettext | HuggingFace, Field(discriminator="name")
]
