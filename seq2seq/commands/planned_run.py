"""A run of a comparison, and whether its folder can hold it."""

from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from seq2seq import config
from seq2seq.checkpoint.upgrade import upgrade_configuration
from seq2seq.config.loading import flat
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.run_folder import RunFolder


class PlannedRun(NamedTuple):
    """One run of a comparison: the variant's name, the run's folder and configuration."""

    variant: str
    folder: Path
    configuration: config.Train

    @property
    def seed(self) -> int:
        """The seed of the training."""
        return self.configuration.training.seed


def is_finished(run: PlannedRun) -> bool:
    """Whether the run has its `results.json`, the last file that it writes."""
    return RunFolder(run.folder).results.is_file()


def check_folder(run: PlannedRun) -> None:
    """Raises InputError if the run's folder contains a run with other options, or files of something else."""
    folder = RunFolder(run.folder)
    path = folder.hydra / "config.yaml"
    if not run.folder.exists() or folder.is_unused():  # not started, or stopped before its first checkpoint
        return
    if not path.is_file():
        raise InputError(f"{run.folder} contains files but no run of this program; choose another output=FOLDER")
    try:
        values: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
        earlier = config.load(config.Train, upgrade_configuration(values))
    except (InputError, OmegaConfBaseException, YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a valid configuration ({error}); choose another output=FOLDER") from None
    if differences := config_differences(earlier, run.configuration):
        more = f" (and {len(differences) - 2} more)" if len(differences) > 2 else ""
        raise InputError(
            f"{run.folder} contains a run with other options: {'; '.join(differences[:2])}{more}; "
            "choose another output=FOLDER"
        )


def config_differences(earlier: config.Train, current: config.Train) -> list[str]:
    """`KEY is VALUE there, VALUE here` for each key whose values differ."""
    there, here = (flat(configuration.model_dump(mode="json")) for configuration in (earlier, current))
    keys = dict.fromkeys([*there, *here])
    return [f"{key} is {there.get(key)} there, {here.get(key)} here" for key in keys if there.get(key) != here.get(key)]
