"""A lock on a run folder, so that only one process trains in it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from seq2seq.runtime.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder, if it exists. Raises InputError if another process holds it.

    The operating system releases the lock when the process ends, even after a crash.
    """
    if fcntl is None or not folder.is_dir():
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems have no locks
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"{folder}: another process is training in it") from None
        yield
    finally:
        os.close(descriptor)
