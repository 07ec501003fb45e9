"""The alignment links of the training split, between subwords, memory-mapped: attention can be guided by them."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seq2seq.runtime.errors import InputError
from seq2seq.runtime.files import replacing
from seq2seq.text.alignment import Link, check, format_pharaoh, parse_pharaoh
from seq2seq.text.annotations import AnnotatedSplit
from seq2seq.text.corpus import Pair, Split
from seq2seq.text.lines import digest_lines, read_lines
from seq2seq.text.store import CHUNK, NARROW, Prepared, Sequences
from seq2seq.text.units import Word, segment_spans, words

FORMAT = 1  # raise it when the same text and links give another file
SPANS: dict[str, Callable[[list[str]], list[Word]]] = {"words": words, "characters": segment_spans}
"""For each kind of unit that links count: the units of a sentence, with their ranges of pieces."""


class LinkLine(NamedTuple):
    """The links of a sentence pair in the Pharaoh format, and where they stand, for messages."""

    text: str
    file: Path
    number: int


@dataclass(frozen=True)
class Alignments:
    """The links of the training split, a line for each pair. Each call of `lines` streams the same lines."""

    name: str
    lines: Callable[[], Iterator[LinkLine]]

    @cached_property
    def digest(self) -> tuple[str, int]:
        """The SHA-256 of the lines, and their number."""
        return digest_lines(line.text for line in self.lines())


def alignments_of_files(paths: Sequence[Path]) -> Alignments:
    """The links in files of the Pharaoh format, one file after the other."""

    def lines() -> Iterator[LinkLine]:
        for path in paths:
            for number, text in enumerate(read_lines(path), start=1):
                yield LinkLine(text, path, number)

    return Alignments(", ".join(map(str, paths)), lines)


def gold_alignments(split: AnnotatedSplit) -> Alignments:
    """The gold links of an annotated split."""

    def lines() -> Iterator[LinkLine]:
        for number, annotations in enumerate(split.gold, start=1):
            yield LinkLine(format_pharaoh(annotations.links or ()), Path(split.name), number)

    return Alignments(f"the gold alignments of {split.name}", lines)


def with_links(prepared: Prepared, train: Split, alignments: Alignments, *, folder: Path, units: str) -> Prepared:
    """The prepared text with the links of its pairs (`Store.links`), from a file in `folder` that is made if missing.

    Links count words, or with `units="characters"` the characters of scripts without spaces (see `SPANS`).

    Raises InputError where there is not one line for each pair of `train`, where a link points at no word, where no
    pair has a link, and where the file cannot be written.
    """
    store = prepared.store
    digest, count = alignments.digest
    if count != (pairs := len(store.source) + sum(store.filtered)):
        raise InputError(
            f"{alignments.name}: {count:,} lines, but {train.name} has {pairs:,} pairs; expected a line of links for "
            "each pair, and an empty line for a pair without links"
        )
    identity = [FORMAT, units, digest, train.fingerprint()]
    parts: Iterable[Any] = [*(side.offsets.data for side in store[:2]), *(side.model for side in prepared.tokenizers)]
    key = hashlib.sha256(json.dumps([*identity, *(hashlib.sha256(part).hexdigest() for part in parts)]).encode())
    path = folder / f"links-{key.hexdigest()[:32]}.bin"
    longest = max(int(side.lengths.max()) for side in store[:2])
    dtype = np.dtype(np.uint16 if longest < NARROW else np.int32)
    if (links := _open(path, len(store.source), dtype)) is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial:
                _write(partial, prepared, train, alignments, SPANS[units], dtype, units)
        except OSError as error:
            raise InputError(f"cannot write the links to {path}: {error.strerror or error}") from error
        links = _open(path, len(store.source), dtype)
        assert links is not None
    return prepared._replace(store=store._replace(links=links))


def subword_links(links: Collection[Link], source: Sequence[Word], target: Sequence[Word]) -> list[tuple[int, int]]:
    """The links `(source, target)` between the subwords of linked words, in the order of the target.

    Every subword of a word is linked with every subword of the other word. Of a target word with sure links, possible
    links are left out.
    """
    sure = {link.target for link in links if link.sure}
    spans = [(source[link.source], target[link.target]) for link in links if link.sure or link.target not in sure]
    subwords = {
        (position, reading)
        for source_word, target_word in spans
        for reading in range(target_word.start, target_word.end)
        for position in range(source_word.start, source_word.end)
    }
    return sorted(subwords, key=lambda link: link[::-1])


def _write(
    path: Path,
    prepared: Prepared,
    train: Split,
    alignments: Alignments,
    spans: Callable[[list[str]], list[Word]],
    dtype: np.dtype[Any],
    units: str,
) -> None:
    """Writes the offsets of all pairs, then their links, in a stream of `CHUNK` pairs."""
    offsets = np.zeros(len(prepared.store.source) + 1, dtype=np.int64)
    kept = 0
    lines = zip(train, alignments.lines(), strict=True)
    with path.open("wb") as file:
        offsets.tofile(file)  # in their place, until they are known
        while chunk := list(islice(lines, CHUNK)):
            numbers: list[list[int]] = []
            for line, ids in _stored(chunk, prepared, first=kept):
                links = parse_pharaoh(line.text, file=line.file, line_number=line.number)
                sides = [
                    spans(tokenizer.pieces(side)) for tokenizer, side in zip(prepared.tokenizers, ids, strict=True)
                ]
                check(
                    links,
                    source=len(sides[0]),
                    target=len(sides[1]),
                    file=line.file,
                    line_number=line.number,
                    units=units,
                )
                numbers.append(list(chain.from_iterable(subword_links(links, *sides))))
                offsets[kept + 1] = offsets[kept] + len(numbers[-1])
                kept += 1
            np.fromiter(chain.from_iterable(numbers), dtype=dtype).tofile(file)
        if not offsets[-1]:
            raise InputError(f"{alignments.name}: no training pair has a link, so there is nothing to guide attention")
        assert kept == len(offsets) - 1
        file.seek(0)
        offsets.tofile(file)


def _stored(
    chunk: Sequence[tuple[Pair, LinkLine]], prepared: Prepared, *, first: int
) -> Iterator[tuple[LinkLine, tuple[list[int], list[int]]]]:
    """The lines of those pairs that the store contains, from its pair `first` on, with their ids.

    The store leaves out pairs with an empty or a long side. A pair that is left out differs from the next stored one.
    """
    complete = [(pair, line) for pair, line in chunk if pair.has_both_sides]
    tokenizers, store, index = prepared.tokenizers, prepared.store, first
    sources = tokenizers.source.encode_batch([pair.source for pair, _ in complete])
    targets = tokenizers.target.encode_batch([pair.target for pair, _ in complete])
    for (_, line), *ids in zip(complete, sources, targets, strict=True):
        if index < len(store.source) and [store.source[index].tolist(), store.target[index].tolist()] == ids:
            yield line, (ids[0], ids[1])
            index += 1


def _open(path: Path, count: int, dtype: np.dtype[Any]) -> Sequences | None:
    """The links of `count` pairs in a file, or None where it is missing or damaged."""
    try:
        offsets = np.memmap(path, dtype=np.int64, mode="r", shape=(count + 1,))
        if path.stat().st_size != offsets.nbytes + int(offsets[-1]) * dtype.itemsize:
            return None
        return Sequences(np.asarray(np.memmap(path, dtype=dtype, mode="r", offset=offsets.nbytes)), np.asarray(offsets))
    except (OSError, ValueError):
        return None
