"""Words from pieces, links from weights, the Pharaoh format, and the measures, each against its formula."""

import gzip
import math
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seq2seq.errors import InputError
from seq2seq.text.alignment import (
    AlignmentError,
    Diagnostics,
    Link,
    Word,
    check,
    format_pharaoh,
    links,
    merge,
    parse_pharaoh,
    read_pharaoh,
    words,
)
from seq2seq.text.corpus import read_lines
from seq2seq.text.tokenizer import Tokenizer, train_tokenizer

HERE = Path("gold.align")


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


def test_no_pieces_no_words() -> None:
    assert words([]) == []


def test_spaces_alone_are_one_word_without_text() -> None:
    assert words(["▁", "▁▁"]) == [Word("", 0, 2)]


@given(st.lists(st.sampled_from(["▁", "▁▁", "▁a", "b", "<0xC3>", "<0xA4>"])))
def test_words_cover_all_pieces_in_order(pieces: list[str]) -> None:
    found = words(pieces)
    assert [index for word in found for index in range(word.start, word.end)] == list(range(len(pieces)))
    assert all(word.start < word.end for word in found)


@given(text=st.text(st.one_of(st.sampled_from(" \t\u00a0cat<0xE2>ä你\u200d"), st.characters(codec="utf-8"))))
def test_the_tokenizers_pieces_give_back_the_texts_words(tokenizer: Tokenizer, text: str) -> None:
    text = text.replace("▁", "")
    found = texts(tokenizer.pieces(tokenizer.encode(text)))
    assert found == spaced(text) or (not spaced(text) and found in ([], [""]))


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
    kept = [1 - weights[word.start : word.end, -1].mean() for word in words(target)]
    np.testing.assert_allclose(merged.sum(axis=1), kept, atol=1e-12)


def test_float32_stays_float32() -> None:
    assert merge(np.ones((2, 2), dtype=np.float32), words(["a"]), words(["b"])).dtype == np.float32


# Links


def test_each_target_word_links_to_its_most_attended_source_word() -> None:
    assert links(np.array([[0.1, 0.7, 0.1], [0.5, 0.2, 0.2]])) == {(1, 0), (0, 1)}


def test_of_equals_the_first_and_of_nothing_none() -> None:
    assert links(np.array([[0.0, 0.3, 0.3], [0.0, 0.0, 0.0]])) == {(1, 0)}
    assert links(np.ones((2, 0))) == set()
    assert links(np.ones((0, 2))) == set()


# Pharaoh


def test_pharaoh_by_eye() -> None:
    found = parse_pharaoh(" 0-0\t1p2  10-3\r", file=HERE, line_number=1)
    assert found == {Link(0, 0), Link(1, 2, sure=False), Link(10, 3)}
    assert format_pharaoh(found) == "0-0 1p2 10-3"
    assert parse_pharaoh("", file=HERE, line_number=1) == frozenset()


LINKS = st.frozensets(st.builds(Link, st.integers(0, 999), st.integers(0, 999), st.booleans()))


@given(LINKS)
def test_pharaoh_survives_writing_and_reading(found: frozenset[Link]) -> None:
    assert parse_pharaoh(format_pharaoh(found), file=HERE, line_number=1) == found


@pytest.mark.parametrize(
    "token",
    ["1", "1-", "-1", "1--2", "-1-2", "1-2-3", "a-b", "1_2", "1P2", "٣-٤", "²-1", "1.0-2", "9" * 5000 + "-1", "\0"],
)
def test_what_is_no_link_is_refused_by_file_and_line(token: str) -> None:
    with pytest.raises(InputError, match=r"gold\.align, line 7: .* is no alignment link") as caught:
        parse_pharaoh(f"0-0 {token} 1-1", file=HERE, line_number=7)
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


