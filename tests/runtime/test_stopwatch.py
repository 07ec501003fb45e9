"""Parts add up to the whole, and a part inside another counts for itself alone."""

import pytest

from seq2seq.runtime import stopwatch
from seq2seq.runtime.stopwatch import Stopwatch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which the test sets."""
    now = [100.0]
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: now[0])
    return now


def test_seconds_by_part(clock: list[float]) -> None:
    watch = Stopwatch()
    clock[0] += 1
    for _ in range(2):
        with watch.part("training"):
            clock[0] += 10
            with watch.part("validation"):
                clock[0] += 3
            clock[0] += 5
    clock[0] += 0.5
    assert watch.summary() == "37.5 s in all: training 30.0, validation 6.0, other 1.5"


def test_a_part_that_fails_is_counted(clock: list[float]) -> None:
    watch = Stopwatch()

    def fail() -> None:
        with watch.part("training"):
            clock[0] += 2
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    clock[0] += 1
    assert watch.summary() == "3.0 s in all: training 2.0, other 1.0"
