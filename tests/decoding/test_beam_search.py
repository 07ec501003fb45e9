"""Beam search against exhaustive search, against itself in another batch, and against teacher forcing."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seq2seq.decoding.beam_search import beam_search
from seq2seq.decoding.best_words import PART, best_words
from seq2seq.decoding.hypotheses import Hypothesis
from seq2seq.decoding.penalties import Penalties
from seq2seq.nn.decoder_base import Memory, State
from seq2seq.nn.model import Model
from seq2seq.text.batches import batch_sentences
from seq2seq.text.tokenizer import BOS, EOS
from tests.support.tiny import EVERY, sentences, tiny_model
from tests.support.toy import END, SOURCE, START, VOCABULARY, Rows, Toy, plain_search
from tests.support.unchecked import unchecked

few = settings(max_examples=25, deadline=None)


def everything(limit: int) -> list[list[int]]:
    """Every translation that ends within the limit, and every one that is cut there."""
    found = []
    for length in range(limit):
        for words in itertools.product(range(END), repeat=length):
            found.append([*words, END])
    return found + [list(words) for words in itertools.product(range(END), repeat=limit)]


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 2.0])
@given(seed=st.integers(0, 2**32))
@settings(max_examples=5, deadline=None)
def test_a_large_beam_is_exhaustive_search(length_penalty: float, seed: int) -> None:
    """All 121 translations of at most 4 words, in the order of their scores: complete ones first."""
    toy = Toy(seed)
    (found,) = toy.search([2], limits=[4], size=200, length_penalty=length_penalty, n_best=200)
    scored = [(tokens, toy.replay(2, tokens)[0] / len(tokens) ** length_penalty) for tokens in everything(4)]
    wanted = sorted(scored, key=lambda each: (each[0][-1] == END, each[1]), reverse=True)
    assert len(wanted) == 1 + 3 + 9 + 27 + 81
    assert [hypothesis.tokens for hypothesis in found] == [tokens for tokens, _ in wanted]
    assert [hypothesis.score for hypothesis in found] == pytest.approx([score for _, score in wanted])


@given(
    seed=st.integers(0, 2**32),
    size=st.integers(1, 6),
    limit=st.integers(1, 7),
    length_penalty=st.sampled_from([0.0, 0.7, 1.0, 1.5]),
    end=st.sampled_from([-6.0, 0.0, 2.0]),
    n_best=st.integers(1, 6),
)
@settings(max_examples=80, deadline=None)
def test_the_search_by_hand(seed: int, size: int, limit: int, length_penalty: float, end: float, n_best: int) -> None:
    toy, n_best = Toy(seed, end=end), min(n_best, size)
    (found,) = toy.search([4], limits=[limit], size=size, length_penalty=length_penalty, n_best=n_best)
    wanted, _ = plain_search(toy, 4, limit=limit, size=size, length_penalty=length_penalty, n_best=n_best)
    assert [hypothesis.tokens for hypothesis in found] == [tokens for tokens, _ in wanted[:n_best]]
    assert [hypothesis.score for hypothesis in found] == pytest.approx([score for _, score in wanted[:n_best]])


@given(seed=st.integers(0, 2**32), limit=st.integers(1, 9))
@few
def test_a_beam_of_1_is_greedy(seed: int, limit: int) -> None:
    toy = Toy(seed)
    found = toy.search([5, 1], limits=[limit, limit + 2], size=1)
    for (hypothesis,), sentence, longest in zip(found, [5, 1], [limit, limit + 2], strict=True):
        tokens: list[int] = []
        while len(tokens) < longest and END not in tokens:
            scores = [toy.replay(sentence, [*tokens, token])[0] for token in range(VOCABULARY)]
            tokens.append(scores.index(max(scores)))
        assert hypothesis.tokens == tokens


@given(seed=st.integers(0, 2**32), size=st.integers(1, 5), end=st.sampled_from([-2.0, 0.0, 2.0]))
@few
def test_a_hypothesis_is_what_teacher_forcing_makes_of_its_tokens(seed: int, size: int, end: float) -> None:
    toy, chosen = Toy(seed, end=end), [3, 0, 6, 1]
    for sentence, hypotheses in zip(
        chosen, toy.search(chosen, limits=[9, 2, 5, 7], size=size, length_penalty=0.5, n_best=size), strict=True
    ):
        assert hypotheses
        for hypothesis in hypotheses:
            log_probability, weights = toy.replay(sentence, hypothesis.tokens)
            assert hypothesis.log_probability == pytest.approx(log_probability)
            assert hypothesis.score == pytest.approx(log_probability / len(hypothesis.tokens) ** 0.5)
            assert hypothesis.weights.shape == (len(hypothesis.tokens), SOURCE)
            np.testing.assert_array_equal(hypothesis.weights, weights.numpy())


@given(seed=st.integers(0, 2**32), size=st.integers(1, 5), n_best=st.integers(1, 5), end=st.sampled_from([0.0, 3.0]))
@few
def test_no_sentence_depends_on_the_others(seed: int, size: int, n_best: int, end: float) -> None:
    toy, chosen, limits = Toy(seed, end=end), [3, 0, 6, 1, 5], [9, 2, 5, 7, 3]
    together = toy.search(chosen, limits=limits, size=size, n_best=n_best)
    assert len(together) == len(chosen)
    for start in range(len(chosen)):
        for count in (1, 3):
            some = slice(start, start + count)
            apart = toy.search(chosen[some], limits=limits[some], size=size, n_best=n_best)
            for one, other in zip(apart, together[some], strict=True):
                assert [hypothesis.tokens for hypothesis in one] == [hypothesis.tokens for hypothesis in other]
                assert [hypothesis.score for hypothesis in one] == [hypothesis.score for hypothesis in other]
                for mine, its in zip(one, other, strict=True):
                    np.testing.assert_array_equal(mine.weights, its.weights)


@given(seed=st.integers(0, 2**32), size=st.integers(1, 6), end=st.sampled_from([-9.0, -2.0, 0.0]))
@few
def test_limits_are_kept_and_what_is_cut_ranks_last(seed: int, size: int, end: float) -> None:
    limits = [1, 6, 3]
    found = Toy(seed, end=end).search([1, 2, 3], limits=limits, size=size, n_best=size)
    for limit, hypotheses in zip(limits, found, strict=True):
        assert 1 <= len(hypotheses) <= size
        complete = [hypothesis.tokens[-1] == END for hypothesis in hypotheses]
        assert complete == sorted(complete, reverse=True)
        for hypothesis, whole in zip(hypotheses, complete, strict=True):
            assert END not in hypothesis.tokens[:-1]
            assert len(hypothesis.tokens) <= limit if whole else len(hypothesis.tokens) == limit


@given(seed=st.integers(0, 2**32), size=st.integers(2, 6))
@few
def test_the_n_best_are_distinct_and_sorted(seed: int, size: int) -> None:
    toy = Toy(seed, end=1.0)
    (several,) = toy.search([2], limits=[8], size=size, n_best=size)
    assert len(several) == size
    assert len({tuple(hypothesis.tokens) for hypothesis in several}) == size
    scores = [hypothesis.score for hypothesis in several if hypothesis.tokens[-1] == END]
    assert scores == sorted(scores, reverse=True)


def test_short_poor_hypotheses_do_not_end_the_search() -> None:
    """A model sure of `1 1 1 1 END`, and of END next where it is not sure: every beam finds the long one."""

    def step(tokens: Tensor, state: Rows, _: Rows) -> tuple[list[Tensor], Rows, Tensor]:
        sure = torch.tensor([1, 1, 1, 1, END])[state.number.clamp(max=4)]
        logits = torch.zeros(len(tokens), VOCABULARY)
        logits[:, END] = 1.0
        logits[torch.arange(len(tokens)), sure] = 9.0
        return [logits.log_softmax(dim=-1)], Rows(state.number + 1), torch.ones(len(tokens), 1)

    for size in (1, 2, 3, 4, 5):
        start = Rows(torch.tensor([0]))
        ((best,),) = beam_search(
            step, torch.tensor([START]), start, start, limits=[20], end=END, size=size, penalties=Penalties(1.0)
        )
        assert best.tokens == [1, 1, 1, 1, END]


@few
@given(
    seed=st.integers(0, 1000),
    count=st.integers(1, 4),
    beam=st.integers(1, 5),
    vocabulary=st.sampled_from([1, 11, PART - 1, PART, PART + 1, 5 * PART, 333]),
    number=st.integers(1, 12),
)
def test_the_best_words_are_those_of_all(seed: int, count: int, beam: int, vocabulary: int, number: int) -> None:
    torch.manual_seed(seed)
    total, words = torch.randn(count, beam), torch.randn(count * beam, vocabulary).mul(3).log_softmax(dim=1)
    sums = (total.unsqueeze(2) + words.view(count, beam, vocabulary)).flatten(1)
    best, row, token = best_words(total, words, number)
    assert torch.equal(best, sums.sort(dim=1, descending=True).values[:, :number])
    assert torch.equal(best, sums.view(count * beam, vocabulary)[row, token])
    assert (row // beam == torch.arange(count).unsqueeze(1)).all()
    assert all(len(set(chosen)) == len(chosen) for chosen in (row * vocabulary + token).tolist())


def test_impossible_words_are_never_chosen() -> None:
    """With log-probabilities of minus infinity there are fewer hypotheses than the beam has room for."""

    def step(tokens: Tensor, state: Rows, _: Rows) -> tuple[list[Tensor], Rows, Tensor]:
        logits = torch.full((len(tokens), VOCABULARY), float("-inf"))
        logits[:, 1] = logits[:, END] = 0.0
        return [logits.log_softmax(dim=-1)], Rows(state.number), torch.ones(len(tokens), 1)

    rows = Rows(torch.tensor([0]))
    (found,) = beam_search(
        step, torch.tensor([START]), rows, rows, limits=[3], end=END, size=6, penalties=Penalties(0.0), n_best=6
    )
    assert {tuple(hypothesis.tokens) for hypothesis in found} == {(END,), (1, END), (1, 1, END), (1, 1, 1)}


SOURCES = sentences([3, 7, 1, 5, 0, 4], seed=8)


def model_search(model: Model, sources: list[list[int]], *, size: int) -> list[list[Hypothesis]]:
    def step(tokens: Tensor, state: State, memory: Memory) -> tuple[list[Tensor], State, Tensor]:
        outputs, after, (weights, _) = model.decode(tokens.unsqueeze(1), state, memory)
        return [model.output(outputs.squeeze(1)).log_softmax(dim=-1)], after, weights.squeeze(1)

    with torch.no_grad():
        memory, state = model.encode(*batch_sentences(sources))
        limits = [2 * len(source) + 5 for source in sources]
        first = torch.full((len(sources),), BOS)
        return beam_search(
            step, first, state, memory, limits=limits, end=EOS, size=size, penalties=Penalties(0.8), n_best=size
        )


def untrained(place: str, rule: str) -> Model:
    """A model with opinions: its output layer is scaled up, and EOS is likely enough to be met."""
    model = tiny_model(place, rule)
    with torch.no_grad():
        model.output.weight.mul_(6)
        model.output.bias[EOS] = 0.5
    return model.double()


@pytest.mark.parametrize(("place", "rule"), EVERY)
@unchecked()
def test_a_models_sentence_does_not_depend_on_the_others(place: str, rule: str) -> None:
    model = untrained(place, rule)
    together = model_search(model, SOURCES, size=3)
    assert len({len(hypothesis.tokens) for hypotheses in together for hypothesis in hypotheses}) > 1
    for count in (1, 3):
        apart = [
            hypotheses
            for start in range(0, len(SOURCES), count)
            for hypotheses in model_search(model, SOURCES[start : start + count], size=3)
        ]
        for one, other in zip(apart, together, strict=True):
            assert [hypothesis.tokens for hypothesis in one] == [hypothesis.tokens for hypothesis in other]
            assert [h.score for h in one] == pytest.approx([h.score for h in other])


@pytest.mark.parametrize(("place", "rule"), EVERY)
@unchecked()
def test_a_models_hypothesis_is_what_teacher_forcing_makes_of_it(place: str, rule: str) -> None:
    model = untrained(place, rule)
    for source, hypotheses in zip(SOURCES, model_search(model, SOURCES, size=4), strict=True):
        for hypothesis in hypotheses:
            tokens = torch.tensor(hypothesis.tokens)
            with torch.no_grad():
                outputs, (weights, _) = model(
                    *batch_sentences([source]), torch.tensor([[BOS, *hypothesis.tokens[:-1]]])
                )
                log_probabilities = model.output(outputs[0]).log_softmax(dim=-1)
            wanted = float(log_probabilities.gather(1, tokens.unsqueeze(1)).sum())
            assert hypothesis.log_probability == pytest.approx(wanted)
            own = hypothesis.weights[:, : len(source) + 1]
            np.testing.assert_allclose(own, weights[0].numpy())
            np.testing.assert_allclose(own.sum(axis=1), 1)
            assert (hypothesis.weights[:, len(source) + 1 :] == 0).all()
