"""Gold annotations of sentence pairs, and splits that contain them."""

from dataclasses import dataclass
from typing import NamedTuple

from seq2seq.text.alignment import Link
from seq2seq.text.corpus import InMemory, Pair, Split


class Annotations(NamedTuple):
    """Gold annotations of a pair: word links, other correct translations, and tags that name its constructions.

    `links` is None where a pair has no gold alignment.
    """

    links: frozenset[Link] | None
    acceptable: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class LoadedSplit(NamedTuple):
    """A split in memory, with the annotations of each pair in `gold`, or None without annotations.

    `units` is the unit of the positions in gold links: "words", or "characters" for scripts without spaces (see
    `seq2seq.text.units`).
    """

    name: str
    pairs: list[Pair]
    gold: list[Annotations] | None = None
    units: str = "words"


@dataclass(frozen=True)
class AnnotatedSplit(InMemory):
    """A split in memory with the annotations of each pair."""

    gold: tuple[Annotations, ...]


def load_split(split: Split) -> LoadedSplit:
    """Checks the text of a split and reads it into memory. Raises what its `fingerprint` raises."""
    split.fingerprint()
    return LoadedSplit(split.name, list(split), list(split.gold) if isinstance(split, AnnotatedSplit) else None)
