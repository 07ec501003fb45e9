"""The format of a text file by its first bytes: compressed text is unpacked, other formats are refused by name."""

import bz2
import codecs
import gzip
import io
import lzma
import shlex
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from seq2seq.runtime.errors import InputError
from seq2seq.runtime.program_name import program
from seq2seq.text.zstd import ZstdFile

SUFFIXES = ("", ".gz", ".xz", ".bz2", ".zst")
"""The suffixes of a text file's name."""
DAMAGE = (OSError, zlib.error, lzma.LZMAError)
"""The errors of reading a damaged file. A compressed file without its end raises `EOFError` instead."""

# With the start of the first block, or the end of an empty file: "BZh" alone could be text.
_BZIP2 = [b"BZh%d" % level + block for level in range(1, 10) for block in (b"1AY&SY", b"\x17rE8P\x90")]
_UNPACK: list[tuple[tuple[bytes, ...], Callable[[BinaryIO], Any]]] = [
    ((b"\x1f\x8b",), gzip.open),
    ((b"\xfd7zXZ\0",), lzma.open),
    (tuple(_BZIP2), bz2.open),
    ((b"(\xb5/\xfd",), ZstdFile),
]
_ZIP = b"PK\x03\x04"
_ZIP_NAME = "a zip archive, as the files of office programs are: unpack it, or save it as UTF-8 text"
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # before UTF-16, whose mark is its beginning
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_HEAD = 4096  # bytes


@contextmanager
def open_unpacked(path: Path) -> Iterator[io.BufferedReader]:
    """Opens a file for reading bytes, in whatever encoding; gzip, xz, bzip2 and zstd are unpacked.

    Raises `InputError` for a zip archive. Reading may raise one of `DAMAGE`.
    """
    with ExitStack() as opened:
        file = opened.enter_context(path.open("rb"))
        head = file.peek(_HEAD)
        for magic, unpack in _UNPACK:
            if head.startswith(magic):
                # GzipFile splits lines in Python code; a buffer around it is 2.5 times as fast.
                file = opened.enter_context(io.BufferedReader(unpack(file)))
                break
        if file.peek(_HEAD).startswith(_ZIP):
            raise InputError(f"{path} is {_ZIP_NAME}")
        yield file


@contextmanager
def open_text(path: Path) -> Iterator[io.BufferedReader]:
    """`open_unpacked` for text: raises `InputError` for UTF-16 and UTF-32 as well."""
    with open_unpacked(path) as file:
        if (encoding := _encoding(file.peek(_HEAD)[:_HEAD])) is not None:
            convert = f"iconv -f {encoding} -t UTF-8 {shlex.quote(str(path))} > NEW"
            raise InputError(f"{path} is {encoding}, and text must be UTF-8: `{convert}` converts it")
        yield file


def check_stream(head: bytes) -> None:
    """Raises InputError where the first bytes of standard input are compressed or not UTF-8."""
    if any(head.startswith(magic) for magics, _ in _UNPACK for magic in magics):
        raise InputError(
            f"standard input is compressed: unpack it first, as in `gzip -dc FILE | {program('translate')} ...`"
        )
    if head.startswith(_ZIP):
        raise InputError(f"standard input is {_ZIP_NAME}")
    if (encoding := _encoding(head)) is not None:
        raise InputError(
            f"standard input is {encoding}, and text must be UTF-8: "
            f"`iconv -f {encoding} -t UTF-8 FILE | {program('translate')} ...` converts it"
        )


def _encoding(head: bytes) -> str | None:
    """The encoding if it is UTF-16 or UTF-32, else None.

    The byte order mark decides. Without one, text is UTF-16 if it is not UTF-8 or a third of its bytes are control
    characters, and if it decodes as UTF-16 with line ends that account for at least half of all bytes 0x0A.
    """
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    controls = sum(byte < 0x20 and byte not in b"\t\n\r" for byte in head)
    if _decoded(head, "UTF-8") is None or 3 * controls >= len(head):
        for encoding in ("UTF-16LE", "UTF-16BE"):
            text = _decoded(head, encoding) or ""
            lines = text.count("\n")
            if lines and 2 * lines >= head.count(b"\n") and text.strip() and "\0" not in text:
                return encoding
    return None


def _decoded(head: bytes, encoding: str) -> str | None:
    """The text without an incomplete last character; None where it is not in this encoding."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return None
