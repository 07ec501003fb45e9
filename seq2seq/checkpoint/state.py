"""The numbers that exact resume needs. The tensors are stored separately, by name."""

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from seq2seq.checkpoint.numbers import Numbers
from seq2seq.checkpoint.ranking import ValidationRanking


class Sums(Numbers):
    """Sums over the steps since the last line of the log; `seconds` are of training alone."""

    loss: float = 0.0
    likelihood: float = 0.0
    tokens: NonNegativeInt = 0
    padding: NonNegativeInt = 0
    positions: NonNegativeInt = 0
    seconds: NonNegativeFloat = 0.0


class Counts(Numbers):
    """Target tokens and seconds up to the last line of the log, what came since, and steps that were skipped."""

    tokens: NonNegativeInt = 0
    seconds: NonNegativeFloat = 0.0
    since: Sums = Sums()
    skipped: NonNegativeInt = 0
    skipped_in_a_row: NonNegativeInt = 0


class State(Numbers):
    """`text` is the fingerprint of what the run learns from and is measured on, `events` TensorBoard's files' sizes.

    `splits` are the fingerprints of the raw text of each split, which checkpoints had not from the beginning.
    As many `processes` must go on: each has its own part of the batches and its own random numbers. `length_multiple`
    is that of `seq2seq.text.batches.plan`.
    """

    text: str
    splits: dict[str, str] = Field(default_factory=dict)
    processes: PositiveInt = 1
    length_multiple: PositiveInt = 1
    events: dict[str, NonNegativeInt] = Field(default_factory=dict)
    counts: Counts = Counts()
    standing: ValidationRanking = ValidationRanking()
