"""Replaces and loads checkpoints atomically.

A checkpoint is written to a folder beside its path, flushed to the disk, and renamed. The previous one is parked as
`.NAME.old` meanwhile. A reader that finds no intact checkpoint at the path takes the parked one. So there is an intact
checkpoint at every instant, wherever the writer is interrupted. The one before `last` stays parked, in case the disk
damages `last`.
"""

import shutil
from pathlib import Path

from seq2seq.checkpoint.files import Checkpoint, log, read, write
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.files import sync_folder


def store(checkpoint: Checkpoint, path: Path, *, keep: bool = False) -> None:
    """Writes the checkpoint to `path`. The previous one stays parked if `keep`, else it is removed."""
    partial = path.with_name(f".{path.name}.partial")
    write(checkpoint, partial)
    parked = swap(partial, path)
    sync_folder(path.parent)
    if not keep:
        shutil.rmtree(parked, ignore_errors=True)


def swap(new: Path, path: Path) -> Path:
    """Renames the folder `new` to `path`. Returns where the previous folder is parked."""
    parked = parked_path(path)
    if path.exists():
        shutil.rmtree(parked, ignore_errors=True)
        path.rename(parked)
    new.rename(path)
    return parked


def exists(path: Path) -> bool:
    """Whether there is a checkpoint for `load`, intact or damaged: at the path or parked beside it."""
    return path.exists() or parked_path(path).exists()


def parked_path(path: Path) -> Path:
    """Where the checkpoint before the one at `path` is parked."""
    return path.parent / f".{path.name}.old"


def load(path: Path, *, training: bool = False) -> Checkpoint:
    """Reads the checkpoint at `path`, or the parked one where that is damaged; with the training state if `training`.

    Raises InputError where there is no checkpoint, where both are damaged, or where the format is unknown.
    """
    try:
        return read(path, training)
    except InputError as error:
        parked = parked_path(path)
        if not parked.is_dir():
            raise
        try:
            previous = read(parked, training)
        except InputError:
            raise error from None
        log.warning("%s: took the one before it, of step %d, instead", error, previous.step)
        return previous
