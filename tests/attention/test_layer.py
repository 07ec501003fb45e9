"""The notes' three steps, and what must hold of every rule."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seq2seq.attention.layer import AttentionLayer
from seq2seq.attention.scores import SCORES, Sizes

RULES = sorted(SCORES)
TARGET, SOURCE, VALUE, OUTPUT = 3, 5, 8, 4
LENGTHS = [5, 2, 1, 3]

every_rule = pytest.mark.parametrize("name", RULES)


def test_there_are_rules() -> None:
    assert {"concat", "tanh_sum", "dot"} < set(RULES)


def layer(name: str, *, positions: int = SOURCE) -> AttentionLayer:
    """Fresh weights, the same ones each time."""
    torch.manual_seed(1)
    sizes = Sizes(query=6, key=6 if SCORES[name].direct else 7, positions=positions)
    return AttentionLayer(SCORES[name](sizes), combine_size=6, value_size=VALUE, output_size=OUTPUT)


def inputs(name: str, lengths: list[int] = LENGTHS) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Query, key, value and mask of random sentences."""
    torch.manual_seed(2)
    rule, batch = SCORES[name], len(lengths)
    return (
        torch.randn(batch, TARGET, 6),
        torch.randn(batch, TARGET if rule.location_based else SOURCE, 6 if rule.direct else 7),
        torch.randn(batch, SOURCE, VALUE),
        torch.arange(SOURCE) < torch.tensor(lengths).unsqueeze(1),
    )


def gradients(module: AttentionLayer, *given: Tensor) -> list[Tensor]:
    """Of the parameters and of query, key and value, for a loss that every output and weight is part of."""
    query, key, value, mask = given
    leaves = [tensor.clone().requires_grad_() for tensor in (query, key, value)]
    output, weights = module(*leaves, mask)
    torch.manual_seed(3)
    loss = (output * torch.randn_like(output)).sum() + (weights * torch.randn_like(weights)).sum()
    wanted = [*leaves, *module.parameters()]
    return [
        torch.zeros_like(leaf) if gradient is None else gradient
        for leaf, gradient in zip(wanted, torch.autograd.grad(loss, wanted, allow_unused=True), strict=True)
    ]


def combined(module: AttentionLayer, query: Tensor, context: Tensor) -> Tensor:
    return torch.cat((query, context), dim=-1) @ module.linear.weight.T + module.linear.bias


@given(batch=st.integers(1, 3), query=st.integers(1, 5), key=st.integers(1, 6), positions=st.integers(1, 7))
@settings(max_examples=20, deadline=None)
def test_rule_1_is_the_notes_code(batch: int, query: int, key: int, positions: int) -> None:
    """Weights `softmax(attn([Q; K]))`, applied to V, and `attn_combine([Q; applied])`; every position holds a token."""
    sizes = Sizes(query=query, key=key, positions=positions)
    module = AttentionLayer(SCORES["concat"](sizes), combine_size=query, value_size=VALUE, output_size=OUTPUT)
    q, k, v = torch.randn(batch, 1, query), torch.randn(batch, 1, key), torch.randn(batch, positions, VALUE)
    output, weights = module(q, k, v, torch.ones(batch, positions, dtype=torch.bool))
    attention = module.score.get_submodule("linear")
    wanted = torch.softmax(attention(torch.cat((q, k), dim=-1)), dim=-1)
    torch.testing.assert_close(weights, wanted)
    torch.testing.assert_close(output, combined(module, q, torch.bmm(wanted, v)))
    assert output.shape == (batch, 1, OUTPUT)


@every_rule
def test_context_and_output_are_made_of_the_weights(name: str) -> None:
    """Whatever the rule: `context = sum_j w_j V_j` over a sentence's own tokens, `output = Linear([Q; context])`."""
    module, (query, key, value, mask) = layer(name), inputs(name)
    output, weights = module(query, key, value, mask)
    assert weights.shape == (len(LENGTHS), TARGET, SOURCE)
    for b, length in enumerate(LENGTHS):
        for t in range(TARGET):
            context = torch.stack([weights[b, t, j] * value[b, j] for j in range(length)]).sum(dim=0)
            torch.testing.assert_close(output[b, t], combined(module, query[b, t], context))


@every_rule
def test_weights_are_the_softmax_of_the_rules_scores(name: str) -> None:
    module, (query, key, value, mask) = layer(name), inputs(name)
    _, weights = module(query, key, value, mask)
    scores = module.score(query, key if module.score.location_based else module.score.prepare(key))
    for b, length in enumerate(LENGTHS):
        torch.testing.assert_close(weights[b, :, :length], scores[b, :, :length].softmax(dim=-1))


def test_weights_by_eye() -> None:
    """Rule 3, width 4: scores 0 and 1, weights (1, e) / (1 + e), context the mix of 10 and 20 in that proportion."""
    module = AttentionLayer(SCORES["dot"](Sizes(4, 4, 1)), combine_size=4, value_size=1, output_size=2)
    query, key = torch.tensor([[[1.0, 0, 0, 0]]]), torch.tensor([[[0.0, 3, 0, 0], [2, 0, 5, 0], [9, 9, 9, 9]]])
    mask = torch.tensor([[True, True, False]])
    prepared = module.prepare(key)
    context, weights = module.attend(query, prepared, torch.tensor([[[10.0], [20.0], [77.0]]]), mask)
    torch.testing.assert_close(weights, torch.tensor([[[1, math.e, 0]]]) / (1 + math.e))
    assert context.item() == pytest.approx((10 + 20 * math.e) / (1 + math.e))


