"""The one error for what a person can mend."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class InputError(Exception):
    """Bad input: the message names the file, line or key, says what was found and what would do.

    The programs print the message as one line and exit with status 2; it never carries a traceback to the prompt.
    What is our own mistake is an `assert`, not an `InputError`.
    """


@contextmanager
def print_errors() -> Iterator[None]:
    """Around a program that takes its own arguments: what is wrong ends it with one sentence.

    Status 2 for `InputError`, 1 for what the system refuses, 130 for Ctrl-C.
    """
    try:
        yield
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        exit_without_reader()
    except OSError as error:
        print(f"error: {describe_os_error(error)}", file=sys.stderr)
        sys.exit(1)


def describe_os_error(error: OSError) -> str:
    """`runs/a/checkpoints: no space left on device`, without the number and the brackets."""
    said = (error.strerror or str(error)).lower()
    return said if error.filename is None else f"{error.filename}: {said}"


def exit_without_reader() -> NoReturn:
    """Ends a program whose reader has gone, as in `translate.py ... | head`, with status 1."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at exit
    sys.exit(1)
