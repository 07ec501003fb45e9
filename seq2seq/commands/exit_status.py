"""Errors of all programs: one sentence on the error stream, and an exit status."""

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

from seq2seq.attention.distributions import DISTRIBUTIONS
from seq2seq.config import Section, Serve, Train, Translate, keys, near
from seq2seq.runtime.distributed import PeerLost, claim_error_report, is_launched, world_size
from seq2seq.runtime.errors import InputError, describe_os_error, exit_without_reader
from seq2seq.runtime.lock import exclusive_lock
from seq2seq.runtime.program_name import program
from seq2seq.runtime.resources import resource_folder
from seq2seq.runtime.run_folder import RunFolder
from seq2seq.training.signals import TrainingStopped, resume_advice

CONFIGS = resource_folder("configs")
OUTSIDE_CONFIGURATION = ("experiment", "resume")
"""Options of `train.py` that are not part of its configuration."""


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived outside the training loop."""


def terminate(_: int, __: FrameType | None) -> NoReturn:
    """Handles SIGTERM before and after the training loop, which has its own handler."""
    raise Terminated


@contextmanager
def cli_errors(kind: type[Section], *, folder: Path | None = None) -> Iterator[None]:
    """Runs the body of a program, and ends the process with an error message and an exit status where it fails.

    | what failed | message | exit status |
    |---|---|---|
    | a person's mistake: InputError, or an error of Hydra's | one sentence | 2 |
    | the machine, such as a full disk, or another process of the run | one sentence | 1 |
    | a signal | one sentence | 128 + its number |
    | our own mistake: any other exception | traceback | 1 |

    `kind` is the program's configuration; its keys are suggested for a mistyped option. `folder` is the run folder that
    Hydra made; it is removed if the run fails before its first checkpoint. One of several processes prints the message.

    The programs use it twice: around Hydra, and inside Hydra, which would otherwise print a line of its own.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises exceptions instead of printing them
    previous_hook, threading.excepthook = threading.excepthook, _thread_excepthook
    try:
        check_dashes(sys.argv[1:], kind)
        yield
    except InputError as error:
        _exit_refused(str(error), folder)
    except TrainingStopped as stopped:
        _print_error(str(stopped))
        sys.exit(128 + stopped.number)
    except PeerLost as lost:
        remove_unused(folder)
        _exit(_with_resume_advice(str(lost), folder), 1)
    except Terminated:
        _exit(_with_resume_advice("stopped by SIGTERM", folder), 128 + signal.SIGTERM)
    except KeyboardInterrupt:
        _exit(_with_resume_advice("interrupted", folder), 130)
    except BrokenPipeError:
        exit_without_reader()
    except Exception as error:
        if is_hydra_error(error):
            _exit_refused(explain_hydra_error(error, kind), folder)
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


def _exit_refused(message: str, folder: Path | None) -> NoReturn:
    """Ends the process where a person's mistake is the reason."""
    remove_unused(folder)
    _exit(message, 2)


def remove_unused(folder: Path | None) -> None:
    """Removes a run folder without a checkpoint."""
    if folder is not None and RunFolder(folder).is_unused():
        with suppress(InputError), exclusive_lock(folder):  # locked where another process has just started a run in it
            shutil.rmtree(folder)


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
        print(_printable(message), file=sys.stderr)


