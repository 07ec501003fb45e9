"""Errors of memory in a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from seq2seq.runtime.errors import InputError


@contextmanager
def memory_or(sentence: str) -> Iterator[None]:
    """Raises InputError with the sentence where there is no memory, on a CPU or a GPU."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        known = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not known and "allocate memory" not in str(error):  # what a CPU's allocator says
            raise
        raise InputError(sentence) from error
