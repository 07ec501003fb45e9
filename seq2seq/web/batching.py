"""Requests that arrive together share a batch: queues in the event loop, and threads for the work of the models."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

FEWEST = 16
"""Sentences that a batch has at least before others are left to another thread that is free."""
PAUSE = 0.01
"""Seconds. Under load, while no other batch is in work, a batch begins when nothing has arrived for so long."""
LONGEST_PAUSE = 0.2
"""Seconds after which a batch begins in any case, ..."""
PAUSE_SHARE = 0.5
"""... or this share of the time of the batch before: on a busy machine all takes longer, the next requests too."""
POLL = 0.002
"""Seconds between two looks at what waits."""
IDLE = 0.1
"""Seconds without work after which a request is computed at once."""


class Sentence(NamedTuple):
    """A text to be translated, and the ids of the subwords that its translation must begin with."""

    text: str
    prefix: Sequence[int] = ()


Work = Callable[[list[Sentence]], Sequence[Any]]
"""What the model does with the sentences of a batch: a result for each."""


class Workers:
    """The threads of a server, which its models share. A thread computes one batch at a time."""

    def __init__(self, number: int) -> None:
        self.number = self.free = number
        self._turn = asyncio.Semaphore(number)
        self._in_work: list[int] = []  # the numbers of sentences
        self._ended, self._seconds = float("-inf"), 0.0  # of the last batch: when it ended, how long it took
        self._threads = ThreadPoolExecutor(number, thread_name_prefix="model")

    async def run(self, next_batch: Callable[[], "_Batch | None"], number_waiting: Callable[[], int]) -> None:
        """Waits for a free thread, and computes the batch that is ready by then, if there is one."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            await asyncio.sleep(0)  # what has arrived by now joins the batch
            await self._pause(number_waiting)
            if (batch := next_batch()) is None:
                return
            self.free -= 1
            self._in_work.append(len(batch.sentences))
            began = loop.time()
            try:
                batch.finish(await loop.run_in_executor(self._threads, batch.work, batch.sentences))
            except Exception as error:
                batch.fail(error)
            finally:
                self.free += 1
                self._in_work.remove(len(batch.sentences))
                self._ended = loop.time()
                self._seconds = self._ended - began

    async def _pause(self, number_waiting: Callable[[], int]) -> None:
        """Under load, waits until as many sentences wait as another batch has: small batches take more time for each.

        The answers to one batch bring the next requests a few at a time.
        """
        now = asyncio.get_running_loop().time
        started = arrived = now()
        if not self._in_work and started - self._ended >= IDLE:
            return
        waiting, longest = number_waiting(), min(LONGEST_PAUSE, PAUSE_SHARE * self._seconds)
        while now() - started < longest:
            if waiting >= min(self._in_work) if self._in_work else now() - arrived >= PAUSE:
                return
            await asyncio.sleep(POLL)
            if number_waiting() != waiting:
                waiting, arrived = number_waiting(), now()


class _Job:
    """The sentences of one request. The first `taken` of them are computed, or are in a batch."""

    def __init__(self, key: Hashable, work: Work, sentences: Sequence[Sentence], future: asyncio.Future[Any]) -> None:
        self.key, self.work, self.sentences, self.future = key, work, sentences, future
        self.taken = 0
        self.results: list[Any] = [None] * len(sentences)
        self.missing = len(sentences)

    def is_waiting(self) -> bool:
        """Whether a sentence is in no batch yet. A job that was given up or has failed waits no longer."""
        return self.taken < len(self.sentences) and not self.future.done()


class _Batch:
    """Sentences of jobs with the same work, each job with the range of its sentences, `[start, end)`."""

    def __init__(self, ranges: Sequence[tuple[_Job, int, int]]) -> None:
        self._ranges, self.work = ranges, ranges[0][0].work
        self.sentences = [sentence for job, start, end in ranges for sentence in job.sentences[start:end]]

    def finish(self, results: Sequence[Any]) -> None:
        """Gives the jobs their results. Batches of the same job may end in any order."""
        remaining = iter(results)
        for job, start, end in self._ranges:
            job.results[start:end] = [next(remaining) for _ in range(start, end)]
            job.missing -= end - start
            if not job.missing and not job.future.done():
                job.future.set_result(job.results)

    def fail(self, error: Exception) -> None:
        """Gives the jobs the error."""
        for job, _, _ in self._ranges:
            if not job.future.done():
                job.future.set_exception(error)


class Batcher:
    """The queue of one model."""

    def __init__(self, workers: Workers, *, sentences: int, characters: int) -> None:
        """A batch has at most so many sentences, and so many characters where it has several sentences."""
        self._workers, self._sentences, self._characters = workers, sentences, characters
        self._waiting: deque[_Job] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, key: Hashable, work: Work, sentences: Sequence[Sentence]) -> list[Any]:
        """The result of each sentence. Jobs with equal keys, other than None, share batches; they have the same work.

        A caller that is cancelled gives up its place in the queue. Raises what `work` raises.
        """
        if not sentences:
            return []
        job = _Job(key, work, sentences, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        if len(self._tasks) < self._workers.number:
            self._tasks.add(asyncio.create_task(self._run()))
        results: list[Any] = await job.future
        return results

    async def _run(self) -> None:
        """Computes batch after batch until nothing waits. There are as many such tasks as threads."""
        try:
            while self._waiting:
                await self._workers.run(self._next_batch, self._number_waiting)
        finally:  # at once: a job that is submitted from now on needs another task
            self._tasks.discard(asyncio.current_task())

    def _number_waiting(self) -> int:
        """The sentences that are in no batch yet."""
        return sum(len(job.sentences) - job.taken for job in self._waiting if job.is_waiting())

    def _next_batch(self) -> _Batch | None:
        """The next batch, if anything waits.

        The job that has waited longest decides the key. Jobs take turns, a sentence each, so that a long job cannot
        keep a short one waiting; a job that is not complete goes to the end of the queue.
        """
        waiting = [job for job in self._waiting if job.is_waiting()]
        self._waiting = deque(waiting)
        if not waiting:
            return None
        key = waiting[0].key
        sharing = waiting[:1] if key is None else [job for job in waiting if job.key == key]
        number = sum(len(job.sentences) - job.taken for job in sharing)
        most = min(self._sentences, max(FEWEST, -(-number // self._workers.free)))
        starts = {job: job.taken for job in sharing}
        count = size = 0
        turns = deque(sharing)
        while turns and count < most:
            job = turns.popleft()
            length = len(job.sentences[job.taken].text)
            if count and size + length > self._characters:
                break
            count, size, job.taken = count + 1, size + length, job.taken + 1
            if job.taken < len(job.sentences):
                turns.append(job)
        ranges = [(job, start, job.taken) for job, start in starts.items() if job.taken > start]
        served = [job for job, _, _ in ranges]
        others = [job for job in waiting if job not in served]
        self._waiting = deque([*others, *(job for job in served if job.is_waiting())])
        return _Batch(ranges)
