"""Diverse beam search against the same search over Python lists, all groups side by side as the paper has them."""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.decoding.constraints import start_constraints, with_constraints
from seq2seq.decoding.diverse_beams import diverse_beam_search
from seq2seq.decoding.hypotheses import Hypothesis
from seq2seq.decoding.penalties import Penalties
from seq2seq.decoding.prefix import start_prefixes, with_prefixes
from tests.support.toy import END, START, VOCABULARY, Rows, Toy

few = settings(max_examples=10, deadline=None)


def search(
    toy: Toy,
    chosen: list[int],
    *,
    limits: list[int],
    size: int,
    groups: int,
    diversity: float,
    n_best: int | None = None,
    penalties: Penalties = Penalties(1.0),  # noqa: B008  # it is immutable
    prefixes: list[list[int]] | None = None,
    min_length: int = 0,
) -> list[list[Hypothesis]]:
    first = torch.full((len(chosen),), START)
    start = start_prefixes(
        Rows(torch.zeros(len(chosen), dtype=torch.long)), prefixes or [[]] * len(chosen), torch.device("cpu")
    )
    return diverse_beam_search(
        with_constraints(with_prefixes(toy.step), min_length=min_length, no_repeat_ngram=0, end=END),
        first,
        start_constraints(start, first),
        Rows(torch.tensor(chosen)),
        limits=limits,
        end=END,
        size=size,
        groups=groups,
        diversity=diversity,
        penalties=penalties,
        sources=[4] * len(chosen),
        n_best=n_best or size,
    )


class Path(NamedTuple):
    """A hypothesis, its log-probability, and the same without what the uses of its tokens cost."""

    tokens: tuple[int, ...]
    log_probability: float
    total: float

    @property
    def rank(self) -> tuple[bool, float]:
        return self.tokens[-1] == END, self.total / len(self.tokens)


def plain_diverse_search(
    toy: Toy, sentence: int, *, limit: int, size: int, groups: int, diversity: float
) -> dict[tuple[int, ...], float]:
    """Log-probability by hypothesis. At each step group after group chooses (Vijayakumar et al. 2018, algorithm 1)."""
    width = size // groups
    beams = [[Path((), 0.0, 0.0)] for _ in range(groups)]
    ended: list[list[Path]] = [[] for _ in range(groups)]
    for length in range(1, limit + 1):
        uses: Counter[int] = Counter()
        for group in range(groups):
            candidates = []
            for path in beams[group]:
                for token in range(VOCABULARY):
                    tokens = (*path.tokens, token)
                    log_probability = toy.replay(sentence, [*tokens])[0]
                    gain = log_probability - path.log_probability
                    candidates.append(Path(tokens, log_probability, path.total + gain - diversity * uses[token]))
            candidates = sorted(candidates, key=lambda path: path.total, reverse=True)[: 2 * width]
            ends = [path for path in candidates[:width] if path.tokens[-1] == END or length == limit]
            ended[group] += ends
            beams[group] = [path for path in candidates if path.tokens[-1] != END and length < limit][:width]
            uses.update(path.tokens[-1] for path in [*ends, *beams[group]])
            best = sorted(ended[group], key=lambda path: path.rank, reverse=True)[:width]
            if (
                beams[group]
                and len(best) == width
                and best[-1].total / len(best[-1].tokens) >= beams[group][0].total / length
            ):
                beams[group] = []
    best_of_groups = [sorted(paths, key=lambda path: path.rank, reverse=True)[:width] for paths in ended]
    return {path.tokens: path.log_probability for paths in best_of_groups for path in paths}


@given(
    seed=st.integers(0, 2**32),
    groups=st.integers(1, 4),
    width=st.integers(1, 3),
    limit=st.integers(1, 6),
    diversity=st.sampled_from([0.0, 0.5, 3.0]),
)
@settings(max_examples=25, deadline=None)
def test_the_search_by_hand(seed: int, groups: int, width: int, limit: int, diversity: float) -> None:
    toy, size = Toy(seed, end=1.0), groups * width
    expected = plain_diverse_search(toy, 2, limit=limit, size=size, groups=groups, diversity=diversity)
    (hypotheses,) = search(toy, [2], limits=[limit], size=size, groups=groups, diversity=diversity)
    order = sorted(expected, key=lambda tokens: (tokens[-1] == END, expected[tokens] / len(tokens)), reverse=True)
    assert [tuple(each.tokens) for each in hypotheses] == order
    for each in hypotheses:
        assert each.log_probability == pytest.approx(expected[tuple(each.tokens)], abs=1e-5)
        assert each.score == pytest.approx(expected[tuple(each.tokens)] / len(each.tokens), abs=1e-5)


@given(seed=st.integers(0, 2**32), groups=st.integers(1, 3), width=st.integers(1, 3))
@few
def test_without_diversity_all_groups_are_the_same_beam(seed: int, groups: int, width: int) -> None:
    toy = Toy(seed, end=1.0)
    (beam,) = toy.search([3], limits=[6], size=width, n_best=width)
    (hypotheses,) = search(toy, [3], limits=[6], size=groups * width, groups=groups, diversity=0.0)
    assert [each[:3] for each in hypotheses] == [each[:3] for each in beam]


@given(seed=st.integers(0, 2**32), width=st.integers(1, 3), min_length=st.integers(0, 4))
@few
def test_no_sentence_depends_on_the_others(seed: int, width: int, min_length: int) -> None:
    toy, chosen, limits = Toy(seed, end=1.0), [3, 0, 6, 1, 5], [9, 6, 7, 8, 6]
    prefixes: list[list[int]] = [[1, 1, 1], [], [2], [], [0, 2]]
    penalties = Penalties(0.7, "wu", coverage=0.3)
    options: dict[str, Any] = {"size": 3 * width, "groups": 3, "diversity": 0.8, "penalties": penalties}
    together = search(toy, chosen, limits=limits, prefixes=prefixes, min_length=min_length, **options)
    for i, hypotheses in enumerate(together):
        (alone,) = search(
            toy, [chosen[i]], limits=[limits[i]], prefixes=[prefixes[i]], min_length=min_length, **options
        )
        for one, other in zip(alone, hypotheses, strict=True):
            assert one[:3] == other[:3]
            np.testing.assert_array_equal(one.weights, other.weights)
            log_probability, weights = toy.replay(chosen[i], one.tokens)
            assert one.log_probability == pytest.approx(log_probability, abs=1e-5)
            assert one.score == pytest.approx(penalties.score(log_probability, weights.numpy()), abs=1e-5)
            assert one.tokens[: len(prefixes[i])] == prefixes[i]
            assert END not in one.tokens[:min_length]


def test_a_great_diversity_gives_each_group_other_words() -> None:
    """Each of three words costs nothing for one group alone, so three groups begin differently."""
    (hypotheses,) = search(Toy(5), [2], limits=[4], size=3, groups=3, diversity=50.0, min_length=4)
    assert len({each.tokens[0] for each in hypotheses}) == 3
