"""Errors of all programs: one sentence on the error stream, and an exit status."""

import os
import shutil
import signal
import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from seq2seq.commands.hydra_errors import OUTSIDE_CONFIGURATION, explain_hydra_error, is_hydra_error
from seq2seq.config import Section, keys
from seq2seq.runtime.distributed import PeerLost, claim_error_report, is_launched, world_size
from seq2seq.runtime.errors import InputError, describe_os_error, exit_without_reader, print_any_text, printable_line
from seq2seq.runtime.lock import exclusive_lock
from seq2seq.runtime.run_folder import RunFolder
from seq2seq.training.signals import TrainingStopped, resume_advice


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived outside the training loop."""


def terminate(_: int, __: FrameType | None) -> NoReturn:
    """Handles SIGTERM before and after the training loop, which has its own handler."""
    raise Terminated


@contextmanager
def cli_errors(
    kind: type[Section], *, folder: Path | None = None, found: Collection[str] | None = None
) -> Iterator[None]:
    """Runs the body of a program, and ends the process with an error message and an exit status where it fails.

    | what failed | message | exit status |
    |---|---|---|
    | a person's mistake: InputError, or an error of Hydra's | one sentence | 2 |
    | the machine, such as a full disk, or another process of the run | one sentence | 1 |
    | a signal | one sentence | 128 + its number |
    | our own mistake: any other exception | traceback | 1 |

    `kind` is the program's configuration; its keys are suggested for a mistyped option. `folder` is the run folder.
    If a new run fails before its first checkpoint, what it wrote there is removed; `found` are the names of what was
    there before, and None where the run is not new. One of several processes prints the message.

    The programs use it twice: around Hydra, and inside Hydra, which would otherwise print a line of its own.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises exceptions instead of printing them
    print_any_text()
    previous_hook, threading.excepthook = threading.excepthook, _thread_excepthook
    try:
        check_dashes(sys.argv[1:], kind)
        yield
    except InputError as error:
        _exit_refused(str(error), folder, found)
    except TrainingStopped as stopped:
        _print_error(str(stopped))
        sys.exit(128 + stopped.number)
    except PeerLost as lost:
        remove_unused(folder, found)
        _exit(_with_resume_advice(str(lost), folder), 1)
    except Terminated:
        _exit(_with_resume_advice("stopped by SIGTERM", folder), 128 + signal.SIGTERM)
    except KeyboardInterrupt:
        _exit(_with_resume_advice("interrupted", folder), 130)
    except BrokenPipeError:
        exit_without_reader()
    except Exception as error:
        if is_hydra_error(error):
            _exit_refused(explain_hydra_error(error, kind), folder, found)
        if isinstance(error, OSError):
            _exit(_with_resume_advice(describe_os_error(error), folder), 1)
        raise
    finally:
        threading.excepthook = previous_hook


def _thread_excepthook(arguments: threading.ExceptHookArgs) -> None:
    """Prints no OSError, such as a full disk: TensorBoard's thread raises it again in the thread that writes next."""
    if not isinstance(arguments.exc_value, OSError):
        threading.__excepthook__(arguments)


def check_single_run(arguments: Sequence[str]) -> None:
    """Raises InputError where the arguments ask for several runs under torchrun, which starts one run.

    And where they choose a sweeper, but no sweep.
    """
    multirun = {"-m", "--multirun", "hydra.mode=MULTIRUN"} & {*arguments}
    if world_size() > 1 and multirun:
        raise InputError(f"{multirun.pop()}: torchrun starts the processes of one run; start each run by itself")
    sweepers = [argument for argument in arguments if argument.startswith("hydra/sweeper=")]
    if sweepers and not multirun:
        raise InputError(f"{sweepers[0]} chooses how several runs are planned: add -m")


def check_single_process() -> None:
    """Raises InputError under torchrun: a program other than train.py would do the same work in each process."""
    if is_launched():
        raise InputError("torchrun: only training can use several processes; start this program by itself")


def check_dashes(arguments: Sequence[str], kind: type[Section]) -> None:
    """Raises InputError where an option is written as `--KEY=VALUE`, or with the last part of its key alone."""
    for argument in arguments:
        name = argument.lstrip("-").partition("=")[0]
        options = [*keys(kind), *OUTSIDE_CONFIGURATION]
        same = [key for key in options if key == name or key.rpartition(".")[2] == name.replace("-", "_")]
        if argument.startswith("--" if name not in options else "-") and same:
            raise InputError(f"{argument}: written without dashes, {name if name in same else same[0]}=VALUE")


def _exit_refused(message: str, folder: Path | None, found: Collection[str] | None) -> NoReturn:
    """Ends the process where a person's mistake is the reason."""
    remove_unused(folder, found)
    _exit(message, 2)


def remove_unused(folder: Path | None, found: Collection[str] | None) -> None:
    """Removes what a new run wrote before its first checkpoint, and the folder if it is empty then.

    The names `found` were there before, and stay; with None nothing is removed. The current folder stays, too. Another
    error is not raised, since the reason why the run failed must be told.
    """
    if folder is None or found is None:
        return
    run = RunFolder(folder)
    with suppress(InputError, OSError), exclusive_lock(folder):  # locked where another process has just started a run
        if run.holds_run():
            return
        if run.hydra.name not in found:
            shutil.rmtree(run.hydra, ignore_errors=True)
        if run.log.name not in found:
            run.log.unlink(missing_ok=True)
        if not folder.samefile(Path.cwd()):
            folder.rmdir()  # an error if it is not empty


def _with_resume_advice(message: str, folder: Path | None) -> str:
    """The message, with how to resume the run where there is a checkpoint."""
    if folder is None or not RunFolder(folder).last.exists():
        return message
    return f"{message}: {resume_advice(folder)}"


def _exit(message: str, status: int) -> NoReturn:
    _print_error(f"error: {message}")
    sys.exit(status)


def _print_error(message: str) -> None:
    if claim_error_report():
        print(printable_line(message), file=sys.stderr)
