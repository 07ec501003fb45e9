"""The precision of matrix products in training. All else is float32; a search on a CPU can have 8-bit weights."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch

PRECISIONS = ("auto", "float32", "bfloat16", "int8")
"""`bfloat16` is for training on a CPU, `int8` for search on a CPU (`seq2seq/nn/int8.py`)."""

_SWITCHES = (
    torch.backends.mkldnn.matmul,  # type: ignore[attr-defined]
    torch.backends.cuda.matmul,
    torch.backends.cudnn.rnn,
)
"""PyTorch's settings for matrix products on a CPU, the same on a GPU, and GRUs and LSTMs on a GPU.

Their older forms, such as `torch.backends.cudnn.allow_tf32`, cannot be read once one of these was set.
"""

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
    token = _rounds_factors.set(precision == "bfloat16")
    try:
        with restored_precision():
            set_precision("tf32" if precision == "auto" and device.type == "cuda" else "ieee")
            yield
    finally:
        _rounds_factors.reset(token)


def set_precision(gpu: str) -> None:
    """Sets what PyTorch rounds factors to on a GPU, `tf32` or, for no rounding, `ieee`. On a CPU it rounds nothing."""
    _set(["ieee", gpu, gpu])


@contextmanager
def restored_precision() -> Iterator[None]:
    """Restores PyTorch's settings at the end of the block. Blocks of several threads must not overlap."""
    before = _values()
    try:
        yield
    finally:
        _set(before)


def _values() -> list[str]:
    return [switch.fp32_precision for switch in _SWITCHES]


def _set(values: Sequence[str]) -> None:
    for switch, value in zip(_SWITCHES, values, strict=True):
        switch.fp32_precision = value


class _Caller:
    """The caller's settings, and the number of `exact_products` that are open, in any thread."""

    lock, blocks, settings = threading.Lock(), 0, list[str]()


@contextmanager
def exact_products() -> Iterator[None]:
    """PyTorch rounds no factor of a product in the block, except for `products`.

    The settings belong to the process. Blocks of several threads may overlap: the last one that ends restores the
    settings that the first one found.
    """
    with _Caller.lock:
        if _Caller.blocks == 0:
            _Caller.settings = _values()
            set_precision("ieee")
        _Caller.blocks += 1
    try:
        yield
    finally:
        with _Caller.lock:
            _Caller.blocks -= 1
            if _Caller.blocks == 0:
                _set(_Caller.settings)
