"""The training state: the numbers that exact resume needs. Tensors are stored separately, by name."""

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from seq2seq.checkpoint.numbers import Numbers
from seq2seq.checkpoint.ranking import ValidationRanking

AVERAGE = "average."
"""The start of the names of averaged weights among the tensors of a checkpoint."""


class Sums(Numbers):
    """Sums over the steps since the last log line; `seconds` excludes validation and saving."""

    loss: float = 0.0
    likelihood: float = 0.0
    guide: float = 0.0
    tokens: NonNegativeInt = 0
    linked: NonNegativeInt = 0
    padding: NonNegativeInt = 0
    positions: NonNegativeInt = 0
    seconds: NonNegativeFloat = 0.0


class Counts(Numbers):
    """Target tokens and seconds up to the last log line, the sums since then, and the number of skipped steps."""

    tokens: NonNegativeInt = 0
    seconds: NonNegativeFloat = 0.0
    since: Sums = Sums()
    skipped: NonNegativeInt = 0
    skipped_in_a_row: NonNegativeInt = 0


class Origin(Numbers):
    """The checkpoint that a run started from: its path as typed, its step, and the SHA-256 of `weights.safetensors`."""

    checkpoint: str
    step: NonNegativeInt
    weights: str


class State(Numbers):
    """The state of a training run.

    - `text`: the fingerprint of the encoded training text and the scored pairs
    - `splits`: the fingerprint of the raw text of each split, and of the alignments that guide attention; older
      checkpoints have none
    - `processes`: their number. A run is resumed by as many, as each has its share of the batches and its own random
      numbers
    - `length_multiple`: that of `seq2seq.text.batches.plan`
    - `events`: the size in bytes of each TensorBoard file
    - `counts`: for log lines and totals
    - `standing`: the ranking of the validations
    - `average`: the scores of the averaged weights at this step, if they are better than those of the weights
    - `init`: the checkpoint that the run started from; None for a run from random weights
    - `step_counts`: with sampled subwords, the number of steps of each epoch so far (see `seq2seq.text.epochs.Epochs`)
    """

    text: str
    splits: dict[str, str] = Field(default_factory=dict)
    processes: PositiveInt = 1
    length_multiple: PositiveInt = 1
    events: dict[str, NonNegativeInt] = Field(default_factory=dict)
    counts: Counts = Counts()
    standing: ValidationRanking = ValidationRanking()
    average: dict[str, float] = Field(default_factory=dict)
    init: Origin | None = None
    step_counts: list[NonNegativeInt] = Field(default_factory=list)
