"""What may be configured: names, types and limits. The one door for YAML, command line and checkpoint.

Values stand in `configs/`, never here: a field without a value is an error, so that no default stands in two places.
"""

import itertools
import json
import math
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PositiveInt,
    Tag,
    ValidationError,
    model_validator,
)

from seq2seq.attention.distributions import DISTRIBUTIONS, ESTIMATORS
from seq2seq.attention.scores import SCORES
from seq2seq.config.messages import near, shorten, show
from seq2seq.evaluation.metrics import TOKENIZERS
from seq2seq.nn.decoder import DECODERS
from seq2seq.nn.model import TIES
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.precision import PRECISIONS
from seq2seq.text.normalization import NORMALIZATIONS
from seq2seq.text.sources.tsv import QUOTINGS
from seq2seq.text.tokenizer import check_symbols


def _one_of(choices: Iterable[str]) -> AfterValidator:
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


def _as_text(value: object) -> object:
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


MOST_HYPOTHESES = 2**17  # of all sentences that are translated at a time


Fraction = Annotated[float, Field(ge=0, lt=1)]
Language = Annotated[  # it ends the names of files; tags of BCP 47, and sr@latin
    str, Field(pattern=r"^[\w.@-]+$", max_length=40), BeforeValidator(_as_text)
]
Place = Annotated[Path, BeforeValidator(_not_empty), BeforeValidator(_as_text), AfterValidator(_no_null)]
Paths = Annotated[
    Annotated[Place, Tag("one")] | Annotated[tuple[Place, ...], Field(min_length=1), Tag("several")],
    Discriminator(lambda value: "several" if isinstance(value, list | tuple) else "one"),
]
Column = Annotated[int, Field(ge=1, le=1000)]
Symbol = Annotated[str, Field(max_length=200), BeforeValidator(_as_text)]
Positive = Annotated[float, Field(gt=0)]
Width = Annotated[int, Field(gt=0, le=2**16)]


class Section(BaseModel):
    """Frozen, strict, and closed: an unknown key is a mistake, not an extra."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Attention(Section):
    """`heads` is for multihead, `window` for local_m and local_p (tokens to each side), what follows it for hard."""

    score: Annotated[str, _one_of(SCORES)]
    distribution: Annotated[str, _one_of(DISTRIBUTIONS)]
    heads: Annotated[int, Field(gt=0, le=2**10)]
    window: Annotated[int, Field(gt=0, le=2**20)]
    estimator: Annotated[str, _one_of(ESTIMATORS)]
    temperature: Positive
    soft: Fraction

    @model_validator(mode="after")
    def _chooses(self) -> "Attention":
        if SCORES[self.score].is_uniform and DISTRIBUTIONS[self.distribution].is_hard:
            raise ValueError(
                f"distribution={self.distribution} takes the best score and score={self.score} has none: all are equal"
            )
        return self


class Decoder(Section):
    place: Annotated[str, _one_of(DECODERS)]


class Encoder(Section):
    """A GRU, whose outputs attend to one another where `attention` is given."""

    layers: Annotated[int, Field(gt=0, le=100)]
    attention: Attention | None

    @model_validator(mode="after")
    def _stands_still(self) -> "Encoder":
        if self.attention is not None and DISTRIBUTIONS[self.attention.distribution].follows_target:
            raise ValueError(
                f"encoder.attention.distribution={self.attention.distribution} follows the target's words, which the "
                "encoder does not see; local_p finds its own place"
            )
        found = self.attention
        if found is not None and found.distribution == "hard" and found.estimator == "reinforce":
            raise ValueError("encoder.attention.estimator=reinforce: no target word rewards the encoder")
        return self


class Model(Section):
    """Widths. `encoder_hidden` is one direction's, so encoder outputs are twice as wide."""

    embedding: Width
    embedding_scale: Positive
    encoder_hidden: Width
    decoder_hidden: Width
    tie: Annotated[str, _one_of(TIES)]
    dropout: Fraction


