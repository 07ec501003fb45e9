"""The encoded training corpus on disk, memory-mapped, so that memory does not grow with it."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain, compress, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sentencepiece

from seq2seq.runtime.errors import InputError
from seq2seq.runtime.files import named_error
from seq2seq.text.corpus import Split, original
from seq2seq.text.tokenizer import Tokenizer, Tokenizers
from seq2seq.text.tokenizer_kinds import read_tokenizer, train_tokenizers

FORMAT = 2  # raise it when the same text and options give different files
CHUNK = 10_000  # pairs that are encoded together
NARROW = 2**16  # with a smaller vocabulary an id fits into two bytes


@dataclass(frozen=True)
class Sequences:
    """Sequences of subword ids without BOS and EOS: sequence i is `ids[offsets[i]:offsets[i + 1]]`."""

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

    def take(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The ids of the sequences with these indices, one sequence after another, and the length of each."""
        lengths = self.lengths[indices]
        shift = self.offsets[indices] - (np.cumsum(lengths) - lengths)  # from a position in the result to one in `ids`
        return self.ids[np.arange(lengths.sum()) + np.repeat(shift, lengths)], lengths


class Filtered(NamedTuple):
    """The number of pairs left out because a side is empty, and because a side has too many subwords."""

    empty: int
    too_long: int


class Store(NamedTuple):
    """The encoded training corpus: `len(store.source)` aligned sentence pairs, with their links if these are needed."""

    source: Sequences
    target: Sequences
    filtered: Filtered
    links: Sequences | None = None  # positions of subwords: source, target, source, target, ... (see `link_store`)


class Prepared(NamedTuple):
    """The tokenizers and the encoded training corpus."""

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
    min_frequency: int = 1,
) -> Prepared:
    """Trains the tokenizers on the split and encodes it; later calls open the entry that this made in `folder`.

    Pairs with an empty side, or with a side of more than `longest` subwords, are left out and counted. The tokenizers
    are trained on the `original` text, so that no word counts twice.
    Every call reads the text for its fingerprint; different text or options make a different entry. An incomplete
    entry is made again. Several processes may call this at the same time.

    Raises `InputError` if the text cannot be read or cannot give the vocabulary, or if `folder` cannot be written.
    """
    how: dict[str, Any] = {
        "vocabulary_size": vocabulary_size,
        "kind": kind,
        "joint": joint,
        "coverage": coverage,
        "symbols": list(symbols),
        "min_frequency": min_frequency,
    }
    options = {
        "format": FORMAT,
        "sentencepiece": sentencepiece.__version__,
        "text": train.fingerprint(),
        "longest": longest,
        **how,
    }
    tokenizers = partial(train_tokenizers, original(train), **how)
    return _prepare(train, tokenizers, options, folder=folder, longest=(longest, longest))


def encode(
    train: Split, tokenizers: Tokenizers, *, folder: Path, longest: int, longest_source: int | None = None
) -> Prepared:
    """Encodes the split with tokenizers that exist already; the rest is as in `prepare`.

    `longest_source` is a limit of the source alone, in subwords.
    """
    limits = (min(longest, longest_source or longest), longest)
    options = {
        "format": FORMAT,
        "sentencepiece": sentencepiece.__version__,
        "text": train.fingerprint(),
        "tokenizers": [hashlib.sha256(tokenizers[i].model).hexdigest() for i in range(len(_sides(tokenizers.joint)))],
        "longest": list(limits),
    }
    return _prepare(train, lambda: tokenizers, options, folder=folder, longest=limits)


def _prepare(
    train: Split,
    tokenizers: Callable[[], Tokenizers],
    options: Mapping[str, Any],
    *,
    folder: Path,
    longest: tuple[int, int],
) -> Prepared:
    """Opens the entry of these options, or makes it. `longest` are the limits of source and target, in subwords."""
    entry = folder / hashlib.sha256(json.dumps(options).encode()).hexdigest()[:32]
    if (prepared := _open(entry)) is not None:
        return prepared
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".building-", ignore_cleanup_errors=True) as building:
            built = Path(building) / "built"
            built.mkdir()
            _build(train, tokenizers(), folder=built, longest=longest)
            return _publish(built, entry)
    except OSError as error:
        reason = named_error(error, folder).strerror
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
        if not sequences:
            return
        lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
        ends = self.end + np.cumsum(lengths)
        np.fromiter(chain.from_iterable(sequences), dtype=self.dtype, count=int(lengths.sum())).tofile(self.ids)
        ends.tofile(self.offsets)
        self.end = ends[-1:]

    def close(self) -> None:
        self.ids.close()
        self.offsets.close()


