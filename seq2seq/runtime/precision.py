"""The precision of matrix products in training. All else is float32; a search on a CPU can have 8-bit weights."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
    for switch, value in zip(_SWITCHES, ("ieee", gpu, gpu), strict=True):
        switch.fp32_precision = value


@contextmanager
def restored_precision() -> Iterator[None]:
    """Restores PyTorch's settings at the end of the block."""
    before = [switch.fp32_precision for switch in _SWITCHES]
    try:
        yield
    finally:
        for switch, value in zip(_SWITCHES, before, strict=True):
            switch.fp32_precision = value


class _Exact:
    """How many threads are in `exact_products`; the settings belong to the process, and the last one restores them."""

    lock, threads, settings = threading.Lock(), 0, ExitStack()


@contextmanager
def exact_products() -> Iterator[None]:
    """PyTorch rounds no factor of a product in the block. Several threads may be in it at the same time."""
    with _Exact.lock:
        if _Exact.threads == 0:
            _Exact.settings.enter_context(restored_precision())
            set_precision("ieee")
        _Exact.threads += 1
    try:
        yield
    finally:
        with _Exact.lock:
            _Exact.threads -= 1
            if _Exact.threads == 0:
                _Exact.settings.close()
