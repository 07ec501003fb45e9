"""Parallel text: pairs of sentences, streamed from files that may be larger than the memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from seq2seq.text.lines import digest_lines


class Pair(NamedTuple):
    """A sentence and its translation, as raw text without a line end."""

    source: str
    target: str

    @property
    def has_both_sides(self) -> bool:
        """Whether neither side is blank."""
        return bool(self.source.strip() and self.target.strip())


@runtime_checkable
class Split(Protocol):
    """Part of a corpus. It can be read again and again, and each time it streams the same pairs in the same order."""

    @property
    def name(self) -> str:
        """What messages call this split."""

    def __iter__(self) -> Iterator[Pair]: ...

    def fingerprint(self) -> str:
        """SHA-256 (hexadecimal) over all that decides the pairs; equal texts have equal fingerprints, plain or gzipped.

        Reads every line once, so that errors in the text are reported before it is used. Raises
        `InputError` for a file that is missing, unreadable, cut short, empty, not UTF-8 or not aligned.
        """


@dataclass(frozen=True)
class Corpus:
    """The splits of a translation task; `source` and `target` are the names of the languages.

    `test` is None where there is none. `challenges` are further test splits, each of one difficulty.
    """

    source: str
    target: str
    train: Split
    validation: Split
    test: Split | None
    challenges: tuple[Split, ...] = ()

    def splits(self) -> dict[str, Split]:
        """What training learns from and is measured on, by name."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in splits.items() if split is not None}


class OnDemand:
    """A split whose files are looked for when it is first read, so that it can be scored where others are missing.

    The text is read once for its fingerprint, however often that is asked for.
    """

    def __init__(self, name: str, find: Callable[[], Split]) -> None:
        self.name, self._find = name, find

    @cached_property
    def split(self) -> Split:
        """The split itself; raises what finding it raises."""
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
        """See `Split.fingerprint`; where one split ends and the next begins counts too."""
        return digest_lines(split.fingerprint() for split in self.splits)[0]

    def counts(self) -> str:
        """How many pairs each split has, by its name; reads them all."""
        return ", ".join(f"{sum(1 for _ in split):,} in {split.name}" for split in self.splits)


@dataclass(frozen=True)
class InMemory:
    """Pairs that are made rather than read."""

    pairs: Sequence[Pair]
    name: str

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)

    def fingerprint(self) -> str:
        """See `Split.fingerprint`."""
        return digest_lines(chain.from_iterable(self.pairs))[0]


def concatenate(paths: Path | Sequence[Path], split: Callable[[Path, str], Split]) -> Split:
    """The training split of one path, or of several, which are then named by them."""
    if isinstance(paths, Path):
        return split(paths, "train")
    if len(paths) == 1:
        return split(paths[0], "train")
    return Concatenated(tuple(split(path, str(path)) for path in paths), "train")
