"""`line_groups`: whatever way the bytes come, the lines are those of the whole."""

import os
import threading

from hypothesis import given
from hypothesis import strategies as st

from seq2seq.filter import line_groups

PIECES = st.lists(st.lists(st.sampled_from([b"\n", b"a", b"\r", b"\xff", b"\0", "\u2028".encode()])).map(b"".join))


def through_a_pipe(chunks: list[bytes], *, size: int) -> list[list[bytes]]:
    """What `line_groups` reads of chunks that were written one after the other."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            for chunk in chunks:
                pipe.write(chunk)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        return list(line_groups(reading, size=size))
    finally:
        writer.join()
        os.close(reading)


@given(chunks=PIECES, size=st.integers(1, 5))
def test_lines_are_those_of_the_whole(chunks: list[bytes], size: int) -> None:
    whole = b"".join(chunks)
    lines = whole.removesuffix(b"\n").split(b"\n") if whole else []
    groups = through_a_pipe(chunks, size=size)
    assert [line for group in groups for line in group] == lines
    assert all(1 <= len(group) <= size for group in groups)


def test_a_long_line_is_put_together() -> None:
    line = bytes(range(32, 127)) * 20_000
    assert through_a_pipe([b"one\n" + line[:70_000], line[70_000:], b"\nlast"], size=9) == [[b"one"], [line], [b"last"]]


def test_a_line_is_not_held_back_for_the_next() -> None:
    reading, writing = os.pipe()
    groups = line_groups(reading, size=64)
    os.write(writing, b"one\ntwo\nhal")
    assert next(groups) == [b"one", b"two"]  # with the pipe still open
    os.write(writing, b"f\n")
    assert next(groups) == [b"half"]
    os.close(writing)
    assert list(groups) == []
    os.close(reading)
