"""The encoded training corpus on disk, memory-mapped, so that memory does not grow with it."""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, compress, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sentencepiece

from seq2seq.runtime.errors import InputError
from seq2seq.text.corpus import Split
from seq2seq.text.tokenizer import Tokenizer, Tokenizers, train_tokenizers

FORMAT = 1  # raise it when the same text and options come to mean other files
CHUNK = 10_000  # pairs that are encoded at once
NARROW = 2**16  # vocabularies smaller than this fit into two bytes an id


@dataclass(frozen=True)
class Sequences:
    """Sequences of subword ids, with neither BOS nor EOS: sequence i is `ids[offsets[i]:offsets[i + 1]]`."""

    ids: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    @cached_property
    def lengths(self) -> np.ndarray:
        """The number of ids in each sequence (int32)."""
        return np.diff(self.offsets).astype(np.int32)


class Filtered(NamedTuple):
    """How many pairs were left out: with an empty side, and with a side of too many subwords."""

    empty: int
    too_long: int


class Store(NamedTuple):
    """Aligned encoded sentences; `len(store.source)` of them."""

    source: Sequences
    target: Sequences
    filtered: Filtered


class Prepared(NamedTuple):
    """All that training needs of the text."""

    tokenizers: Tokenizers
    store: Store


def prepare(
    train: Split,
    *,
    folder: Path,
    vocabulary_size: int,
    kind: str,
    joint: bool,
    longest: int,
    coverage: float = 1.0,
    symbols: Sequence[str] = (),
) -> Prepared:
    """Trains the tokenizers on the split and encodes it, once: later calls open what the first one left in `folder`.

    Pairs with an empty side, or with a side of more than `longest` subwords, are left out and counted.
    Every call reads the text for its fingerprint; other text or options make another entry. An entry that is not whole
    is made anew. Any number of processes may call this at once.

    Raises `InputError` where the text or the vocabulary will not do, or `folder` cannot be written.
    """
    options = {
        "format": FORMAT,
        "sentencepiece": sentencepiece.__version__,
        "text": train.fingerprint(),
        "vocabulary_size": vocabulary_size,
        "kind": kind,
        "joint": joint,
        "longest": longest,
        "coverage": coverage,
        "symbols": list(symbols),
    }
    entry = folder / hashlib.sha256(json.dumps(options).encode()).hexdigest()[:32]
    if (prepared := _open(entry)) is not None:
        return prepared
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".building-", ignore_cleanup_errors=True) as building:
            tokenizers = train_tokenizers(
                train, vocabulary_size=vocabulary_size, kind=kind, joint=joint, coverage=coverage, symbols=symbols
            )
            built = Path(building) / "built"
            built.mkdir()
            _build(train, tokenizers, folder=built, longest=longest)
            return _publish(built, entry)
    except OSError as error:
        reason = error.strerror or f"{error}: is the disk full?"  # numpy says how much it could write
        raise InputError(f"cannot write the prepared text to {folder}: {reason}") from error


class _Writer:
    """Appends sequences to the two files of one side."""

    def __init__(self, folder: Path, side: str, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.dtype = _dtype(tokenizer)
        self.ids = (folder / f"{side}.ids").open("wb")
        self.offsets = (folder / f"{side}.offsets").open("wb")
        self.end = np.zeros(1, dtype=np.int64)
        self.end.tofile(self.offsets)

    def append(self, sequences: list[list[int]]) -> None:
        lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
        if not sequences:
            return
        ends = self.end + np.cumsum(lengths)
        np.fromiter(chain.from_iterable(sequences), dtype=self.dtype, count=int(lengths.sum())).tofile(self.ids)
        ends.tofile(self.offsets)
        self.end = ends[-1:]

    def close(self) -> None:
        self.ids.close()
        self.offsets.close()


def _dtype(tokenizer: Tokenizer) -> type[np.integer[Any]]:
    return np.uint16 if len(tokenizer) < NARROW else np.int32


def _build(train: Split, tokenizers: Tokenizers, *, folder: Path, longest: int) -> None:
    """Writes an entry: models, ids, offsets, and last `entry.json`, which knows the sizes of all the others."""
    for side, tokenizer in zip(_sides(tokenizers.joint), tokenizers, strict=False):
        (folder / f"{side}.model").write_bytes(tokenizer.model)
    pairs = iter(train)
    empty = too_long = kept = 0
    with (
        closing(_Writer(folder, "source", tokenizers.source)) as source,
        closing(_Writer(folder, "target", tokenizers.target)) as target,
    ):
        while chunk := list(islice(pairs, CHUNK)):
            full = [pair for pair in chunk if pair.has_both_sides]
            sources = tokenizers.source.encode_batch([pair.source for pair in full])
            targets = tokenizers.target.encode_batch([pair.target for pair in full])
            fits = [max(len(one), len(other)) <= longest for one, other in zip(sources, targets, strict=True)]
            source.append(list(compress(sources, fits)))
            target.append(list(compress(targets, fits)))
            empty += len(chunk) - len(full)
            too_long += len(full) - sum(fits)
            kept += sum(fits)
    if not kept:
        raise InputError(
            f"no pair of {train.name} is left to train on: {empty} have an empty side and {too_long} a side of more "
            f"than {longest} subwords (dataset.longest)"
        )
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    description = {"joint": tokenizers.joint, "empty": empty, "too_long": too_long, "sizes": sizes}
    (folder / "entry.json").write_text(json.dumps(description, indent=1), encoding="utf-8")


def _sides(joint: bool) -> tuple[str, ...]:
    return ("source",) if joint else ("source", "target")


def _publish(built: Path, entry: Path) -> Prepared:
    """Renames the folder to its place, or takes what another process put there first."""
    prepared = _open(built)  # before the renaming: what is mapped stays, whatever others do with the name
    assert prepared is not None
    for _ in range(10):
        try:
            built.rename(entry)
            return prepared
        except OSError:
            if (other := _open(entry)) is not None:
                return other
            with suppress(FileNotFoundError):  # a damaged entry goes where the cleaning up finds it
                entry.rename(Path(tempfile.mkdtemp(dir=built.parent)) / "damaged")
    raise InputError(f"cannot replace the damaged {entry}: delete it by hand")


def _open(entry: Path) -> Prepared | None:
    """The entry, or None where it is not whole."""
    try:
        description = json.loads((entry / "entry.json").read_text(encoding="utf-8"))
        if any((entry / name).stat().st_size != size for name, size in description["sizes"].items()):
            return None
        models = [Tokenizer((entry / f"{side}.model").read_bytes()) for side in _sides(description["joint"])]
        tokenizers = Tokenizers(models[0], models[-1])
        filtered = Filtered(empty=description["empty"], too_long=description["too_long"])
        source = _sequences(entry, "source", tokenizers.source)
        target = _sequences(entry, "target", tokenizers.target)
        return Prepared(tokenizers, Store(source, target, filtered))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, InputError):  # whatever damage can bring
        return None


def _sequences(entry: Path, side: str, tokenizer: Tokenizer) -> Sequences:
    ids = np.memmap(entry / f"{side}.ids", dtype=_dtype(tokenizer), mode="r")
    offsets = np.memmap(entry / f"{side}.offsets", dtype=np.int64, mode="r")
    return Sequences(np.asarray(ids), np.asarray(offsets))  # plain arrays: a memmap's every slice is five times slower
