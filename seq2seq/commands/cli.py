"""What the three programs share: one sentence for what is wrong, and an exit status."""

import os
import re
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from seq2seq.config import Section, Train, Translate, keys, near
from seq2seq.runtime.distributed import PeerLost, claim_error_report, is_launched, world_size
from seq2seq.runtime.errors import InputError, describe_os_error, exit_without_reader
from seq2seq.runtime.lock import exclusive_lock
from seq2seq.runtime.run_folder import RunFolder
from seq2seq.training.signals import TrainingStopped, resume_advice

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
OUTSIDE = ("experiment", "resume")
"""What `train.py` takes and no configuration holds."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came where no step was under way."""


def terminate(_: int, __: FrameType | None) -> NoReturn:
    """Handles SIGTERM before and after the loop of training, which handles it otherwise."""
    raise Terminated


@contextmanager
def cli_errors(kind: type[Section], *, folder: Path | None = None) -> Iterator[None]:
    """Runs a program: a person's mistake ends in one sentence on the error stream and exit status 2, no traceback.

    `kind` is the program's configuration, whose keys are suggested for a mistyped option. Hydra's own complaints
    (recognised by where they come from: nothing here imports Hydra) are put in the same words. Status 1 is for what
    the machine refused, such as a full disk; what is our own mistake keeps its traceback. `folder` is the run folder
    that Hydra made: it is removed if the run was refused before it began. Of several processes one prints the error.

    The programs use it twice: around Hydra, and inside Hydra, which would print a line of its own otherwise.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # hand exceptions on instead of printing them
    before, threading.excepthook = threading.excepthook, _in_a_thread
    try:
        _refuse_dashes(kind)
        yield
    except InputError as error:
        _refuse(str(error), folder)
    except TrainingStopped as stopped:
        _tell(str(stopped))
        sys.exit(128 + stopped.number)
    except PeerLost as lost:
        _clear(folder)
        _end(_then_go_on(str(lost), folder), 1)
    except Terminated:
        _end(_then_go_on("stopped by SIGTERM", folder), 128 + signal.SIGTERM)
    except KeyboardInterrupt:
        _end(_then_go_on("interrupted", folder), 130)
    except BrokenPipeError:
        exit_without_reader()
    except Exception as error:
        if type(error).__module__.split(".")[0] in ("hydra", "omegaconf", "yaml"):
            _refuse(_in_our_words(error, kind), folder)
        if isinstance(error, OSError):
            _end(_then_go_on(describe_os_error(error), folder), 1)
        raise
    finally:
        threading.excepthook = before


def _in_a_thread(failed: threading.ExceptHookArgs) -> None:
    """TensorBoard's thread hands a full disk on to whoever writes next, and need not print it."""
    if not isinstance(failed.exc_value, OSError):
        threading.__excepthook__(failed)


def check_single(arguments: Sequence[str]) -> None:
    """Raises InputError where several runs are asked for and torchrun started the processes of one."""
    if world_size() > 1 and (several := {"-m", "--multirun", "hydra.mode=MULTIRUN"} & {*arguments}):
        raise InputError(f"{several.pop()}: torchrun starts the processes of one run; start each run by itself")


def check_alone() -> None:
    """Raises InputError where torchrun started several processes of a program that would do the same in each."""
    if is_launched():
        raise InputError("torchrun: train.py alone shares its work; start this program with python")


def _refuse_dashes(kind: type[Section]) -> None:
    for argument in sys.argv[1:]:
        name = argument.lstrip("-").partition("=")[0]
        if argument.startswith("-") and name in (*keys(kind), *OUTSIDE):
            raise InputError(f"{argument}: written without dashes, {name}=VALUE")


def _refuse(message: str, folder: Path | None) -> NoReturn:
    _clear(folder)
    _end(message, 2)


def _clear(folder: Path | None) -> None:
    if folder is not None and RunFolder(folder).is_unused():
        with suppress(InputError), exclusive_lock(folder):  # it may be of another process, which has only begun
            shutil.rmtree(folder)


