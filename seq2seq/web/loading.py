"""The models of a server, loaded and named."""

import os
from collections.abc import Sequence
from pathlib import Path

from seq2seq import config
from seq2seq.library.loading import checkpoint_folder
from seq2seq.runtime.errors import InputError
from seq2seq.trained_model import load_trained_model
from seq2seq.web.models import ServedModel


def load_models(options: config.Serve) -> dict[str, ServedModel]:
    """The models of the checkpoints, by name. Raises what `load_trained_model` raises."""
    paths = options.checkpoint if isinstance(options.checkpoint, tuple) else (options.checkpoint,)
    folders = [checkpoint_folder(path) for path in paths]
    models = {}
    for name, folder in zip(model_names(folders), folders, strict=True):
        trained = load_trained_model(folder, device=options.device, search=options.search)
        models[name] = ServedModel(name, trained, folder)
    return models


def model_names(folders: Sequence[Path]) -> list[str]:
    """A name for each checkpoint: that of its run, with as many names before it as make the names differ.

    Checkpoints of the same run have their own names at the end. Raises InputError where one is given twice.
    """
    resolved = [folder.resolve() for folder in folders]
    for i, folder in enumerate(resolved):
        if folder in resolved[:i]:
            raise InputError(f"checkpoint: {folders[i]} is given twice")
    runs = [folder.parent.parent if folder.parent.name == "checkpoints" else folder for folder in resolved]
    ends = [
        folder.relative_to(run).name if runs.count(run) > 1 else "" for folder, run in zip(resolved, runs, strict=True)
    ]
    for depth in range(1, max(len(run.parts) for run in runs) + 1):
        names = [_readable(Path(*run.parts[-depth:], end)) for run, end in zip(runs, ends, strict=True)]
        if len(set(names)) == len(names):
            return names
    raise InputError("checkpoint: two paths have the same name once it is written as text; rename one of them")


def _readable(path: Path) -> str:
    return os.fsencode(path.as_posix()).decode(errors="backslashreplace")
