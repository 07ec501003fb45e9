"""The device, the number of threads, and settings of the memory allocator."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from seq2seq.runtime import distributed
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.precision import exact_products, set_precision

THREADS = torch.get_num_threads()
"""PyTorch's default."""

_SMALLEST = sys.float_info.min
"""The smallest positive number that is not denormal."""


def choose_device(kind: str) -> torch.device:
    """The device of a kind for a program. On a GPU it becomes the current device, with a stream of its own.

    Each process on a machine uses its own GPU. Raises what `device_of_kind` raises, and InputError if there are fewer
    GPUs than processes.
    """
    device = device_of_kind(kind)
    if device.type == "cuda":
        _select_gpu(*distributed.local_rank())
    return device


DEVICES = ("auto", "cpu", "cuda")
"""The kinds of devices."""


def device_of_kind(kind: str) -> torch.device:
    """The device of a kind: `auto` is a GPU if there is one, else the CPU. Raises InputError if there is no GPU."""
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError("device=cuda: PyTorch finds no GPU on this machine; use device=cpu or device=auto")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(kind)


def _select_gpu(rank: int, processes: int) -> None:
    """Makes the GPU with the number of this process its current device."""
    if processes > (gpus := torch.cuda.device_count()):
        raise InputError(
            f"{processes} processes on this machine and {gpus} GPU{'s' * (gpus > 1)}: start {gpus} with "
            f"--nproc_per_node={gpus}, or use device=cpu"
        )
    torch.cuda.set_device(rank)
    torch.cuda.set_stream(torch.cuda.Stream())  # CUDA graphs cannot be recorded from the default stream


def set_up_device(threads: int | None, *, deterministic: bool = False) -> None:
    """Sets the number of threads (None: PyTorch's default) and the memory allocator. Call it before the first tensor.

    `deterministic` restricts a GPU to algorithms that give the same numbers each time; on a CPU all do.
    """
    if threads is not None or torch.get_num_threads() != THREADS:  # an earlier run of this process may have changed it
        torch.set_num_threads(threads or THREADS)
    _keep_freed_memory()
    # A saturated softmax gives many denormal numbers (below 1e-38), which are a hundred times as slow to compute with.
    torch.set_flush_denormal(True)
    set_precision("ieee")  # PyTorch's default for GRUs on a GPU is tf32
    if torch.cuda.is_available():
        if deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it is first used
        torch.use_deterministic_algorithms(deterministic)
        # No code here reads uninitialised memory, so there is no need to fill it.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


@contextmanager
def restored_settings() -> Iterator[None]:
    """Restores the settings that `set_up_device` and training change, except those of the memory allocator.

    They belong to the process, or to the thread, of whoever calls the library.
    """
    threads, generator = torch.get_num_threads(), torch.get_rng_state()
    generators_of_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    deterministic = torch.get_deterministic_debug_mode()
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    stream = torch.cuda.current_stream() if torch.cuda.is_initialized() else None
    with arithmetic_of_programs():
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_deterministic_debug_mode(deterministic)
            torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
            torch.set_rng_state(generator)
            torch.cuda.set_rng_state_all(generators_of_gpus)
            if torch.cuda.is_initialized():
                torch.cuda.set_stream(stream or torch.cuda.default_stream())


@contextmanager
def arithmetic_of_programs() -> Iterator[None]:
    """Numbers in the block are those of the programs: denormal numbers become 0, and no product is rounded."""
    with flushed_denormals(), exact_products():
        yield


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Sets denormal numbers to 0 in this thread while the block runs (see `set_up_device`)."""
    before = _SMALLEST / 2 == 0  # PyTorch sets this mode of the processor, but does not tell it
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def _keep_freed_memory() -> None:
    """Tells glibc to keep freed memory in the process, so that each step reuses the same pages.

    By default glibc returns every large buffer to the kernel, and the next step needs new pages, which the kernel fills
    with zeros; page faults are slow on virtual machines. The options are M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_MAX of
    malloc.h.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # absent from other C libraries
        if mallopt is not None:
            for option, value in ((-1, 2**31 - 1), (-2, 64 * 2**20), (-4, 0)):
                mallopt(option, value)
