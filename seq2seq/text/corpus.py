"""Parallel text: pairs of sentences, streamed from files that may be larger than the memory."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from seq2seq.errors import InputError
from seq2seq.text.formats import DAMAGE, SUFFIXES, open_text
from seq2seq.text.table import parse_rows

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LONGEST_LINE = (
    2**20
)  # bytes; no sentence is that long, and a small compressed file can hold a line as long as the memory


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
    r"""The lines of a UTF-8 file, one at a time; what gzip, xz or bzip2 compressed is unpacked, whatever its name.

    Lines end at `\n` only (a sentence may hold U+0085 or U+2028), a `\r` before it and a byte order mark are dropped.
    Raises `InputError` where the file is missing, unreadable, cut short, empty, no plain file or not UTF-8 (UTF-16 is
    named), or has a line of more than `LONGEST_LINE` bytes.
    """
    if path.is_fifo() or path.is_char_device():
        raise InputError(f"{path} is a pipe or a device: text is read more than once, so give a plain file")
    number = 0
    try:
        with open_text(path) as file:
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
            f"{path} is cut short after line {number}: the compressed file lacks its end; copy it again"
        ) from error
    except MemoryError as error:  # the header of an xz file says how much
        raise InputError(f"cannot read {path}: unpacking it takes more memory than there is") from error
    except DAMAGE as error:
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
    """A file with a source, a TAB and its target in each line, or with both in two columns of several.

    `columns` are those of source and target, counted from 1; None means that there are two. A line with another number
    of columns (than two, or than the first line) is refused: what stands behind a second TAB may as well be half a
    sentence. `quoting` is that of `parse_rows`.
    """

    path: Path
    name: str
    columns: tuple[int, int] | None = None
    quoting: str = "none"

    def __iter__(self) -> Iterator[Pair]:
        source, target = self.columns or (1, 2)
        width = None if self.columns is not None else 2
        for number, row in parse_rows(read_lines(self.path), quoting=self.quoting, file=self.path):
            width = width or max(len(row), source, target)
            if len(row) != width:
                raise InputError(f"{self.path}, line {number}: {self._wrong(len(row), width)}")
            yield Pair(row[source - 1], row[target - 1])

    def _wrong(self, found: int, width: int) -> str:
        counts = f"found {found} column{'s'[: found != 1]}, need {width}"
        if self.columns is not None:
            return f"{counts}: dataset.columns is {list(self.columns)}, and all lines have as many as the first"
        which = "; dataset.columns=[1,2] takes the first two, [2,3] the next" if found > 2 else ""
        return f"{counts}: the source, a TAB, the target{which}"

    def fingerprint(self) -> str:
        """See `Split.fingerprint`."""
        return _digest("\t".join(pair) for pair in self)[0]


@dataclass(frozen=True)
class Concatenated:
    """Several splits, one after the other."""

    splits: tuple[Split, ...]
    name: str

    def __iter__(self) -> Iterator[Pair]:
        return chain.from_iterable(self.splits)

    def fingerprint(self) -> str:
        """See `Split.fingerprint`; where one split ends and the next begins counts too."""
        return _digest(split.fingerprint() for split in self.splits)[0]

    def counts(self) -> str:
        """How many pairs each split has, by its name; reads them all."""
        return ", ".join(f"{sum(1 for _ in split):,} in {split.name}" for split in self.splits)


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


def files(*, train: Path | Sequence[Path], validation: Path, test: Path | None, source: str, target: str) -> Corpus:
    """A corpus of aligned files: `/my/train` with languages de and en is `/my/train.de` and `/my/train.en`.

    Where `/my/train.de` does not exist, `/my/train.de.gz` is taken, `.xz` or `.bz2`. Several prefixes for `train` are
    read one after the other. Raises `InputError` where both languages are one, and a split does where there is no such
    file.
    """
    if source == target:
        sides = (f"{source}-x-source", f"{target}-x-target")
        raise InputError(
            f"dataset.source and dataset.target are both {source}, so {validation}.{source} would be both sides: name "
            f"the files {validation}.{sides[0]} and {validation}.{sides[1]}, and set dataset.source={sides[0]} "
            f"dataset.target={sides[1]}"
        )

    def split(prefix: Path, name: str) -> OnDemand:
        return OnDemand(name, lambda: AlignedFiles(_find(prefix, source), _find(prefix, target), name))

    scored = None if test is None else split(test, "test")
    return Corpus(source, target, _joined(train, split), split(validation, "validation"), scored)


def tsv(
    *,
    train: Path | Sequence[Path],
    validation: Path,
    test: Path | None,
    source: str,
    target: str,
    columns: tuple[int, int] | None = None,
    quoting: str = "none",
) -> Corpus:
    """A corpus of `TabSeparated` files, of which `train` may be several."""

    def split(path: Path, name: str) -> OnDemand:
        return OnDemand(name, lambda: TabSeparated(path, name, columns, quoting))

    scored = None if test is None else split(test, "test")
    return Corpus(source, target, _joined(train, split), split(validation, "validation"), scored)


def _joined(paths: Path | Sequence[Path], split: Callable[[Path, str], Split]) -> Split:
    """The training split of one path, or of several, which are then named by them."""
    if isinstance(paths, Path):
        return split(paths, "train")
    if len(paths) == 1:
        return split(paths[0], "train")
    return Concatenated(tuple(split(path, str(path)) for path in paths), "train")


def find_files(prefix: Path, language: str) -> list[Path]:
    """The files `PREFIX.LANGUAGE`, plain first and then compressed, that there are."""
    names = (prefix.parent / f"{prefix.name}.{language}{suffix}" for suffix in SUFFIXES)
    return [path for path in names if path.exists()]


def text_digest(path: Path) -> str:
    """SHA-256 of the lines of a file, each with a line feed, whatever compressed it and however its lines end."""
    return _digest(read_lines(path))[0]


def _find(prefix: Path, language: str) -> Path:
    if paths := find_files(prefix, language):
        return paths[0]
    plain = prefix.parent / f"{prefix.name}.{language}"
    raise InputError(f"found neither {plain} nor {plain}.gz, .xz or .bz2: one of them must exist")


def _digest(lines: Iterable[str]) -> tuple[str, int]:
    """SHA-256 over the lines, each with its end, and their number."""
    digest, number = hashlib.sha256(), 0
    for number, line in enumerate(lines, start=1):  # noqa: B007
        digest.update(line.encode() + b"\n")
    return digest.hexdigest(), number
