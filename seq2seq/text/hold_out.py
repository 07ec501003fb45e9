"""Validation and test splits that are cut from the training text."""

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from seq2seq.runtime.errors import InputError
from seq2seq.text.corpus import InMemory, OnDemand, Pair, Split
from seq2seq.text.lines import digest_lines


class Cut:
    """`size` pairs for each name in `names`, and the rest of a split for training.

    The text decides which pairs are cut: those whose sources have the smallest hashes. So the order of the pairs does
    not matter, and every run cuts the same ones. A source is cut once: pairs that repeat it are in no part, since a
    model that has learned them would know the answer. Pairs with an empty side stay in the rest.

    The hashes and the pairs that are cut are in memory, not the split. They are found in two passes over the text when
    they are first needed.
    """

    def __init__(self, split: Split, size: int, names: Sequence[str]) -> None:
        self.split, self.size, self.names = split, size, tuple(names)

    @cached_property
    def _name_of(self) -> dict[int, str]:
        """The part of each source that is cut, by its hash."""
        number = self.size * len(self.names)
        heap: list[int] = []  # the smallest hashes, negative: the greatest of them comes first
        smallest: set[int] = set()
        for pair in self.split:
            if pair.has_both_sides and (digest := _digest(pair.source)) not in smallest:
                smallest.add(digest)
                heapq.heappush(heap, -digest)
                if len(heap) > number + 1:  # one more, for training
                    smallest.remove(-heapq.heappop(heap))
        if len(heap) <= number:
            raise InputError(
                f"dataset.hold_out={self.size}: for {' and '.join(self.names)} the training text needs more than "
                f"{number:,} different sources, and it has {len(heap):,}; set a smaller number"
            )
        ordered = sorted(smallest)
        return {digest: self.names[i // self.size] for i, digest in enumerate(ordered[:number])}

    @cached_property
    def _parts(self) -> tuple[dict[str, list[Pair]], int]:
        parts: dict[str, list[Pair]] = {name: [] for name in self.names}
        seen: set[str] = set()
        repeated, name_of = 0, self._name_of
        for pair in self.split:
            if not pair.has_both_sides or (name := name_of.get(_digest(pair.source))) is None:
                continue
            if pair.source in seen:
                repeated += 1
            else:
                seen.add(pair.source)
                parts[name].append(pair)
        ordered = {name: sorted(pairs, key=lambda pair: _digest(pair.source)) for name, pairs in parts.items()}
        return ordered, repeated

    @property
    def repeated(self) -> int:
        """The number of pairs that are in no part, since they repeat a source that was cut."""
        return self._parts[1]

    def rest(self) -> Iterator[Pair]:
        """The pairs that are left for training."""
        cut = self._name_of
        return (pair for pair in self.split if not (pair.has_both_sides and _digest(pair.source) in cut))

    def part(self, name: str) -> Split:
        """The pairs that are cut for this name, in the order of their hashes, whatever the order of the text."""
        return OnDemand(name, lambda: InMemory(self._parts[0][name], name))


@dataclass(frozen=True)
class Rest:
    """The training text without what was cut from it."""

    cut: Cut

    @property
    def name(self) -> str:
        """The name of the split in messages."""
        return self.cut.split.name

    def __iter__(self) -> Iterator[Pair]:
        return self.cut.rest()

    def fingerprint(self) -> str:
        """See `Split.fingerprint`."""
        parts = (self.cut.part(name).fingerprint() for name in self.cut.names)
        return digest_lines([self.cut.split.fingerprint(), *parts])[0]


def _digest(source: str) -> int:
    return int.from_bytes(hashlib.blake2b(source.encode(), digest_size=8).digest())
