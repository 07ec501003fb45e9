"""What SIGINT (Ctrl-C) and SIGTERM do to training: the step is finished and saved; a second one stops at once."""

import shlex
import signal
from pathlib import Path
from types import FrameType, TracebackType

from seq2seq.runtime import distributed


class Stopped(Exception):  # noqa: N818  # nothing went wrong
    """Training was asked to stop, and everything is saved. `number` is the signal's."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


class Interruption:
    """While entered, remembers the first signal; `check` tells it when it suits."""

    number: int | None = None

    def __enter__(self) -> "Interruption":
        self.before = {number: signal.signal(number, self._remember) for number in (signal.SIGINT, signal.SIGTERM)}
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

    def asked(self) -> int:
        """The number of the signal that any process got, or 0."""
        return distributed.greatest(self.number or 0)

    def check(self, step: int, folder: Path) -> None:
        """Raises Stopped where there was a signal. Call it when the step is saved."""
        if number := self.asked():
            name = signal.Signals(number).name
            raise Stopped(number, f"stopped by {name} after step {step}: {how_to_go_on(folder)}")


def how_to_go_on(folder: Path) -> str:
    """What to type."""
    return f"`{distributed.launcher()} train.py resume={shlex.quote(str(folder))}` goes on"
