"""The options of the model: attention, decoder, encoder, widths and dropout."""

from typing import Annotated

from pydantic import Field, model_validator

from seq2seq.attention.distributions import DISTRIBUTIONS, ESTIMATORS
from seq2seq.attention.scores import SCORES
from seq2seq.config.types import Fraction, PathOption, Positive, Section, Width, one_of
from seq2seq.nn.cells import CELLS
from seq2seq.nn.decoder import DECODERS
from seq2seq.nn.model import TIES


class Attention(Section):
    """An attention rule and its distribution.

    `heads` is for score multihead; `window`, in tokens to each side, for the distributions local_m and local_p
    and the score location;
    `estimator` and `soft` for the distribution hard; `temperature` for softmax and hard.
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
        if self.temperature != 1 and self.distribution not in ("softmax", "hard"):
            raise ValueError(
                f"temperature={self.temperature} is for distribution=softmax and hard, not for distribution="
                f"{self.distribution}: leave it out"
            )
        return self


class Decoder(Section):
    place: Annotated[str, one_of(DECODERS)]
    layers: Annotated[int, Field(gt=0, le=100)]

    @model_validator(mode="after")
    def _check_layers(self) -> "Decoder":
        if self.layers > 1 and self.place != "luong":
            raise ValueError(
                f"decoder.layers={self.layers} is for decoder=luong, since the others attend before or between "
                "their cells: leave it out"
            )
        return self


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
        if SCORES[attention.score].follows_history:
            raise ValueError(
                f"encoder.attention.score={attention.score} reads the weights of earlier target words, and the encoder "
                "has none: choose another rule"
            )
        if attention.distribution == "hard" and attention.estimator == "reinforce":
            raise ValueError("encoder.attention.estimator=reinforce: an encoder has no target words to be rewarded by")
        return self


class Embeddings(Section):
    """Files of pretrained vectors, which embeddings begin with."""

    source: PathOption | None
    target: PathOption | None


class Model(Section):
    """The recurrent cell of encoder and decoder, widths of the layers, and dropout.

    `encoder_hidden` is the width of one direction; outputs are twice as wide.
    """

    cell: Annotated[str, one_of(CELLS)]
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
