"""Reading files that are compressed with zstd (RFC 8878), which Python's library cannot before version 3.14."""

import io
from typing import Any, BinaryIO

from seq2seq.runtime.errors import InputError

PART = 1024
"""Bytes that are unpacked at a time: a few may stand for megabytes."""
LARGEST_WINDOW = 2**27
"""Bytes of the text before that a frame may repeat, and so of memory; the limit of the program `zstd`, too."""


class ZstdFile(io.RawIOBase):
    """The content of a zstd file. Reading raises EOFError where the file lacks its end, OSError where it is damaged.

    Raises `InputError` if the package zstandard is not installed.
    """

    def __init__(self, file: BinaryIO) -> None:
        try:
            import zstandard
        except ModuleNotFoundError:
            advice = "`pip install zstandard` installs what unpacks it"
            raise InputError(f"{file.name} is compressed with zstd: {advice}") from None
        self._file, self._error = file, zstandard.ZstdError
        self._new_frame = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).decompressobj
        self._frame, self._packed, self._content = self._new_frame(), b"", io.BytesIO()

    def readable(self) -> bool:
        """True: see `io.RawIOBase`."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Reads up to `len(buffer)` bytes: see `io.RawIOBase`. Returns their number, 0 at the end."""
        while not (size := self._content.readinto(buffer)):
            packed = self._packed or self._file.read(PART)
            if not packed:
                if not self._frame.eof:
                    raise EOFError
                return 0
            if self._frame.eof:
                self._frame = self._new_frame()
            try:
                self._content = io.BytesIO(self._frame.decompress(packed))
            except self._error as error:
                raise OSError(str(error)) from None
            self._packed = self._frame.unused_data
        return size