def test_a_file_has_a_sentence_in_each_line(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf0-0 1p1\r\n\n2-2\n"
    (tmp_path / "gold").write_bytes(content)
    (tmp_path / "gold.gz").write_bytes(gzip.compress(content))
    expected = [{Link(0, 0), Link(1, 1, sure=False)}, set(), {Link(2, 2)}]
    assert read_pharaoh(tmp_path / "gold") == expected
    assert read_pharaoh(tmp_path / "gold.gz") == expected


def test_a_bad_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent"):
        read_pharaoh(tmp_path / "absent")
    (tmp_path / "gold").write_text("0-0\n0-0 x\n")
    with pytest.raises(InputError, match="gold, line 2: 'x'"):
        read_pharaoh(tmp_path / "gold")


def test_links_outside_the_sentences_are_refused() -> None:
    inside = [Link(2, 4), Link(0, 0, sure=False)]
    check(inside, source_words=3, target_words=5, file=HERE, line_number=9)
    with pytest.raises(InputError, match=r"gold\.align, line 9: 2-4 points at source word 2, .* has 2 words"):
        check(inside, source_words=2, target_words=5, file=HERE, line_number=9)
    with pytest.raises(InputError, match=r"line 9: 2-4 points at target word 4, .* has 4 words"):
        check(inside, source_words=3, target_words=4, file=HERE, line_number=9)
    with pytest.raises(InputError, match="0p0 points at source word 0"):
        check(inside, source_words=0, target_words=5, file=HERE, line_number=9)


# Alignment error rate


def test_alignment_error_by_hand() -> None:
    gold = [Link(0, 0), Link(1, 1), Link(2, 1, sure=False)]
    one = AlignmentError.of({(0, 0), (2, 1), (3, 3)}, gold)
    assert one == AlignmentError(sure_found=1, possible_found=2, found=3, sure=2)
    assert one.rate == pytest.approx(1 - (1 + 2) / (3 + 2))


def test_anything_between_sure_and_possible_is_no_error() -> None:
    gold = [Link(0, 0), Link(1, 1), Link(2, 1, sure=False), Link(1, 2, sure=False)]
    for found in ({(0, 0), (1, 1)}, {(0, 0), (1, 1), (2, 1)}, {(link.source, link.target) for link in gold}):
        assert AlignmentError.of(found, gold).rate == 0
    assert AlignmentError.of({(0, 1)}, gold).rate == 1
    assert AlignmentError.of(set(), gold).rate == 1


def test_a_link_both_sure_and_possible_is_sure_and_counts_once() -> None:
    gold = [Link(0, 0), Link(0, 0), Link(0, 0, sure=False)]
    assert AlignmentError.of({(0, 0)}, gold) == AlignmentError(1, 1, 1, 1)


def test_sentences_add_up_and_are_divided_once() -> None:
    short = AlignmentError.of({(0, 0)}, [Link(0, 0)])
    long = AlignmentError.of({(0, 1), (1, 0), (2, 2)}, [Link(0, 0), Link(1, 1), Link(2, 2)])
    assert sum([short, long], AlignmentError()).rate == pytest.approx(1 - 4 / 8)
    assert short.rate + long.rate != pytest.approx(2 * (short + long).rate)


def test_nothing_found_and_nothing_sure_is_no_number() -> None:
    assert math.isnan(AlignmentError().rate)


PAIRS = st.frozensets(st.tuples(st.integers(0, 3), st.integers(0, 3)))


@given(found=PAIRS, sure=PAIRS, other=PAIRS)
def test_the_rate_is_the_formula_and_a_share(
    found: frozenset[tuple[int, int]], sure: frozenset[tuple[int, int]], other: frozenset[tuple[int, int]]
) -> None:
    gold = [Link(*pair) for pair in sure] + [Link(*pair, sure=False) for pair in other]
    rate = AlignmentError.of(found, gold).rate
    if found or sure:
        assert rate == pytest.approx(1 - (len(found & sure) + len(found & (sure | other))) / (len(found) + len(sure)))
        assert 0 <= rate <= 1


# Diagnostics


def test_diagnostics_by_hand() -> None:
    weights = np.array([[0.5, 0.5, 0.0, 0.0], [0.0, 0.75, 0.0, 0.25]])  # three source pieces and EOS
    means = Diagnostics.of(weights).means()
    one, two = math.log(2), -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert means == pytest.approx(
        {
            "entropy": (one + two) / 2,
            "greatest_weight": (0.5 + 0.75) / 2,
            "mass_on_end": 0.125,
            "coverage": (0.5 + 1 + 0) / 3,  # 0.5 + 0.75 counts as 1
            "monotonicity": 1,
        }
    )


def test_the_diagonal_and_its_mirror() -> None:
    straight = Diagnostics.of(np.eye(4, 5)).means()
    assert straight == {"entropy": 0, "greatest_weight": 1, "mass_on_end": 0, "coverage": 1, "monotonicity": 1}
    assert Diagnostics.of(np.fliplr(np.eye(4, 5))[1:]).means()["monotonicity"] == 0


def test_to_stay_is_no_step_back() -> None:
    found = Diagnostics.of(np.eye(5)[[0, 2, 2, 1]])
    assert (found.forward, found.steps) == (2, 3)


def test_uniform_attention_has_the_greatest_entropy() -> None:
    assert Diagnostics.of(np.full((3, 7), 1 / 7)).means()["entropy"] == pytest.approx(math.log(7))


def test_all_mass_on_the_end() -> None:
    weights = np.array([[0.0, 0, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
    found = Diagnostics.of(weights)
    assert (found.end, found.rows) == (2, 4)
    assert (found.forward, found.steps) == (0, 1)  # from the second row to the last, over the third
    assert Diagnostics.of(weights[:1]).means()["coverage"] == 0


def test_nothing_measured_is_no_number() -> None:
    assert all(math.isnan(value) for value in Diagnostics().means().values())
    assert math.isnan(Diagnostics.of(np.ones((2, 1))).means()["coverage"])  # an empty source: EOS alone
    assert Diagnostics.of(np.ones((0, 3))).means()["coverage"] == 0


@given(
    arrays(np.float32, (3, 5), elements=st.floats(0.125, 1, width=32)),
    arrays(np.float32, (2, 4), elements=st.floats(0.125, 1, width=32)),
)
def test_diagnostics_add_up(first: np.ndarray, second: np.ndarray) -> None:
    total = Diagnostics.of(first) + Diagnostics.of(second)
    assert (total.rows, total.columns) == (5, 7)
    assert total.means()["mass_on_end"] == pytest.approx((first[:, -1].sum() + second[:, -1].sum()) / 5, rel=1e-5)
    assert all(math.isfinite(value) for value in total.means().values())
