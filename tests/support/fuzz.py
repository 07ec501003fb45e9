"""Spoils what the readers read, again and again: `python -m tests.support.fuzz checkpoint --minutes 10`.

Whatever stands in a file, a reader gives what it holds or raises `InputError`: no other exception, no hang, no great
memory. `tests/test_fuzz.py` asks the same of a few examples. Where the process itself dies, the folder that it printed
holds the files that killed it.
"""

import argparse
import faulthandler
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, given, seed, settings

from seq2seq.runtime.errors import InputError
from tests.support.readers import READERS

SECONDS = 60
"""An example that takes longer ends the process, with a traceback."""
MEMORY = 2**29
"""So many bytes may be had beyond what the process has already."""
ROUND = 300
"""Examples between two looks at the clock."""


def fuzz(name: str, folder: Path, *, examples: int, start: int = 0) -> int:
    """Reads so many examples, each in an empty `folder`; how many of them were taken, not refused."""
    reader, taken = READERS[name], 0

    @seed(start)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(reader.examples())
    def ask(example: Any) -> None:
        nonlocal taken
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        with suppress(InputError):
            reader.read(example, folder)
            taken += 1
        faulthandler.cancel_dump_traceback_later()

    with _limited():
        ask()
    return taken


@contextmanager
def _limited() -> Iterator[None]:
    """Little memory beyond what there is."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, most))


def soak(name: str, folder: Path, *, minutes: float, start: int) -> str:
    """Reads examples for so long; what to say of it."""
    end, rounds, taken = time.monotonic() + 60 * minutes, 0, 0
    while time.monotonic() < end:
        taken += fuzz(name, folder, examples=ROUND, start=start + rounds)
        rounds += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"{name}: {rounds * ROUND:,} examples, {taken:,} of them taken, at most {peak:.0f} MiB, nothing found"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader", choices=sorted(READERS))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    options = parser.parse_args()
    torch.set_num_threads(1)
    place = Path(tempfile.mkdtemp()) / "example"
    print(f"{options.reader}, seed {options.seed}; the last example's files: {place}", flush=True)
    print(soak(options.reader, place, minutes=options.minutes, start=options.seed))
