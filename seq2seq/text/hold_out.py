"""Validation and test splits that are cut from the training text."""

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from seq2seq.runtime.errors import InputError
from seq2seq.text.corpus import InMemory, OnDemand, Pair, Split
from seq2seq.text.lines import digest_lines


class Cut:
    """`size` pairs of a split for each name in `names`.

    The text decides which pairs are cut: those with the smallest hashes. So the order of the pairs does not matter, nor
    which side is the source, and every run cuts the same ones. A pair with its sides exchanged counts as the same pair.
    Pairs with an empty side are never cut.

    Only the pairs that are cut are in memory. They are found in one pass over the text when they are first needed.
    """

    def __init__(self, split: Split, size: int, names: Sequence[str]) -> None:
        self.split, self.size, self.names = split, size, tuple(names)

    @cached_property
    def pairs(self) -> list[Pair]:
        """What is cut, for all names, in the order of the hashes. Raises `InputError` where the text is too short."""
        number = self.size * len(self.names)
        heap: list[int] = []  # the smallest hashes, negative: the greatest of them comes first
        smallest: dict[int, Pair] = {}
        for pair in self.split:
            if not pair.has_both_sides:
                continue
            if (digest := _digest(pair)) in smallest:
                smallest[digest] = min(pair, smallest[digest])
            elif len(heap) <= number or digest < -heap[0]:
                smallest[digest] = pair
                heapq.heappush(heap, -digest)
                if len(heap) > number + 1:  # one more, for training
                    del smallest[-heapq.heappop(heap)]
        if len(heap) <= number:
            raise InputError(
                f"dataset.hold_out={self.size}: for {' and '.join(self.names)} the training text needs more than "
                f"{number:,} different pairs, and it has {len(heap):,}; set a smaller number"
            )
        return [smallest[digest] for digest in sorted(smallest)[:number]]

    def part(self, name: str) -> Split:
        """The pairs that are cut for this name."""
        start = self.names.index(name) * self.size
        return OnDemand(name, lambda: InMemory(self.pairs[start : start + self.size], name))


@dataclass(frozen=True)
class Rest:
    """The training text without what was cut from it, and without other pairs of the same sentences.

    A model that has learned another translation of a source would know a part of the answer. In `both_directions` each
    side is a source as well, so a sentence of a pair that is cut is on no side of another.
    """

    cut: Cut
    both_directions: bool = False

    @property
    def name(self) -> str:
        """The name of the split in messages."""
        return self.cut.split.name

    def __iter__(self) -> Iterator[Pair]:
        is_empty, held_out = True, self._held_out
        for pair in self.cut.split:
            if _is_left(pair, *held_out):
                is_empty = is_empty and not pair.has_both_sides
                yield pair
        if is_empty:
            raise InputError(
                f"dataset.hold_out={self.cut.size} leaves no pair for training: each has {self.repeated_side} as one "
                "that is cut; set a smaller number, or give files for validation and test"
            )

    @property
    def repeated_side(self) -> str:
        """What a pair that is left out repeats of one that is cut, in words."""
        return "the same source or target" if self.both_directions else "the same source"

    @cached_property
    def repeated(self) -> int:
        """The number of pairs that are neither cut nor left for training."""
        held_out = self._held_out
        return sum(not _is_left(pair, *held_out) for pair in self.cut.split) - len(self.cut.pairs)

    @cached_property
    def _held_out(self) -> tuple[set[str], set[str]]:
        """Sentences that are no source in training, and those that are no target."""
        if self.both_directions:
            sentences = {*chain.from_iterable(self.cut.pairs)}
            return sentences, sentences
        return {pair.source for pair in self.cut.pairs}, set()

    def fingerprint(self) -> str:
        """See `Split.fingerprint`."""
        parts = [self.cut.part(name).fingerprint() for name in self.cut.names]
        return digest_lines([self.cut.split.fingerprint(), *parts, *["both directions"] * self.both_directions])[0]


def _is_left(pair: Pair, sources: set[str], targets: set[str]) -> bool:
    return pair.source not in sources and pair.target not in targets


def _digest(pair: Pair) -> int:
    """The same for a pair and for the pair with its sides exchanged."""
    return int.from_bytes(hashlib.blake2b("\n".join(sorted(pair)).encode(), digest_size=8).digest())
