"""Reading parallel text: lines are read unchanged, bad files are refused with a helpful message."""

import bz2
import gzip
import lzma
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.runtime.errors import InputError
from seq2seq.text.corpus import BothDirections, Corpus, Distilled, InMemory, Pair, Split, original
from seq2seq.text.lines import read_lines
from seq2seq.text.sources.files import AlignedFiles, aligned_files
from seq2seq.text.sources.own_text import corpus_of_files
from seq2seq.text.sources.tsv import TabSeparated

Write = Callable[[str, bytes], Path]
zstd = zstandard.ZstdCompressor().compress


def files(*, source: str, target: str, **paths: Any) -> Corpus:
    """A corpus of aligned files."""
    return corpus_of_files(aligned_files(source, target), **paths, source=source, target=target)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_bytes(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write_bytes


@pytest.mark.parametrize("name", ["text.de", "text.de.gz"])
def test_lines_end_at_the_newline_only(write: Write, name: str) -> None:
    text = "\ufeffone\r\ntwo\r\r\n\n a\x0bb\x0cc\x85d\u2028e\u00a0\t\x00 \nlast".encode()
    assert list(read_lines(write(name, text))) == ["one", "two\r", "", " a\x0bb\x0cc\x85d\u2028e\u00a0\t\x00 ", "last"]


def test_a_byte_order_mark_is_dropped_at_the_start_only(write: Write) -> None:
    assert list(read_lines(write("text", "\ufeff\ufeffa\n\ufeffb\n".encode()))) == ["\ufeffa", "\ufeffb"]


# Without NUL: next to a line end it is the sign of UTF-16 without a byte order mark.
@given(lines=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r\ufeff\0")), min_size=1))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.mktemp("lines") / "text"
    path.write_bytes("".join(line + "\n" for line in lines).encode())
    assert list(read_lines(path)) == lines


@pytest.mark.parametrize("name", ["text.de", "text.de.gz"])
def test_another_encoding_is_named_with_file_line_and_byte(write: Write, name: str) -> None:
    path = write(name, b"gut\nsch\xf6n\n")
    with pytest.raises(InputError, match=r"text\.de.*, line 2: byte 0xf6 at position 3"):
        list(read_lines(path))


@pytest.mark.parametrize("name", ["text.de", "text.de.gz"])
def test_an_empty_file_is_refused(write: Write, name: str) -> None:
    with pytest.raises(InputError, match=r"text\.de.* is empty"):
        list(read_lines(write(name, b"")))


def test_missing_unreadable_and_damaged_files_are_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: No such file"):
        list(read_lines(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="Is a directory"):
        list(read_lines(tmp_path))
    with pytest.raises(InputError, match="File name too long"):
        list(read_lines(tmp_path / ("x" * 300)))
    with pytest.raises(InputError, match="null byte"):
        list(read_lines(tmp_path / "a\0b"))
    path = write("text.gz", b"".join(b"line %d\n" % number for number in range(3000)))
    compressed = path.read_bytes()
    path.write_bytes(compressed[: len(compressed) // 2])
    with pytest.raises(InputError, match=r"text\.gz is cut short"):
        list(read_lines(path))
    path.write_bytes(compressed[:100] + b"\xff" * 100 + compressed[200:])
    with pytest.raises(InputError, match=r"cannot read .*text\.gz"):
        list(read_lines(path))


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".bz2", ".txt"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress, bz2.compress, zstd])
def test_what_compressed_a_file_is_seen_in_it_and_not_in_its_name(
    tmp_path: Path, compress: Callable[[bytes], bytes], suffix: str
) -> None:
    lines = [f"Zeile {number} für {number % 7}" for number in range(3000)]
    path = tmp_path / f"text{suffix}"
    path.write_bytes(compress("".join(f"{line}\r\n" for line in lines).encode("utf-8-sig")))
    assert list(read_lines(path)) == lines


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, bz2.compress, zstd])
def test_a_compressed_file_that_is_damaged_is_refused(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    compressed = compress(b"".join(b"line %d\n" % number for number in range(30_000)))
    path = tmp_path / "text"
    middle = len(compressed) // 2
    for content, words in (
        (compressed[:middle], r"text is cut short after line \d+: the compressed file lacks its end"),
        (compressed[:middle] + bytes(100) + compressed[middle + 100 :], "cannot read .*text"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=words):
            list(read_lines(path))
    path.write_bytes(compress(b""))
    with pytest.raises(InputError, match="text is empty"):
        list(read_lines(path))


def test_text_that_begins_as_a_compressed_file_would_is_text(write: Write) -> None:
    assert list(read_lines(write("text", b"BZh91 is a name\nPK\n"))) == ["BZh91 is a name", "PK"]


ENCODED = [
    "Der Müller sucht es.\nDas Mädchen.\n",
    "Он видит собаку.\nДа.\n",
    "犬を見る。\n猫です。\n",
    "เขาเห็นหมา\nใช่\n",
]


@pytest.mark.parametrize("text", ENCODED)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_utf_16_is_named(tmp_path: Path, text: str, encoding: str, compress: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "a text"
    path.write_bytes(compress((300 * text).encode(encoding)))
    name = encoding.upper().replace("-LE", "LE").replace("-BE", "BE")
    with pytest.raises(InputError, match=rf"a text is {name}, and .*`iconv -f {name} -t UTF-8 '.*a text' > NEW`"):
        list(read_lines(path))


@pytest.mark.parametrize("text", ENCODED)
def test_utf_8_is_not_taken_for_anything_else(write: Write, text: str) -> None:
    for written in (text, 300 * text, text[:-1], "\0" + text, text.replace(".", "\0"), "\x01\x02\n\x03\n"):
        assert (
            "".join(f"{line}\n" for line in read_lines(write("text", written.encode()))) == written.rstrip("\n") + "\n"
        )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04" + bytes(40), "is a zip archive, as the files of office programs are: unpack it"),
    ],
)
def test_other_formats_are_named(write: Write, content: bytes, words: str) -> None:
    with pytest.raises(InputError, match=f"text {words}"):
        list(read_lines(write("text", content)))


def test_zstd_frames_follow_one_another_and_unpack_with_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(zstd(b"one\ntw") + zstd(b"") + zstd(b"o\n"))
    assert list(read_lines(path)) == ["one", "two"]
    path.write_bytes(zstd(b"a\n") + b"junk")
    with pytest.raises(InputError, match=r"cannot read .*text after line 1"):
        list(read_lines(path))
    path.write_bytes(zstd(b"a line\n" * 30_000_000))
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    assert sum(1 for _ in islice(read_lines(path), 10_000)) == 10_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000_000


def test_without_its_package_zstd_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "text"
    path.write_bytes(zstd(b"a\n"))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(InputError, match="text is compressed with zstd: `pip install zstandard` installs"):
        list(read_lines(path))


def test_reading_holds_a_line_and_not_the_file(write: Write) -> None:
    path = write("text", b"a line of some bytes\n" * 200_000 + b"x" * 1_000_000 + b"\n")
    tracemalloc.start()
    lengths = [len(line) for line in read_lines(path) if len(line) > 100]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert lengths == [1_000_000]
    assert peak < path.stat().st_size - 500_000


@pytest.mark.parametrize(("sources", "targets"), [(3, 5), (5, 3), (4, 3), (3, 4)])
def test_unequal_line_counts_are_told_in_full(write: Write, sources: int, targets: int) -> None:
    split = AlignedFiles(write("t.de", b"a\n" * sources), write("t.en", b"b\n" * targets), "train")
    message = rf"t\.de has {sources} lines but .*t\.en has {targets}"
    with pytest.raises(InputError, match=message):
        split.fingerprint()
    with pytest.raises(InputError, match=message):
        list(split)


def test_splits_are_read_again_and_again(write: Write) -> None:
    expected = [Pair("a", "b"), Pair("c", "d")]
    splits: list[Split] = [
        AlignedFiles(write("t.de", b"a\nc\n"), write("t.en.gz", b"b\nd\n"), "train"),
        TabSeparated(write("t.tsv", b"a\tb\nc\td\n"), "train"),
        InMemory(expected, "train"),
    ]
    for split in splits:
        assert isinstance(split, Split)
        assert list(split) == list(split) == expected
        assert split.fingerprint() == split.fingerprint()
        assert len(bytes.fromhex(split.fingerprint())) == 32
        assert split.name == "train"


def test_the_fingerprint_follows_the_text_and_nothing_else(write: Write) -> None:
    a, b = b"one\ntwo\n", b"eins\nzwei\n"
    original = AlignedFiles(write("t.en", a), write("t.de", b), "train").fingerprint()
    assert (
        AlignedFiles(write("u.en.gz", a), write("u.de", b.replace(b"\n", b"\r\n")), "other").fingerprint() == original
    )
    others = {
        AlignedFiles(write("v.en", other_a), write("v.de", other_b), "train").fingerprint()
        for other_a, other_b in [(b, a), (a, b"eins\nzwei \n"), (b"two\none\n", b"zwei\neins\n"), (b"onet\nwo\n", b)]
    }
    assert len(others | {original}) == 5
    pairs = [Pair("a", "b")]
    assert InMemory(pairs, "train").fingerprint() != InMemory(pairs[1:], "train").fingerprint()


@pytest.mark.parametrize(("line", "columns"), [(b"alone", "1 column"), (b"a\tb\tc", "3 columns")])
def test_a_line_without_exactly_two_columns_is_refused(write: Write, line: bytes, columns: str) -> None:
    split = TabSeparated(write("t.tsv", b"a\tb\n" + line + b"\n"), "train")
    for read in (split.fingerprint, lambda: list(split)):
        with pytest.raises(InputError, match=rf"t\.tsv, line 2: found {columns}, need 2"):
            read()


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        (b"ein Satz;a sentence", "';' does not separate columns"),
        (b"ein Satz,a sentence", "',' does not separate columns"),
        (b'"ein\tSatz"\ta sentence', "dataset.quoting=csv"),
        (b"1\ta\tb", r"dataset.columns=\[1,2\]"),
    ],
)
def test_a_table_of_another_kind_is_refused_with_what_to_do(write: Write, line: bytes, advice: str) -> None:
    with pytest.raises(InputError, match=rf"t\.tsv, line 1: found . columns?, need 2: .*{advice}"):
        list(TabSeparated(write("t.tsv", line + b"\n"), "train"))


