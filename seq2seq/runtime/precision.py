"""The precision of matrix products in training. All else is float32; a search on a CPU can have 8-bit weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

PRECISIONS = ("auto", "float32", "bfloat16", "int8")
"""`bfloat16` is for training on a CPU, `int8` for search on a CPU (`seq2seq/nn/int8.py`)."""

_rounds_factors = ContextVar("rounds_factors", default=False)  # other threads may translate meanwhile


def rounds_factors() -> bool:
    """Whether products round their factors to bfloat16 (`seq2seq/runtime/products.py`)."""
    return _rounds_factors.get()


@contextmanager
def products(precision: str, device: torch.device) -> Iterator[None]:
    """Sets the precision of matrix products in the block.

    `auto` rounds the factors to TF32 on a GPU, and nothing on a CPU. `float32` rounds nothing. `bfloat16` rounds the
    factors of `seq2seq/runtime/products.py`. Weights, activations, gradients and the sums within a product are float32.
    """
    rounded = precision == "auto" and device.type == "cuda"
    token = _rounds_factors.set(precision == "bfloat16")
    matmul_precision, allow_tf32 = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if rounded else "highest")
    torch.backends.cudnn.allow_tf32 = rounded  # the switch for GRUs on a GPU
    try:
        yield
    finally:
        _rounds_factors.reset(token)
        torch.set_float32_matmul_precision(matmul_precision)
        torch.backends.cudnn.allow_tf32 = allow_tf32
