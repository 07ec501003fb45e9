"""SIGINT (Ctrl-C) and SIGTERM during training: the step is finished and saved; a second signal stops at once."""

import shlex
import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType

from seq2seq.runtime import distributed


class TrainingStopped(Exception):  # noqa: N818  # nothing went wrong
    """Training was asked to stop, and everything is saved. `number` is the signal's."""

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
        self._put_back()

    def _remember(self, number: int, _: FrameType | None) -> None:
        self.number = number
        self._put_back()

    def _put_back(self) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def requested_signal(self) -> int:
        """The number of the signal that any process got, or 0."""
        return distributed.all_reduce_max(self.number or 0)

    def check(self, step: int, folder: Path) -> None:
        """Raises Stopped where there was a signal. Call it when the step is saved."""
        if number := self.requested_signal():
            name = signal.Signals(number).name
            raise TrainingStopped(number, f"stopped by {name} after step {step}: {resume_advice(folder)}")


def resume_advice(folder: Path) -> str:
    """What to type."""
    return f"`{distributed.train_command()} resume={shlex.quote(str(folder))}` goes on"
