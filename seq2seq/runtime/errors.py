"""Errors that a user can correct, and how the programs print errors."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class InputError(Exception):
    """An error in the user's input: the message names the file, line or key, what was found and what is expected.

    The programs print the message on one line, without a traceback, and exit with status 2. An error of our own code
    is an `assert`, not an `InputError`.
    """


class DivergenceError(InputError):
    """Training whose loss became infinite or NaN: the options have to change."""


@contextmanager
def print_errors() -> Iterator[None]:
    """Prints an error of a script as one line and exits.

    The exit status is 2 for `InputError`, 1 for an error of the operating system, and 130 for Ctrl-C.
    """
    print_any_text()
    try:
        yield
    except InputError as error:
        print(f"error: {printable_line(str(error))}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        exit_without_reader()
    except OSError as error:
        print(f"error: {printable_line(describe_os_error(error))}", file=sys.stderr)
        sys.exit(1)


def print_any_text() -> None:
    """Lets standard output write what its encoding lacks as an escape sequence, in place of an error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def printable_line(message: str) -> str:
    """The message in one line, without control characters and lone surrogates: it may quote a file or a request."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in message)


def describe_os_error(error: OSError) -> str:
    """The error as `runs/a/checkpoints: no space left on device`, without its number."""
    message = (error.strerror or str(error)).lower()
    return message if error.filename is None else f"{error.filename}: {message}"


def exit_without_reader() -> NoReturn:
    """Exits with status 1 when the reader of standard output has ended, as in `translate.py ... | head`."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # otherwise Python prints an error at exit
    sys.exit(1)
