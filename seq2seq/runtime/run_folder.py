"""The names of all files in a run folder."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunFolder:
    """The paths in a run folder, `runs/NAME`."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """The folder of `last`, `best`, `best-2`, ..."""
        return self.path / "checkpoints"

    @property
    def last(self) -> Path:
        """The checkpoint from which a run is resumed."""
        return self.checkpoints / "last"

    @property
    def best(self) -> Path:
        """The checkpoint of the best validation."""
        return self.checkpoints / "best"

    @property
    def results(self) -> Path:
        """The scores of a finished run. It is the last file written, so it exists only when the run is finished."""
        return self.path / "results.json"

    def translations(self, language: str) -> Path:
        """The translations of the test split that `results` scores."""
        return self.path / f"results.test.{language}"

    @property
    def evaluation(self) -> Path:
        """The scores of the latest run of `evaluate.py`."""
        return self.path / "evaluation.json"

    @property
    def interventions(self) -> Path:
        """The folder in which a comparison has `evaluation` with interventions in the attention."""
        return self.path / "interventions"

    def hypotheses(self, split: str, language: str) -> Path:
        """The translations that `evaluation` scores."""
        return self.path / f"hypotheses.{split}.{language}"

    @property
    def tensorboard(self) -> Path:
        """The folder of TensorBoard's event files."""
        return self.path / "tensorboard"

    @property
    def log(self) -> Path:
        """The log of the run."""
        return self.path / "train.log"

    @property
    def hydra(self) -> Path:
        """The folder with the configuration that Hydra composed at the start of the run."""
        return self.path / ".hydra"

    def holds_run(self) -> bool:
        """Whether the folder contains results of a run, with which another run would mix."""
        return any(path.exists() for path in (self.last, self.tensorboard, self.results))

    def names(self) -> frozenset[str]:
        """The names of what the folder contains, but for an empty log, which Hydra makes at the start of a run."""
        paths = self.path.iterdir()
        return frozenset(path.name for path in paths if path != self.log or path.is_dir() or path.stat().st_size > 0)

    def is_unused(self) -> bool:
        """Whether the folder contains only files that are written before the first checkpoint."""
        return {path.name for path in self.path.iterdir()} <= {self.hydra.name, self.log.name} and self._has_own_log()

    def _has_own_log(self) -> bool:
        """Whether the log is missing, empty, or begins with the time, as that of a run does."""
        if not self.log.exists():
            return True
        with self.log.open(encoding="utf-8", errors="replace") as file:
            return re.match(r"\d\d:\d\d:\d\d |$", file.readline(20)) is not None


def run_folder_of(checkpoint: Path) -> RunFolder:
    """The run folder of a checkpoint: `runs/NAME` of `runs/NAME/checkpoints/best`.

    For a checkpoint outside a folder `checkpoints`, its parent folder.
    """
    parent = checkpoint.resolve().parent
    return RunFolder(parent.parent if parent.name == "checkpoints" else parent)
