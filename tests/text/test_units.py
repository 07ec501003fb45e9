"""Words from pieces and from raw text, and attention between them."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.text.lines import read_lines
from seq2seq.text.tokenizer import Tokenizer, train_tokenizer
from seq2seq.text.units import Word, count_words, is_unspaced, merge, merge_segments, segments, units, words


def spaced(text: str) -> list[str]:
    return [token for token in text.split(" ") if token]


def texts(pieces: list[str]) -> list[str]:
    return [word.text for word in words(pieces)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    lines = ["the old cat sees the dog", "a dog sees <0xE2> and cats", "the  cats  see", "old dogs and the catsee"]
    return train_tokenizer(lines, vocabulary_size=276, kind="unigram")


# Words


def test_a_marked_piece_starts_a_word() -> None:
    assert words(["▁the", "▁ca", "t", "s"]) == [Word("the", 0, 1), Word("cats", 1, 4)]


def test_the_first_piece_starts_a_word_without_a_mark() -> None:
    assert words(["ca", "ts", "▁see"]) == [Word("cats", 0, 2), Word("see", 2, 3)]


def test_a_lone_mark_belongs_to_what_follows() -> None:
    assert words(["▁a", "▁", "▁", "b", "▁", "▁c"]) == [Word("a", 0, 1), Word("b", 1, 4), Word("c", 4, 6)]


def test_spaces_at_the_end_belong_to_the_last_word() -> None:
    assert words(["▁a", "▁", "▁▁"]) == [Word("a", 0, 3)]


def test_bytes_are_decoded_where_they_are_characters() -> None:
    assert texts(["▁", "<0xE2>", "<0x80>", "<0x94>", "x", "▁<0xE2>"]) == ["—x", "<0xE2>"]
    assert texts(["▁a", "<0xE2>", "<0x80>", "b"]) == ["a\ufffdb"]


def test_bytes_that_spell_the_mark_are_text() -> None:
    mark = ["<0xE2>", "<0x96>", "<0x81>"]
    assert texts(["▁a", *mark, "▁b"]) == ["a▁", "b"]
    assert units(["▁a", *mark]) == [Word("a▁", 0, 4)]
    assert units(mark) == [Word("▁", 0, 3)]
    assert units(["▁你", *mark, "好"]) == [Word("你", 0, 1), Word("▁", 1, 4), Word("好", 4, 5)]


def test_no_pieces_no_words() -> None:
    assert words([]) == []


def test_spaces_alone_are_one_word_without_text() -> None:
    assert words(["▁", "▁▁"]) == [Word("", 0, 2)]


@given(st.lists(st.sampled_from(["▁", "▁▁", "▁a", "b", "<0xC3>", "<0xA4>"])))
def test_words_cover_all_pieces_in_order(pieces: list[str]) -> None:
    result = words(pieces)
    assert [index for word in result for index in range(word.start, word.end)] == list(range(len(pieces)))
    assert all(word.start < word.end for word in result)


@given(text=st.text(st.one_of(st.sampled_from(" \t\u00a0cat<0xE2>ä你\u200d"), st.characters(codec="utf-8"))))
def test_the_tokenizers_pieces_give_back_the_texts_words(tokenizer: Tokenizer, text: str) -> None:
    text = text.replace("▁", "")
    result = texts(tokenizer.pieces(tokenizer.encode(text)))
    assert result == spaced(text) or (not spaced(text) and result in ([], [""]))


@pytest.mark.data
@pytest.mark.parametrize("language", ["de", "en"])
def test_real_sentences_have_their_words(tokenizer: Tokenizer, real_data: Path, language: str) -> None:
    lines = list(islice(read_lines(real_data / "multi30k" / f"train.{language}.gz"), 500))
    assert len(lines) == 500
    for line in lines:
        assert texts(tokenizer.pieces(tokenizer.encode(line))) == spaced(line)


# Merging


def test_merging_sums_over_source_and_averages_over_target() -> None:
    source, target = words(["▁a", "▁b", "c"]), words(["▁x", "y"])
    weights = np.array([[0.5, 0.25, 0.125, 0.125], [0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.0, 1.0]])  # the last: EOS
    assert merge(weights, source, target).tolist() == [[0.25, 0.4375]]
    assert merge(weights[:-1, :-1], source, target).tolist() == [[0.25, 0.4375]]


def test_merging_refuses_weights_of_another_sentence() -> None:
    side = words(["▁a", "▁b"])
    for shape in ((2, 4), (4, 2), (1, 2), (2, 1)):
        with pytest.raises(AssertionError, match="pieces"):
            merge(np.ones(shape), side, side)


def test_merging_nothing() -> None:
    assert merge(np.ones((1, 3)), words(["▁a", "b"]), []).shape == (0, 1)
    assert merge(np.ones((3, 1)), [], words(["▁a", "b"])).shape == (1, 0)


PIECES = st.lists(st.sampled_from(["▁", "▁a", "b"]), min_size=1, max_size=7)


@given(source=PIECES, target=PIECES, seed=st.integers(0, 99))
def test_merging_keeps_all_mass_but_that_on_eos(source: list[str], target: list[str], seed: int) -> None:
    weights = np.random.default_rng(seed).dirichlet(np.ones(len(source) + 1), len(target))
    merged = merge(weights, words(source), words(target))
    mass = [1 - weights[word.start : word.end, -1].mean() for word in words(target)]
    np.testing.assert_allclose(merged.sum(axis=1), mass, atol=1e-12)


def test_float32_stays_float32() -> None:
    assert merge(np.ones((2, 2), dtype=np.float32), words(["a"]), words(["b"])).dtype == np.float32


# Scripts without spaces


MIXED = "我爱iPhone。 สวัสดี hello, 2024年 ｶﾞ!"


def test_raw_text_falls_into_words_and_characters() -> None:
    assert segments(MIXED) == [
        *("我", "爱", "iPhone", "。"),
        *("ส", "วั", "ส", "ดี"),
        "hello,",
        *("2024", "年"),
        *("ｶ", "ﾞ", "!"),
    ]
    assert segments("안녕 세계") == ["안녕", "세계"]  # Korean has spaces
    assert segments("  a  b ") == spaced("  a  b ")
    assert segments("") == []
    assert count_words(MIXED) == 5


@pytest.mark.parametrize("character", "今のカー々。、（）！ｶไกខမབ")
def test_scripts_without_spaces_are_known_by_their_characters(character: str) -> None:
    assert is_unspaced(character)


@pytest.mark.parametrize("character", "aß,.한ع7—😀д")
def test_other_characters_are_not_of_them(character: str) -> None:
    assert not is_unspaced(character)


def test_a_piece_is_a_unit_where_there_are_no_spaces() -> None:
    pieces = [
        "▁",
        "今天",
        "我",
        "爱",
        "i",
        "Phone",
        "<0xE3>",
        "<0x80>",
        "<0x82>",
        "▁ok",
        "ay",
        "▁ส",
        "วั",
        "\u0e31",
        "ส",
    ]
    assert units(pieces) == [
        Word("今天", 0, 2),
        Word("我", 2, 3),
        Word("爱", 3, 4),
        Word("iPhone", 4, 6),
        Word("。", 6, 9),
        Word("okay", 9, 11),
        Word("ส", 11, 12),
        Word("วั\u0e31", 12, 14),
        Word("ส", 14, 15),
    ]


@given(st.lists(st.sampled_from(["▁", "▁▁", "▁a", "b", "今", "▁ส", "\u0e31", "<0xE4>", "<0xBB>", "<0x8A>", "<0x41>"])))
def test_units_cover_all_pieces_in_order_and_cross_no_space(pieces: list[str]) -> None:
    result = units(pieces)
    assert [index for unit in result for index in range(unit.start, unit.end)] == list(range(len(pieces)))
    assert {word.start for word in words(pieces)} <= {unit.start for unit in result}
    assert "".join(unit.text for unit in result) == "".join(word.text for word in words(pieces)) or "\ufffd" in str(
        result
    )


@given(text=st.text("ab <0xE>äß,.한ع7", max_size=12))
def test_text_with_spaces_has_words_as_units(tokenizer: Tokenizer, text: str) -> None:
    pieces = tokenizer.pieces(tokenizer.encode(text))
    assert units(pieces) == words(pieces)


def test_attention_between_characters_by_hand() -> None:
    """The two characters of 今天 share 0.4 of weight; each character of the target looks where its piece looks."""
    weights = np.array([[0.4, 0.1, 0.25, 0.25], [0.0, 0.5, 0.5, 0.0], [0.0, 0.0, 0.0, 1.0]])
    source, target = ["今天", "我", "▁ab"], ["▁x", "y", "爱你"]
    merged = merge_segments(weights, source, target)
    np.testing.assert_allclose(merged, [[0.1, 0.1, 0.3, 0.375], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert segments("今天我 ab") == ["今", "天", "我", "ab"]
    assert segments("xy爱你") == ["xy", "爱", "你"]


@given(text=st.text("今天ab <0xE>สั", max_size=9), seed=st.integers(0, 99))
def test_attention_between_characters_has_the_texts_segments_and_all_the_mass(
    tokenizer: Tokenizer, text: str, seed: int
) -> None:
    pieces = tokenizer.pieces(tokenizer.encode(text))
    if not text.strip(" "):
        return
    weights = np.random.default_rng(seed).dirichlet(np.ones(len(pieces)), len(pieces))  # nothing on EOS
    merged = merge_segments(weights, pieces, pieces)
    assert merged.shape == (len(segments(text)), len(segments(text)))
    np.testing.assert_allclose(merged.sum(axis=1), 1, atol=1e-12)
