"""Requests that arrive together share a batch: a queue in the event loop, and one thread for the model's work."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Sentence(NamedTuple):
    """A text to be translated, and the ids of the subwords that its translation must begin with."""

    text: str
    prefix: Sequence[int] = ()


Work = Callable[[list[Sentence]], Sequence[Any]]
"""What the model does with the sentences of a batch: a result for each."""


@dataclass(eq=False)
class _Job:
    """The sentences of one request. The first `taken` of them are in `results` or in the batch that is computed."""

    key: Hashable
    work: Work
    sentences: Sequence[Sentence]
    future: asyncio.Future[list[Any]]
    taken: int = 0
    results: list[Any] = field(default_factory=list)


class Batcher:
    """The queue of one model, and the thread that works on it. It belongs to one event loop."""

    def __init__(self, *, sentences: int, characters: int) -> None:
        """A batch has at most so many sentences, and so many characters where it has several sentences."""
        self._sentences, self._characters = sentences, characters
        self._waiting: deque[_Job] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._task: asyncio.Task[None] | None = None

    async def submit(self, key: Hashable, work: Work, sentences: Sequence[Sentence]) -> list[Any]:
        """The result of each sentence. Jobs with equal keys, other than None, share batches; they have the same work.

        A caller that is cancelled gives up its place in the queue. Raises what `work` raises.
        """
        if not sentences:
            return []
        loop = asyncio.get_running_loop()
        job = _Job(key, work, sentences, loop.create_future())
        self._waiting.append(job)
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._run())
        return await job.future

    async def _run(self) -> None:
        """Computes batch after batch until nothing waits."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0)  # requests that have arrived by now join the batch
            if not (batch := self._next_batch()):
                return
            sentences = [sentence for job, first in batch for sentence in job.sentences[first : job.taken]]
            try:
                results = iter(await loop.run_in_executor(self._thread, batch[0][0].work, sentences))
            except Exception as error:
                for job, _ in batch:
                    if not job.future.done():
                        job.future.set_exception(error)
                continue
            for job, first in batch:
                job.results += [next(results) for _ in range(first, job.taken)]
                if len(job.results) == len(job.sentences) and not job.future.done():
                    job.future.set_result(job.results)

    def _next_batch(self) -> list[tuple[_Job, int]]:
        """The jobs of the next batch, each with the index of its first sentence; `taken` is moved past its last.

        The job that has waited longest decides the key. Jobs take turns, a sentence each, so that a long job cannot
        keep a short one waiting; a job that is not complete goes to the end of the queue.
        """
        waiting = [job for job in self._waiting if not job.future.done() and job.taken < len(job.sentences)]
        self._waiting = deque(waiting)
        if not waiting:
            return []
        key = waiting[0].key
        sharing = [job for job in waiting if job.key == key] if key is not None else waiting[:1]
        starts = {job: job.taken for job in sharing}
        count = size = 0
        turns = deque(sharing)
        while turns and count < self._sentences:
            job = turns.popleft()
            length = len(job.sentences[job.taken].text)
            if count and size + length > self._characters:
                break
            count, size, job.taken = count + 1, size + length, job.taken + 1
            if job.taken < len(job.sentences):
                turns.append(job)
        batch = [(job, first) for job, first in starts.items() if job.taken > first]
        served = [job for job, _ in batch]
        others = [job for job in waiting if job not in served]
        self._waiting = deque([*others, *(job for job in served if job.taken < len(job.sentences))])
        return batch
