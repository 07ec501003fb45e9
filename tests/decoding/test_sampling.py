"""Samples have the probabilities that the model and the options give them, and depend on nothing else in the batch."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.decoding.constraints import start_constraints, with_constraints
from seq2seq.decoding.hypotheses import Hypothesis
from seq2seq.decoding.penalties import Penalties
from seq2seq.decoding.prefix import start_prefixes, with_prefixes
from seq2seq.decoding.sampling import Distribution, sample, uniform_numbers
from tests.decoding.test_constraints import repeats
from tests.support.toy import END, START, VOCABULARY, Rows, Toy
from tests.support.unchecked import unchecked

few = settings(max_examples=25, deadline=None)
ALL = Distribution()
BY_LENGTH = Penalties(1.0)


def samples(
    toy: Toy,
    chosen: list[int],
    *,
    limits: list[int],
    size: int,
    distribution: Distribution = ALL,
    prefixes: list[list[int]] | None = None,
    penalties: Penalties = BY_LENGTH,
    seed: int = 1,
    n_best: int | None = None,
) -> list[list[Hypothesis]]:
    starts = prefixes or [[]] * len(chosen)
    return sample(
        with_prefixes(toy.step),
        torch.full((len(chosen),), START),
        start_prefixes(Rows(torch.zeros(len(chosen), dtype=torch.long)), starts, torch.device("cpu")),
        Rows(torch.tensor(chosen)),
        distribution=distribution,
        uniforms=[
            uniform_numbers(seed, [sentence], prefix, samples=size, limit=limit)
            for sentence, prefix, limit in zip(chosen, starts, limits, strict=True)
        ],
        end=END,
        penalties=penalties,
        sources=[4] * len(chosen),
        n_best=n_best or size,
    )


def restricted(probabilities: list[float], distribution: Distribution) -> list[float]:
    """The distribution by its definition, over Python lists."""
    powers = [probability ** (1 / distribution.temperature) for probability in probabilities]
    order = sorted(range(len(powers)), key=lambda token: powers[token], reverse=True)
    kept = order[: distribution.top_k or None]
    total, nucleus, mass = sum(powers[token] for token in kept), [], 0.0
    for token in kept:
        if mass >= distribution.top_p:
            break
        nucleus.append(token)
        mass += powers[token] / total
    total = sum(powers[token] for token in nucleus)
    return [powers[token] / total if token in nucleus else 0.0 for token in range(len(powers))]


@given(
    seed=st.integers(0, 2**32),
    temperature=st.sampled_from([0.3, 1.0, 2.5]),
    top_k=st.sampled_from([0, 1, 3, 50]),
    top_p=st.sampled_from([0.2, 0.7, 1.0]),
)
@few
def test_tokens_are_drawn_by_the_definition(seed: int, temperature: float, top_k: int, top_p: float) -> None:
    """Numbers spread evenly over [0, 1) give each token its share of them."""
    torch.manual_seed(seed)
    row = torch.randn(11).mul(2).log_softmax(dim=0)
    distribution, number = Distribution(temperature, top_k, top_p), 20_000
    drawn = distribution.draw(row.expand(number, -1), (torch.arange(number, dtype=torch.float64) + 0.5) / number)
    shares = torch.bincount(drawn, minlength=11) / number
    expected = restricted(row.double().exp().tolist(), distribution)
    np.testing.assert_allclose(shares.numpy(), expected, atol=2 / number)
    assert all(share > 0 for share, seen in zip(expected, shares.tolist(), strict=True) if seen)


def test_impossible_tokens_are_never_drawn() -> None:
    row = torch.tensor([[-math.inf, 0.0, -math.inf, 0.0]]).log_softmax(dim=1)
    for uniform in (0.0, 0.3, 0.5, 1 - 2**-53):
        assert ALL.draw(row, torch.tensor([uniform], dtype=torch.float64)).item() in (1, 3)


@pytest.mark.slow
@pytest.mark.parametrize("distribution", [ALL, Distribution(0.7), Distribution(1.0, 2), Distribution(1.5, 3, 0.9)])
@unchecked()
def test_translations_have_their_probabilities(distribution: Distribution) -> None:
    """All 13 translations of at most 2 words, in 20,000 samples."""
    toy, number = Toy(5), 20_000
    (hypotheses,) = samples(toy, [2], limits=[2], size=number, distribution=distribution)
    counts = Counter(tuple(hypothesis.tokens) for hypothesis in hypotheses)
    assert sum(counts.values()) == number

    def conditional(start: list[int]) -> list[float]:
        before = toy.replay(2, start)[0] if start else 0.0
        row = [math.exp(toy.replay(2, [*start, token])[0] - before) for token in range(VOCABULARY)]
        return restricted(row, distribution)

    expected = {(END,): conditional([])[END]}
    for one, two in itertools.product(range(END), range(VOCABULARY)):
        expected[one, two] = conditional([])[one] * conditional([one])[two]
    assert sum(expected.values()) == pytest.approx(1)
    assert set(counts) <= {tokens for tokens, share in expected.items() if share > 0}
    for tokens, share in expected.items():
        assert counts[tokens] / number == pytest.approx(share, abs=5 * math.sqrt(share / number) + 1e-9)


@given(seed=st.integers(0, 2**32), size=st.integers(1, 4), end=st.sampled_from([-2.0, 0.0, 2.0]))
@few
def test_no_sentence_depends_on_the_others(seed: int, size: int, end: float) -> None:
    toy, chosen, limits = Toy(seed, end=end), [3, 0, 6, 1, 3], [9, 6, 7, 8, 9]
    prefixes: list[list[int]] = [[1, 1, 1], [], [2], [], [1, 1, 1]]
    penalties = Penalties(0.6, "wu", 0.3)
    together = samples(toy, chosen, limits=limits, size=size, prefixes=prefixes, penalties=penalties)
    for i, hypotheses in enumerate(together):
        part = slice(i, i + 1)
        (alone,) = samples(
            toy, chosen[part], limits=limits[part], size=size, prefixes=prefixes[part], penalties=penalties
        )
        assert len(alone) == size
        assert [each.score for each in alone if each.tokens[-1] == END] == sorted(
            (each.score for each in alone if each.tokens[-1] == END), reverse=True
        )
        for one, other in zip(alone, hypotheses, strict=True):
            assert one[:3] == other[:3]
            np.testing.assert_array_equal(one.weights, other.weights)
            log_probability, weights = toy.replay(chosen[i], one.tokens)
            assert one.log_probability == pytest.approx(log_probability)
            np.testing.assert_array_equal(one.weights, weights.numpy())
            assert one.score == pytest.approx(penalties.score(log_probability, weights.numpy()), rel=1e-5)
            assert one.tokens[: len(prefixes[i])] == prefixes[i]
            assert len(one.tokens) == limits[i] or one.tokens[-1] == END
    assert [each.tokens for each in together[0]] == [each.tokens for each in together[4]]  # the same sentence


def test_seeds_and_numbers_of_samples() -> None:
    toy = Toy(3)
    drawn = [[each.tokens for each in samples(toy, [2], limits=[8], size=30, seed=seed)[0]] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    many = Counter(tuple(each.tokens) for each in samples(toy, [2], limits=[8], size=40)[0])
    assert Counter(map(tuple, drawn[0])) <= many  # more samples begin with those of fewer
    (best,) = samples(toy, [2], limits=[8], size=30, n_best=3)
    assert [each.tokens for each in best] == drawn[0][:3]


def test_a_low_temperature_is_greedy_search() -> None:
    for seed in range(5):
        toy = Toy(seed)
        ((greedy,),) = toy.search([2], limits=[8], size=1)
        for distribution in (Distribution(0.001), Distribution(top_k=1), Distribution(top_p=1e-9)):
            ((one,),) = samples(toy, [2], limits=[8], size=1, distribution=distribution)
            assert one.tokens == greedy.tokens
            assert one.log_probability == pytest.approx(greedy.log_probability)


def test_samples_keep_constraints() -> None:
    toy, first = Toy(7), torch.full((3,), START)
    start = start_constraints(Rows(torch.zeros(3, dtype=torch.long)), first)
    step = with_constraints(toy.step, min_length=4, no_repeat_ngram=2, end=END)
    uniforms = [uniform_numbers(1, [i], [], samples=20, limit=9) for i in range(3)]
    for hypotheses in sample(
        step,
        first,
        start,
        Rows(torch.tensor([2, 5, 1])),
        distribution=ALL,
        uniforms=uniforms,
        end=END,
        penalties=Penalties(1.0),
        n_best=20,
    ):
        assert len(hypotheses) == 20
        for each in hypotheses:
            assert END not in each.tokens[:4]
            assert len(each.tokens) > 7 or not repeats(each.tokens, 2)


def test_a_model_without_numbers_has_no_sample() -> None:
    toy = Toy(1)
    toy.log_probabilities[:] = math.nan
    assert samples(toy, [2, 3], limits=[3, 2], size=2) == [[], []]
