"""The models of a server, loaded and named."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from seq2seq import config
from seq2seq.runtime.errors import InputError
from seq2seq.trained_model import checkpoint_folder, load_trained_model
from seq2seq.web.batching import Workers
from seq2seq.web.models import ServedModel


def load_models(options: config.Serve) -> dict[str, ServedModel]:
    """The models of the checkpoints, by name. Raises what `load_trained_model` raises."""
    paths = options.checkpoint if isinstance(options.checkpoint, tuple) else (options.checkpoint,)
    folders = [checkpoint_folder(path) for path in paths]
    names = model_names(folders)
    trained = [load_trained_model(folder, device=options.device, search=options.search) for folder in folders]
    workers = Workers(worker_threads(trained[0].device))
    return {
        name: ServedModel(name, model, folder, workers)
        for name, model, folder in zip(names, trained, folders, strict=True)
    }


def worker_threads(device: torch.device) -> int:
    """The number of threads that compute batches; from now on each operation of PyTorch runs on one thread.

    Operations on small batches are too short for several threads, which would wait for one another. On a GPU there is
    one thread, since batches would wait for one another there.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    return threads if device.type == "cpu" else 1


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
