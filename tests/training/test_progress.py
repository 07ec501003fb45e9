"""Lines of the log: sums divided once, the same ones whoever added them up, and nothing of steps that were skipped."""

import math
from collections.abc import Mapping

import pytest
import torch

from seq2seq.checkpoint.state import Counts, Sums
from seq2seq.training.objective import StepLoss
from seq2seq.training.progress import Progress
from seq2seq.training.step import Update

Point = tuple[int, dict[str, float]]


def update(step: int, *, finite: bool = True) -> Update:
    loss = torch.tensor(0.1 * step if finite else math.nan)
    return Update(
        step,
        StepLoss(loss, 2 * loss, 3 * loss),
        3 * step,
        2 * step,
        step,
        11,
        torch.tensor(0.7),
        0.01,
        torch.tensor(finite),
    )


def lines(updates: list[Update], *, every: int, cut: int = 0) -> tuple[list[Point], Counts]:
    """The points of the curves; another process takes over after `cut` steps."""
    points: list[Point] = []

    def scalars(values: Mapping[str, float], step: int) -> None:
        points.append((step, {name: value for name, value in values.items() if "second" not in name}))

    counts = Counts()
    for part in (updates[:cut], updates[cut:]):
        step = part[0].step - 1 if part else 0
        with Progress(scalars, total=9, steps_per_epoch=4, step=step, counts=counts, threads=1) as progress:
            for each in part:
                progress.add(each)
                if each.step % every == 0:
                    progress.write_line(learning_rate=each.learning_rate, gradient_norm=each.gradient_norm)
            progress.pause()
            counts = Counts.model_validate_json(progress.counts().model_dump_json())
    return points, counts


def test_a_line_has_sums_over_sums() -> None:
    points, counts = lines([update(step) for step in (1, 2, 3, 4, 5)], every=4)
    ((step, values),) = points
    assert step == 4
    assert values["train/loss"] == pytest.approx(0.1 * 10 / 30)
    assert values["train/guide"] == pytest.approx(3 * 0.1 * 10 / 20)
    assert values["train/padding"] == pytest.approx(10 / 44)
    assert (counts.tokens, counts.since.tokens) == (30, 15)


@pytest.mark.parametrize("cut", range(1, 9))
def test_another_process_takes_over_to_the_bit(cut: int) -> None:
    updates = [update(step, finite=step not in (2, 5, 6)) for step in range(1, 10)]
    points, counts = lines(updates, every=3)
    other_points, other = lines(updates, every=3, cut=cut)
    assert other_points == points
    assert (other.tokens, other.skipped, other.skipped_in_a_row) == (counts.tokens, 3, 0)
    assert other.seconds > 0


@pytest.mark.parametrize("most", [1, 2, 4])
def test_sums_are_the_same_however_many_steps_are_pending(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    updates = [update(step, finite=step not in (2, 5, 6)) for step in range(1, 10)]
    expected, wanted = lines(updates, every=7)
    monkeypatch.setattr("seq2seq.training.progress.MAX_PENDING", most)
    points, counts = lines(updates, every=7)
    assert points == expected
    assert counts.since.model_copy(update={"seconds": 0.0}) == wanted.since.model_copy(update={"seconds": 0.0})
    assert (counts.skipped, counts.skipped_in_a_row) == (3, 0)


def test_adding_a_step_reads_no_tensor() -> None:
    """A tensor on the device "meta" has no value, so reading it is an error."""
    pending = update(1)
    moved = StepLoss(*(value.to("meta") for value in pending.loss))
    with Progress(lambda *_: None, total=9, steps_per_epoch=4, step=0, counts=Counts(), threads=0) as progress:
        progress.add(pending._replace(loss=moved, finite=pending.finite.to("meta")))
        with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
            progress.counts()


def test_skipped_steps_are_counted_and_add_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    points, counts = lines([update(step, finite=step == 1) for step in (1, 2, 3)], every=3)
    assert points[0][1]["train/loss"] == pytest.approx(0.1 / 3)
    assert (counts.tokens, counts.skipped, counts.skipped_in_a_row) == (3, 2, 2)
    assert "2 steps skipped: not finite" in caplog.text


def test_a_line_of_skipped_steps_alone_has_no_loss() -> None:
    points, _ = lines([update(1, finite=False)], every=1)
    assert math.isnan(points[0][1]["train/loss"])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The times that Python reads, to be set."""
    times = {"perf_counter": 0.0, "process_time": 0.0}
    for name in times:
        monkeypatch.setattr(f"time.{name}", lambda name=name: times[name])
    return times


@pytest.mark.parametrize(
    ("threads", "processors", "wanted"),
    [(2, 2.0, None), (2, 1.7, None), (2, 1.3, 1), (1, 0.4, None), (0, 0.1, None), (32, 2.0, 2), (8, 0.5, 1)],
)
def test_threads_in_each_others_way_are_told_once(
    caplog: pytest.LogCaptureFixture,
    clock: dict[str, float],
    threads: int,
    processors: float,
    wanted: int | None,
) -> None:
    with Progress(lambda *_: None, total=9, steps_per_epoch=4, step=0, counts=Counts(), threads=threads) as progress:
        for step in (1, 2):
            clock["process_time"] += 20 * processors
            clock["perf_counter"] += 20
            progress.add(update(step))
            progress.write_line(learning_rate=0.1, gradient_norm=torch.tensor(0.1))
            progress.pause()
            clock["perf_counter"] += 100  # a validation
            progress.resume()
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == (wanted is not None)
    assert wanted is None or said[0].endswith(f"device.threads={wanted}")


def test_the_seconds_of_an_earlier_process_do_not_make_the_machine_busy(
    caplog: pytest.LogCaptureFixture, clock: dict[str, float]
) -> None:
    counts = Counts(since=Sums(seconds=40.0))
    with Progress(lambda *_: None, total=9, steps_per_epoch=4, step=0, counts=counts, threads=2) as progress:
        clock["process_time"] += 40
        clock["perf_counter"] += 20
        progress.add(update(1))
        assert "the machine is busy" not in caplog.text
        clock["process_time"] += 4
        clock["perf_counter"] += 40
        progress.add(update(2))
        assert "2 threads share 0.7 processors" in caplog.text


def test_the_warning_does_not_wait_for_a_log_line(caplog: pytest.LogCaptureFixture, clock: dict[str, float]) -> None:
    with Progress(lambda *_: None, total=9, steps_per_epoch=4, step=0, counts=Counts(), threads=2) as progress:
        for step, expected in ((1, 0), (2, 1), (3, 1)):
            clock["process_time"] += 6
            clock["perf_counter"] += 8
            progress.add(update(step))
            assert caplog.text.count("the machine is busy") == expected
