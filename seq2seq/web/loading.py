"""The models of a server, loaded and named."""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import torch

from seq2seq import config
from seq2seq.runtime.device import device_of_kind, set_up_device
from seq2seq.runtime.errors import InputError
from seq2seq.trained_model import checkpoint_folder, load_trained_model
from seq2seq.web.batching import Workers
from seq2seq.web.inference import ModelInference
from seq2seq.web.models import ServedModel
from seq2seq.web.processes import MOST_PROCESSES, RemoteInference, WorkerProcesses


@contextmanager
def loaded_models(options: config.Serve) -> Iterator[dict[str, ServedModel]]:
    """The models of the checkpoints, by name, while the block runs. Raises what `load_trained_model` raises.

    On a CPU with several threads there are worker processes, each with one thread; then the process of the server does
    not compute. Batches on a GPU would wait for one another.
    """
    folders = [checkpoint_folder(path) for path in options.checkpoints]
    names = model_names(folders)
    set_up_device(options.device.threads)
    is_cpu = device_of_kind(options.device.kind).type == "cpu"
    number = min(torch.get_num_threads(), MOST_PROCESSES) if is_cpu else 1
    with closing(WorkerProcesses(number if number > 1 else 0)) as processes:
        models = {
            name: (load_trained_model(folder, device=options.device, search=options.search), folder)
            for name, folder in zip(names, folders, strict=True)
        }
        for name, (trained, _) in models.items():
            check_search(name, trained.search)
        torch.set_num_threads(1)  # operations on small batches are too short for several threads
        if number > 1:
            processes.load(models)
        workers = Workers(number)
        yield {
            name: ServedModel(
                name,
                trained,
                RemoteInference(name, processes) if number > 1 else ModelInference(name, trained, folder),
                workers,
            )
            for name, (trained, folder) in models.items()
        }


def check_search(name: str, search: config.Search) -> None:
    """Raises InputError for a search without the tree that the page shows."""
    for key, value, only in (
        ("method", search.method, "beam"),
        ("rank_by", search.rank_by, "score"),
        ("groups", search.groups, 1),
    ):
        if value != only:
            raise InputError(
                f"search.{key}={value}, of the model {name}: a server shows the tree of one beam search; give "
                f"search.{key}={only}"
            )


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
