"""How exactly training multiplies matrices. Everything else is float32; a search on a CPU can have 8-bit weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

PRECISIONS = ("auto", "float32", "int8")
"""`int8` is for search (`seq2seq/nn/int8.py`); training refuses it."""


@contextmanager
def products(precision: str, device: torch.device) -> Iterator[None]:
    """`auto`: factors are rounded where the device has matrix units for that, on a CPU with AMX to bfloat16, on a GPU
    to TF32. `float32`: nowhere.

    Weights, activations, gradients and the sums within a product are float32 in either case.
    """
    quick = precision == "auto" and _has_matrix_units(device)
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("medium" if quick else "highest")
    torch.backends.cudnn.allow_tf32 = quick  # of the GRUs, which follow a switch of their own
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def _has_matrix_units(device: torch.device) -> bool:
    return device.type == "cuda" or (device.type == "cpu" and torch.cpu._is_amx_tile_supported())
