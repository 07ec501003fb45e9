"""How long each part of a run takes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Seconds by part. The time of a part inside another is not part of the outer one's."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._parts = ["other"]
        self._since = time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """The body of the `with` statement is this part. Parts of the same name are added up."""
        self._add()
        self._parts.append(name)
        try:
            yield
        finally:
            self._add()
            self._parts.pop()

    def _add(self) -> None:
        now = time.perf_counter()
        self.seconds[self._parts[-1]] = self.seconds.get(self._parts[-1], 0.0) + now - self._since
        self._since = now

    def summary(self) -> str:
        """Such as `12.4 s in all: training 10.1, validation 2.0, other 0.3`, in the order in which parts began."""
        self._add()
        parts = [(name, seconds) for name, seconds in self.seconds.items() if name != "other"]
        parts.append(("other", self.seconds["other"]))
        listed = ", ".join(f"{name} {seconds:.1f}" for name, seconds in parts)
        return f"{sum(self.seconds.values()):.1f} s in all: {listed}"
