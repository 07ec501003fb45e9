"""Replaces and loads checkpoints atomically.

A checkpoint is written to a folder beside its path, `.NAME.partial`, flushed to the disk, and renamed. The previous one
is parked as `.NAME.old` meanwhile. A reader that finds no intact checkpoint at the path takes one of these. So there is
an intact checkpoint at every instant, wherever the writer is interrupted. The one before `last` stays parked, in case
the disk damages `last`.
"""

import shutil
from contextlib import suppress
from pathlib import Path

from seq2seq.checkpoint.files import Checkpoint, log, read, write
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.files import sync_folder


def store(checkpoint: Checkpoint, path: Path, *, keep: bool = False) -> None:
    """Writes the checkpoint to `path`. The previous one stays parked if `keep`, else it is removed."""
    partial = _partial_path(path)
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


def _partial_path(path: Path) -> Path:
    """Where the next checkpoint of the path is written."""
    return path.parent / f".{path.name}.partial"


def _inode(path: Path) -> int | None:
    return path.stat().st_ino if path.exists() else None


def load(path: Path, *, training: bool = False) -> Checkpoint:
    """Reads the checkpoint at `path`, or one beside it where that is damaged; with the training state if `training`.

    Raises InputError where there is no checkpoint, where all are damaged, or where the format is unknown.
    """
    before = _inode(path)
    try:
        return read(path, training)
    except InputError as error:
        if _inode(path) != before:  # another process has replaced it meanwhile
            return load(path, training=training)
        for beside, name in ((parked_path(path), "before"), (_partial_path(path), "after")):
            with suppress(InputError):
                other = read(beside, training)
                log.warning("%s: took the one %s it, of step %d, instead", error, name, other.step)
                return other
        raise
