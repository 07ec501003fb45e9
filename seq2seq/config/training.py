"""The options of training: where it starts, its steps, which weights train, which checkpoint is best."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from seq2seq.attention.guide import GUIDE_LOSSES
from seq2seq.config.suggestions import show
from seq2seq.config.types import Fraction, PathOption, Paths, Positive, Section, one_of
from seq2seq.nn.model import PARTS
from seq2seq.text.link_store import SPANS

Share = Annotated[float, Field(ge=0, le=1)]


class Init(Section):
    """`init` is a checkpoint, or a run folder for its best one: training starts from its weights and tokenizers."""

    init: PathOption | None


class Batch(Section):
    """`size` is in sentences, or with `unit=tokens` in padded tokens of the longer side."""

    size: PositiveInt
    unit: Annotated[str, one_of(("tokens", "sentences"))]


GOLD = Path("gold")
"""The value of `Guide.alignments` for the gold links of the dataset itself."""


class Guide(Section):
    """Guided attention. `alignments` are files in Pharaoh format with a line for each training pair, or `GOLD`.

    `alignment_units` says what their links count. `weight` is that of the loss. `epochs`: only the first ones; null for
    all.
    """

    alignments: Paths | None
    alignment_units: Annotated[str, one_of(SPANS)]
    loss: Annotated[str, one_of(GUIDE_LOSSES)]
    weight: Positive
    epochs: PositiveInt | None


class SampleSubwords(Section):
    """The strength of sampling on each side, null for none (see `Tokenizer.sample_batch`).

    With `tokenizer=unigram` it is the exponent of a segmentation's probability: less is stronger. With `bpe` it is the
    probability that a merge is skipped: more is stronger.
    """

    source: Annotated[float, Field(gt=0, le=1)] | None
    target: Annotated[float, Field(gt=0, le=1)] | None

    @property
    def on(self) -> bool:
        """Whether a side is sampled."""
        return self.source is not None or self.target is not None


class GoldShare(Section):
    """The share of gold words that the decoder reads in training, at the first step and at the last one."""

    first: Share
    last: Share


class Training(Section):
    """`freeze` are parts of the model that stay as they are (see `PARTS`).

    `average` is the decay of the exponential moving average of the weights.
    """

    seed: Annotated[int, Field(ge=0, lt=2**63)]
    epochs: PositiveInt
    steps: PositiveInt | None
    batch: Batch
    accumulate: PositiveInt
    sample_subwords: SampleSubwords
    freeze: tuple[Annotated[str, one_of(PARTS)], ...]
    learning_rate: Positive
    betas: tuple[Fraction, Fraction]
    weight_decay: Annotated[float, Field(ge=0)]
    warmup: Annotated[int, Field(ge=0)]
    decay: Annotated[str, one_of(("constant", "linear", "cosine", "inverse_sqrt"))]
    label_smoothing: Fraction
    clip: Positive | None
    teacher_forcing: GoldShare
    coverage_loss: Annotated[float, Field(ge=0, le=1000)]
    r_drop: Annotated[float, Field(ge=0, le=1000)]
    average: Annotated[float, Field(gt=0, lt=1)] | None
    guide: Guide
    validate_every: PositiveInt | Literal["epoch"]
    metric: Annotated[str, one_of(("bleu", "chrf", "exact", "loss"))]
    patience: PositiveInt | None
    keep_best: PositiveInt
    save_every: PositiveInt | None
    log_every: PositiveInt

    def total_steps(self, steps_per_epoch: int) -> int:
        """The number of steps of a whole run: those of all epochs, or `steps` if these are fewer."""
        all_epochs = self.epochs * steps_per_epoch
        return all_epochs if self.steps is None else min(all_epochs, self.steps)

    @model_validator(mode="after")
    def _check_something_trains(self) -> "Training":
        if PARTS.keys() - {"attention"} <= {*self.freeze}:
            raise ValueError(
                f"training.freeze={show(self.freeze)} freezes the whole model, so nothing would train; leave a part out"
            )
        return self