def _then_go_on(message: str, folder: Path | None) -> str:
    saved = folder is not None and RunFolder(folder).last.exists()
    return f"{message}: {resume_advice(folder)}" if folder is not None and saved else message


def _end(message: str, status: int) -> NoReturn:
    _tell(f"error: {message}")
    sys.exit(status)


def _tell(message: str) -> None:
    if claim_error_report():
        print(_printable(message), file=sys.stderr)


def _printable(message: str) -> str:
    """One line, and nothing that a terminal obeys: what a file holds may stand in it."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in message)


def _in_our_words(error: Exception, kind: type[Section]) -> str:
    """Hydra's complaints about the command line."""
    message = str(error)
    if (override := getattr(error, "override", None)) is not None:  # Hydra could not take an argument apart
        key, equals, value = override.partition("=")
        if not equals:
            return _without_key(override, kind)
        return f"{override}: not understood; put quotes around the value and all: {_quoted(key, value)}"
    if found := re.search(r"Ambiguous value for argument '(.+?)'\n", message):
        key, _, value = found[1].partition("=")
        several = f", {shlex.quote(f'{key}=[{value}]')} takes all in order" if key == "dataset.train" else ""
        return (
            f"{found[1]}: more than one value; -m makes a run of each{several}, and a comma that is part of one value "
            f"wants quotes: {_quoted(key, value)}"
        )
    if found := re.search(r"Could not override '([^']+)'", message):
        return f"{found[1]}: no such option, {_near_key(found[1], kind)}"
    if options := getattr(error, "options", None):  # of a group
        group, _, name = str(getattr(error, "missing_cfg_file", "")).rpartition("/")
        if group == "hydra/launcher":
            return f"{group}={name}: no such choice, {near(name, options)}; `pip install '.[launchers]'` brings more"
        return f"{group}={name}: no such choice, {near(name, options)}"
    if (mark := getattr(error, "problem_mark", None)) is not None:  # of YAML
        return f"{mark.name}, line {mark.line + 1}: {error.problem}"  # type: ignore[attr-defined]
    key, first = getattr(error, "full_key", None), message.split("\n")[0]
    if "Missing mandatory value" in message:
        without = ", or dataset.test=null for no test scores" if key == "dataset.test" else ""
        return f"{key}: not set; give {key}=VALUE{without}"
    return f"{key}: {first}" if key else first


def _quoted(key: str, value: str) -> str:
    """The option as the shell wants it typed, with a value that Hydra takes as it stands."""
    escaped = re.sub(r'(\\*)(")', r"\1\1\\\2", value)  # backslashes are plain, but for those before a quotation mark
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return shlex.quote(f'{key}="{escaped}"')


def _without_key(word: str, kind: type[Section]) -> str:
    """A file or a folder that stands alone, as other programs take it, or some other word."""
    quoted, folder = shlex.quote(word), Path(word).is_dir()
    if kind is Train:
        return f"{word}: expected KEY=VALUE" + (f"; `resume={quoted}` resumes a run" if folder else "")
    if folder:
        return f"{word}: expected KEY=VALUE; a checkpoint is given as checkpoint={quoted}"
    if kind is Translate:
        how = f"python translate.py checkpoint=runs/NAME/checkpoints/best < {quoted}"
        return f"{word}: expected KEY=VALUE; text comes from standard input: `{how}`"
    return f"{word}: expected KEY=VALUE; files to score are given as source=FILE target=FILE"


def _near_key(key: str, kind: type[Section]) -> str:
    if key.startswith("hydra."):
        return "`--cfg hydra` shows those of Hydra"
    if key in keys(kind):  # dataset.folder, where the dataset is not one that has a folder
        group = key.partition(".")[0]
        return f"because of the {group} chosen: another {group}=CHOICE has it"
    return near(key, [*keys(kind), *OUTSIDE] if kind is Train else keys(kind))