class Text(Section):
    """What every dataset has: two languages, and how their text becomes subwords.

    `character_coverage` is the share of the training text's characters that have a piece; the others become bytes.
    `symbols` are pieces that are never split. `longest` is the greatest number of subwords a side may have in training;
    longer pairs are left out and counted.
    """

    source: Language
    target: Language
    normalization: Annotated[str, _one_of(NORMALIZATIONS)]
    vocabulary: Annotated[int, Field(ge=8, le=1_000_000)]
    tokenizer: Annotated[str, _one_of(("unigram", "bpe"))]
    character_coverage: Annotated[float, Field(ge=0.98, le=1)]  # SentencePiece's limits
    symbols: Annotated[tuple[Symbol, ...], AfterValidator(check_symbols)]
    joint: bool
    longest: PositiveInt
    cache: Place

    @model_validator(mode="after")
    def _symbols_are_read(self) -> "Text":
        for symbol in self.symbols:
            if (text := NORMALIZATIONS[self.normalization](symbol)) != symbol:
                raise ValueError(
                    f"dataset.symbols: dataset.normalization={self.normalization} makes {show(text)} of "
                    f"{show(symbol)}, so the text never has it"
                )
        return self


class Grammar(Text):
    name: Literal["grammar"]
    preset: Annotated[str, _one_of(("tiny", "small", "full"))]
    seed: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _languages(self) -> "Grammar":
        if (self.source, self.target) != ("de", "en"):
            raise ValueError("the built-in corpus is German-English: dataset.source=de dataset.target=en")
        return self


class Multi30k(Text):
    name: Literal["multi30k"]
    folder: Place
    test: Annotated[str, BeforeValidator(_as_text)] | None


class Files(Text):
    """`train`, `validation` and `test` are prefixes: `/my/train` stands for `/my/train.de` and `/my/train.en`."""

    name: Literal["files"]
    train: Paths
    validation: Place
    test: Place | None


class Tsv(Text):
    """`columns` are those of source and target, counted from 1; null where there are two."""

    name: Literal["tsv"]
    train: Paths
    validation: Place
    test: Place | None
    columns: tuple[Column, Column] | None
    quoting: Annotated[str, _one_of(QUOTINGS)]

    @model_validator(mode="after")
    def _two_columns(self) -> "Tsv":
        if self.columns is not None and self.columns[0] == self.columns[1]:
            raise ValueError(f"dataset.columns={list(self.columns)} is one column, and source and target are two")
        return self


DATASETS = {get_args(kind.model_fields["name"].annotation)[0] for kind in (Grammar, Multi30k, Files, Tsv)}
Dataset = Annotated[Grammar | Multi30k | Files | Tsv, Field(discriminator="name")]


class Batch(Section):
    """`size` counts padded tokens of the longer side (`unit=tokens`) or sentences."""

    size: PositiveInt
    unit: Annotated[str, _one_of(("tokens", "sentences"))]


class Training(Section):
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    epochs: PositiveInt
    steps: PositiveInt | None
    batch: Batch
    accumulate: PositiveInt
    learning_rate: Positive
    betas: tuple[Fraction, Fraction]
    weight_decay: Annotated[float, Field(ge=0)]
    warmup: Annotated[int, Field(ge=0)]
    decay: Annotated[str, _one_of(("constant", "linear", "cosine", "inverse_sqrt"))]
    label_smoothing: Fraction
    clip: Positive | None
    validate_every: PositiveInt | Literal["epoch"]
    metric: Annotated[str, _one_of(("bleu", "chrf", "exact", "loss"))]
    patience: PositiveInt | None
    keep_best: PositiveInt
    save_every: PositiveInt | None
    log_every: PositiveInt


class Device(Section):
    kind: Annotated[str, _one_of(("auto", "cpu", "cuda"))]
    threads: Annotated[int, Field(gt=0, le=2**10)] | None
    precision: Annotated[str, _one_of(PRECISIONS)]
    deterministic: bool


