"""Lack of memory as an error that a user can correct."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from seq2seq.runtime.errors import InputError


@contextmanager
def memory_or(sentence: str) -> Iterator[None]:
    """Raises InputError with the sentence if the block runs out of memory, on the CPU or a GPU."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        # On the CPU the error is a plain RuntimeError that says "can't allocate memory".
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "allocate memory" not in str(error):
            raise
        raise InputError(sentence) from error
