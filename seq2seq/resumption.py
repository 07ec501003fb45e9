"""What a run goes on with: its last checkpoint, and the configuration that it began with, but for a few options."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seq2seq import build, checkpoint, config, distributed
from seq2seq.checkpoint import Checkpoint
from seq2seq.config import Train
from seq2seq.errors import InputError

LENGTH = ("training.epochs", "training.steps")
FREE = (*LENGTH, "training.patience", "training.keep_best", "training.save_every", "training.log_every")
"""Options that leave what a run has done as it is."""


def to_resume(folder: Path, options: Mapping[str, Any]) -> tuple[Train, Checkpoint] | None:
    """Where the run in the folder goes on, and its configuration with these options (by full key).

    None where it is finished, and no option changes that. Raises InputError where there is nothing, where the run has
    another number of processes, or where an option would change what is done already.
    """
    if (finished := (folder / "results.json").exists()) and not options:
        return None
    last = folder / "checkpoints" / "last"
    if not checkpoint.exists(last):
        raise InputError(f"resume={folder}: {_instead(folder)}")
    try:
        found = checkpoint.load(last, training=True)
    except InputError as error:
        raise InputError(f"resume={folder}: {error}; what is in checkpoints/best can still be used") from None
    assert found.training is not None
    if (wanted := found.training.state.processes) != (here := distributed.processes()):
        raise InputError(
            f"resume={folder}: the run began with {wanted} process(es) and goes on with as many; found {here}"
        )
    begun = build.configuration(found, folder)
    configuration = _with_options(begun, options)
    return None if finished and configuration == begun else (configuration, found)


def _instead(folder: Path) -> str:
    """What to do where the folder holds no run: it may lie within one, as `runs/NAME/checkpoints/best` does."""
    for above in (folder / "..", folder / ".." / ".."):
        run = Path(os.path.normpath(above))
        if checkpoint.exists(run / "checkpoints" / "last"):
            return f"expected a run folder, not a part of one: resume={run}"
    if not folder.is_dir():
        return "no such folder; give a run folder, resume=runs/NAME"
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
