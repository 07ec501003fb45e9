"""The options of the programs that use a checkpoint: `evaluate.py`, `translate.py` and `score.py`."""

from typing import Annotated, Any

from pydantic import model_validator

from seq2seq.config.intervention import Intervention, Interventions
from seq2seq.config.schema import Evaluation, SearchDevice
from seq2seq.config.types import PathOption, Paths, Section, WithCheckpoints, one_of, show_paths


class DatasetPaths(Section):
    """Paths that replace those of the checkpoint's dataset; null keeps the path of the checkpoint.

    `test` is another test split of the same kind of dataset; several paths are one split.
    """

    cache: PathOption
    folder: PathOption | None
    test: Paths | None


class Evaluate(WithCheckpoints):
    """A checkpoint to score, or an ensemble of several, on a split of its own dataset, or on a pair of files.

    Options of `search` and `evaluation` that are null have the values of the training run (see `search_as_given`).
    `alignment_units` is the unit of the positions in the gold links of `alignments`.
    """

    split: Annotated[str, one_of(("train", "validation", "test"))]
    source: PathOption | None
    target: PathOption | None
    alignments: PathOption | None
    alignment_units: Annotated[str, one_of(("words", "characters"))]
    output: PathOption | None
    dataset: DatasetPaths
    evaluation: Evaluation
    attention: Interventions
    search: dict[str, Any]
    device: SearchDevice

    @model_validator(mode="after")
    def _check_one_text(self) -> "Evaluate":
        if len(self.checkpoints) > 1 and self.output is None:
            raise ValueError("output: not set; several checkpoints are an ensemble, whose scores go to output=FOLDER")
        if (self.source is None) != (self.target is None):
            raise ValueError("source=FILE and target=FILE must be set together")
        if self.source is not None and self.source == self.target:
            raise ValueError(f"source={self.source} and target={self.target}: the same text; set a file for each side")
        if self.source is not None and self.split != "test":
            raise ValueError(
                f"split={self.split}: source=FILE and target=FILE would be scored in its place; set only one"
            )
        if self.dataset.test is not None and (self.source is not None or self.split != "test"):
            other = f"split={self.split}" if self.source is None else "source=FILE and target=FILE"
            raise ValueError(
                f"dataset.test={show_paths(self.dataset.test)}: {other} would be scored in its place; set only one"
            )
        return self


class Translate(WithCheckpoints):
    """The options of translation from standard input to standard output.

    `prefix` is a file with the start of the translation of each line; it is empty where a line has none.
    """

    scores: bool
    alignments: bool
    units: bool
    plot: PathOption | None
    prefix: PathOption | None
    attention: Intervention
    search: dict[str, Any]
    device: SearchDevice


class ScoreSearch(Section):
    """The options of a search that the score of a given translation depends on; None is as trained."""

    length_penalty: float | None
    length_form: str | None
    coverage_penalty: float | None
    longest_source: int | None
    too_long: str | None


class Score(WithCheckpoints):
    """The options of scoring given translations: those of two files, or pairs from standard input."""

    source: PathOption | None
    target: PathOption | None
    scores: bool
    alignments: bool
    units: bool
    tokens: bool
    attention: Intervention
    search: ScoreSearch
    device: SearchDevice

    @model_validator(mode="after")
    def _check_both_sides(self) -> "Score":
        if (self.source is None) != (self.target is None):
            raise ValueError("source=FILE and target=FILE must be set together; without both, pairs are standard input")
        return self
