"""Every file name of a run folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunFolder:
    """The paths in `runs/NAME`. Nothing here reads or writes."""

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
        """The scores of a finished run; written last, so that it says that the run is finished."""
        return self.path / "results.json"

    def translations(self, language: str) -> Path:
        """The translations of the test split that `results` scores."""
        return self.path / f"results.test.{language}"

    @property
    def evaluation(self) -> Path:
        """The scores of the last `evaluate.py`."""
        return self.path / "evaluation.json"

    def hypotheses(self, split: str, language: str) -> Path:
        """The translations that `evaluation` scores."""
        return self.path / f"hypotheses.{split}.{language}"

    @property
    def tensorboard(self) -> Path:
        """The folder of TensorBoard's event files."""
        return self.path / "tensorboard"

    @property
    def log(self) -> Path:
        """What the run printed."""
        return self.path / "train.log"

    @property
    def hydra(self) -> Path:
        """The folder with the configuration as Hydra composed it when the run was started."""
        return self.path / ".hydra"

    def holds_run(self) -> bool:
        """Whether another run would mix with what is here."""
        return any(path.exists() for path in (self.last, self.tensorboard, self.results))

    def is_unused(self) -> bool:
        """Whether nothing is here but what stands before the first checkpoint."""
        return {path.name for path in self.path.iterdir()} <= {self.hydra.name, self.log.name}


def run_folder_of(checkpoint: Path) -> RunFolder:
    """`runs/NAME` of `runs/NAME/checkpoints/best`; where a checkpoint stands alone, the folder that it stands in."""
    parent = checkpoint.resolve().parent
    return RunFolder(parent.parent if parent.name == "checkpoints" else parent)
