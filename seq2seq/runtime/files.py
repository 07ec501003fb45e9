"""Atomic writing: a reader sees the whole file or none."""

import errno
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder, which is flushed to the disk and renamed to `path` at the end.

    If writing fails, the temporary file is deleted, and the OSError names `path`.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.unlink(missing_ok=True)  # a symbolic link of this name would redirect the writing
        yield partial
        with partial.open("r+b") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise named_error(error, path) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder beside `path`, which is renamed to `path` at the end of the block.

    If the block fails, the temporary folder is deleted, and an OSError names `path`.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.rename(path)
    except OSError as error:
        raise named_error(error, path) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def named_error(error: OSError, path: Path) -> OSError:
    """The error with the path as its file. That of a full disk names no file, and NumPy's has no number either."""
    return OSError(error.errno or errno.ENOSPC, error.strerror or f"{error}: is the disk full?", str(path))


def write_text(path: Path, text: str) -> None:
    """Writes a file in UTF-8, atomically."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Writes the values as JSON, atomically. NaN and infinity become null."""
    write_text(path, json.dumps(_finite(values), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def sync_folder(folder: Path) -> None:
    """Writes the entries of a folder to the disk (fsync), so that renamed files survive a power failure."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
