"""The one error for what a person can mend."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class InputError(Exception):
    """Bad input: the message names the file, line or key, says what was found and what would do.

    The programs print the message as one line and exit with status 2; it never carries a traceback to the prompt.
    What is our own mistake is an `assert`, not an `InputError`.
    """


@contextmanager
def in_a_sentence() -> Iterator[None]:
    """Around a program that takes its own arguments: `InputError` ends it with its message and status 2."""
    try:
        yield
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
