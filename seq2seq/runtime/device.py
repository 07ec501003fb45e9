"""Where the numbers are computed: which device, how many threads, what keeps the memory warm."""

import ctypes
import os
import sys

import torch

from seq2seq.runtime import distributed
from seq2seq.runtime.errors import InputError

THREADS = torch.get_num_threads()
"""PyTorch's own choice."""


def choose_device(kind: str) -> torch.device:
    """`auto` is a GPU where there is one, else the CPU; `cuda` without a GPU is an InputError.

    Several processes on a machine take one GPU each; InputError where these are too few.
    """
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError("device=cuda: PyTorch finds no GPU on this machine; use device=cpu or device=auto")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cuda":
        _take_one(*distributed.local_rank())
    return torch.device(kind)


def _take_one(rank: int, processes: int) -> None:
    """Makes the GPU of this process its current one."""
    if processes > (found := torch.cuda.device_count()):
        raise InputError(
            f"{processes} processes on this machine and {found} GPU{'s' * (found > 1)}: start as many with "
            f"--nproc_per_node={found}, or use device=cpu"
        )
    torch.cuda.set_device(rank)
    torch.cuda.set_stream(torch.cuda.Stream())  # CUDA graphs cannot be recorded from the default stream


def set_up_device(threads: int | None, *, deterministic: bool = False) -> None:
    """Before a run's first tensor: the number of threads (None: PyTorch's own choice), and the memory.

    `deterministic` keeps a GPU to algorithms that give the same numbers each time; those of a CPU all do.
    """
    if threads is not None or torch.get_num_threads() != THREADS:  # which a run before this one may have changed
        torch.set_num_threads(threads or THREADS)
    _keep_freed_memory()
    # A saturated softmax gives many numbers under 1e-38, and processors take a hundred times as long for one of these.
    torch.set_flush_denormal(True)
    torch.backends.cudnn.allow_tf32 = False  # PyTorch's choice for a GPU's GRUs; see seq2seq.precision
    if torch.cuda.is_available():
        if deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it is first used
        torch.use_deterministic_algorithms(deterministic)
        # We read nothing that we have not written.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _keep_freed_memory() -> None:
    """Tells glibc to keep freed memory in the process, so that each step writes to pages that are there already.

    By default glibc gives every large buffer back to the kernel, which zeroes it anew at the next step; page faults
    are dear on virtual machines. The constants are M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_MAX of malloc.h.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # absent from other C libraries
        if mallopt is not None:
            for option, value in ((-1, 2**31 - 1), (-2, 64 * 2**20), (-4, 0)):
                mallopt(option, value)
