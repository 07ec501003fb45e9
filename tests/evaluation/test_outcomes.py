"""Exact matches and alignment error of a split, counted by hand."""

from pathlib import Path

import pytest

from seq2seq.commands.scoring import _with_alignments
from seq2seq.evaluation.alignment_error import Diagnostics
from seq2seq.evaluation.evaluator import group_scores, outcomes, shares
from seq2seq.evaluation.metrics import Metrics
from seq2seq.evaluation.teacher_forcing import Likelihood, TeacherForcingResult
from seq2seq.runtime.errors import InputError
from seq2seq.text.alignment import Link
from seq2seq.text.annotations import Annotations, LoadedSplit
from seq2seq.text.corpus import Pair

METRICS = Metrics("13a")
PAIRS = [Pair("der Hund schläft", "the dog sleeps"), Pair("ja", "yes"), Pair("nein danke", "no thanks")]
GOLD = [
    Annotations(frozenset({Link(0, 0), Link(1, 1), Link(2, 2, sure=False)}), tags=("a", "b")),
    Annotations(frozenset({Link(0, 0)}), acceptable=("yeah",), tags=("a",)),
    Annotations(frozenset({Link(0, 0), Link(1, 1)}), tags=("b",)),
]
READING = TeacherForcingResult(Likelihood(1.0, 1), Diagnostics(), [{(0, 0), (2, 1), (2, 2)}, {(0, 0)}, None])


def test_a_hypothesis_is_right_where_it_is_the_reference_or_another_right_answer() -> None:
    found = outcomes(LoadedSplit("test", PAIRS, GOLD), ["the dog sleeps", "yeah", "no"], READING, METRICS)
    assert [outcome.exact for outcome in found] == [True, True, False]
    assert [outcome.length for outcome in found] == [3, 1, 2]
    assert shares(found)["exact"] == pytest.approx(2 / 3)


def test_alignment_error_is_divided_once_over_the_sentences_that_were_read() -> None:
    found = outcomes(LoadedSplit("test", PAIRS, GOLD), ["", "", ""], READING, METRICS)
    # A: 3 + 1 links, S: 2 + 1; A and S: (0,0) + (0,0); A and P: (0,0), (2,2) + (0,0). The third was too long to read.
    assert shares(found)["aer"] == pytest.approx(1 - (2 + 3) / (4 + 3))


def test_without_gold_there_is_no_alignment_error() -> None:
    assert set(shares(outcomes(LoadedSplit("test", PAIRS), ["", "", ""], READING, METRICS))) == {"exact"}


def test_gold_of_a_persons_own_is_checked_against_the_sentences(tmp_path: Path) -> None:
    held, file = LoadedSplit("test", PAIRS), tmp_path / "gold.align"
    file.write_text("0-0 1-1 2p2\n0-0\n0-0 1p1\n")
    assert _with_alignments(held, file, "words").gold == [
        Annotations(frozenset({Link(0, 0), Link(1, 1), Link(2, 2, sure=False)})),
        Annotations(frozenset({Link(0, 0)})),
        Annotations(frozenset({Link(0, 0), Link(1, 1, sure=False)})),
    ]
    known = _with_alignments(held._replace(gold=GOLD), file, "words").gold
    assert known is not None
    assert [gold[1:] for gold in known] == [gold[1:] for gold in GOLD]
    assert known[0].links == {Link(0, 0), Link(1, 1), Link(2, 2, sure=False)}
    file.write_text("0-0\n0-0\n0-2\n")
    with pytest.raises(InputError, match=r"gold\.align, line 3: 0-2 points at target word 2"):
        _with_alignments(held, file, "words")
    file.write_text("0-0\n0-0\n")
    with pytest.raises(InputError, match="has 2 lines, but test has 3 pairs"):
        _with_alignments(held, file, "words")


def test_the_bleu_of_a_group_is_that_of_its_sentences() -> None:
    """From counts made once, as if the group were a text of its own."""
    texts = ["the dog slept well", "yes", "no thanks to you"]
    found = outcomes(LoadedSplit("test", PAIRS, GOLD), texts, READING, METRICS)
    for group in ([0, 1, 2], [0], [0, 2]):
        wanted = METRICS.quick_scores([texts[i] for i in group], [PAIRS[i].target for i in group])["bleu"]
        assert group_scores([found[i] for i in group], METRICS)["bleu"] == pytest.approx(wanted)
