"""The options of each program: names, types and limits.

No option has a default here: all values are in `configs/`, so that no default is written twice.
"""

from typing import Annotated, Any

from pydantic import Field, PositiveInt, model_validator

from seq2seq.attention.distributions import DISTRIBUTIONS, ESTIMATORS
from seq2seq.attention.scores import SCORES
from seq2seq.config.dataset import Dataset
from seq2seq.config.training import Init, Training
from seq2seq.config.types import Fraction, PathOption, Positive, Section, Width, one_of
from seq2seq.evaluation.metrics import TOKENIZERS
from seq2seq.nn.decoder import DECODERS
from seq2seq.nn.model import TIES
from seq2seq.runtime.device import DEVICES
from seq2seq.runtime.precision import PRECISIONS

MOST_HYPOTHESES = 2**17  # limit of beam size times sentences in a batch


class Attention(Section):
    """An attention rule and its distribution.

    `heads` is for score multihead; `window`, in tokens to each side, for the distributions local_m and local_p;
    `estimator`, `temperature` and `soft` for the distribution hard.
    """

    score: Annotated[str, one_of(SCORES)]
    distribution: Annotated[str, one_of(DISTRIBUTIONS)]
    heads: Annotated[int, Field(gt=0, le=2**10)]
    window: Annotated[int, Field(gt=0, le=2**20)]
    estimator: Annotated[str, one_of(ESTIMATORS)]
    temperature: Positive
    soft: Fraction

    @model_validator(mode="after")
    def _check_hard_scores(self) -> "Attention":
        if SCORES[self.score].is_uniform and DISTRIBUTIONS[self.distribution].is_hard:
            raise ValueError(
                f"distribution={self.distribution} chooses by score, but with score={self.score} all are equal"
            )
        return self


class Decoder(Section):
    place: Annotated[str, one_of(DECODERS)]


class Encoder(Section):
    """A bidirectional GRU; with `attention`, self-attention over its outputs."""

    layers: Annotated[int, Field(gt=0, le=100)]
    attention: Attention | None

    @model_validator(mode="after")
    def _check_attention_without_target(self) -> "Encoder":
        attention = self.attention
        if attention is None:
            return self
        if DISTRIBUTIONS[attention.distribution].follows_target:
            raise ValueError(
                f"encoder.attention.distribution={attention.distribution} depends on the target position, which the "
                "encoder does not have; local_p predicts its own position"
            )
        if attention.distribution == "hard" and attention.estimator == "reinforce":
            raise ValueError("encoder.attention.estimator=reinforce: an encoder has no target words to be rewarded by")
        return self


class Model(Section):
    """Widths of the layers. `encoder_hidden` is the width of one direction; encoder outputs are twice as wide."""

    embedding: Width
    embedding_scale: Positive
    encoder_hidden: Width
    decoder_hidden: Width
    tie: Annotated[str, one_of(TIES)]
    dropout: Fraction


class Device(Section):
    kind: Annotated[str, one_of(DEVICES)]
    threads: Annotated[int, Field(gt=0, le=2**10)] | None
    precision: Annotated[str, one_of(PRECISIONS)]
    deterministic: bool
    graphs: bool


class Search(Section):
    """`longest_source` is in tokens; `too_long` says whether a longer line is an error or is cut."""

    size: Annotated[int, Field(ge=1, le=1000)]
    length_penalty: Annotated[float, Field(ge=0, le=10)]  # a greater exponent of the length would overflow
    n_best: PositiveInt
    batch: PositiveInt
    longest_source: PositiveInt
    too_long: Annotated[str, one_of(("refuse", "truncate"))]

    @model_validator(mode="after")
    def _check_sizes(self) -> "Search":
        if self.n_best > self.size:
            raise ValueError(
                f"search.n_best={self.n_best} is more than the beam has with search.size={self.size}: set search.size="
                f"{self.n_best} or more"
            )
        if self.size * self.batch > MOST_HYPOTHESES:
            raise ValueError(
                f"search.size={self.size} times search.batch={self.batch} is {self.size * self.batch:,} hypotheses; "
                f"set them so that there are at most {MOST_HYPOTHESES:,}"
            )
        return self


def search_name(search: Search) -> str:
    """`greedy` or `beam 5`."""
    return "greedy" if search.size == 1 else f"beam {search.size}"


class Evaluation(Section):
    """`tokenize` is sacreBLEU's name of the tokenizer for BLEU and TER; null chooses it by the target language."""

    tokenize: Annotated[str, one_of(TOKENIZERS)] | None


class Train(Init):
    """The options of a training run."""

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
    def _check_widths(self) -> "Train":
        if self.model.tie == "all" and not self.dataset.joint:
            raise ValueError("model.tie=all needs one vocabulary for both languages: dataset.joint=true")
        if self.device.precision == "int8":
            raise ValueError("device.precision=int8 is for translating and scoring: train with auto or float32")
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


class DatasetPaths(Section):
    """Paths that replace those of the checkpoint's dataset; null keeps the path of the checkpoint.

    `test` is another test split of the same kind of dataset.
    """

    cache: PathOption
    folder: PathOption | None
    test: PathOption | None


class Evaluate(Section):
    """A checkpoint to score on a split of its own dataset, or on a pair of files.

    Options of `search` and `evaluation` that are null have the values of the training run (see `search_as_given`).
    `alignment_units` is the unit of the positions in the gold links of `alignments`.
    """

    checkpoint: PathOption
    split: Annotated[str, one_of(("validation", "test"))]
    source: PathOption | None
    target: PathOption | None
    alignments: PathOption | None
    alignment_units: Annotated[str, one_of(("words", "characters"))]
    output: PathOption | None
    dataset: DatasetPaths
    evaluation: Evaluation
    search: dict[str, Any]
    device: Device

    @model_validator(mode="after")
    def _check_one_text(self) -> "Evaluate":
        if (self.source is None) != (self.target is None):
            raise ValueError("source=FILE and target=FILE must be set together")
        if self.source is not None and self.split == "validation":
            raise ValueError("split=validation: source=FILE and target=FILE would be scored in its place; set only one")
        if self.dataset.test is not None and (self.source is not None or self.split == "validation"):
            other = "split=validation" if self.source is None else "source=FILE and target=FILE"
            raise ValueError(f"dataset.test={self.dataset.test}: {other} would be scored in its place; set only one")
        return self


class Translate(Section):
    """The options of translation from standard input to standard output."""

    checkpoint: PathOption
    scores: bool
    alignments: bool
    units: bool
    plot: PathOption | None
    search: dict[str, Any]
    device: Device
