"""`seq2seq.train`: trains a model as `train.py` does, or resumes a run."""

import json
import logging
import os
import signal
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from omegaconf import flag_override

from seq2seq.commands.composition import compose_options, hydra_errors
from seq2seq.commands.exit_status import remove_unused
from seq2seq.commands.resume import plan_resume
from seq2seq.commands.train import LOG_FORMAT, LOG_TIME, load_new_run, log_unused, record, resume_arguments
from seq2seq.commands.train_and_score import check_unused
from seq2seq.commands.train_and_score import train as train_and_score
from seq2seq.config import Train
from seq2seq.library.inputs import check_overrides
from seq2seq.library.loading import load
from seq2seq.library.translator import Translator
from seq2seq.runtime.device import restored_settings
from seq2seq.runtime.distributed import is_launched
from seq2seq.runtime.errors import InputError, describe_os_error
from seq2seq.runtime.lock import exclusive_lock
from seq2seq.runtime.run_folder import RunFolder
from seq2seq.training.progress import Bar, auto_tqdm
from seq2seq.training.signals import TrainingStopped

_TRAINING = threading.Lock()
"""Training changes settings of the process, such as its random numbers and the precision of products."""


@dataclass(frozen=True)
class Results:
    """A finished run: its folder, and its scores as `results.json` holds them."""

    folder: Path
    scores: dict[str, Any] = field(repr=False)

    @cached_property
    def translator(self) -> Translator:
        """The best checkpoint of the run, loaded at the first use."""
        return load(self.folder)


def train(
    *overrides: str,
    folder: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Results:
    """Trains a model and scores it. `overrides` are options as on the command line of `train.py`: "attention=dot".

    The run is written to `folder`; without it, to the folder that the option `hydra.run.dir` names. `resume` is the
    folder of a run to be resumed. The log is in the run's `train.log`; with `progress` there is a bar as well.

    Ctrl-C raises KeyboardInterrupt, once everything is saved. Raises InputError with the sentence that `train.py`
    prints, and where another run is being trained in this process.
    """
    check_overrides(overrides)
    if is_launched():
        raise InputError("torchrun: seq2seq.train trains in one process; for several, start train.py with torchrun")
    if not _TRAINING.acquire(blocking=False):
        raise InputError("this process trains a run already: wait until it ends, or train in another process")
    try:
        bar = partial(auto_tqdm, disable=not progress, dynamic_ncols=True)
        if resume is None and not any(override.startswith("resume=") for override in overrides):
            return _start(overrides, folder, bar)
        if folder is not None:
            raise InputError("folder: a run is resumed in its own folder; leave out folder or resume")
        return _resume([*overrides, *([] if resume is None else [f"resume={os.fspath(resume)}"])], bar)
    finally:
        _TRAINING.release()


def _start(overrides: Sequence[str], path: str | os.PathLike[str] | None, bar: Bar) -> Results:
    values, hydra_values = compose_options("train", overrides, Train)
    with hydra_errors(Train):
        configuration, source = load_new_run(values, overrides)
        folder = Path(hydra_values.hydra.run.dir if path is None else path).absolute()
    with flag_override(hydra_values, ["struct", "readonly"], False):
        hydra_values.hydra.runtime.output_dir = str(folder)  # Hydra sets it when it starts a program
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(describe_os_error(error)) from None
    with _run(folder, found=RunFolder(folder).names()):
        check_unused(folder)
        record(values, hydra_values, RunFolder(folder).hydra)
        with _log_file(RunFolder(folder).log):
            log_unused(configuration, overrides)
            train_and_score(configuration, folder, source=source, bar=bar)
    return _results(folder)


def _resume(arguments: list[str], bar: Bar) -> Results:
    with hydra_errors(Train):
        folder, options = resume_arguments(arguments)
    with _run(folder, found=None):
        plan = plan_resume(folder, options)
        if plan is not None:
            with _log_file(RunFolder(folder).log):
                train_and_score(plan[0], folder, plan[1], bar=bar)
    return _results(folder.absolute())


def _results(folder: Path) -> Results:
    return Results(folder, json.loads(RunFolder(folder).results.read_text(encoding="utf-8")))


@contextmanager
def _run(folder: Path, *, found: Collection[str] | None) -> Iterator[None]:
    """Trains in the folder: locked, with the settings of the process restored at the end, and with Python's errors."""
    try:
        with exclusive_lock(folder), restored_settings():
            yield
    except InputError:
        remove_unused(folder, found)
        raise
    except TrainingStopped as stopped:
        if stopped.number != signal.SIGINT:
            signal.raise_signal(stopped.number)  # does what the signal does without training
        raise KeyboardInterrupt(str(stopped)) from None


@contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Writes the log of this package to the file, as `train.py` does. Other handlers receive it as well."""
    logger = logging.getLogger("seq2seq")
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter(LOG_FORMAT, LOG_TIME))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        handler.close()
