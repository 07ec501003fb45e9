"""What the three programs share: one sentence for what is wrong, and an exit status."""

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from seq2seq.config import Section, keys, near
from seq2seq.errors import InputError


@contextmanager
def told(kind: type[Section]) -> Iterator[None]:
    """Runs a program: a person's mistake ends in one sentence on the error stream and exit status 2, no traceback.

    `kind` is the program's configuration, whose keys are suggested for a mistyped option. Hydra's own complaints
    (recognised by where they come from: nothing here imports Hydra) are put in the same words. Status 1 is for what
    the machine refused, such as a full disk; what is our own mistake keeps its traceback.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # hand exceptions on instead of printing them
    try:
        yield
    except InputError as error:
        _end(str(error), 2)
    except KeyboardInterrupt:
        _end("interrupted", 130)
    except BrokenPipeError:  # the reader of our output has gone, as in `translate.py ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at exit
        sys.exit(1)
    except OSError as error:
        _end(str(error), 1)
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("hydra", "omegaconf"):
            raise
        _end(_in_our_words(str(error), kind), 2)


def _end(message: str, status: int) -> None:
    logging.getLogger(__name__).debug("%s", message)
    print(f"error: {message}", file=sys.stderr)
    sys.exit(status)


def _in_our_words(message: str, kind: type[Section]) -> str:
    """Hydra's complaints about the command line."""
    if found := re.search(r"Could not override '([^']+)'", message):
        return f"{found[1]}: no such option, {near(found[1], {key for key in keys(kind)})}"
    if found := re.search(r"Could not find '([^']+)/([^'/]+)'.*?Available options in [^\n]*\n(.*)", message, re.DOTALL):
        group, name, choices = found.groups()
        return f"{group}={name}: no such choice, {near(name, choices.split())}"
    if found := re.search(r"Missing mandatory value: (\S+)", message):
        return f"{found[1]}: not set; give {found[1]}=VALUE"
    return message.split("\n")[0]
