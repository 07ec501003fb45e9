"""Training in this process as fast as in a process of `tests/support/warm.py`."""

from collections.abc import Iterator
from contextlib import contextmanager

import jaxtyping
import pytest

from seq2seq.training import validation


@contextmanager
def unchecked() -> Iterator[None]:
    """Without the checks of shapes, which double the time of training, and with one picture for each validation.

    The checks stay on where a test asks about the model. A program that `start` starts draws four pictures.
    """
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(validation, "SAMPLES", 1)
            yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)
