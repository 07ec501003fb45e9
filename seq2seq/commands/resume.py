"""Resuming a run, in order: which folder, which options may change, which text, what is restored and written first.

`commands.train` calls `parse_resume` and `plan_resume`, before the run starts. `commands.train_and_score` calls
`check_text` when the text is read, and `restore` when the model is built.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from seq2seq import checkpoint, config
from seq2seq.checkpoint import Checkpoint
from seq2seq.checkpoint.state import State
from seq2seq.commands.dataset_location import find_path, start_folders
from seq2seq.commands.fine_tuning import value_at
from seq2seq.config import Train
from seq2seq.runtime import distributed
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.resources import CONFIGS
from seq2seq.runtime.run_folder import RunFolder
from seq2seq.trained_model import trained_configuration
from seq2seq.training.optimizer import load_tensors
from seq2seq.training.run import Run

log = logging.getLogger(__name__)

LENGTH = ("training.epochs", "training.steps")
END = (*LENGTH, "training.patience")
"""Options that decide when a run ends."""

CHANGEABLE = (
    *END,
    "training.keep_best",
    "training.save_every",
    "training.log_every",
    "device.kind",
    "device.graphs",
    "device.threads",
)
"""Options that do not affect completed steps."""


# --- which folder -----------------------------------------------------------------------------------------------------


def parse_resume(arguments: Sequence[str]) -> tuple[Path, list[str]]:
    """FOLDER of `resume=FOLDER`, and the other options of the command line."""
    folders = [argument.partition("=")[2] for argument in arguments if argument.startswith("resume=")]
    if folders == [""] or len(folders) != 1:
        raise InputError("resume: give one run folder, resume=runs/NAME")
    options = [argument for argument in arguments if not argument.startswith("resume=")]
    if invalid := [option for option in options if option.startswith("-") or "=" not in option]:
        raise InputError(f"{invalid[0]}: with resume=FOLDER only KEY=VALUE is allowed, such as training.save_every=500")
    folder = Path(folders[0])
    is_run = RunFolder(folder).checkpoints.is_dir()  # any other folder may be as large as a disk
    files = folder.rglob("*") if is_run else []
    if links := sorted(path for path in files if path.is_symlink()):
        raise InputError(f"{links[0]} is a link, but a run writes to its own folder only: put the file itself there")
    return folder, options


def plan_resume(folder: Path, overrides: Mapping[str, Any]) -> tuple[Train, Checkpoint] | None:
    """The run's configuration with the overrides (by full key), and the checkpoint to resume from.

    None where the run is finished and no override changes when it ends. Raises InputError where there is no checkpoint,
    where the number of processes differs, and where an override would affect completed steps.
    """
    if (finished := RunFolder(folder).results.exists()) and not overrides:
        return None
    last = _load_last(folder)
    configuration = trained_configuration(last, folder)
    _check_current_folder(folder, configuration.dataset)
    changed = _apply_overrides(configuration, overrides)
    before, after = configuration.model_dump(), changed.model_dump()
    goes_on = any(value_at(before, key) != value_at(after, key) for key in END)
    return None if finished and not goes_on else (changed, last)


def _load_last(folder: Path) -> Checkpoint:
    """`checkpoints/last`, which must have been written by as many processes as there are now."""
    path = RunFolder(folder).last
    if path.is_file():
        raise InputError(f"resume={folder}: {path} is a file and no checkpoint: remove it")
    if not checkpoint.exists(path):
        raise InputError(f"resume={folder}: {_describe_missing(folder)}")
    try:
        last = checkpoint.load(path, training=True)
    except InputError as error:
        raise InputError(f"resume={folder}: {error}; what is in checkpoints/best can still be used") from None
    assert last.training is not None
    if (expected := last.training.state.processes) != (processes := distributed.world_size()):
        raise InputError(
            f"resume={folder}: the run was started with {expected} process(es) and needs as many; found {processes}"
        )
    return last


def _describe_missing(folder: Path) -> str:
    """What is wrong with a folder that has no `checkpoints/last`, and what to do."""
    for above in (folder / "..", folder / ".." / ".."):  # the folder may be a part of a run, such as checkpoints/best
        run = Path(os.path.normpath(above))
        if checkpoint.exists(RunFolder(run).last):
            return f"expected a run folder, not a part of one: resume={run}"
    if not folder.is_dir():
        return "no such folder; give a run folder, resume=runs/NAME"
    if not RunFolder(folder).hydra.is_dir():
        return "it is not a run folder; give one, resume=runs/NAME"
    return "it has no checkpoints/last to resume from; start the run again"


def _check_current_folder(folder: Path, dataset: config.Dataset) -> None:
    """Raises InputError where relative paths of the dataset do not lead to text from the current folder."""
    if isinstance(dataset, config.Grammar | config.HuggingFace):  # a name on the hub is in no folder
        return
    path = dataset.folder if isinstance(dataset, config.Multi30k) else dataset.paths_of("validation")[0]
    starts = start_folders(folder)
    if starts and not path.is_absolute() and find_path(path, dataset, []) is None:
        is_here = Path.cwd() in starts
        there = "where the run was started" if is_here else f"the run was started in {starts[-1]}: resume it there"
        raise InputError(
            f"resume={folder}: its text, {path}, is not in the current folder{', ' if is_here else '; '}{there}"
        )


# --- which options may change -----------------------------------------------------------------------------------------


def _apply_overrides(configuration: Train, overrides: Mapping[str, Any]) -> Train:
    """The configuration with the overrides. Raises InputError where one is not `CHANGEABLE` or shortens the run."""
    values = configuration.model_dump(mode="json")
    for given, value in overrides.items():
        key = "device.kind" if given == "device" else given  # all that the files of configs/device differ in
        if "." not in key and (CONFIGS / key).is_dir():
            raise InputError(f"{key}={value}: a resumed run keeps its configuration: leave {key} out")
        if key not in config.keys(Train) and not key.startswith("hydra."):
            raise InputError(f"{key}: no such option, {config.near(key, config.keys(Train))}")
        if value == (before := value_at(values, key)):
            continue
        if key not in CHANGEABLE:
            raise InputError(f"{key}: cannot change when a run is resumed; only {', '.join(CHANGEABLE)} can")
        if key in LENGTH:
            _check_longer(key, value, before, configuration.training)
        section, name = key.split(".")
        values[section][name] = value
    return config.load(Train, values)


def _check_longer(key: str, value: Any, before: int | None, options: config.Training) -> None:
    """Raises InputError where a new end of the run is before the old one, or would change what completed steps did."""
    if not isinstance(value, int | None):
        return  # which is no number, as the configuration will say
    if isinstance(value, int) and (before is None or value < before):
        end = "no such limit" if before is None else before
        raise InputError(f"{key}: found {value}, but the run was started with {end}, and a run can only become longer")
    if options.teacher_forcing.first != options.teacher_forcing.last:
        raise InputError(
            f"{key}: with training.teacher_forcing the shares of gold words in completed steps depend on it; only a "
            "run whose share does not change can become longer"
        )
    if options.decay in ("linear", "cosine"):
        raise InputError(
            f"{key}: with training.decay={options.decay} the learning rates of completed steps depend on it; only a "
            "run with training.decay=constant or inverse_sqrt can become longer"
        )


# --- which text -------------------------------------------------------------------------------------------------------


def check_text(fingerprints: Mapping[str, str], resumed: Checkpoint | None, folder: Path) -> None:
    """Raises InputError where the text of a split has changed since the run was started.

    `fingerprints` are those of the raw text of each split; older checkpoints have none.
    """
    recorded = resumed.training.state.splits if resumed is not None and resumed.training is not None else {}
    if changed := [name for name in recorded if recorded[name] != fingerprints.get(name)]:
        raise InputError(
            f"resume={folder}: the text has changed since this run was started (split: {', '.join(changed)}); put the "
            "old text back, or start another run"
        )


# --- what is restored, and what is written first ----------------------------------------------------------------------


def restore(run: Run, folder: Path, resumed: Checkpoint | None, fresh: State) -> Checkpoint:
    """Brings the run to the checkpoint that the loop starts from, and returns it.

    For a new run that is a checkpoint of step 0 with the state `fresh`, written now, so that there always is one.
    For a resumed run the weights, the optimiser and the random generators are restored. A changed configuration is
    written to `checkpoints/last` before `results.json` is removed: so an interruption in between loses neither.
    """
    if resumed is None:
        start = run.checkpoint(0, fresh, {})
        if distributed.is_rank0():
            checkpoint.store(start, RunFolder(folder).last)
        return start
    assert resumed.training is not None
    if resumed.training.state.text != fresh.text:
        raise InputError(f"resume={folder}: the text, or how it is prepared, has changed since this run was started")
    checkpoint.load_weights(run.model, resumed, folder)
    tensors = resumed.training.tensors
    if distributed.is_rank0() and resumed.training.state.standing.ranking:
        _check_best(resumed, folder)
    load_tensors(run.model, run.optimizer, tensors if run.average is None else run.average.restore(tensors))
    log.info("resumed after step %d", resumed.step)
    if resumed.step > 0:
        _warn_of_another_device(run.device, was_gpu="random.cuda" in tensors)
    configuration = run.configuration.model_dump(mode="json")
    if configuration != resumed.configuration:
        resumed = resumed._replace(configuration=configuration)
        if distributed.is_rank0():
            checkpoint.store(resumed, RunFolder(folder).last, keep=True)
            RunFolder(folder).results.unlink(missing_ok=True)
    return resumed


def _check_best(resumed: Checkpoint, folder: Path) -> None:
    """Raises InputError where `best` is damaged, before anything is changed; it is written again if it is the last."""
    checkpoint.keep_best(resumed, RunFolder(folder).checkpoints, check_files=True)
    try:
        checkpoint.load(RunFolder(folder).best)
    except InputError as error:
        again = f"put an intact copy in its place, or start a run with init={RunFolder(folder).last}"
        raise InputError(f"resume={folder}: {error}; {again}") from None


def _warn_of_another_device(device: torch.device, *, was_gpu: bool) -> None:
    """Logs a warning where a run changes between CPU and GPU: losses are rounded, and dropout drawn, in another way."""
    if device.type != ("cuda" if was_gpu else "cpu"):
        before, now = ("a GPU", "a CPU") if was_gpu else ("a CPU", "a GPU")
        log.warning("trained on %s so far and on %s from here on: results differ from those of one device", before, now)
