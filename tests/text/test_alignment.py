"""Links from weights, the Pharaoh format, and the measures, each against its formula."""

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seq2seq.evaluation.alignment_error import AlignmentError, Diagnostics, links
from seq2seq.runtime.errors import InputError
from seq2seq.text.alignment import Link, check, format_pharaoh, parse_pharaoh, read_pharaoh

HERE = Path("gold.align")


# Links


def test_each_target_word_links_to_its_most_attended_source_word() -> None:
    assert links(np.array([[0.1, 0.7, 0.1], [0.5, 0.2, 0.2]])) == {(1, 0), (0, 1)}


def test_of_equals_the_first_and_of_nothing_none() -> None:
    assert links(np.array([[0.0, 0.3, 0.3], [0.0, 0.0, 0.0]])) == {(1, 0)}
    assert links(np.ones((2, 0))) == set()
    assert links(np.ones((0, 2))) == set()


# Pharaoh


def test_pharaoh_by_eye() -> None:
    parsed = parse_pharaoh(" 0-0\t1p2  10-3\r", file=HERE, line_number=1)
    assert parsed == {Link(0, 0), Link(1, 2, sure=False), Link(10, 3)}
    assert format_pharaoh(parsed) == "0-0 1p2 10-3"
    assert parse_pharaoh("", file=HERE, line_number=1) == frozenset()


LINKS = st.frozensets(st.builds(Link, st.integers(0, 999), st.integers(0, 999), st.booleans()))


@given(LINKS)
def test_pharaoh_survives_writing_and_reading(gold: frozenset[Link]) -> None:
    assert parse_pharaoh(format_pharaoh(gold), file=HERE, line_number=1) == gold


@pytest.mark.parametrize(
    "token",
    ["1", "1-", "-1", "1--2", "-1-2", "1-2-3", "a-b", "1_2", "1P2", "٣-٤", "²-1", "1.0-2", "9" * 5000 + "-1", "\0"],
)
def test_what_is_no_link_is_refused_by_file_and_line(token: str) -> None:
    with pytest.raises(InputError, match=r"gold\.align, line 7: .* is not an alignment link") as caught:
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
    check(inside, source=3, target=5, file=HERE, line_number=9)
    with pytest.raises(InputError, match=r"gold\.align, line 9: 2-4 points at source word 2, .* has 2 words"):
        check(inside, source=2, target=5, file=HERE, line_number=9)
    with pytest.raises(InputError, match=r"line 9: 2-4 points at target word 4, .* has 4 words"):
        check(inside, source=3, target=4, file=HERE, line_number=9)
    with pytest.raises(InputError, match="0p0 points at source word 0"):
        check(inside, source=0, target=5, file=HERE, line_number=9)


# Alignment error rate


def test_alignment_error_by_hand() -> None:
    gold = [Link(0, 0), Link(1, 1), Link(2, 1, sure=False)]
    error = AlignmentError.of({(0, 0), (2, 1), (3, 3)}, gold)
    assert error == AlignmentError(sure_hits=1, possible_hits=2, predicted=3, sure=2)
    assert error.rate == pytest.approx(1 - (1 + 2) / (3 + 2))


def test_anything_between_sure_and_possible_is_no_error() -> None:
    gold = [Link(0, 0), Link(1, 1), Link(2, 1, sure=False), Link(1, 2, sure=False)]
    for predicted in ({(0, 0), (1, 1)}, {(0, 0), (1, 1), (2, 1)}, {(link.source, link.target) for link in gold}):
        assert AlignmentError.of(predicted, gold).rate == 0
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


@given(predicted=PAIRS, sure=PAIRS, possible=PAIRS)
def test_the_rate_is_the_formula_and_a_share(
    predicted: frozenset[tuple[int, int]], sure: frozenset[tuple[int, int]], possible: frozenset[tuple[int, int]]
) -> None:
    gold = [Link(*pair) for pair in sure] + [Link(*pair, sure=False) for pair in possible]
    rate = AlignmentError.of(predicted, gold).rate
    if predicted or sure:
        correct = len(predicted & sure) + len(predicted & (sure | possible))
        assert rate == pytest.approx(1 - correct / (len(predicted) + len(sure)))
        assert 0 <= rate <= 1


# Diagnostics


def test_diagnostics_by_hand() -> None:
    weights = np.array([[0.5, 0.5, 0.0, 0.0], [0.0, 0.75, 0.0, 0.25]])  # three source pieces and EOS
    means = Diagnostics.of(weights).means()
    first, second = math.log(2), -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert means == pytest.approx(
        {
            "entropy": (first + second) / 2,
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
    diagnostics = Diagnostics.of(np.eye(5)[[0, 2, 2, 1]])
    assert (diagnostics.forward, diagnostics.steps) == (2, 3)


def test_uniform_attention_has_the_greatest_entropy() -> None:
    assert Diagnostics.of(np.full((3, 7), 1 / 7)).means()["entropy"] == pytest.approx(math.log(7))


def test_all_mass_on_the_end() -> None:
    weights = np.array([[0.0, 0, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
    diagnostics = Diagnostics.of(weights)
    assert (diagnostics.end, diagnostics.rows) == (2, 4)
    assert (diagnostics.forward, diagnostics.steps) == (0, 1)  # from the second row to the last, over the third
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
