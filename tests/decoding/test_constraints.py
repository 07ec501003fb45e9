"""A search with constraints is the search among the translations that keep them, whatever else is in the batch."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from seq2seq.decoding.beam_search import beam_search
from seq2seq.decoding.constraints import start_constraints, with_constraints
from seq2seq.decoding.hypotheses import Hypothesis
from seq2seq.decoding.penalties import Penalties
from seq2seq.decoding.prefix import start_prefixes, with_prefixes
from tests.support.toy import END, START, Rows, Toy

few = settings(max_examples=25, deadline=None)


def search(
    toy: Toy,
    chosen: list[int],
    *,
    limits: list[int],
    size: int,
    min_length: int,
    no_repeat_ngram: int,
    prefixes: Sequence[Sequence[int]] | None = None,
    length_penalty: float = 1.0,
) -> list[list[Hypothesis]]:
    first = torch.full((len(chosen),), START)
    memory = Rows(torch.tensor(chosen))
    start = start_prefixes(
        Rows(torch.zeros(len(chosen), dtype=torch.long)), prefixes or [[]] * len(chosen), torch.device("cpu")
    )
    step = with_constraints(with_prefixes(toy.step), min_length=min_length, no_repeat_ngram=no_repeat_ngram, end=END)
    return beam_search(
        step,
        first,
        start_constraints(start, first),
        memory,
        limits=limits,
        end=END,
        size=size,
        penalties=Penalties(length_penalty),
        n_best=size,
    )


def repeats(tokens: Sequence[int], size: int, prefix: int = 0) -> bool:
    """Whether a token after the prefix completes an n-gram that was there before."""
    ngrams = [tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1)]
    return size > 0 and any(ngram in ngrams[:i] for i, ngram in enumerate(ngrams) if i + size > prefix)


@given(
    seed=st.integers(0, 2**32),
    min_length=st.integers(0, 5),
    no_repeat_ngram=st.integers(0, 4),
    prefix=st.lists(st.integers(0, END - 1), max_size=4),
    length_penalty=st.sampled_from([0.0, 1.0]),
)
@few
def test_a_large_beam_is_exhaustive_search(
    seed: int, min_length: int, no_repeat_ngram: int, prefix: list[int], length_penalty: float
) -> None:
    """All translations of at most 5 words with the prefix that keep the constraints, in the order of their scores."""
    assume(no_repeat_ngram != 1 or min_length <= 3 - len(prefix))  # or nothing is permitted after all words
    toy, limit, scored = Toy(seed), 5, []
    for length in range(limit - len(prefix) + 1):
        for words in itertools.product(range(END), repeat=length):
            tokens = [*prefix, *words, END][:limit]
            complete = tokens[-1] == END
            if not repeats(tokens, no_repeat_ngram, len(prefix)) and not (complete and len(tokens) <= min_length):
                scored.append((tokens, toy.replay(2, tokens)[0] / len(tokens) ** length_penalty))
    expected = sorted(scored, key=lambda each: (each[0][-1] == END, each[1]), reverse=True)
    (hypotheses,) = search(
        toy,
        [2],
        limits=[limit],
        size=400,
        min_length=min_length,
        no_repeat_ngram=no_repeat_ngram,
        prefixes=[prefix],
        length_penalty=length_penalty,
    )
    assert [hypothesis.tokens for hypothesis in hypotheses] == [tokens for tokens, _ in expected]
    assert [hypothesis.score for hypothesis in hypotheses] == pytest.approx([score for _, score in expected])


@given(seed=st.integers(0, 2**32), size=st.integers(1, 4), length=st.integers(0, 5), ngram=st.integers(0, 3))
@few
def test_no_sentence_depends_on_the_others(seed: int, size: int, length: int, ngram: int) -> None:
    toy, chosen, limits = Toy(seed, end=1.0), [3, 0, 6, 1, 5], [9, 6, 7, 8, 6]
    prefixes: list[list[int]] = [[1, 1, 1], [], [2], [], [0, 2]]
    together = search(
        toy, chosen, limits=limits, size=size, min_length=length, no_repeat_ngram=ngram, prefixes=prefixes
    )
    for i, hypotheses in enumerate(together):
        (alone,) = search(
            toy,
            chosen[i : i + 1],
            limits=limits[i : i + 1],
            size=size,
            min_length=length,
            no_repeat_ngram=ngram,
            prefixes=prefixes[i : i + 1],
        )
        for one, other in zip(alone, hypotheses, strict=True):
            assert one[:3] == other[:3]
            np.testing.assert_array_equal(one.weights, other.weights)
            assert one.log_probability == pytest.approx(toy.replay(chosen[i], one.tokens)[0])
            assert ngram == 1 or not repeats(one.tokens, ngram, len(prefixes[i]))
            assert END not in one.tokens[:length] or ngram == 1


def test_a_token_stays_permitted_where_nothing_else_is() -> None:
    """Three words, each once, and at least five: after the third, words may occur again."""
    (hypotheses,) = search(Toy(4), [2], limits=[6], size=3, min_length=5, no_repeat_ngram=1)
    for hypothesis in hypotheses:
        assert len({*hypothesis.tokens[:3]}) == 3
        assert len(hypothesis.tokens) == 6
