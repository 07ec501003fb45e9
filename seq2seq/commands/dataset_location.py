"""Finds the dataset of a checkpoint, from whichever folder `evaluate.py` is started.

A checkpoint keeps paths as they were typed, relative to the folder where training was started. So it can be passed on
and does not reveal folder names. The run folder records where training was started.
"""

import glob
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from seq2seq import config
from seq2seq.checkpoint.files import read_description
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.run_folder import RunFolder
from seq2seq.text.corpus import InMemory, Pair, Split

LONGEST_RECORD = 2**17  # bytes; Hydra writes about 6,000, and parsing YAML is slow
OWN_FILES = "source=FILE target=FILE scores your own pair of files"


def evaluated_dataset(options: config.Evaluate, trained: config.Dataset, run: Path) -> config.Dataset:
    """The dataset to evaluate on: the checkpoint's dataset `trained`, with the paths that the options override.

    A path of the checkpoint's is looked for where the run was started, then in the current folder.
    Raises InputError where neither has the split to be scored, or where the dataset allows no other test split.
    """
    overrides, starts = options.dataset, start_folders(run)
    match trained:
        case config.Grammar():
            if overrides.test is not None:
                raise InputError(f"dataset.test={overrides.test}: the built-in corpus has no other; {OWN_FILES}")
            return trained.model_copy(update={"cache": overrides.cache})
        case config.Multi30k():
            folder = overrides.folder or find_path(trained.folder, trained, starts) or trained.folder
            if isinstance(overrides.test, tuple):
                raise InputError(f"dataset.test: Multi30k has one test split at a time; {OWN_FILES}")
            test = trained.test if overrides.test is None else str(overrides.test)
            return trained.model_copy(update={"folder": folder, "test": test})
        case config.HuggingFace():
            path = find_path(Path(trained.path), trained, starts)  # None, if it is a name on the hub
            changes = {} if path is None else {"path": str(path)}
            return trained.model_copy(update=changes if overrides.test is None else {**changes, "test": overrides.test})
        case config.OwnText():
            if overrides.test is not None:
                return trained.model_copy(update={"test": overrides.test})
            paths = []
            for recorded in trained.paths_of(options.split):
                if (path := find_path(recorded, trained, starts)) is None:
                    reason = _missing(recorded, options.split, trained, starts)
                    raise InputError(f"checkpoint {options.checkpoints[0]}: {reason}")
                paths.append(path)
            return trained.model_copy(
                update={"train" if trained.is_cut(options.split) else options.split: tuple(paths)} if paths else {}
            )


def check_held_out(run: Path, split: Split) -> str | None:
    """Raises InputError where a split that is cut from the training text is not one that the run cut.

    Of a text that has changed, other pairs are cut, and the model may have learned them. Returns a remark where the run
    folder has no record of the text, so that nobody can tell.
    """
    recorded = _recorded_splits(run)
    if not recorded:
        return (
            f"{split.name} is cut from the training text as it is now; without checkpoints/last nothing can tell "
            "whether the model has learned it"
        )
    if recorded.get(split.name) != split.fingerprint():
        raise InputError(
            f"{run} held out other pairs for {split.name}, or none, since its training text has changed or its "
            "dataset.hold_out is another: the model may have learned these; restore the text, or score files of your "
            f"own: {OWN_FILES}"
        )
    return None


def start_remarks(
    start: Path, trained: config.Dataset, dataset: config.Dataset, scored: Mapping[str, Sequence[Pair]]
) -> Iterator[str]:
    """A warning for each split that is cut from a text of which the run `start` may have learned it.

    `start` is where a run with `init=` starts from, and `trained` its dataset. `scored` are the pairs of each split. A
    split may be cut in either direction.
    """
    if not (isinstance(dataset, config.OwnText) and isinstance(trained, config.OwnText)):
        return
    if dataset.paths_of("train") != trained.paths_of("train"):
        return
    recorded = _recorded_splits(start)
    for name, pairs in scored.items():
        directions = [InMemory(each, name).fingerprint() for each in (pairs, [pair.exchanged for pair in pairs])]
        if dataset.is_cut(name) and recorded.get(name) not in directions:
            yield (
                f"warning: nothing shows that the run of init= held out the same pairs for {name}, so it may "
                "have learned them: give both runs the same training text and dataset.hold_out"
            )


def _recorded_splits(run: Path) -> Mapping[str, str]:
    """The fingerprints of the splits of a run, by name. Empty where checkpoints/last is absent."""
    last = RunFolder(run).last
    state = read_description(last).state if last.exists() else None
    return {} if state is None else state.splits


def start_folders(run: Path) -> list[Path]:
    """The folder where the run was started: first relative to the run folder, as both may have moved; then as recorded.

    An empty list where the run folder has no readable record. The record is not trusted: it can do no more harm than
    the checkpoint, which may name any path too.
    """
    record = RunFolder(run).hydra / "hydra.yaml"
    try:
        status = record.lstat()
        if record.parent.is_symlink() or not stat.S_ISREG(status.st_mode) or status.st_size > LONGEST_RECORD:
            return []
        runtime: Any = yaml.safe_load(record.read_text(encoding="utf-8"))["hydra"]["runtime"]
        start, output = Path(runtime["cwd"]), Path(runtime["output_dir"])
        if b"\0" in f"{start}{output}".encode():
            return []
        return [Path(os.path.normpath(run / os.path.relpath(start, output))), start]
    except (OSError, ValueError, LookupError, TypeError, RecursionError, yaml.YAMLError):
        return []


def find_path(path: Path, dataset: config.Dataset, starts: Sequence[Path]) -> Path | None:
    """The path in the first of the folders that has it; the current folder is the last one tried."""
    candidates = [start / path for start in (*starts, Path())]
    return next((candidate for candidate in candidates if _exists(candidate, dataset)), None)


def _exists(path: Path, dataset: config.Dataset) -> bool:
    if isinstance(dataset, config.Files):  # a prefix of `PREFIX.de`, `PREFIX.de.gz`, ...
        return any(path.parent.glob(glob.escape(f"{path.name}.{dataset.source}") + "*"))
    return path.exists()


def _missing(path: Path, split: str, dataset: config.Dataset, starts: Sequence[Path]) -> str:
    """What is wrong where a split is in none of the folders, and what to do."""
    kind = "PREFIX" if isinstance(dataset, config.Files) else "FILE"
    instead = f"dataset.test={kind} scores another, and {OWN_FILES}"
    if path.is_absolute():
        return f"its {split} split, {path}, is not there; {instead}"
    if starts:
        where = f"neither in {starts[-1]}, where its run was started, nor in the folder you are in"
        return f"its {split} split, {path}, is {where}; {instead}"
    return f"its {split} split, {path}, is relative to the folder where its run was started: go there; or {instead}"
