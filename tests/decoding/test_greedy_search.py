"""Greedy search finds what beam search with a beam of one hypothesis finds, to the bit."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seq2seq.decoding.greedy_search import greedy_search
from seq2seq.decoding.hypotheses import Hypothesis
from seq2seq.decoding.penalties import Penalties
from seq2seq.decoding.prefix import start_prefixes, with_prefixes
from tests.support.toy import END, START, Rows, Toy


def search(
    toy: Toy, chosen: list[int], limits: list[int], length_penalty: float, prefixes: Sequence[Sequence[int]]
) -> list[list[Hypothesis]]:
    state = start_prefixes(Rows(torch.zeros(len(chosen), dtype=torch.long)), prefixes, torch.device("cpu"))
    return greedy_search(
        with_prefixes(toy.step),
        torch.full((len(chosen),), START),
        state,
        Rows(torch.tensor(chosen)),
        limits=limits,
        end=END,
        penalties=Penalties(length_penalty),
    )


def plain(hypotheses: list[list[Hypothesis]]) -> list[object]:
    return [
        (one.tokens, one.log_probability, one.score, one.weights.shape, one.weights.tobytes())
        for each in hypotheses
        for one in each
    ]


@given(
    seed=st.integers(0, 2**32),
    sentences=st.lists(st.tuples(st.integers(0, 6), st.integers(1, 9)), min_size=1, max_size=7),
    length_penalty=st.sampled_from([0.0, 0.7, 1.0]),
    end=st.sampled_from([-6.0, 0.0, 2.0]),
    prefix=st.lists(st.integers(0, END - 1), max_size=3),
)
@settings(max_examples=80, deadline=None)
def test_it_is_beam_search_with_one_hypothesis(
    seed: int, sentences: list[tuple[int, int]], length_penalty: float, end: float, prefix: list[int]
) -> None:
    toy = Toy(seed, end=end)
    chosen, limits = [sentence for sentence, _ in sentences], [len(prefix) + limit for _, limit in sentences]
    prefixes = [prefix if i % 2 else [] for i in range(len(sentences))]
    beam = toy.search(chosen, limits=limits, size=1, length_penalty=length_penalty, prefixes=prefixes)
    assert plain(search(toy, chosen, limits, length_penalty, prefixes)) == plain(beam)
    assert len(plain(beam)) == len(sentences)


@pytest.mark.parametrize("value", [-np.inf, np.nan])
def test_without_finite_log_probabilities_there_is_no_hypothesis(value: float) -> None:
    class Broken(Toy):
        def step(self, tokens: Tensor, state: Rows, memory: Rows) -> tuple[list[Tensor], Rows, Tensor]:
            blocks, state, weights = super().step(tokens, state, memory)
            broken = (memory.number == 3).repeat_interleave(len(tokens) // len(memory.number))
            return [torch.cat(blocks).masked_fill(broken.unsqueeze(1), value)], state, weights

    toy, chosen, limits = Broken(1), [2, 3, 5], [4, 5, 6]
    beam = toy.search(chosen, limits=limits, size=1, length_penalty=1.0, prefixes=[[], [], []])
    results = search(toy, chosen, limits, 1.0, [[], [], []])
    assert [len(each) for each in results] == [len(each) for each in beam] == [1, 0, 1]
    assert plain(results) == plain(beam)
