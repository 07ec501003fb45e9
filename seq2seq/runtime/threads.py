"""Work side by side on the threads of a CPU."""

import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_WORKERS = 8
"""Python runs one thread at a time between operations of PyTorch, so more of them would wait for one another."""

SWITCH_INTERVAL = 1e-4
"""Seconds after which a waiting thread interrupts Python code. Python's 5e-3 is the time of many operations."""

_in_use = threading.Lock()


def map_in_threads(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """The result of each item, in order. PyTorch's threads are shared out among items that run side by side.

    For small operations this is faster than one item at a time with all threads in each operation. A caller that comes
    while another one uses the threads works alone, so that the number of threads is restored by whoever changed it.
    """
    threads = torch.get_num_threads()
    workers = min(threads, len(items), MOST_WORKERS)
    if workers < 2 or not _in_use.acquire(blocking=False):
        return [work(item) for item in items]
    interval = sys.getswitchinterval()
    torch.set_num_threads(threads // workers)  # threads that start now take this number
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(work, items))
    finally:
        sys.setswitchinterval(interval)
        torch.set_num_threads(threads)
        _in_use.release()
