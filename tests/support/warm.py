"""The programs as a person starts them, in a tenth of the time: a process that has imported everything forks for each.

What runs is the program's own file, as `__main__`, in a process of its own. A validation draws one picture in place of
four, which take as long as twenty steps of training.
"""

import gc
import json
import os
import resource
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.programs import ROOT, snapshot

MIB = 2**20
SECONDS = 300
"""A program that takes longer is ended."""


class Ended(NamedTuple):
    """How a program ended, what it printed, and the most memory that one process had, in MiB."""

    status: int
    printed: bytes
    told: str
    peak: float


class Warm:
    """Starts programs. `memory` is what each may have in MiB beyond what Python and PyTorch take, which is `idle`."""

    def __init__(self, *, memory: int) -> None:
        self.memory = memory
        self.server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.idle = float(self._answer())

    def __call__(
        self,
        program: str,
        *arguments: str,
        folder: Path,
        given: bytes = b"",
        status: int | None = None,
        processes: int = 1,
    ) -> Ended:
        """Runs a program in a folder to its end, which must be the exit status where one is given.

        Several processes are those that torchrun would start; the exit status is the greatest of theirs.
        """
        assert self.server.stdin is not None
        with tempfile.TemporaryDirectory() as elsewhere:
            (Path(elsewhere) / "0").write_bytes(given)
            work: dict[str, Any] = {
                "program": program,
                "arguments": arguments,
                "folder": str(folder),
                "streams": elsewhere,
            }
            work |= {"memory": self.memory, "processes": processes}
            self.server.stdin.write(json.dumps(work).encode() + b"\n")
            self.server.stdin.flush()
            ended: dict[str, Any] = json.loads(self._answer())
            printed, told = ((Path(elsewhere) / number).read_bytes() for number in ("1", "2"))
        assert status in (None, ended["status"]), (ended["status"], told.decode())
        return Ended(ended["status"], printed, told.decode(), ended["peak"])

    def refused(self, program: str, *arguments: str, folder: Path) -> str:
        """The sentence, of a program that must leave the folder's files as they were and start no run folder."""
        before = snapshot(folder)
        ended = self(program, *arguments, folder=folder, given=b"Der Hund.\n", status=2)
        assert ended.printed == b""
        (line,) = ended.told.splitlines()
        assert snapshot(folder) == before
        assert line.startswith("error: ")
        return line

    def _answer(self) -> bytes:
        assert self.server.stdout is not None
        return self.server.stdout.readline()

    def close(self) -> None:
        """Ends the process that forks."""
        self.server.communicate()


def serve() -> None:
    """A line of JSON for each program to start, and one for how it ended."""
    import sacrebleu  # noqa: F401
    import torch
    import torch.utils.tensorboard

    import seq2seq.commands.compare
    import seq2seq.commands.evaluate
    import seq2seq.commands.scoring
    import seq2seq.commands.stream
    import seq2seq.commands.train
    import seq2seq.commands.train_and_score
    import seq2seq.commands.translate  # noqa: F401
    from seq2seq.training import validation

    pictures = validation.SAMPLES
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()  # no program looks through what was imported
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)
    for line in sys.stdin:
        work = json.loads(line)
        processes = work.pop("processes")
        validation.SAMPLES = 1 if processes == 1 else pictures  # torchrun may resume the run of several processes
        store = _store() if processes > 1 else None
        children = []
        for rank in range(processes):
            if (child := os.fork()) == 0:
                _run(**work, variables=_variables(store, rank, processes) if store else {})
            children.append(child)
        ends = [os.wait4(child, 0) for child in children]
        status = max((os.waitstatus_to_exitcode(status) for _, status, _ in ends), key=abs)  # negative: by a signal
        print(json.dumps({"status": status, "peak": max(used.ru_maxrss for *_, used in ends) / 1024}), flush=True)


def _store() -> Any:
    """The key-value store of several processes, which this process holds as torchrun does."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    return TCPStore("localhost", 0, is_master=True, wait_for_workers=False)


def _variables(store: Any, rank: int, processes: int) -> dict[str, str]:
    """What torchrun puts into the environment of one of several processes, as far as a program looks at it."""
    variables = {"MASTER_ADDR": store.host, "MASTER_PORT": str(store.port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    variables |= dict.fromkeys(("RANK", "LOCAL_RANK"), str(rank)) | {"TORCHELASTIC_RUN_ID": "warm"}
    return variables | dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), str(processes))


def _run(program: str, arguments: list[str], folder: str, streams: str, memory: int, variables: dict[str, str]) -> None:
    status = 0
    try:
        os.environ.update(variables)
        output = os.O_WRONLY | os.O_CREAT | os.O_APPEND  # of several processes
        for number, flags in enumerate((os.O_RDONLY, output, output)):
            os.dup2(os.open(f"{streams}/{number}", flags), number)
        os.chdir(folder)
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + memory * MIB
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        signal.alarm(SECONDS)
        path = str(ROOT / f"{program}.py")
        sys.argv, sys.path[0] = [path, *arguments], str(Path(path).parent)
        runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve()
