"""What may be configured: names, types and limits. The one door for YAML, command line and checkpoint.

Values stand in `configs/`, never here: a field without a value is an error, so that no default stands in two places.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    PositiveInt,
    model_validator,
)

from seq2seq.attention.distributions import DISTRIBUTIONS, ESTIMATORS
from seq2seq.attention.scores import SCORES
from seq2seq.config.dataset import Dataset
from seq2seq.config.types import Fraction, Place, Positive, Section, Width, one_of
from seq2seq.evaluation.metrics import TOKENIZERS
from seq2seq.nn.decoder import DECODERS
from seq2seq.nn.model import TIES
from seq2seq.runtime.precision import PRECISIONS

MOST_HYPOTHESES = 2**17  # of all sentences that are translated at a time


class Attention(Section):
    """`heads` is for multihead, `window` for local_m and local_p (tokens to each side), what follows it for hard."""

    score: Annotated[str, one_of(SCORES)]
    distribution: Annotated[str, one_of(DISTRIBUTIONS)]
    heads: Annotated[int, Field(gt=0, le=2**10)]
    window: Annotated[int, Field(gt=0, le=2**20)]
    estimator: Annotated[str, one_of(ESTIMATORS)]
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
    place: Annotated[str, one_of(DECODERS)]


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
    tie: Annotated[str, one_of(TIES)]
    dropout: Fraction


class Batch(Section):
    """`size` counts padded tokens of the longer side (`unit=tokens`) or sentences."""

    size: PositiveInt
    unit: Annotated[str, one_of(("tokens", "sentences"))]


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
    decay: Annotated[str, one_of(("constant", "linear", "cosine", "inverse_sqrt"))]
    label_smoothing: Fraction
    clip: Positive | None
    validate_every: PositiveInt | Literal["epoch"]
    metric: Annotated[str, one_of(("bleu", "chrf", "exact", "loss"))]
    patience: PositiveInt | None
    keep_best: PositiveInt
    save_every: PositiveInt | None
    log_every: PositiveInt


class Device(Section):
    kind: Annotated[str, one_of(("auto", "cpu", "cuda"))]
    threads: Annotated[int, Field(gt=0, le=2**10)] | None
    precision: Annotated[str, one_of(PRECISIONS)]
    deterministic: bool


class Search(Section):
    """`longest_source` counts tokens; a longer line is refused or cut, as `too_long` says."""

    size: Annotated[int, Field(ge=1, le=1000)]
    length_penalty: Annotated[float, Field(ge=0, le=10)]  # a length to a high power is no float
    n_best: PositiveInt
    batch: PositiveInt
    longest_source: PositiveInt
    too_long: Annotated[str, one_of(("refuse", "truncate"))]

    @model_validator(mode="after")
    def _enough(self) -> "Search":
        if self.n_best > self.size:
            raise ValueError(
                f"search.n_best={self.n_best} is more than the beam of search.size={self.size} holds: set search.size="
                f"{self.n_best} or more"
            )
        if self.size * self.batch > MOST_HYPOTHESES:
            raise ValueError(
                f"search.size={self.size} and search.batch={self.batch} are {self.size * self.batch:,} hypotheses at a "
                f"time, and {MOST_HYPOTHESES:,} fit into memory"
            )
        return self


def search_name(search: Search) -> str:
    """`greedy` or `beam 5`."""
    return "greedy" if search.size == 1 else f"beam {search.size}"


class Evaluation(Section):
    """`tokenize` is BLEU's and TER's tokenizer by sacreBLEU's name; null is the usual one of the target language."""

    tokenize: Annotated[str, one_of(TOKENIZERS)] | None


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
        if self.device.precision == "int8":
            raise ValueError(
                "device.precision=int8 is for the search of translate.py and evaluate.py: train with auto or float32"
            )
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
    split: Annotated[str, one_of(("validation", "test"))]
    source: Place | None
    target: Place | None
    alignments: Place | None
    alignment_units: Annotated[str, one_of(("words", "characters"))]
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
