"""The dataset of a checkpoint, found from wherever its evaluation is typed.

A checkpoint keeps paths as they were typed, relative to where its run was started: so it can be handed on, and tells
nobody the names of a machine's folders. Where that was stands in the run folder.
"""

import glob
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from seq2seq import config
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.run_folder import RunFolder

LONGEST_RECORD = 2**17  # bytes; Hydra writes some 6,000, and YAML is read slowly
OWN = "source=FILE target=FILE scores your own pair of files"


def dataset(options: config.Evaluate, trained: config.Dataset, run: Path) -> config.Dataset:
    """The dataset that an evaluation reads and writes: the checkpoint's, but for what the options say.

    Of the checkpoint's own paths, that of the split to be scored is looked for where the run was started, and then in
    the current folder. Raises InputError where neither has it, or the dataset takes no other test split.
    """
    asked, starts = options.dataset, start_folders(run)
    match trained:
        case config.Grammar():
            if asked.test is not None:
                raise InputError(f"dataset.test={asked.test}: the built-in corpus has no other; {OWN}")
            return trained.model_copy(update={"cache": asked.cache})
        case config.Multi30k():
            folder = asked.folder or find_path(trained.folder, trained, starts) or trained.folder
            test = trained.test if asked.test is None else str(asked.test)
            return trained.model_copy(update={"folder": folder, "test": test})
        case config.Files() | config.Tsv():
            if asked.test is not None:
                return trained.model_copy(update={"test": asked.test})
            path = trained.test if options.split == "test" else trained.validation
            if path is None:
                return trained
            if (found := find_path(path, trained, starts)) is None:
                raise InputError(f"checkpoint {options.checkpoint}: {_missing(path, options.split, trained, starts)}")
            return trained.model_copy(update={options.split: found})


def start_folders(run: Path) -> list[Path]:
    """Where the run was started: as that lies from the run folder, since both may have moved; and as it was then.

    No folder where the run folder has no record that can be read. It may be a stranger's, who gains nothing by lying: a
    checkpoint may name any path.
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
    """The path in the first of the folders that has it; the last is the current one."""
    candidates = [start / path for start in (*starts, Path())]
    if isinstance(dataset, config.Files):
        there = (one for one in candidates if any(one.parent.glob(glob.escape(f"{one.name}.{dataset.source}") + "*")))
    else:
        there = (one for one in candidates if one.exists())
    return next(there, None)


def _missing(path: Path, split: str, dataset: config.Dataset, starts: Sequence[Path]) -> str:
    kind = "PREFIX" if isinstance(dataset, config.Files) else "FILE"
    instead = f"dataset.test={kind} scores another, and {OWN}"
    if path.is_absolute():
        return f"its {split} split, {path}, is not there; {instead}"
    if starts:
        where = f"neither in {starts[-1]}, where its run was started, nor in the folder you are in"
        return f"its {split} split, {path}, is {where}; {instead}"
    return f"its {split} split, {path}, is relative to the folder where its run was started: go there; or {instead}"