def test_an_empty_line_of_a_table_is_an_empty_pair_and_a_header_is_none(write: Write) -> None:
    path = write("t.tsv", b"source\ttarget\na\tb\n\nc\td\n\n")
    assert list(TabSeparated(path, "train", header=True)) == [("a", "b"), ("", ""), ("c", "d"), ("", "")]
    assert next(iter(TabSeparated(path, "train"))) == ("source", "target")


@pytest.mark.parametrize("text", [b"a\rb\rc", b"a\rb\r"])
def test_lines_that_end_in_a_carriage_return_alone_are_refused(write: Write, text: bytes) -> None:
    with pytest.raises(InputError, match=r"t\.de: its lines end in CR alone"):
        list(read_lines(write("t.de", text)))
    assert list(read_lines(write("u.de", b"a\r\nb\rc\n"))) == ["a", "b\rc"]
    assert list(read_lines(write("v.de", b"a\r"))) == ["a"]


def test_a_file_in_the_place_of_a_prefix_is_named(write: Write) -> None:
    path = write("train.de", b"a\n")
    corpus = files(train=path, validation=path, test=None, source="de", target="en")
    with pytest.raises(
        InputError, match=r"found neither .*train\.de\.de .*train\.de is one file, but expected the prefix"
    ):
        corpus.train.fingerprint()


