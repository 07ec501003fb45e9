"""Stores and loads a checkpoint at a path: written to a neighbouring folder, flushed, and renamed."""

import shutil
from pathlib import Path

from seq2seq.checkpoint.files import Checkpoint, log, read, write
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.files import sync_folder


def store(checkpoint: Checkpoint, path: Path, *, keep: bool = False) -> None:
    """Writes the checkpoint and puts it in the place of the one that stood there, which stays parked if `keep`."""
    partial = path.with_name(f".{path.name}.partial")
    write(checkpoint, partial)
    parked = swap(partial, path)
    sync_folder(path.parent)
    if not keep:
        shutil.rmtree(parked, ignore_errors=True)


def swap(new: Path, path: Path) -> Path:
    """Renames the folder `new` to `path`; where what stood there is parked."""
    parked = parked_path(path)
    if path.exists():
        shutil.rmtree(parked, ignore_errors=True)
        path.rename(parked)
    new.rename(path)
    return parked


def exists(path: Path) -> bool:
    """Whether there is a checkpoint for `load`, whole or not: in the place, or parked beside it."""
    return path.exists() or parked_path(path).exists()


def parked_path(path: Path) -> Path:
    return path.parent / f".{path.name}.old"


def load(path: Path, *, training: bool = False) -> Checkpoint:
    """Reads a checkpoint, with what training needs if `training`.

    Raises InputError where the folder is none, is damaged, or is of another format.
    """
    try:
        return read(path, training)
    except InputError as error:
        parked = parked_path(path)
        if not parked.is_dir():
            raise
        try:
            found = read(parked, training)
        except InputError:
            raise error from None
        log.warning("%s: took the one before it, of step %d, instead", error, found.step)
        return found
