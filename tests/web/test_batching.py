"""The queue: jobs with equal keys share batches, all results are their own, and nobody waits for a long job."""

import asyncio
import threading
from collections.abc import Coroutine, Hashable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.web import batching
from seq2seq.web.batching import FEWEST, Batcher, Sentence, Workers


@pytest.fixture(autouse=True, scope="module")
def _no_pauses() -> Iterator[None]:
    """A batch is formed of what has arrived, however busy the threads are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batching, "LONGEST_PAUSE", 0.0)
        yield


class Model:
    """Work that takes until it is let go. It records its batches."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.go = threading.Event()
        self.go.set()

    def __call__(self, sentences: list[Sentence]) -> list[str]:
        self.batches.append([sentence.text for sentence in sentences])
        assert self.go.wait(20)
        if any(sentence.text == "bad" for sentence in sentences):
            raise ValueError("a bad text")
        return [sentence.text.upper() for sentence in sentences]


def job(batcher: Batcher, model: Model, *texts: str, key: Hashable = "k") -> Coroutine[Any, Any, list[Any]]:
    return batcher.submit(key, model, [Sentence(text) for text in texts])


def behind_another(*jobs: tuple[Hashable, tuple[str, ...]], **limits: int) -> tuple[Model, list[list[Any]]]:
    """The model and the results, where all jobs arrive while a first one is in work."""
    model = Model()

    async def run() -> list[list[Any]]:
        batcher = Batcher(Workers(1), **{"sentences": 4, "characters": 1000, **limits})
        model.go.clear()
        first = asyncio.create_task(job(batcher, model, "first", key="another"))
        while not model.batches:
            await asyncio.sleep(0.001)
        tasks = [asyncio.create_task(job(batcher, model, *texts, key=key)) for key, texts in jobs]
        await asyncio.sleep(0)
        model.go.set()
        await first
        return list(await asyncio.gather(*tasks))

    results = asyncio.run(run())
    assert model.batches.pop(0) == ["first"]
    return model, results


KEYS = st.sampled_from(["k", "l", None])
JOBS = st.lists(st.tuples(KEYS, st.lists(st.text("abc", max_size=5), max_size=7).map(tuple)), max_size=6)


@given(jobs=JOBS, sentences=st.integers(1, 5), characters=st.integers(1, 12))
def test_each_job_has_its_own_results(
    jobs: list[tuple[Hashable, tuple[str, ...]]], sentences: int, characters: int
) -> None:
    model, results = behind_another(*jobs, sentences=sentences, characters=characters)
    assert results == [[text.upper() for text in texts] for _, texts in jobs]
    assert sorted(text for batch in model.batches for text in batch) == sorted(
        text for _, texts in jobs for text in texts
    )
    assert all(len(batch) <= sentences for batch in model.batches)
    assert all(len(batch) == 1 or sum(map(len, batch)) <= characters for batch in model.batches)


def test_jobs_that_arrive_together_share_a_batch() -> None:
    model, _ = behind_another(("k", ("a", "b")), ("l", ("c",)), ("k", ("d",)), (None, ("e",)), (None, ("f",)))
    assert list(map(sorted, model.batches)) == [["a", "b", "d"], ["c"], ["e"], ["f"]]


def test_a_short_job_does_not_wait_for_a_long_one() -> None:
    long = tuple(f"long {i}" for i in range(10))
    model, _ = behind_another(("k", long), ("k", ("short",)), ("l", ("other",)))
    assert "short" in model.batches[0]
    assert model.batches[1] == ["other"]
    assert len(model.batches) == 4


def test_threads_work_side_by_side_and_share_what_waits() -> None:
    """A job in pieces has its results in order, whichever piece ends first."""
    model = Model()
    texts = [f"text {i}" for i in range(3 * FEWEST)]

    async def run() -> list[Any]:
        batcher = Batcher(Workers(3), sentences=100, characters=10_000)
        model.go.clear()
        task = asyncio.create_task(job(batcher, model, *texts))
        others = [asyncio.create_task(job(batcher, model, f"other {i}")) for i in range(2)]
        while len(model.batches) < 3:
            await asyncio.sleep(0.001)
        model.go.set()
        assert await asyncio.gather(*others) == [["OTHER 0"], ["OTHER 1"]]
        return await task

    assert asyncio.run(run()) == [text.upper() for text in texts]
    assert sorted(map(len, model.batches)) == [FEWEST, FEWEST + 1, FEWEST + 1]


