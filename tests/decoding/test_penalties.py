"""Length and coverage in the score: the formulas by hand, and a search that ranks by them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.decoding.beam_search import Candidates, beam_search
from seq2seq.decoding.hypotheses import Hypothesis
from seq2seq.decoding.penalties import SMALLEST_COVERAGE, Penalties
from tests.decoding.test_beam_search import everything
from tests.support.toy import END, START, Rows, Toy

few = settings(max_examples=25, deadline=None)


def search(
    toy: Toy, chosen: list[int], *, limits: list[int], size: int, penalties: Penalties, sources: list[int]
) -> tuple[list[list[Hypothesis]], list[Candidates]]:
    start = Rows(torch.zeros(len(chosen), dtype=torch.long))
    steps: list[Candidates] = []
    hypotheses = beam_search(
        toy.step,
        torch.full((len(chosen),), START),
        start,
        Rows(torch.tensor(chosen)),
        limits=limits,
        end=END,
        size=size,
        penalties=penalties,
        sources=sources,
        n_best=size,
        observe=steps.append,
    )
    return hypotheses, steps


def test_the_score_by_hand() -> None:
    """Two source words and EOS, three target words: the first source word has attention 0.5, the second 1.2."""
    weights = np.array([[0.25, 0.5, 0.25], [0.125, 0.5, 0.375], [0.125, 0.2, 0.675]], dtype=np.float32)
    assert Penalties(0.0).score(-6.0, weights) == -6
    assert Penalties(1.0).score(-6.0, weights) == -2
    assert Penalties(1.0, "wu").score(-6.0, weights) == pytest.approx(-6 / (8 / 6))
    assert Penalties(0.6, "wu").divisor(1) == 1
    assert Penalties(0.5, "wu", 0.2).score(-6.0, weights) == pytest.approx(-6 / math.sqrt(8 / 6) + 0.2 * math.log(0.5))
    hard = np.array([[0, 0, 1]], dtype=np.float32)
    assert Penalties(0.0, coverage=1.0).score(-1.0, hard) == pytest.approx(-1 + 2 * math.log(SMALLEST_COVERAGE))
    assert Penalties(0.0, coverage=1.0).score(-1.0, hard[:, 2:]) == -1  # a source without words


@given(
    seed=st.integers(0, 2**32),
    form=st.sampled_from(["power", "wu"]),
    length=st.sampled_from([0.0, 0.6, 1.0]),
    coverage=st.sampled_from([0.0, 0.2, 3.0]),
    source=st.integers(0, 4),
)
@few
def test_a_large_beam_is_exhaustive_search(seed: int, form: str, length: float, coverage: float, source: int) -> None:
    toy, scored, penalties = Toy(seed), [], Penalties(length, form, coverage)
    for tokens in everything(4):
        log_probability, weights = toy.replay(2, tokens)
        scored.append((tokens, penalties.score(log_probability, weights[:, : source + 1].numpy())))
    expected = sorted(scored, key=lambda each: (each[0][-1] == END, each[1]), reverse=True)
    ((hypotheses,), _) = search(toy, [2], limits=[4], size=200, penalties=penalties, sources=[source])
    assert [hypothesis.tokens for hypothesis in hypotheses] == [tokens for tokens, _ in expected]
    assert [hypothesis.score for hypothesis in hypotheses] == pytest.approx([score for _, score in expected])


@given(seed=st.integers(0, 2**32), size=st.integers(1, 4), coverage=st.sampled_from([0.0, 0.5, 4.0]))
@few
def test_no_sentence_depends_on_the_others(seed: int, size: int, coverage: float) -> None:
    toy, chosen, limits, sources = Toy(seed, end=1.0), [3, 0, 6, 1, 5], [9, 6, 7, 8, 6], [4, 1, 3, 0, 2]
    penalties = Penalties(0.7, "wu", coverage)
    together, _ = search(toy, chosen, limits=limits, size=size, penalties=penalties, sources=sources)
    for i, hypotheses in enumerate(together):
        part = slice(i, i + 1)
        ((alone,), steps) = search(
            toy, chosen[part], limits=limits[part], size=size, penalties=penalties, sources=sources[part]
        )
        for one, other in zip(alone, hypotheses, strict=True):
            assert one[:3] == other[:3]
            assert one.score == pytest.approx(
                penalties.score(one.log_probability, one.weights[:, : sources[i] + 1]), rel=1e-5
            )
        shown = [step.scores[step.ends].tolist() for step in steps]
        assert {hypothesis.score for hypothesis in alone} <= {score for scores in shown for score in scores}
        assert all(np.isnan(step.scores[~step.ends]).all() for step in steps)


def test_coverage_changes_which_hypothesis_is_best() -> None:
    """A strong penalty prefers a hypothesis that covers more."""
    changed = 0
    for seed in range(20):
        results = []
        for coverage in (0.0, 20.0):
            ((best, *_),), _ = search(
                Toy(seed, end=1.0), [2], limits=[8], size=4, penalties=Penalties(1.0, coverage=coverage), sources=[4]
            )
            results.append((best.tokens, Penalties(0.0, coverage=1.0).score(0.0, best.weights)))
        assert results[1][1] >= results[0][1]
        changed += results[0][0] != results[1][0]
    assert changed > 5
