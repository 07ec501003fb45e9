"""Static and dynamic shapes: a GPU computes with static shapes, a CPU with dynamic ones. The results are the same.

A GPU works asynchronously, while Python starts further operations. If the shape of a result depends on values (the
tokens of a mask, packed sequences), Python has to wait for the GPU, and the operation cannot be part of a CUDA graph.
So on a GPU shapes do not depend on values: operations include padding, and a mask removes its results. On a CPU
operations leave padding out.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

_on_every_device = False


def has_static_shapes(tensor: Tensor) -> bool:
    """Whether operations on the tensor have static shapes: True on a GPU, and within `static_shapes`."""
    return tensor.is_cuda or _on_every_device


@contextmanager
def static_shapes() -> Iterator[None]:
    """Static shapes on every device in the `with` block, so that tests can run them on a CPU."""
    global _on_every_device
    previous, _on_every_device = _on_every_device, True
    try:
        yield
    finally:
        _on_every_device = previous
