"""Corpora of line-aligned files: one file for each language."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from seq2seq.runtime.errors import InputError
from seq2seq.text.corpus import Pair
from seq2seq.text.encodings import SUFFIXES
from seq2seq.text.lines import digest_lines, read_lines


@dataclass(frozen=True)
class AlignedFiles:
    """Two files; line n of `target` is the translation of line n of `source`."""

    source: Path
    target: Path
    name: str

    def __iter__(self) -> Iterator[Pair]:
        try:
            for source, target in zip(read_lines(self.source), read_lines(self.target), strict=True):
                yield Pair(source, target)
        except ValueError:
            self.fingerprint()  # raises an InputError with both line counts
            raise

    def fingerprint(self) -> str:
        """See `Split.fingerprint`. Raises `InputError` with both line counts where they differ."""
        source, source_lines = digest_lines(read_lines(self.source))
        target, target_lines = digest_lines(read_lines(self.target))
        if source_lines != target_lines:
            raise InputError(
                f"{self.source} has {source_lines} lines but {self.target} has {target_lines}: "
                "line n of one must be the translation of line n of the other"
            )
        return digest_lines([source, target])[0]


def aligned_files(source: str, target: str) -> Callable[[Path, str], AlignedFiles]:
    """What finds the files of a prefix: `/my/train` with languages de and en is `/my/train.de` and `/my/train.en`.

    If `/my/train.de` does not exist, `/my/train.de.gz` is read, or another of `SUFFIXES`. It raises `InputError` where
    a file does not exist, and where both languages have the same name.
    """

    def find(prefix: Path, name: str) -> AlignedFiles:
        if source == target:
            sides = (f"{source}-x-source", f"{target}-x-target")
            raise InputError(
                f"dataset.source and dataset.target are both {source}, so {prefix}.{source} would be both sides: name "
                f"the files {prefix}.{sides[0]} and {prefix}.{sides[1]}, and set dataset.source={sides[0]} "
                f"dataset.target={sides[1]}"
            )
        return AlignedFiles(_find(prefix, source), _find(prefix, target), name)

    return find


def find_files(prefix: Path, language: str) -> list[Path]:
    """The existing files `PREFIX.LANGUAGE`: plain first, then compressed."""
    names = (prefix.parent / f"{prefix.name}.{language}{suffix}" for suffix in SUFFIXES)
    return [path for path in names if path.exists()]


def _find(prefix: Path, language: str) -> Path:
    if paths := find_files(prefix, language):
        return paths[0]
    plain = prefix.parent / f"{prefix.name}.{language}"
    advice = f"; {prefix} is one file, but expected the prefix of both, without .LANGUAGE" if prefix.is_file() else ""
    others = f"{', '.join(SUFFIXES[1:-1])} or {SUFFIXES[-1]}"
    raise InputError(f"found neither {plain} nor {plain}{others}: one of them must exist{advice}")
