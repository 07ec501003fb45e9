"""Parallel text: pairs of sentences, streamed from files that may be larger than the memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, zip_longest
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from seq2seq.runtime.errors import InputError
from seq2seq.text.lines import digest_lines, read_lines


class Pair(NamedTuple):
    """A sentence and its translation, as raw text without a line end."""

    source: str
    target: str

    @property
    def has_both_sides(self) -> bool:
        """Whether neither side is blank."""
        return bool(self.source.strip() and self.target.strip())

    @property
    def exchanged(self) -> "Pair":
        """The pair in the other direction."""
        return Pair(self.target, self.source)


@runtime_checkable
class Split(Protocol):
    """A part of a corpus. Each iteration streams the same pairs in the same order."""

    @property
    def name(self) -> str:
        """The name of the split in messages."""

    def __iter__(self) -> Iterator[Pair]: ...

    def fingerprint(self) -> str:
        """A SHA-256 (hexadecimal) of the pairs. Equal text has the same fingerprint, compressed or not.

        Reads every line, so that errors in the text are reported before training starts. Raises `InputError` for a
        file that is missing, unreadable, cut short, empty, not UTF-8 or not aligned.
        """


@dataclass(frozen=True)
class Corpus:
    """The splits of a translation task; `source` and `target` are the names of the languages.

    `challenges` are additional test splits, each with one kind of difficulty.
    """

    source: str
    target: str
    train: Split
    validation: Split
    test: Split | None
    challenges: tuple[Split, ...] = ()

    def splits(self) -> dict[str, Split]:
        """The training, validation and test splits that exist, by name."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in splits.items() if split is not None}


class OnDemand:
    """A split whose files are located when it is first read, so that the files of unused splits may be missing.

    The fingerprint is computed once.
    """

    def __init__(self, name: str, find: Callable[[], Split]) -> None:
        self.name, self._find = name, find

    @cached_property
    def split(self) -> Split:
        """The split itself. Raises `InputError` where its files are missing."""
        return self._find()

    @cached_property
    def _fingerprint(self) -> str:
        return self.split.fingerprint()

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.split)

    def fingerprint(self) -> str:
        """See `Split.fingerprint`."""
        return self._fingerprint


@dataclass(frozen=True)
class Concatenated:
    """Several splits, one after the other."""

    splits: tuple[Split, ...]
    name: str

    def __iter__(self) -> Iterator[Pair]:
        return chain.from_iterable(self.splits)

    def fingerprint(self) -> str:
        """See `Split.fingerprint`. It also depends on where one split ends and the next begins."""
        return digest_lines(split.fingerprint() for split in self.splits)[0]

    def counts(self) -> str:
        """The number of pairs of each split, as text: `1,000 in a.tsv, 20 in b.tsv`. Reads every pair."""
        return ", ".join(f"{sum(1 for _ in split):,} in {split.name}" for split in self.splits)


@dataclass(frozen=True)
class BothDirections:
    """The pairs of a split, and then these pairs with source and target exchanged (Ding et al. 2021, section 3.1)."""

    split: Split

    @property
    def name(self) -> str:
        """See `Split.name`."""
        return self.split.name

    def __iter__(self) -> Iterator[Pair]:
        yield from self.split
        yield from (pair.exchanged for pair in self.split)

    def fingerprint(self) -> str:
        """See `Split.fingerprint`."""
        return digest_lines(("both directions", self.split.fingerprint()))[0]


@dataclass(frozen=True)
class Distilled:
    """The pairs of a split, and then its sources with other targets, such as translations by an ensemble.

    This is sequence-level knowledge distillation (Kim and Rush 2016, section 3.2) beside the references. Each file of
    `targets` has a line for each pair. Raises `InputError` where one has not.
    """

    split: Split
    targets: tuple[Path, ...]
    normalize: Callable[[str], str]

    @property
    def name(self) -> str:
        """See `Split.name`."""
        return self.split.name

    def __iter__(self) -> Iterator[Pair]:
        yield from self.split
        for path in self.targets:
            yield from self._pairs_of(path)

    def _pairs_of(self, path: Path) -> Iterator[Pair]:
        for pair, target in zip_longest(self.split, read_lines(path)):
            if pair is None or target is None:
                lines, pairs = (sum(1 for _ in each) for each in (read_lines(path), self.split))
                raise InputError(
                    f"{path} has {lines:,} lines, and the training text has {pairs:,} pairs: dataset.distilled needs a "
                    "line for each pair, as `evaluate.py split=train` writes them for a run with the same dataset"
                )
            yield Pair(pair.source, self.normalize(target))

    @cached_property
    def digests(self) -> list[str]:
        """A SHA-256 (hexadecimal) of the lines of each file."""
        return [digest_lines(pair.target for pair in self._pairs_of(path))[0] for path in self.targets]

    def fingerprint(self) -> str:
        """See `Split.fingerprint`."""
        return digest_lines(("distilled", self.split.fingerprint(), *self.digests))[0]


def one_direction(split: Split) -> Split:
    """The split without the exchanged pairs of `BothDirections`."""
    return split.split if isinstance(split, BothDirections) else split


def original(split: Split) -> Split:
    """The text itself, without the pairs that `BothDirections` and then `Distilled` make of it."""
    split = one_direction(split)
    return split.split if isinstance(split, Distilled) else split


@dataclass(frozen=True)
class InMemory:
    """A split whose pairs are in memory."""

    pairs: Sequence[Pair]
    name: str

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)

    def fingerprint(self) -> str:
        """See `Split.fingerprint`."""
        return digest_lines(chain.from_iterable(self.pairs))[0]


def pair_digest(pairs: Iterable[Pair]) -> str:
    """The fingerprint of pairs that are in one file (see `Split.fingerprint`)."""
    return digest_lines("\t".join(pair) for pair in pairs)[0]
