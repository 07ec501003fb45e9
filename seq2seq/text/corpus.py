"""Parallel text: pairs of sentences, streamed from files that may be larger than the memory."""

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from seq2seq.errors import InputError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LONGEST_LINE = 2**20  # bytes; no sentence is that long, and a small `.gz` can hold a line as long as the memory


class Pair(NamedTuple):
    """A sentence and its translation, as raw text without a line end."""

    source: str
    target: str


@runtime_checkable
class Split(Protocol):
    """Part of a corpus. It can be read again and again, and each time it streams the same pairs in the same order."""

    @property
    def name(self) -> str:
        """What messages call this split."""

    def __iter__(self) -> Iterator[Pair]: ...

    def fingerprint(self) -> str:
        """SHA-256 (hexadecimal) over all that decides the pairs; equal texts have equal fingerprints, plain or gzipped.

        Reads every line once, so that whatever is wrong with the text is told before anything is made of it. Raises
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


def read_lines(path: Path) -> Iterator[str]:
    r"""The lines of a UTF-8 file, one at a time; a name that ends in `.gz` is read through gzip.

    Lines end at `\n` only (a sentence may hold U+0085 or U+2028), a `\r` before it and a byte order mark are dropped.
    Raises `InputError` where the file is missing, unreadable, cut short, empty, no plain file or not UTF-8, or has a
    line of more than `LONGEST_LINE` bytes.
    """
    if path.is_fifo() or path.is_char_device():
        raise InputError(f"{path} is a pipe or a device: text is read more than once, so give a plain file")
    number = 0
    try:
        # GzipFile splits lines in Python; a buffer around it is 2.5 times faster
        with io.BufferedReader(gzip.open(path)) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE + 2), b""), start=1):
                if len(line.removesuffix(b"\n")) > LONGEST_LINE:
                    raise InputError(
                        f"{path}, line {number}: more than {LONGEST_LINE:,} bytes, which is no sentence; is this text, "
                        "one sentence a line?"
                    )
                if number == 1:
                    line = line.removeprefix(BYTE_ORDER_MARK)
                yield line.removesuffix(b"\n").removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}, line {number}: byte {error.object[error.start]:#04x} at position {error.start} of the line is "
            "not UTF-8; convert the file to UTF-8"
        ) from error
    except EOFError as error:
        raise InputError(
            f"{path} is cut short after line {number}: the gzip file lacks its end; copy it again"
        ) from error
    except (OSError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read {path}{f' after line {number}' if number else ''}: {reason}") from error
    if number == 0:
        raise InputError(f"{path} is empty: it must hold at least one line")


@dataclass(frozen=True)
class AlignedFiles:
    """Two files of which line n of one is the translation of line n of the other."""

    source: Path
    target: Path
    name: str

    def __iter__(self) -> Iterator[Pair]:
        try:
            for source, target in zip(read_lines(self.source), read_lines(self.target), strict=True):
                yield Pair(source, target)
        except ValueError:
            self.fingerprint()  # counts both files to their ends, and raises
            raise

    def fingerprint(self) -> str:
        """See `Split.fingerprint`; files of different line counts raise an `InputError` that names both counts."""
        source, source_lines = _digest(read_lines(self.source))
        target, target_lines = _digest(read_lines(self.target))
        if source_lines != target_lines:
            raise InputError(
                f"{self.source} has {source_lines} lines but {self.target} has {target_lines}: "
                "line n of one must be the translation of line n of the other"
            )
        return _digest([source, target])[0]


@dataclass(frozen=True)
class TabSeparated:
    """A file with a source, a TAB and its target in each line.

    A line with any other number of columns is refused: what stands behind a second TAB may as well be half a sentence.
    """

    path: Path
    name: str

    def __iter__(self) -> Iterator[Pair]:
        for number, line in enumerate(read_lines(self.path), start=1):
            columns = line.split("\t")
            if len(columns) != 2:
                found = "1 column" if len(columns) == 1 else f"{len(columns)} columns"
                raise InputError(f"{self.path}, line {number}: found {found}, need 2: the source, a TAB, the target")
            yield Pair(*columns)

    def fingerprint(self) -> str:
        """See `Split.fingerprint`."""
        return _digest("\t".join(pair) for pair in self)[0]


@dataclass(frozen=True)
class InMemory:
    """Pairs that are made rather than read. `key` is what they were made from: equal keys must mean equal pairs."""

    pairs: Sequence[Pair]
    name: str
    key: str

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)

    def fingerprint(self) -> str:
        """See `Split.fingerprint`; taken over `key`, not over the pairs."""
        return _digest([self.key])[0]


def files(*, train: Path, validation: Path, test: Path | None, source: str, target: str) -> Corpus:
    """A corpus of aligned files: `/my/train` with languages de and en is `/my/train.de` and `/my/train.en`.

    Where `/my/train.de` does not exist, `/my/train.de.gz` is taken. A split raises `InputError` where neither does.
    """

    def split(prefix: Path, name: str) -> OnDemand:
        return OnDemand(name, lambda: AlignedFiles(_find(prefix, source), _find(prefix, target), name))

    scored = None if test is None else split(test, "test")
    return Corpus(source, target, split(train, "train"), split(validation, "validation"), scored)


def tsv(*, train: Path, validation: Path, test: Path | None, source: str, target: str) -> Corpus:
    """A corpus of `TabSeparated` files."""

    def split(path: Path, name: str) -> OnDemand:
        return OnDemand(name, lambda: TabSeparated(path, name))

    scored = None if test is None else split(test, "test")
    return Corpus(source, target, split(train, "train"), split(validation, "validation"), scored)


def _find(prefix: Path, language: str) -> Path:
    plain = prefix.parent / f"{prefix.name}.{language}"
    gzipped = prefix.parent / f"{prefix.name}.{language}.gz"
    for path in (plain, gzipped):
        if path.exists():
            return path
    raise InputError(f"found neither {plain} nor {gzipped}: one of them must exist")


def _digest(lines: Iterable[str]) -> tuple[str, int]:
    """SHA-256 over the lines, each with its end, and their number."""
    digest, number = hashlib.sha256(), 0
    for number, line in enumerate(lines, start=1):  # noqa: B007
        digest.update(line.encode() + b"\n")
    return digest.hexdigest(), number
