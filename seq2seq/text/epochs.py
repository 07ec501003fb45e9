"""The batches of all epochs of a run, for each process."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import TypeVar

import numpy as np

from seq2seq.text.batches import Batch, collate, plan
from seq2seq.text.store import Store

Collated = TypeVar("Collated")


class Epochs:
    """The batches of a whole run, `accumulate` for each step and process. Equal arguments give equal batches.

    With several processes a step has `accumulate * processes` batches, and each batch belongs to one process.
    """

    def __init__(
        self,
        store: Store,
        *,
        size: int,
        unit: str,
        accumulate: int,
        seed: int,
        multiple: int = 1,
        rank: int = 0,
        processes: int = 1,
        resample: Callable[[int], Store] | None = None,
        step_counts: Sequence[int] = (),
    ) -> None:
        """For `size`, `unit`, `seed` and `multiple` see `plan`.

        `resample` makes the encoded corpus of an epoch; without it, each epoch has `store`. `step_counts` are the
        numbers of steps of the first epochs, as far as an earlier process has counted them.
        """
        self.store, self.size, self.unit, self.seed, self.multiple = store, size, unit, seed, multiple
        self.rank, self.processes, self.batches_per_step = rank, processes, accumulate * processes
        self.resample, self.step_counts = resample, list(step_counts)
        self._resampled = (-1, store)  # the latest epoch of `resample`
        if not self.step_counts:
            self._epoch(0)
        self.steps_per_epoch = self.step_counts[0]

    def _epoch(self, epoch: int) -> tuple[Store, list[np.ndarray]]:
        """The encoded corpus of an epoch and its batches. Appends to `step_counts` if the epoch is the next one."""
        if self.resample is not None and self._resampled[0] != epoch:
            self._resampled = (epoch, self.resample(epoch))
        store = self._resampled[1]
        lengths = store.source.lengths, store.target.lengths
        batches = plan(*lengths, size=self.size, unit=self.unit, seed=self.seed, epoch=epoch, multiple=self.multiple)
        if epoch == len(self.step_counts):
            self.step_counts.append(-(-len(batches) // self.batches_per_step))
        return store, batches

    def steps(self, total: int, *, start: int = 0) -> Iterator[list[Batch]]:
        """The batches of this process for steps `start + 1` to `total`, in the CPU's memory."""
        return self.collated(collate, total, start=start)

    def indices(self, total: int, *, start: int = 0) -> Iterator[list[np.ndarray]]:
        """The sentences of each batch of this process for steps `start + 1` to `total`."""
        return self.collated(lambda _, indices: indices, total, start=start)

    def collated(
        self, collate: Callable[[Store, np.ndarray], Collated], total: int, *, start: int = 0
    ) -> Iterator[list[Collated]]:
        """`collate` of the encoded corpus and the sentences of each batch, for steps `start + 1` to `total`.

        The last step of an epoch may have fewer batches, or none. The epochs before `start` whose steps have not been
        counted are planned, too, since their numbers of batches differ.
        """
        step = 0
        for epoch in count():
            if step >= total:
                return
            if epoch < len(self.step_counts) and step + self.step_counts[epoch] <= min(start, total):
                step += self.step_counts[epoch]
                continue
            store, batches = self._epoch(epoch)
            for first in range(0, len(batches), self.batches_per_step):
                if step == total:
                    return
                step += 1
                if step > start:
                    group = batches[first : first + self.batches_per_step][self.rank :: self.processes]
                    yield [collate(store, indices) for indices in group]
