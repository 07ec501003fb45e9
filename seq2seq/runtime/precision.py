"""The precision of matrix products in training. All else is float32; a search on a CPU can have 8-bit weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

PRECISIONS = ("auto", "float32", "int8")
"""`int8` is for search (`seq2seq/nn/int8.py`); training refuses it."""


@contextmanager
def products(precision: str, device: torch.device) -> Iterator[None]:
    """Sets the precision of matrix products in the block.

    `auto` rounds the factors to TF32 on a GPU, and nothing on a CPU. `float32` rounds nothing. Weights, activations,
    gradients and the sums within a product are float32 in both cases.
    """
    rounded = precision == "auto" and device.type == "cuda"
    matmul_precision, allow_tf32 = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if rounded else "highest")
    torch.backends.cudnn.allow_tf32 = rounded  # the switch for GRUs on a GPU
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(matmul_precision)
        torch.backends.cudnn.allow_tf32 = allow_tf32
