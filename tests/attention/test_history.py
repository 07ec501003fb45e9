"""Rules that read earlier weights: the papers' equations, and the history of a decoder and of a search."""

import pytest
import torch
from torch.nn.functional import conv1d

from seq2seq.attention.history import FILTERS, Coverage, HistoryScore, Location
from seq2seq.attention.score_base import ScoreSizes
from seq2seq.attention.scores import SCORES
from tests.support.tiny import EVERY, ragged_batch, tiny_model

SIZES = ScoreSizes(query=5, key=4, value=4, positions=1, heads=1, window=2)
BATCH, TARGET, SOURCE = 2, 3, 6
HISTORY_RULES = [name for name, rule in SCORES.items() if rule.follows_history]
with_history = pytest.mark.parametrize(("place", "rule"), [pair for pair in EVERY if pair[1] in HISTORY_RULES])


def test_there_is_something_to_test() -> None:
    assert HISTORY_RULES == ["coverage", "location"]


def scores(rule: HistoryScore, *, with_history: bool = True) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(1)
    query, key, history = (
        torch.randn(BATCH, TARGET, 5),
        torch.randn(BATCH, SOURCE, 4),
        torch.rand(BATCH, TARGET, SOURCE),
    )
    return rule(query, rule.prepare(key), history if with_history else None), query, key, history


def test_coverage_by_hand() -> None:
    rule = Coverage(SIZES)
    found, query, key, history = scores(rule)
    for b, t, j in torch.cartesian_prod(*map(torch.arange, (BATCH, TARGET, SOURCE))).tolist():
        summed = rule.query.weight @ query[b, t] + rule.query.bias + rule.key.weight @ key[b, j]
        summed = summed + rule.coverage.weight[:, 0] * history[b, t, j]
        torch.testing.assert_close(found[b, t, j], rule.v.weight[0] @ torch.tanh(summed))


def test_location_by_hand() -> None:
    """The features are a convolution of the last weights, with zeros beyond the ends of the sentence."""
    rule = Location(SIZES)
    found, query, key, history = scores(rule)
    assert rule.filters.weight.shape == (FILTERS, 5)
    features = conv1d(history.reshape(-1, 1, SOURCE), rule.filters.weight.unsqueeze(1), padding=2)
    features = features.reshape(BATCH, TARGET, FILTERS, SOURCE)
    for b, t, j in torch.cartesian_prod(*map(torch.arange, (BATCH, TARGET, SOURCE))).tolist():
        summed = rule.query.weight @ query[b, t] + rule.query.bias + rule.key.weight @ key[b, j]
        summed = summed + rule.location.weight @ features[b, t, :, j]
        torch.testing.assert_close(found[b, t, j], rule.v.weight[0] @ torch.tanh(summed))


@pytest.mark.parametrize("kind", [Coverage, Location])
def test_without_a_history_it_is_additive(kind: type[HistoryScore]) -> None:
    rule, additive = kind(SIZES), SCORES["additive"](SIZES)
    additive.load_state_dict({name: rule.state_dict()[name] for name in additive.state_dict()})
    found, query, key, _ = scores(rule, with_history=False)
    torch.testing.assert_close(found, additive(query, additive.prepare(key)))


@with_history
def test_the_history_is_the_sum_of_all_weights_or_the_last_ones(place: str, rule: str) -> None:
    model, batch = tiny_model(place, rule).eval(), ragged_batch()
    memory, state = model.encode(batch.source, batch.source_mask)
    assert state.history is not None
    assert not state.history.any()
    all_weights = model(batch.source, batch.source_mask, batch.target_input)[1].weights
    for t in range(batch.target_input.shape[1]):
        _, state, attention = model.decode(batch.target_input[:, t : t + 1], state, memory)
        torch.testing.assert_close(attention.weights[:, 0], all_weights[:, t])
        history = all_weights[:, : t + 1].sum(dim=1) if rule == "coverage" else all_weights[:, t]
        assert state.history is not None
        torch.testing.assert_close(state.history, history)


@with_history
def test_later_weights_depend_on_earlier_ones(place: str, rule: str) -> None:
    model, batch = tiny_model(place, rule).eval(), ragged_batch()
    memory, state = model.encode(batch.source, batch.source_mask)
    assert state.history is not None
    other = state._replace(history=batch.source_mask / batch.source_mask.sum(dim=1, keepdim=True))
    word = batch.target_input[:, :1]
    weights = [model.decode(word, each, memory)[2].weights for each in (state, other)]
    assert not torch.allclose(*weights, atol=1e-3)