@every_rule
def test_weights_sum_to_1_and_are_0_on_padding(name: str) -> None:
    query, key, value, mask = inputs(name)
    _, weights = layer(name)(query, key, value, mask)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(len(LENGTHS), TARGET))
    assert (weights[~mask.unsqueeze(1).expand_as(weights)] == 0).all()
    assert (weights >= 0).all()


@every_rule
@pytest.mark.parametrize("filling", [0.0, -1.0, 1e4])
def test_what_stands_in_the_padding_changes_nothing(name: str, filling: float) -> None:
    module, (query, key, value, mask) = layer(name), inputs(name)
    padding = ~mask.unsqueeze(2)
    other_key = key if module.score.location_based else key.masked_fill(padding, filling)
    other = query, other_key, value.masked_fill(padding, filling), mask
    for found, wanted in zip(module(*other), module(query, key, value, mask), strict=True):
        assert torch.equal(found, wanted)
    for found, wanted in zip(gradients(module, *other), gradients(module, query, key, value, mask), strict=True):
        assert torch.equal(found, wanted)


@every_rule
def test_a_sentence_alone_is_as_in_a_batch(name: str) -> None:
    module, (query, key, value, mask) = layer(name), inputs(name)
    output, weights = module(query, key, value, mask)
    for b, length in enumerate(LENGTHS):
        row = slice(b, b + 1)
        own_key = key[row] if module.score.location_based else key[row, :length]
        alone = module(query[row], own_key, value[row, :length], mask[row, :length])
        torch.testing.assert_close(alone[0], output[row])
        torch.testing.assert_close(alone[1], weights[row, :, :length])


@every_rule
def test_a_row_of_padding_or_of_one_token_gives_numbers(name: str) -> None:
    module, (query, key, value, mask) = layer(name), inputs(name, [0, 1, SOURCE])
    output, weights = module(query, key, value, mask)
    assert torch.equal(weights[0], torch.zeros(TARGET, SOURCE))
    torch.testing.assert_close(output[0], combined(module, query[0], torch.zeros(TARGET, VALUE)))
    assert torch.equal(weights[1, :, 0], torch.ones(TARGET))
    for gradient in gradients(module, query, key, value, mask):
        assert gradient.isfinite().all()


@every_rule
def test_extreme_inputs_give_numbers(name: str) -> None:
    query, key, value, mask = inputs(name)
    module = layer(name)
    given = 1e4 * query, 1e4 * key, 1e4 * value, mask
    output, weights = module(*given)
    assert output.isfinite().all()
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(len(LENGTHS), TARGET))
    for gradient in gradients(module, *given):
        assert gradient.isfinite().all()


@every_rule
def test_every_parameter_gets_a_gradient(name: str) -> None:
    module = layer(name)
    names = ["query", "key", "value", *(parameter for parameter, _ in module.named_parameters())]
    found = dict(zip(names, gradients(module, *inputs(name)), strict=True))
    without = {parameter for parameter, gradient in found.items() if not gradient.any()}
    assert without == ({"key"} if name == "uniform" else set())


@every_rule
def test_gradients_are_those_of_the_function(name: str) -> None:
    module = layer(name).double()
    query, key, value, mask = inputs(name, [SOURCE, 2, 0])
    leaves = [tensor.double().requires_grad_() for tensor in (query, key, value)]
    parameters = list(module.parameters())

    def function(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        names = [parameter for parameter, _ in module.named_parameters()]
        return torch.func.functional_call(module, dict(zip(names, tensors[3:], strict=True)), (*tensors[:3], mask))

    assert torch.autograd.gradcheck(function, (*leaves, *parameters), fast_mode=True)


@every_rule
def test_what_the_weights_depend_on(name: str) -> None:
    """On query and keys where the rule is content-based, on no encoder output in rule 1, on nothing without a rule."""
    module, (query, key, value, mask) = layer(name), inputs(name)
    weights = module(query, key, value, mask)[1][:2]  # rows of one token have nothing to choose
    by_query = not torch.allclose(module(query + torch.randn_like(query), key, value, mask)[1][:2], weights)
    by_key = not torch.allclose(module(query, key + torch.randn_like(key), value, mask)[1][:2], weights)
    assert (by_query, by_key) == ((False, False) if name == "uniform" else (True, True))
    assert torch.equal(module(query, key, torch.randn_like(value), mask)[1][:2], weights)


def test_rule_1_scores_the_first_positions() -> None:
    """With room for more positions than the batch has, the first ones count."""
    wide, (query, key, value, mask) = layer("concat", positions=9), inputs("concat")
    _, weights = wide(query, key, value, mask)
    scores = wide.score(query, key)
    assert scores.shape == (len(LENGTHS), TARGET, 9)
    torch.testing.assert_close(weights[0], scores[0, :, :SOURCE].softmax(dim=-1))


def test_rule_1_refuses_more_tokens_than_positions() -> None:
    with pytest.raises(AssertionError, match="5 tokens, 4 positions"):
        layer("concat", positions=4)(*inputs("concat"))