class Search(Section):
    """`longest_source` counts tokens; a longer line is refused or cut, as `too_long` says."""

    size: Annotated[int, Field(ge=1, le=1000)]
    length_penalty: Annotated[float, Field(ge=0, le=10)]  # a length to a high power is no float
    n_best: PositiveInt
    batch: PositiveInt
    longest_source: PositiveInt
    too_long: Annotated[str, _one_of(("refuse", "truncate"))]

    @model_validator(mode="after")
    def _enough(self) -> "Search":
        if self.n_best > self.size:
            raise ValueError(
                f"search.n_best={self.n_best} is more than the beam holds: search.size={self.size}; search=beam has 5"
            )
        if self.size * self.batch > MOST_HYPOTHESES:
            raise ValueError(
                f"search.size={self.size} and search.batch={self.batch} are {self.size * self.batch:,} hypotheses at a "
                f"time, and {MOST_HYPOTHESES:,} fit into memory"
            )
        return self


class Evaluation(Section):
    """`tokenize` is BLEU's and TER's tokenizer by sacreBLEU's name; null is the usual one of the target language."""

    tokenize: Annotated[str, _one_of(TOKENIZERS)] | None


class Train(Section):
    """Everything that decides a training run."""

    attention: Attention
    decoder: Decoder
    encoder: Encoder
    model: Model
    dataset: Dataset
    training: Training
    device: Device
    search: Search
    evaluation: Evaluation

    @model_validator(mode="after")
    def _fits(self) -> "Train":
        if self.model.tie == "all" and not self.dataset.joint:
            raise ValueError("model.tie=all needs one vocabulary for both languages: dataset.joint=true")
        value = 2 * self.model.encoder_hidden
        for key, attention, query in (
            ("attention", self.attention, self.model.decoder_hidden),
            ("encoder.attention", self.encoder.attention, value),
        ):
            if (
                attention is not None
                and attention.score == "multihead"
                and (query % attention.heads or value % attention.heads)
            ):
                raise ValueError(
                    f"{key}.heads={attention.heads} must divide the widths of query and value, {query} and {value}"
                )
        if (
            SCORES[self.attention.score].needs_equal_widths
            and self.model.decoder_hidden != 2 * self.model.encoder_hidden
        ):
            raise ValueError(
                f"attention.score={self.attention.score} multiplies query and key as they are, so model.decoder_hidden "
                f"must be 2 x model.encoder_hidden = {2 * self.model.encoder_hidden}, not {self.model.decoder_hidden}; "
                "attention=general takes any widths"
            )
        return self


class Places(Section):
    """Where an evaluation may write for its dataset, whatever the checkpoint says, and where null is as it says.

    `test` is another test split for the checkpoint's dataset, of the same kind as its own.
    """

    cache: Place
    folder: Place | None
    test: Place | None


class Evaluate(Section):
    """A checkpoint scored on a split of its own dataset, or on a person's own pair of files.

    What `search` and `evaluation` leave null is as the checkpoint was trained with: see `search_as_given`.
    `alignment_units` is what the gold links of `alignments` count.
    """

    checkpoint: Place
    split: Annotated[str, _one_of(("validation", "test"))]
    source: Place | None
    target: Place | None
    alignments: Place | None
    alignment_units: Annotated[str, _one_of(("words", "characters"))]
    output: Place | None
    dataset: Places
    evaluation: Evaluation
    search: dict[str, Any]
    device: Device

    @model_validator(mode="after")
    def _pair(self) -> "Evaluate":
        if (self.source is None) != (self.target is None):
            raise ValueError("source=FILE and target=FILE go together")
        if self.source is not None and self.split == "validation":
            raise ValueError("split=validation: source=FILE and target=FILE would be scored in its place")
        if self.dataset.test is not None and (self.source is not None or self.split == "validation"):
            other = "split=validation" if self.source is None else "source=FILE and target=FILE"
            raise ValueError(
                f"dataset.test={self.dataset.test}: {other} would be scored in its place; give one of them"
            )
        return self


