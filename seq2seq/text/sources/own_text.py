"""A corpus of a person's own files: a path or several for each split, or a split that is cut from the training text."""

from collections.abc import Callable, Sequence
from pathlib import Path

from seq2seq.text.corpus import Concatenated, Corpus, OnDemand, Split
from seq2seq.text.hold_out import Cut, Rest
from seq2seq.text.normalization import normalized_split

Read = Callable[[Path, str], Split]
"""What makes a split of a path and a name."""
Paths = Path | Sequence[Path]
"""A path or several, which are read in this order."""


def corpus_of_files(
    read: Read,
    *,
    train: Paths,
    validation: Paths | None,
    test: Paths | None,
    source: str,
    target: str,
    hold_out: int | None = None,
    both_directions: bool = False,
    normalization: str = "none",
) -> Corpus:
    """The corpus of these paths, with normalised text. Its files are located when a split is first read.

    With `hold_out`, a validation or test split that has no path is cut from the training split: so many pairs (see
    `Cut`; for `both_directions`, `Rest`). Without it, there is no test split, and a validation split must have a path.
    """

    def split(paths: Paths | None, name: str) -> Split | None:
        if paths is None:
            return None
        several = [paths] if isinstance(paths, Path) else paths
        if len(several) == 1:
            return _on_demand(several[0], name, read, normalization)
        return Concatenated(tuple(_on_demand(path, str(path), read, normalization) for path in several), name)

    whole = split(train, "train")
    assert whole is not None
    parts = {"validation": split(validation, "validation"), "test": split(test, "test")}
    if hold_out is not None:
        cut = Cut(whole, hold_out, [name for name, part in parts.items() if part is None])
        parts.update({name: cut.part(name) for name in cut.names})
        whole = Rest(cut, both_directions)
    assert parts["validation"] is not None, "there is a path, or a number of pairs to cut"
    return Corpus(source, target, whole, parts["validation"], parts["test"])


def _on_demand(path: Path, name: str, read: Read, normalization: str) -> OnDemand:
    return OnDemand(name, lambda: normalized_split(read(path, name), normalization))