def test_a_prefix_finds_plain_and_gzipped_files(write: Write, tmp_path: Path) -> None:
    for prefix in ("train", "dev.v2", "test"):
        write(f"{prefix}.de", f"{prefix} deutsch\n".encode())
        write(f"{prefix}.en.gz", f"{prefix} English\n".encode())
    prefixes = {"train": tmp_path / "train", "validation": tmp_path / "dev.v2", "test": tmp_path / "test"}
    corpus = files(**prefixes, source="en", target="de")
    assert (corpus.source, corpus.target) == ("en", "de")
    assert list(corpus.train) == [("train English", "train deutsch")]
    assert list(corpus.validation) == [("dev.v2 English", "dev.v2 deutsch")]
    assert list(corpus.splits()["test"]) == [("test English", "test deutsch")]
    assert [split.name for split in corpus.splits().values()] == list(corpus.splits()) == list(prefixes)
    with pytest.raises(InputError, match=r"neither .*train\.fr nor .*train\.fr\.gz"):
        files(**prefixes, source="en", target="fr").train.fingerprint()


@pytest.mark.parametrize(("make", "ends"), [(files, (".de", ".en")), (partial(corpus_of_files, TabSeparated), ("",))])
def test_a_split_is_read_where_the_others_are_missing(
    write: Write, tmp_path: Path, make: Callable[..., Corpus], ends: tuple[str, ...]
) -> None:
    for end in ends:
        write(f"test{end}", b"a\tb\n" if end == "" else end.encode())
    paths = {name: tmp_path / name for name in ("train", "validation", "test")}
    corpus = make(**paths, source="de", target="en")
    assert corpus.test is not None
    assert len(list(corpus.test)) == 1
    assert len(corpus.test.fingerprint()) == 64
    for split in (corpus.train, corpus.validation):
        with pytest.raises(InputError):
            list(split)
    assert list(make(**(paths | {"test": None}), source="de", target="en").splits()) == ["train", "validation"]


