"""Clocks and scales of `scripts/benchmark.py`: the machine, times side by side, matrix rates, memory of a process."""

import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, TypeVar

import torch

from seq2seq.runtime.cuda_graphs import EAGER_CALLS

Result = TypeVar("Result")

MOST_PRODUCTS = 1000
WARM_UPS = {"cpu": 1, "cuda": EAGER_CALLS + 1}
"""Calls before the clock starts. On a GPU the last of them records CUDA graphs."""


class Timing(NamedTuple):
    """Seconds of each repeat."""

    seconds: list[float]

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def spread(self) -> float:
        """From the fastest repeat to the slowest, as a percentage of the median."""
        return 100 * (max(self.seconds) - min(self.seconds)) / self.median

    def times(self, other: "Timing") -> float:
        """How many times as long as the other this takes: the median of what each round says."""
        return median(own / its for own, its in zip(self.seconds, other.seconds, strict=True))


def machine(device: torch.device) -> dict[str, Any]:
    """What the figures depend on. `load` is the average of the last minute, this program's own share left out."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    found: dict[str, Any] = {
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": cores,
        "threads": torch.get_num_threads(),
        "load average": round(load, 2),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "PyTorch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
    }
    if load + torch.get_num_threads() > cores + 0.5:
        found["warning"] = (
            f"load average {load:.1f} on {cores} cores before a thread of this program ran: figures will be too low, "
            "and two threads may be slower than one"
        )
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def synchronize(device: torch.device) -> None:
    """Waits for what a GPU still has to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def side_by_side(
    contenders: Mapping[str, Callable[[], object]], *, repeats: int, device: torch.device
) -> dict[str, Timing]:
    """Times of each, one repeat of every contender after the other, so that a busy machine slows them alike.

    Each runs `WARM_UPS` times before the clock does. The first of one round is the last of the next. What a round says
    of two of them is truer than what two medians say: see `Timing.times`.
    """
    names = list(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for run in contenders.values():
        for _ in range(WARM_UPS[device.type]):
            run()
    for _ in range(repeats):
        for name in names:
            synchronize(device)
            started = time.perf_counter()
            contenders[name]()
            synchronize(device)
            seconds[name].append(time.perf_counter() - started)
        names.append(names.pop(0))
    return {name: Timing(measured) for name, measured in seconds.items()}


def multiply(
    shape: tuple[int, int, int], *, dtype: torch.dtype, device: torch.device, operations: float
) -> tuple[Callable[[], None], float]:
    """Products of that shape, as many as take about so many operations, and how many operations those are.

    At most `MOST_PRODUCTS`: on a GPU a small product takes as long as its launch, however few operations it has.
    """
    rows, inner, columns = shape
    left = torch.randn(rows, inner, dtype=dtype, device=device)
    right = torch.randn(inner, columns, dtype=dtype, device=device)
    result = torch.empty(rows, columns, dtype=dtype, device=device)
    each = 2.0 * rows * inner * columns
    number = min(max(1, round(operations / each)), MOST_PRODUCTS)

    def run() -> None:
        for _ in range(number):
            torch.mm(left, right, out=result)

    return run, number * each


def busy_share(run: Callable[[], object], device: torch.device) -> float:
    """The percentage of the time in which a GPU computes."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        started = time.perf_counter()
        run()
        synchronize(device)
        seconds = time.perf_counter() - started
    return 100 * sum(event.self_device_time_total for event in profile.key_averages()) / 1e6 / seconds


def in_child(function: Callable[..., Result], *arguments: object) -> Result:
    """Calls it in a fresh process, whose memory nothing else has touched. The function must be a module's own."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as children:
        return children.submit(function, *arguments).result()


def pages_are_known() -> bool:
    """Only Linux says which pages of a process are resident."""
    return sys.platform == "linux"


def pages() -> dict[str, float]:
    """Megabytes of this process now: all resident pages, anonymous ones, and those of mapped files."""
    return {"resident": _status("VmRSS"), "anonymous": _status("RssAnon"), "file": _status("RssFile")}


def _status(field: str) -> float:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024 / 1e6


class Peak:
    """The greatest values of `pages` between entering and leaving: that of all pages as the kernel has kept it, the
    others as they are seen every few milliseconds."""

    def __enter__(self) -> "Peak":
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # VmHWM counts from here
        self.found = pages()
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look)
        self._watch.start()
        return self

    def _look(self) -> None:
        while not self._over.wait(0.002):
            self.found = {name: max(value, self.found[name]) for name, value in pages().items()}

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watch.join()
        self.found["resident"] = max(self.found["resident"], _status("VmHWM"))
