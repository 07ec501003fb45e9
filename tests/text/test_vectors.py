"""Pretrained vectors: both formats, which piece has which vector, and what is wrong with a file."""

import gzip
import tracemalloc
from pathlib import Path

import pytest

from seq2seq.runtime.errors import InputError
from seq2seq.text.tokenizer import Tokenizer, train_tokenizer
from seq2seq.text.vectors import Vectors, read_vectors
from seq2seq.text.vocabulary import train_vocabulary

WORDS = train_vocabulary(["Der Hund (Hund) sieht das Haus."], largest=99, kind="word")
LINES = ["Hund 1 2 3", "der 4 5 6", ". -1e-3 0 7.5", "Haus 7 8 9", "<unk> 3 3 3"]


def read(folder: Path, lines: list[str], tokenizer: Tokenizer = WORDS, end: str = "\n") -> Vectors:
    (folder / "x.vec").write_text("".join(line + end for line in lines), encoding="utf-8", newline="")
    return read_vectors(folder / "x.vec", tokenizer, width=3)


def by_piece(vectors: Vectors, tokenizer: Tokenizer = WORDS) -> dict[str, list[float]]:
    return dict(zip(tokenizer.pieces(vectors.ids.tolist()), vectors.values.tolist(), strict=True))


EXPECTED = {
    "Hund": [1, 2, 3],
    "▁Hund": [1, 2, 3],
    ".": [pytest.approx(-1e-3), 0, 7.5],
    "▁Haus": [7, 8, 9],
    "<unk>": [3, 3, 3],
    "▁<unk>": [3, 3, 3],
}


@pytest.mark.parametrize(
    ("lines", "end"),
    [
        (LINES, "\n"),  # GloVe
        (["5 3", *LINES], "\n"),  # word2vec
        (["5 3", *LINES], " \n"),  # fastText writes a space before the end of a line
        (["\ufeff5 3", *LINES, ""], "\r\n"),
    ],
)
def test_both_formats_are_read(tmp_path: Path, lines: list[str], end: str) -> None:
    vectors = read(tmp_path, lines, end=end)
    assert by_piece(vectors) == EXPECTED
    assert (vectors.words, vectors.repeated) == (5, 0)
    assert vectors.announced == (None if lines is LINES else 5)


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.vec.gz"
    path.write_bytes(gzip.compress("\n".join(LINES).encode()))
    assert by_piece(read_vectors(path, WORDS, width=3)) == EXPECTED


def test_the_own_spelling_of_a_piece_comes_first(tmp_path: Path) -> None:
    for lines in (["Hund 1 1 1", "▁Hund 2 2 2", "sieht 4 4 4"], ["▁Hund 2 2 2", "sieht 4 4 4", "Hund 1 1 1"]):
        assert by_piece(read(tmp_path, lines)) == {"▁Hund": [2, 2, 2], "Hund": [1, 1, 1], "▁sieht": [4, 4, 4]}


def test_subwords_have_the_vectors_of_their_spelling(tmp_path: Path) -> None:
    subwords = train_tokenizer(["der Hund sieht das Haus"] * 9, vocabulary_size=272, kind="unigram")
    pieces = by_piece(read(tmp_path, ["H 1 1 1", "d 2 2 2", "▁d 3 3 3", "▁ 5 5 5", "XY 6 6 6"], subwords), subwords)
    expected = {"H": [1, 1, 1], "d": [2, 2, 2], "▁": [5, 5, 5], "▁H": [1, 1, 1], "▁d": [3, 3, 3]}
    assert pieces == {piece: vector for piece, vector in expected.items() if subwords.ids([piece]) != [1]}
    assert len(pieces) >= 3


def test_characters_of_any_script_have_vectors(tmp_path: Path) -> None:
    characters = train_vocabulary(["我们 e\u0301"], largest=99, kind="char")
    assert by_piece(read(tmp_path, ["我 1 2 3", "\u00a0 1 2 3", "们 4 5 6"], characters), characters) == {
        "我": [1, 2, 3],
        "们": [4, 5, 6],
    }


def test_the_first_vector_of_a_word_counts(tmp_path: Path) -> None:
    vectors = read(tmp_path, ["Haus 1 2 3", "Haus 4 5 6", "Haus 7 8 9", "Maus 1 1 1", "Maus 1 1 1"])
    assert by_piece(vectors) == {"▁Haus": [1, 2, 3]}
    assert (vectors.words, vectors.repeated) == (5, 2)


def test_a_word_with_spaces_is_no_error(tmp_path: Path) -> None:
    """GloVe's 840B has ". . ." and "at name@domain.com"."""
    vectors = read(tmp_path, ["a 1 1 1", ". . . 1 2 3", "at name@domain.com 4 5 6", " 1 2 3", "\u0085 1 2 3", LINES[0]])
    assert vectors.words == 6
    assert set(by_piece(vectors)) == {"Hund", "▁Hund"}


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["a 1 1 1", "Hund 1 2"], "x.vec, line 2: expected a word and 3 numbers with single spaces between, found 2"),
        (["a 1 1 1", "b 1 2 3 4"], "x.vec, line 2: expected a word and 3 numbers .* found 4 numbers"),
        (["a 1 1 1", "b  1 2 3"], "x.vec, line 2: expected a word and 3 numbers with single spaces"),
        (["a 1 1 1", "b\t1\t2\t3"], "x.vec, line 2: expected a word and 3 numbers .* found 0 numbers"),
        (["a\t1\t2\t3"], r"x.vec, line 1: expected a word and its numbers with spaces between, found 'a\\t1\\t2"),
        (["5 3", "Hund 1 x 3"], "x.vec, line 2: 'x' is not a finite number"),
        (["5 3", "Hund 1 nan 3"], "x.vec, line 2: 'nan' is not a finite number"),
        (["5 3", "Hund 1 1e39 3"], "x.vec, line 2: '1e39' is not a finite number"),
        (["9 300"], "x.vec has vectors of 300 numbers, and model.embedding=3: set model.embedding=300"),
        (["Hund 1 2 3 4"], "x.vec has vectors of 4 numbers, and model.embedding=3: set model.embedding=4"),
        (["Hund"], "x.vec, line 1: expected a word and its numbers"),
        ([], "x.vec is empty"),
        ([""], "x.vec, line 1: expected a word and its numbers"),
        (["5 3"], "none of the 0 words of .*x.vec is in the vocabulary"),
        (["hund 1 2 3"], "none of the 1 words of .*x.vec is in the vocabulary: is it of the language of the text"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, lines: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read(tmp_path, lines)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_vectors(tmp_path / "missing.vec", WORDS, width=3)
    (tmp_path / "x.bin").write_bytes(b"\xba\x16O/\x0c\0\0\0,\1\0\0\5\0\0\0")
    with pytest.raises(InputError, match=r"line 1: byte 0xba .* is not UTF-8"):
        read_vectors(tmp_path / "x.bin", WORDS, width=3)


def test_the_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    lines = [*(f"word{number} " + "0.25 " * 300 for number in range(5_000)), "Hund " + "1 " * 300]
    path = tmp_path / "x.vec"
    path.write_text("\n".join(lines))
    size = path.stat().st_size
    tracemalloc.start()
    vectors = read_vectors(path, WORDS, width=300)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(vectors.ids) == 2
    assert peak < size / 10
