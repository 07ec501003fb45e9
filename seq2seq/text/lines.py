"""Reading the lines of a text file."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from seq2seq.runtime.errors import InputError
from seq2seq.text.encodings import DAMAGE, open_text

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LONGEST_LINE = 2**20
"""In bytes. No sentence is that long, and a small compressed file can contain a line larger than the memory."""


def read_lines(path: Path) -> Iterator[str]:
    r"""The lines of a UTF-8 file, one at a time. Files that are compressed with gzip, xz, bzip2 or zstd are unpacked.

    Only `\n` ends a line, since a sentence may contain U+0085 or U+2028. A `\r` before it and a byte order mark are
    removed. Raises `InputError` for a file that is missing, unreadable, cut short, empty, not a plain file or not
    UTF-8, and for a line of more than `LONGEST_LINE` bytes.
    """
    number = 0
    try:
        if path.is_fifo() or path.is_char_device():
            raise InputError(f"{path} is a pipe or a device, but text is read more than once: name a plain file")
        with open_text(path) as file:
            for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE + 2), b""), start=1):
                if len(line.removesuffix(b"\n")) > LONGEST_LINE:
                    raise InputError(
                        f"{path}, line {number}: more than {LONGEST_LINE:,} bytes; expected text with one sentence on "
                        "each line"
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
    except MemoryError as error:  # the header of an xz file says how much memory unpacking needs
        raise InputError(f"cannot read {path}: unpacking it needs more memory than there is") from error
    except (*DAMAGE, ValueError) as error:  # a ValueError is that of a path with NUL
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read {path}{f' after line {number}' if number else ''}: {reason}") from error
    if number == 0:
        raise InputError(f"{path} is empty; expected at least one line")


def in_one_line(text: str) -> str:
    """The text with a space for each tab and line end, which no sentence has."""
    return re.sub(r"\r?\n|[\r\t]", " ", text)


def text_digest(path: Path) -> str:
    r"""The SHA-256 of the lines of a file, each with `\n`: independent of compression and of `\r` before `\n`."""
    return digest_lines(read_lines(path))[0]


def digest_lines(lines: Iterable[str]) -> tuple[str, int]:
    r"""The SHA-256 of the lines, each with `\n`, and the number of lines."""
    digest, number = hashlib.sha256(), 0
    for number, line in enumerate(lines, start=1):  # noqa: B007
        digest.update(line.encode() + b"\n")
    return digest.hexdigest(), number


def encodable(text: str) -> str:
    """The text with U+FFFD in place of lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return re.sub("[\ud800-\udfff]", "\ufffd", text)
    return text
