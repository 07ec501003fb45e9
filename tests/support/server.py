"""`seq2seq serve` as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.programs import ROOT


class Process:
    """The process, and the address that it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.line = process.stdout.readline()
        self.url = self.line.partition(" ")[0]

    def end(self, number: int) -> tuple[int, str]:
        """Sends a signal, as a terminal does, to its processes. The exit status, and what they wrote as errors."""
        os.killpg(self.process.pid, number)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


COMMAND = (sys.executable, "-m", "seq2seq")


@contextmanager
def server(
    *arguments: str,
    folder: Path,
    threads: int = 1,
    command: Sequence[str] = COMMAND,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Process]:
    """Starts a server on a free port, in a folder. It is killed at the end if it still runs."""
    process = subprocess.Popen(
        [*command, "serve", *arguments, "port=0", "device=cpu", f"device.threads={threads}"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield Process(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
