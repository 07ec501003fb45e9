"""Two forms of the same arithmetic: for a CPU, and for a GPU, which nobody may wait for.

A GPU computes while Python is already further on. An operation whose result has a shape that depends on values (the
tokens of a mask, packed sequences) makes Python wait, and cannot be part of a CUDA graph. So a GPU works on padding as
well, whose results are masked; a CPU leaves padding out.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

_on_every_device = False


def has_static_shapes(tensor: Tensor) -> bool:
    """Whether operations on the tensor take the form for a GPU."""
    return tensor.is_cuda or _on_every_device


@contextmanager
def static_shapes() -> Iterator[None]:
    """The form for a GPU on every device, so that a machine without a GPU can test it."""
    global _on_every_device
    before, _on_every_device = _on_every_device, True
    try:
        yield
    finally:
        _on_every_device = before
