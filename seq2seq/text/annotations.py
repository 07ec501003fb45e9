"""What is known of a sentence pair beyond its text, and splits that bring it along."""

from dataclasses import dataclass
from typing import NamedTuple

from seq2seq.text.alignment import Link
from seq2seq.text.corpus import InMemory, Pair, Split


class Annotations(NamedTuple):
    """What is known of a pair beyond its text: word links, other right translations, what it is an example of."""

    links: frozenset[Link] | None
    acceptable: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class LoadedSplit(NamedTuple):
    """A split in memory, with the gold of each pair where there is any.

    `units` is what gold links count: "words", or "characters" in scripts without spaces (see `seq2seq.text.units`).
    """

    name: str
    pairs: list[Pair]
    gold: list[Annotations] | None = None
    units: str = "words"


@dataclass(frozen=True)
class AnnotatedSplit(InMemory):
    """A split in memory whose every pair has its gold."""

    gold: tuple[Annotations, ...]


def load_split(split: Split) -> LoadedSplit:
    """Reads a split into memory, its text checked; raises what its `fingerprint` raises."""
    split.fingerprint()
    return LoadedSplit(split.name, list(split), list(split.gold) if isinstance(split, AnnotatedSplit) else None)
