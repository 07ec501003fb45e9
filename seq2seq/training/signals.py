"""SIGINT (Ctrl-C) and SIGTERM during training: the run ends after the current step, with a checkpoint.

A second signal ends it at once.
"""

import shlex
import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType

from seq2seq.runtime import distributed


class TrainingStopped(Exception):  # noqa: N818  # it is no error
    """A signal stopped training, and a checkpoint of the last step is saved. `number` is the number of the signal."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


class Interruption:
    """Stores the first signal while entered; `check` raises it after a step is saved.

    Only the main thread of a process can handle signals. In another thread, training is not interrupted.
    """

    number: int | None = None

    def __enter__(self) -> "Interruption":
        numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
        self.before = {number: signal.signal(number, self._remember) for number in numbers}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._restore_handlers()

    def _remember(self, number: int, _: FrameType | None) -> None:
        self.number = number
        self._restore_handlers()

    def _restore_handlers(self) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def requested_signal(self) -> int:
        """The number of a signal that any process of the run received, or 0. All processes must call it together."""
        return distributed.all_reduce_max(self.number or 0)

    def check(self, step: int, folder: Path) -> None:
        """Raises TrainingStopped if any process received a signal. Call it after the step is saved."""
        if number := self.requested_signal():
            name = signal.Signals(number).name
            raise TrainingStopped(number, f"stopped by {name} after step {step}: {resume_advice(folder)}")


def resume_advice(folder: Path) -> str:
    """How to resume the run in this folder, for the end of a message."""
    return f"to continue, run `{distributed.train_command()} resume={shlex.quote(str(folder))}`"
