"""Atomic writing: the whole file or none, and never through a symbolic link."""

import errno
import json
import math
import os
from pathlib import Path

import pytest

from seq2seq.runtime.files import replacing, write_json, write_text


def test_a_file_is_replaced_at_the_end_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    with replacing(path) as partial:
        partial.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_where_writing_fails_the_old_file_stays_and_the_error_names_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def fail(error: BaseException) -> None:
        with replacing(path) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(OSError, match=r"No space left on device: .*a\.txt"):
        fail(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    with pytest.raises(OSError, match=r"^\[Errno 28\] 9 requested and 0 written: is the disk full\?: '.*a\.txt'$"):
        fail(OSError("9 requested and 0 written"))  # as NumPy's `tofile` raises it
    with pytest.raises(KeyboardInterrupt):
        fail(KeyboardInterrupt())
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("as it was")
    for name in ("results.json", f".results.json.{os.getpid()}.partial"):
        (tmp_path / name).symlink_to(tmp_path / "victim")
    write_text(tmp_path / "results.json", "ours")
    assert (tmp_path / "victim").read_text() == "as it was"
    assert not (tmp_path / "results.json").is_symlink()
    assert (tmp_path / "results.json").read_text() == "ours"


def test_what_is_no_number_is_null(tmp_path: Path) -> None:
    write_json(
        tmp_path / "a.json", {"a": math.nan, "b": {"c": math.inf, "größe": 1.5}, "d": [math.nan, (1.5, -math.inf)]}
    )
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"a": None, "b": {"c": None, "größe": 1.5}, "d": [None, [1.5, None]]}
    assert "größe" in text