def _dtype(tokenizer: Tokenizer) -> type[np.integer[Any]]:
    return np.uint16 if len(tokenizer) < NARROW else np.int32


def _build(train: Split, tokenizers: Tokenizers, *, folder: Path, longest: tuple[int, int]) -> None:
    """Writes an entry: models, ids, offsets, and last `entry.json`, with the sizes of all other files."""
    for side, tokenizer in zip(_sides(tokenizers.joint), tokenizers, strict=False):
        (folder / f"{side}.model").write_bytes(tokenizer.model)
    pairs = iter(train)
    empty = too_long = written = 0
    with (
        closing(_Writer(folder, "source", tokenizers.source)) as source,
        closing(_Writer(folder, "target", tokenizers.target)) as target,
    ):
        while chunk := list(islice(pairs, CHUNK)):
            complete = [pair for pair in chunk if pair.has_both_sides]
            sources = tokenizers.source.encode_batch([pair.source for pair in complete])
            targets = tokenizers.target.encode_batch([pair.target for pair in complete])
            sides = zip(sources, targets, strict=True)
            fits = [len(source_ids) <= longest[0] and len(target_ids) <= longest[1] for source_ids, target_ids in sides]
            source.append(list(compress(sources, fits)))
            target.append(list(compress(targets, fits)))
            empty += len(chunk) - len(complete)
            too_long += len(complete) - sum(fits)
            written += sum(fits)
    if not written:
        raise InputError(
            f"no pair of {train.name} is left to train on: {empty} have an empty side and {too_long} a side of more "
            f"than {min(longest)} subwords (dataset.longest; with init=, what its model reads)"
        )
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    description = {"joint": tokenizers.joint, "empty": empty, "too_long": too_long, "sizes": sizes}
    (folder / "entry.json").write_text(json.dumps(description, indent=1), encoding="utf-8")


def _sides(joint: bool) -> tuple[str, ...]:
    return ("source",) if joint else ("source", "target")


def _publish(built: Path, entry: Path) -> Prepared:
    """Renames the folder `built` to `entry`, or opens the entry if another process has published it first."""
    prepared = _open(built)  # before the rename: mapped files stay readable if another process replaces the entry
    assert prepared is not None
    for _ in range(10):
        try:
            built.rename(entry)
            return prepared
        except OSError:
            if (published := _open(entry)) is not None:
                return published
            with suppress(FileNotFoundError):  # move a damaged entry into the temporary folder, which is deleted
                entry.rename(Path(tempfile.mkdtemp(dir=built.parent)) / "damaged")
    raise InputError(f"cannot replace the damaged {entry}: delete it by hand")


def _open(entry: Path) -> Prepared | None:
    """The entry, or None where it is missing or damaged."""
    try:
        description = json.loads((entry / "entry.json").read_text(encoding="utf-8"))
        if any((entry / name).stat().st_size != size for name, size in description["sizes"].items()):
            return None
        models = [read_tokenizer((entry / f"{side}.model").read_bytes()) for side in _sides(description["joint"])]
        tokenizers = Tokenizers(models[0], models[-1])
        filtered = Filtered(empty=description["empty"], too_long=description["too_long"])
        source = _sequences(entry, "source", tokenizers.source)
        target = _sequences(entry, "target", tokenizers.target)
        return Prepared(tokenizers, Store(source, target, filtered))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, InputError):  # what damaged files can raise
        return None


def _sequences(entry: Path, side: str, tokenizer: Tokenizer) -> Sequences:
    ids = np.memmap(entry / f"{side}.ids", dtype=_dtype(tokenizer), mode="r")
    offsets = np.memmap(entry / f"{side}.offsets", dtype=np.int64, mode="r")
    return Sequences(np.asarray(ids), np.asarray(offsets))  # slices of a plain array are five times as fast