class Translate(Section):
    """A filter: standard input to standard output."""

    checkpoint: Place
    scores: bool
    alignments: bool
    units: bool
    plot: Place | None
    search: dict[str, Any]
    device: Device


Configuration = TypeVar("Configuration", bound=Section)


def load(kind: type[Configuration], values: Any, *, prefix: str = "") -> Configuration:
    """The typed configuration, or an InputError with the full key, what was found, and the choices."""
    try:
        return kind.model_validate_json(json.dumps(values))  # JSON's strict types have paths as strings
    except ValidationError as error:
        # A value of several types (a number or "epoch") has an error for each, one after the other.
        by_key = itertools.groupby(map(dict, error.errors()), lambda detail: _key(kind, detail, prefix))
        sentences = [_sentence(kind, key, list(details)) for key, details in by_key]
        more = f"; and {len(sentences) - 3} more" if len(sentences) > 3 else ""
        raise InputError("; ".join(sentences[:3]) + more) from None


def search_as_given(given: Mapping[str, Any], trained: Search) -> Search:
    """The search of a training run, with what a person asks for otherwise."""
    asked = {key: value for key, value in given.items() if value is not None}
    return load(Search, {**trained.model_dump(), **asked}, prefix="search.")


def keys(kind: Any, prefix: str = "") -> list[str]:
    """Every key of a configuration, in full: `training.batch.size`."""
    if kind == dict[str, Any]:  # the search of `Evaluate` and `Translate`
        return keys(Search, prefix)
    if get_origin(kind) in (Union, types.UnionType, Annotated):
        return [key for option in get_args(kind) for key in keys(option, prefix)]
    if not (isinstance(kind, type) and issubclass(kind, Section)):
        return []
    found = []
    for name, field in kind.model_fields.items():
        found += [f"{prefix}{name}", *keys(field.annotation, f"{prefix}{name}.")]
    return found


def _key(kind: type[Section], detail: dict[str, Any], prefix: str) -> str:
    """The key that one of pydantic's errors is about, in full."""
    parts = [shorten(str(part)) for part in detail["loc"]]
    if len(parts) > 1 and parts[0] == "dataset" and parts[1] in DATASETS:  # pydantic names the member of the union
        del parts[1]
    if detail["type"] != "extra_forbidden":
        known = set(keys(kind))
        while parts and ".".join(parts) not in known:  # the member of another union, the place in a list
            del parts[-1]
    return prefix + ".".join(parts)


def _sentence(kind: type[Section], key: str, details: list[dict[str, Any]]) -> str:
    """Pydantic's errors about one key as a person would say them."""
    detail = details[0]
    found = show(detail["input"])
    inside = [name for name in keys(kind) if name.startswith(f"{key}.")]
    match detail["type"]:
        case "extra_forbidden":
            return f"{key}: no such option, {near(key, keys(kind))}"
        case "missing" if isinstance(detail["input"], list | tuple):
            return f"{key}: found {found}, which has too few values"
        case "missing":
            return f"{key}: not set; give {key}=VALUE"
        case "value_error":
            message = str(detail["ctx"]["error"])
            return f"{key}: {message}" if key and not isinstance(detail["input"], dict) else message
        case "union_tag_invalid":
            return f"{key}.name: no such dataset, choose one of {', '.join(sorted(DATASETS))}"
        case _ if inside and not isinstance(detail["input"], dict):
            return f"{key}: holds values of its own, such as {inside[0]}, found {found}"
        case _:
            messages = [str(one["msg"]).removeprefix("Input ") for one in details if show(one["input"]) == found]
            return f"{key}: {' or '.join(message[0].lower() + message[1:] for message in messages)}, found {found}"
