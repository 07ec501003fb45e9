"""The lines of a file."""

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from seq2seq.runtime.errors import InputError
from seq2seq.text.encodings import DAMAGE, open_text

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LONGEST_LINE = 2**20
"""Bytes: no sentence is that long, and a small compressed file can hold a line as long as the memory."""


def read_lines(path: Path) -> Iterator[str]:
    r"""The lines of a UTF-8 file, one at a time; what gzip, xz or bzip2 compressed is unpacked, whatever its name.

    Lines end at `\n` only (a sentence may hold U+0085 or U+2028), a `\r` before it and a byte order mark are dropped.
    Raises `InputError` where the file is missing, unreadable, cut short, empty, no plain file or not UTF-8 (UTF-16 is
    named), or has a line of more than `LONGEST_LINE` bytes.
    """
    if path.is_fifo() or path.is_char_device():
        raise InputError(f"{path} is a pipe or a device: text is read more than once, so give a plain file")
    number = 0
    try:
        with open_text(path) as file:
            for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE + 2), b""), start=1):
                if len(line.removesuffix(b"\n")) > LONGEST_LINE:
                    raise InputError(
                        f"{path}, line {number}: more than {LONGEST_LINE:,} bytes, which is no sentence; is this text, "
                        "one sentence a line?"
                    )
                if number == 1:
                    line = line.removeprefix(BYTE_ORDER_MARK)
                    if not line.endswith(b"\n") and line.rstrip(b"\r").count(b"\r"):
                        raise InputError(
                            f"{path}: its lines end in CR alone, as on old Macintoshes; `tr '\\r' '\\n'` converts them"
                        )
                yield line.removesuffix(b"\n").removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}, line {number}: byte {error.object[error.start]:#04x} at position {error.start} of the line is "
            "not UTF-8; convert the file to UTF-8"
        ) from error
    except EOFError as error:
        raise InputError(
            f"{path} is cut short after line {number}: the compressed file lacks its end; copy it again"
        ) from error
    except MemoryError as error:  # the header of an xz file says how much
        raise InputError(f"cannot read {path}: unpacking it takes more memory than there is") from error
    except DAMAGE as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read {path}{f' after line {number}' if number else ''}: {reason}") from error
    if number == 0:
        raise InputError(f"{path} is empty: it must hold at least one line")


def text_digest(path: Path) -> str:
    """SHA-256 of the lines of a file, each with a line feed, whatever compressed it and however its lines end."""
    return digest_lines(read_lines(path))[0]


def digest_lines(lines: Iterable[str]) -> tuple[str, int]:
    """SHA-256 over the lines, each with its end, and their number."""
    digest, number = hashlib.sha256(), 0
    for number, line in enumerate(lines, start=1):  # noqa: B007
        digest.update(line.encode() + b"\n")
    return digest.hexdigest(), number
