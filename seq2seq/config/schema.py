"""The options of training a model: all groups, and the checks between them.

No option has a default here: all values are in `configs/`, so that no default is written twice.
"""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from seq2seq.attention.distributions import DISTRIBUTIONS
from seq2seq.attention.scores import SCORES
from seq2seq.config.dataset import Dataset
from seq2seq.config.model import Attention, Decoder, Encoder, Model
from seq2seq.config.search import Search
from seq2seq.config.training import GOLD, Init, Training
from seq2seq.config.types import Section, as_names, one_of
from seq2seq.evaluation.metrics import TOKENIZERS
from seq2seq.nn.mistakes import MISTAKES
from seq2seq.runtime.device import DEVICES
from seq2seq.runtime.precision import PRECISIONS
from seq2seq.text.tokenizer_kinds import SUBWORDS


class Device(Section):
    kind: Annotated[str, one_of(DEVICES)]
    threads: Annotated[int, Field(gt=0, le=2**10)] | None
    precision: Annotated[str, one_of(PRECISIONS)]
    deterministic: bool
    graphs: bool


class SearchDevice(Device):
    """The device of a program that translates or scores."""

    @model_validator(mode="after")
    def _check_precision(self) -> "SearchDevice":
        if self.precision == "bfloat16":
            raise ValueError("device.precision=bfloat16 is for training: search with auto, float32 or int8")
        return self


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
    mistake: Annotated[
        tuple[Annotated[str, one_of(MISTAKES)], ...],
        BeforeValidator(as_names),
        AfterValidator(lambda names: tuple(dict.fromkeys(names))),  # a mistake is made once
    ]

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
        shares = self.training.teacher_forcing
        if self.model.recurrent_dropout and (shares.first < 1 or shares.last < 1):
            raise ValueError(
                f"training.teacher_forcing.first={shares.first}, last={shares.last} decodes one word at a time, but "
                f"model.recurrent_dropout={self.model.recurrent_dropout} needs one mask for all words: leave one out"
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
            raise ValueError("device.precision=int8 is for search: train with auto, float32 or bfloat16")
        if self.training.guide.alignments is not None:
            self._check_guide()
        if SCORES[self.attention.score].follows_history and self.decoder.place == "luong":
            raise ValueError(
                f"attention.score={self.attention.score} reads the weights of earlier words, but decoder=luong attends "
                "for all words at once: set decoder=luong_input_feeding, bahdanau or conditional"
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

    def _check_guide(self) -> None:
        """Raises ValueError where the attention cannot be guided, or where there are no gold alignments."""
        attention, guide = self.attention, self.training.guide
        if getattr(self.dataset, "hold_out", None) is not None:
            raise ValueError(
                "training.guide.alignments has a line for each pair of the training text, from which dataset.hold_out "
                "takes pairs: set dataset.validation and dataset.test, and leave dataset.hold_out out"
            )
        if self.dataset.both_directions:
            raise ValueError(
                "training.guide.alignments links the pairs of the training text in one direction, and "
                "dataset.both_directions=true also learns the other: leave one out"
            )
        if self.dataset.distilled is not None:
            raise ValueError(
                "training.guide.alignments has a line for each pair of the training text, and dataset.distilled adds "
                "pairs without one: leave one out"
            )
        distribution = f"attention.distribution={attention.distribution}"
        if guide.alignments == GOLD and self.dataset.name != "grammar":
            raise ValueError(
                f"training.guide.alignments=gold: dataset={self.dataset.name} has no gold alignments; give a file in "
                "Pharaoh format, with a line for each training pair"
            )
        if self.training.sample_subwords.on:
            raise ValueError(
                "training.guide.alignments links the usual subwords of the text, but training.sample_subwords draws "
                "others: leave one out"
            )
        if SCORES[attention.score].is_uniform:
            raise ValueError(
                f"training.guide.alignments: the weights of attention.score={attention.score} do not depend on "
                "parameters, so they cannot be guided; choose another rule"
            )
        if attention.distribution == "hard" and attention.estimator == "reinforce":
            raise ValueError(
                f"training.guide.alignments: the weights of {distribution} have no gradient with attention.estimator="
                "reinforce, so they cannot be guided; straight_through and gumbel have one"
            )
        if guide.loss == "cross_entropy" and DISTRIBUTIONS[attention.distribution].has_zeros:
            raise ValueError(
                f"training.guide.loss=cross_entropy is infinite where a gold link has weight 0, as in {distribution}: "
                "set training.guide.loss=squared_error"
            )
