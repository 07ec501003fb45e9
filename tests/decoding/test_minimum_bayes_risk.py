"""The expected utility by hand and by sacreBLEU, and what follows from it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu import sentence_bleu, sentence_chrf

from seq2seq.decoding.minimum_bayes_risk import expected_utilities, posterior

TEXTS = ["the boy sees a girl", "the boy sees the girl", "a dog", "the boy sees a girl", ""]


def test_expected_utilities_are_weighted_means() -> None:
    weights = [3.0, 1.0, 2.0, 1.0, 1.0]
    for utility, measure in (
        ("chrf", lambda one, other: sentence_chrf(one, [other]).score),
        ("bleu", lambda one, other: sentence_bleu(one, [other], tokenize="none", use_effective_order=True).score),
    ):
        expected = [
            sum(
                weight * (100 if one == other else measure(one, other))
                for weight, other in zip(weights, TEXTS, strict=True)
            )
            / 8
            for one in TEXTS
        ]
        assert expected_utilities(TEXTS, weights, utility) == pytest.approx(expected)
        assert expected[0] == max(expected)


texts = st.lists(st.text("ab ", max_size=6), min_size=1, max_size=5)


@given(texts=texts, utility=st.sampled_from(["chrf", "bleu"]), data=st.data())
def test_properties(texts: list[str], utility: str, data: st.DataObject) -> None:
    weights = [1.0] * len(texts)
    utilities = expected_utilities(texts, weights, utility)
    assert all(0 <= value <= 100 + 1e-9 for value in utilities)
    order = data.draw(st.permutations(range(len(texts))))
    shuffled = expected_utilities([texts[i] for i in order], weights, utility)
    assert shuffled == pytest.approx([utilities[i] for i in order])
    assert expected_utilities(texts, [0.1] * len(texts), utility) == pytest.approx(utilities)
    twice = expected_utilities(texts * 2, weights * 2, utility)
    assert twice == pytest.approx(utilities * 2)


def test_the_posterior_is_normalised() -> None:
    assert posterior([-1000.0, -1000.0 + math.log(3)]) == pytest.approx([0.25, 0.75])
    assert posterior([-5.0]) == [1.0]
