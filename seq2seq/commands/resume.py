"""Resuming a run: which folder, which options may change, what is compared, what is restored.

The sections stand in that order. `commands.train` starts here; `commands.train_and_score` restores.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seq2seq import build, checkpoint, config
from seq2seq.checkpoint import Checkpoint
from seq2seq.checkpoint.state import State
from seq2seq.commands.dataset_location import find_path, start_folders
from seq2seq.config import Train
from seq2seq.runtime import distributed
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.run_folder import RunFolder
from seq2seq.training.loop import Run
from seq2seq.training.optimizer import load_tensors

log = logging.getLogger(__name__)

LENGTH = ("training.epochs", "training.steps")
FREE = (*LENGTH, "training.patience", "training.keep_best", "training.save_every", "training.log_every")
"""Options that leave what a run has done as it is."""


def parse_resume(arguments: Sequence[str]) -> tuple[Path, list[str]]:
    """FOLDER of `resume=FOLDER`, and the options beside it."""
    folders = [argument.partition("=")[2] for argument in arguments if argument.startswith("resume=")]
    if folders == [""] or len(folders) != 1:
        raise InputError("resume: give one run folder, resume=runs/NAME")
    others = [argument for argument in arguments if not argument.startswith("resume=")]
    if strange := [argument for argument in others if argument.startswith("-") or "=" not in argument]:
        raise InputError(
            f"{strange[0]}: beside resume=FOLDER only KEY=VALUE may stand, such as training.save_every=500"
        )
    folder = Path(folders[0])
    is_run = RunFolder(folder).checkpoints.is_dir()  # else it may be a whole disk
    inside = folder.rglob("*") if is_run else []
    if links := sorted(path for path in inside if path.is_symlink()):
        raise InputError(f"{links[0]} is a link, and what a run writes stays in its folder: put the file itself there")
    return folder, others


def plan_resume(folder: Path, options: Mapping[str, Any]) -> tuple[Train, Checkpoint] | None:
    """Where the run in the folder goes on, and its configuration with these options (by full key).

    None where it is finished, and no option changes that. Raises InputError where there is nothing, where the run has
    another number of processes, or where an option would change what is done already.
    """
    if (finished := RunFolder(folder).results.exists()) and not options:
        return None
    last = RunFolder(folder).last
    if not checkpoint.exists(last):
        raise InputError(f"resume={folder}: {_instead(folder)}")
    try:
        found = checkpoint.load(last, training=True)
    except InputError as error:
        raise InputError(f"resume={folder}: {error}; what is in checkpoints/best can still be used") from None
    assert found.training is not None
    if (wanted := found.training.state.processes) != (here := distributed.world_size()):
        raise InputError(
            f"resume={folder}: the run began with {wanted} process(es) and goes on with as many; found {here}"
        )
    begun = build.configuration(found, folder)
    _check_start(folder, begun.dataset)
    configuration = _with_options(begun, options)
    return None if finished and configuration == begun else (configuration, found)


def _check_start(folder: Path, dataset: config.Dataset) -> None:
    """Raises InputError where the text is not here, and relative paths begin where the run was started."""
    if isinstance(dataset, config.Grammar):
        return
    path = dataset.folder if isinstance(dataset, config.Multi30k) else dataset.validation
    starts = start_folders(folder)
    if starts and not path.is_absolute() and find_path(path, dataset, []) is None:
        raise InputError(
            f"resume={folder}: its text, {path}, is not in the folder you are in; the run was started in {starts[-1]}: "
            "type it there"
        )


def _instead(folder: Path) -> str:
    """What to do where the folder holds no run: it may lie within one, as `runs/NAME/checkpoints/best` does."""
    for above in (folder / "..", folder / ".." / ".."):
        run = Path(os.path.normpath(above))
        if checkpoint.exists(RunFolder(run).last):
            return f"expected a run folder, not a part of one: resume={run}"
    if not folder.is_dir():
        return "no such folder; give a run folder, resume=runs/NAME"
    if not RunFolder(folder).hydra.is_dir():
        return "it is no run folder; give one, resume=runs/NAME"
    return "there is no checkpoints/last in it to go on from; start the run again"


def _with_options(begun: Train, options: Mapping[str, Any]) -> Train:
    values = begun.model_dump(mode="json")
    for key, value in options.items():
        if key not in config.keys(Train) and not key.startswith("hydra."):
            raise InputError(f"{key}: no such option, {config.near(key, config.keys(Train))}")
        if key not in FREE:
            raise InputError(f"{key}: a run goes on as it began; only {', '.join(FREE)} may change")
        section, name = key.split(".")
        if value == (now := values[section][name]):
            continue
        if key in LENGTH and isinstance(value, int) and (now is None or value < now):
            began = "no such end" if now is None else now
            raise InputError(f"{key}: found {value}, and a run that began with {began} can only become longer")
        if key in LENGTH and begun.training.decay in ("linear", "cosine"):
            raise InputError(
                f"{key}: with training.decay={begun.training.decay} the learning rates of the steps already taken "
                "depend on it; a run with constant or inverse_sqrt can go on for longer"
            )
        values[section][name] = value
    return config.load(Train, values)


def check_text(splits: Mapping[str, str], resumed: Checkpoint | None, folder: Path) -> None:
    """Raises InputError where the run that goes on began with another text. An old checkpoint has no `splits`."""
    began = resumed.training.state.splits if resumed is not None and resumed.training is not None else {}
    if changed := [name for name in began if began[name] != splits.get(name)]:
        raise InputError(
            f"resume={folder}: the text is not what it was when this run began (changed: {', '.join(changed)}); put "
            "back what it was, or start another run"
        )


def restore(run: Run, folder: Path, resumed: Checkpoint | None, fresh: State) -> Checkpoint:
    """The checkpoint that the loop starts from: the resumed one, or one of step 0, so that there always is one."""
    if resumed is None:
        start = run.checkpoint(0, fresh, {})
        if distributed.is_rank0():
            checkpoint.store(start, RunFolder(folder).last)
        return start
    assert resumed.training is not None
    if resumed.training.state.text != fresh.text:
        raise InputError(f"resume={folder}: the text is not what it was when this run began, or is prepared otherwise")
    build.load_weights(run.model, resumed, folder)
    load_tensors(run.model, run.optimizer, resumed.training.tensors)
    log.info("resumed after step %d", resumed.step)
    configuration = run.configuration.model_dump(mode="json")
    if configuration != resumed.configuration:  # on disk, before a finished run is one that is not
        resumed = resumed._replace(configuration=configuration)
        if distributed.is_rank0():
            checkpoint.store(resumed, RunFolder(folder).last, keep=True)
            RunFolder(folder).results.unlink(missing_ok=True)
    return resumed
