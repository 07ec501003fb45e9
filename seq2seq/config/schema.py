"""The options of training: names, types and limits.

No option has a default here: all values are in `configs/`, so that no default is written twice.
"""

from typing import Annotated

from pydantic import Field, PositiveInt, model_validator

from seq2seq.attention.distributions import DISTRIBUTIONS, ESTIMATORS
from seq2seq.attention.scores import SCORES
from seq2seq.config.dataset import Dataset
from seq2seq.config.training import Init, Training
from seq2seq.config.types import Fraction, PathOption, Positive, Section, Width, one_of
from seq2seq.decoding.minimum_bayes_risk import UTILITIES
from seq2seq.decoding.penalties import LENGTH_FORMS
from seq2seq.evaluation.metrics import TOKENIZERS
from seq2seq.nn.decoder import DECODERS
from seq2seq.nn.model import TIES
from seq2seq.runtime.device import DEVICES
from seq2seq.runtime.precision import PRECISIONS
from seq2seq.text.tokenizer_kinds import SUBWORDS

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


class Embeddings(Section):
    """Files of pretrained vectors, which embeddings begin with."""

    source: PathOption | None
    target: PathOption | None


class Model(Section):
    """Widths of the layers, and dropout. `encoder_hidden` is the width of one direction; outputs are twice as wide."""

    embedding: Width
    embeddings: Embeddings
    embedding_scale: Positive
    encoder_hidden: Width
    decoder_hidden: Width
    tie: Annotated[str, one_of(TIES)]
    dropout: Fraction
    recurrent_dropout: Fraction
    source_word_dropout: Fraction
    target_word_dropout: Fraction


class Device(Section):
    kind: Annotated[str, one_of(DEVICES)]
    threads: Annotated[int, Field(gt=0, le=2**10)] | None
    precision: Annotated[str, one_of(PRECISIONS)]
    deterministic: bool
    graphs: bool


class Search(Section):
    """`longest_source` is in tokens; `too_long` says whether a longer line is an error or is cut.

    `min_length` is in subwords. `no_repeat_ngram` is the length of n-grams that occur once in a translation; 0 is off.
    With `method=sample`, `size` is the number of samples; `temperature`, `top_k`, `top_p` and `seed` are for it alone.
    `groups` and `diversity` are for diverse beam search; one group is beam search.
    """

    size: Annotated[int, Field(ge=1, le=1000)]
    length_penalty: Annotated[float, Field(ge=0, le=10)]  # a greater exponent of the length would overflow
    n_best: PositiveInt
    batch: PositiveInt
    longest_source: PositiveInt
    too_long: Annotated[str, one_of(("refuse", "truncate"))]
    min_length: Annotated[int, Field(ge=0, le=1000)]
    no_repeat_ngram: Annotated[int, Field(ge=0, le=100)]
    method: Annotated[str, one_of(("beam", "sample"))]
    temperature: Annotated[float, Field(gt=0, le=100)]
    top_k: Annotated[int, Field(ge=0)]
    top_p: Annotated[float, Field(gt=0, le=1)]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    rank_by: Annotated[str, one_of(("score", *UTILITIES))]
    length_form: Annotated[str, one_of(LENGTH_FORMS)]
    coverage_penalty: Annotated[float, Field(ge=0, le=100)]
    groups: PositiveInt
    diversity: Annotated[float, Field(ge=0, le=100)]

    @model_validator(mode="after")
    def _check_sizes(self) -> "Search":
        if self.method == "beam":
            for key, neutral in (("temperature", 1), ("top_k", 0), ("top_p", 1)):
                if (value := getattr(self, key)) != neutral:
                    raise ValueError(
                        f"search.{key}={value} is for sampling, and search.method={self.method}: set search=sample"
                    )
        if self.groups > 1 and self.method == "sample":
            raise ValueError(f"search.groups={self.groups} divides a beam, and search.method=sample: set search=beam")
        if self.size % self.groups:
            raise ValueError(
                f"search.groups={self.groups} must divide search.size={self.size}: set search.size="
                f"{self.groups * max(1, round(self.size / self.groups))}, for instance"
            )
        if self.rank_by != "score" and self.size == 1:
            raise ValueError(
                f"search.rank_by={self.rank_by} compares several hypotheses, and search.size=1: set search.size=10, or "
                "search.rank_by=score"
            )
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
    """`greedy`, `beam 5`, `best of 10 samples`, or `MBR by chrf of beam 5`."""
    name = _name_of_method(search)
    return name if search.rank_by == "score" else f"MBR by {search.rank_by} of {name.removeprefix('best of ')}"


def _name_of_method(search: Search) -> str:
    if search.method == "sample":
        return f"best of {search.size} samples" if search.size > 1 else "a sample"
    name = "greedy" if search.size == 1 else f"beam {search.size}"
    return name if search.groups == 1 else f"{name} in {search.groups} groups"


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
        chances = ("dropout", "recurrent_dropout", "source_word_dropout", "target_word_dropout")
        if self.training.r_drop and not any(getattr(self.model, chance) for chance in chances):
            raise ValueError(
                f"training.r_drop={self.training.r_drop} compares two dropout masks, but nothing is dropped: set "
                "model.dropout=0.1, for instance"
            )
        if self.dataset.tokenizer not in SUBWORDS and any(dict(self.training.sample_subwords).values()):
            raise ValueError(
                f"training.sample_subwords draws subwords; dataset.tokenizer={self.dataset.tokenizer} has none: set "
                f"dataset.tokenizer={SUBWORDS[0]}"
            )
        source, target = self.model.embeddings.source, self.model.embeddings.target
        if self.model.tie == "all" and None not in (source, target) and source != target:
            raise ValueError(
                f"model.embeddings.source={source} and target={target} are two files for one matrix, since model.tie="
                "all: set model.tie=target, or give one file"
            )
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