def _printable(message: str) -> str:
    """The message in one line, without control sequences for the terminal: it may quote a file."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in message)


def is_hydra_error(error: Exception) -> bool:
    """Whether Hydra, OmegaConf or YAML raised the error. Hydra is not imported here."""
    return type(error).__module__.split(".")[0] in ("hydra", "omegaconf", "yaml")


def explain_hydra_error(error: Exception, kind: type[Section]) -> str:
    """An error of Hydra's, OmegaConf's or YAML's, as one sentence in the words of the other messages."""
    message = str(error)
    if (override := getattr(error, "override", None)) is not None:  # Hydra could not parse an argument
        key, equals, value = override.partition("=")
        if not equals:
            return _explain_missing_key(override, kind)
        return (
            f"{override}: cannot be parsed; put the value and the whole option in quotes: {_quote_option(key, value)}"
        )
    if match := re.search(r"Ambiguous value for argument '(.+?)'\n", message):
        key, _, value = match[1].partition("=")
        takes_all = {
            "dataset.train": "takes all in order",
            "checkpoint": "is an ensemble of all",
            "attention.intervene": "scores with each",
        }.get(key)
        concatenated = f", {shlex.quote(f'{key}=[{value}]')} {takes_all}" if takes_all else ""
        return (
            f"{match[1]}: more than one value; -m starts a run for each{concatenated}, and a comma that is part of one "
            f"value needs quotes: {_quote_option(key, value)}"
        )
    if match := re.search(r"Could not override '([^']+)'", message):
        return f"{match[1]}: no such option, {_suggest_key(match[1], kind)}"
    if choices := getattr(error, "options", None):  # of a configuration group
        group, _, name = str(getattr(error, "missing_cfg_file", "")).rpartition("/")
        more = "; `pip install '.[launchers]'` installs more" if group == "hydra/launcher" else ""
        return f"{group}={name}: no such choice, {_suggest_choice(group, name, choices)}{more}"
    if (mark := getattr(error, "problem_mark", None)) is not None:  # a syntax error in YAML
        return f"{mark.name}, line {mark.line + 1}: {error.problem}"  # type: ignore[attr-defined]
    key, first_line = getattr(error, "full_key", None), message.split("\n")[0]
    return f"{key}: {first_line}" if key else first_line


def _quote_option(key: str, value: str) -> str:
    """The option quoted for the shell, with a value quoted for Hydra."""
    escaped = re.sub(r'(\\*)(")', r"\1\1\\\2", value)  # backslashes are plain except before a quotation mark
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return shlex.quote(f'{key}="{escaped}"')


def _explain_missing_key(word: str, kind: type[Section]) -> str:
    """The message for an argument without `=`, often a file or a folder, as other programs take it."""
    quoted, folder = shlex.quote(word), Path(word).is_dir()
    if kind is Train:
        return f"{word}: expected KEY=VALUE" + (f"; `resume={quoted}` resumes a run" if folder else "")
    if folder:
        return f"{word}: expected KEY=VALUE; a checkpoint is given as checkpoint={quoted}"
    if kind is Translate:
        how = f"{program('translate')} checkpoint=runs/NAME/checkpoints/best < {quoted}"
        return f"{word}: expected KEY=VALUE; text comes from standard input: `{how}`"
    if kind is Serve:
        return f"{word}: expected KEY=VALUE, such as checkpoint=runs/NAME"
    return f"{word}: expected KEY=VALUE; files to score are given as source=FILE target=FILE"


def _suggest_choice(group: str, name: str, choices: Sequence[str]) -> str:
    """What follows "no such choice" of a configuration group: the option that has this choice, or similar choices."""
    if (group, name) == ("device", "gpu"):
        return "did you mean cuda?"
    others = sorted(f"{file.parent.name}={name}" for file in CONFIGS.glob("*/*.yaml") if file.stem == name)
    if group == "attention" and name in DISTRIBUTIONS:
        others.append(f"attention.distribution={name}")
    similar = near(name, choices)
    if not others:
        return similar
    start = f"{similar.removesuffix('?')} or" if similar.endswith("?") else "did you mean"
    return f"{start} {' or '.join(others)}?"


def _suggest_key(key: str, kind: type[Section]) -> str:
    """What follows "no such option" in the message: similar options, or why the option is not there."""
    if key.startswith("hydra."):
        return "`--cfg hydra` shows those of Hydra"
    options = [name for name in keys(kind) if name.startswith(f"{key}.")]
    if kind is not Train and "." not in key and options:  # such as attention=dot for translate.py
        return f"give its values one by one: {', '.join(options)}"
    if kind is Translate and key in ("source", "input", "target", "output"):
        how = f"{program('translate')} ... < SOURCE > TARGET"
        return f"since translations go from standard input to standard output: `{how}`"
    if key in keys(kind):  # such as dataset.folder with a dataset that has no folder
        group = key.partition(".")[0]
        return f"because of the {group} chosen: another {group}=CHOICE has it"
    return near(key, [*keys(kind), *OUTSIDE_CONFIGURATION] if kind is Train else keys(kind))