def test_three_tab_separated_files_are_a_corpus(write: Write) -> None:
    paths = {name: write(f"{name}.tsv", f"{name}\tb\n".encode()) for name in ("train", "validation", "test")}
    corpus = corpus_of_files(TabSeparated, **paths, source="de", target="en")
    splits = [list(split) for split in corpus.splits().values()]
    assert splits == [[("train", "b")], [("validation", "b")], [("test", "b")]]


def test_both_directions() -> None:
    split = InMemory([Pair("ein", "a"), Pair("zwei", "two")], "train")
    both = BothDirections(split)
    assert isinstance(both, Split)
    assert list(both) == [*split, Pair("a", "ein"), Pair("two", "zwei")]
    assert (list(both), both.name) == (list(both), "train")  # each iteration is the same
    others = [split, InMemory(list(both), "train"), BothDirections(InMemory(split.pairs[::-1], "train"))]
    assert both.fingerprint() == BothDirections(InMemory(split.pairs, "other")).fingerprint()
    assert both.fingerprint() not in [other.fingerprint() for other in others]


def test_distilled(tmp_path: Path) -> None:
    split = InMemory([Pair("ein", "a"), Pair("", "two"), Pair("zwei", "two")], "train")
    for name, lines in (("one", "one\n\ntwain\n"), ("other", "A\nB\nC\n")):
        (tmp_path / name).write_text(lines)
    paths = (tmp_path / "one", tmp_path / "other")
    distilled = Distilled(split, paths, str.lower)
    assert isinstance(distilled, Split)
    targets = ["one", "", "twain", "a", "b", "c"]
    assert list(distilled) == [*split, *map(Pair, ["ein", "", "zwei"] * 2, targets)]
    assert original(BothDirections(distilled)) == original(distilled) == original(split) == split
    others = [split, InMemory(list(distilled), "train"), BothDirections(distilled)]
    others += [Distilled(split, chosen, str.lower) for chosen in (paths[:1], paths[::-1])]
    assert distilled.fingerprint() == Distilled(split, paths, str.lower).fingerprint()
    assert distilled.fingerprint() not in [other.fingerprint() for other in others]


@pytest.mark.parametrize("lines", ["one\ntwo\n", "one\ntwo\nthree\nfour\n"])
def test_distilled_targets_have_a_line_for_each_pair(tmp_path: Path, lines: str) -> None:
    (tmp_path / "targets").write_text(lines)
    distilled = Distilled(InMemory([Pair("a", "b")] * 3, "train"), (tmp_path / "targets",), str)
    for read in (distilled.fingerprint, lambda: list(distilled)):
        with pytest.raises(
            InputError, match=r"targets has . lines, and the training text has 3 pairs: .* a line for each"
        ):
            read()