def test_an_error_reaches_its_batch_only() -> None:
    async def run() -> list[Any]:
        batcher, model = Batcher(Workers(1), sentences=4, characters=100), Model()
        bad = await asyncio.gather(job(batcher, model, "bad"), return_exceptions=True)
        return [*bad, await job(batcher, model, "good")]

    error, good = asyncio.run(run())
    assert isinstance(error, ValueError)
    assert good == ["GOOD"]


def test_a_job_that_is_given_up_leaves_the_queue() -> None:
    model = Model()

    async def run() -> list[Any]:
        batcher = Batcher(Workers(1), sentences=4, characters=100)
        model.go.clear()
        first = asyncio.create_task(job(batcher, model, "in work"))
        while not model.batches:
            await asyncio.sleep(0.001)
        left, last = (asyncio.create_task(job(batcher, model, text)) for text in ("left", "last"))
        await asyncio.sleep(0)
        left.cancel()
        first.cancel()
        model.go.set()
        with pytest.raises(asyncio.CancelledError):
            await left
        return await last

    assert asyncio.run(run()) == ["LAST"]
    assert model.batches == [["in work"], ["last"]]


def test_under_load_a_batch_waits_for_what_arrives_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "PAUSE", 0.2)
    monkeypatch.setattr(batching, "LONGEST_PAUSE", 5.0)
    monkeypatch.setattr(batching, "PAUSE_SHARE", 1e9)
    model = Model()

    async def run() -> None:
        batcher = Batcher(Workers(1), sentences=100, characters=1000)
        await job(batcher, model, "at once")
        tasks = []
        for i in range(4):
            tasks.append(asyncio.create_task(job(batcher, model, f"{i}")))
            await asyncio.sleep(batching.PAUSE / 20)
        await asyncio.gather(*tasks)

    asyncio.run(run())
    assert model.batches == [["at once"], ["0", "1", "2", "3"]]


def test_under_load_a_batch_waits_until_it_is_as_large_as_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "LONGEST_PAUSE", 5.0)
    monkeypatch.setattr(batching, "PAUSE_SHARE", 1e9)
    model = Model()

    async def run() -> None:
        batcher = Batcher(Workers(2), sentences=100, characters=1000)
        await job(batcher, model, "before")
        model.batches.clear()
        model.go.clear()
        tasks = [asyncio.create_task(job(batcher, model, "a", "b", "c"))]
        while not model.batches:
            await asyncio.sleep(0.001)
        for text in "de":
            tasks.append(asyncio.create_task(job(batcher, model, text)))
            await asyncio.sleep(10 * batching.POLL)
        assert len(model.batches) == 1
        tasks.append(asyncio.create_task(job(batcher, model, "f")))
        while len(model.batches) == 1:
            await asyncio.sleep(0.001)
        model.go.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())
    assert model.batches == [["a", "b", "c"], ["d", "e", "f"]]


def test_a_batch_does_not_wait_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(batching, "PAUSE_SHARE", 1e9)
    model = Model()

    async def run() -> None:
        batcher = Batcher(Workers(2), sentences=100, characters=1000)
        await job(batcher, model, "before")
        model.batches.clear()
        model.go.clear()
        first = asyncio.create_task(job(batcher, model, "a", "b", "c"))
        while not model.batches:
            await asyncio.sleep(0.001)
        second = asyncio.create_task(job(batcher, model, "d"))
        while len(model.batches) == 1:
            await asyncio.sleep(0.001)
        model.go.set()
        await asyncio.gather(first, second)

    asyncio.run(run())
    assert model.batches == [["a", "b", "c"], ["d"]]


def test_a_job_that_comes_as_another_ends_is_computed() -> None:
    """The task of the first has nothing left to do by then, and the second needs another."""

    async def run() -> list[list[Any]]:
        batcher, model = Batcher(Workers(1), sentences=4, characters=1000), Model()
        async with asyncio.timeout(10):
            return [await job(batcher, model, str(i)) for i in range(3)]

    assert asyncio.run(run()) == [["0"], ["1"], ["2"]]
