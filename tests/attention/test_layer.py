"""The notes' three steps, and what must hold of every rule."""

import itertools
import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seq2seq.attention.distributions import DISTRIBUTIONS
from seq2seq.attention.layer import AttentionLayer
from seq2seq.attention.scores import SCORES
from tests.support.tiny import tiny_rule

RULES = sorted(SCORES)
TARGET, SOURCE, VALUE, OUTPUT = 3, 5, 8, 4
LENGTHS = [5, 2, 1, 3]

EVERY = [
    (name, distribution)
    for name, distribution in itertools.product(RULES, DISTRIBUTIONS)
    if not (SCORES[name].is_uniform and DISTRIBUTIONS[distribution].is_hard)  # nothing to choose
]

every_rule = pytest.mark.parametrize("name", RULES)
everything = pytest.mark.parametrize(("name", "distribution"), EVERY)


def test_there_are_rules() -> None:
    assert {"concat", "tanh_sum", "dot"} < set(RULES)


def layer(name: str, distribution: str = "softmax", *, positions: int = SOURCE) -> AttentionLayer:
    """Fresh weights, the same ones each time; hard attention takes the best, as in use."""
    torch.manual_seed(1)
    rule = tiny_rule(name, distribution)
    key = 6 if SCORES[name].needs_equal_widths else 7
    return rule.layer(query=6, key=key, value=VALUE, positions=positions, partner=6, output=OUTPUT).eval()


def inputs(name: str, lengths: list[int] = LENGTHS) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Query, key, value and mask of random sentences."""
    torch.manual_seed(2)
    rule, batch = SCORES[name], len(lengths)
    return (
        torch.randn(batch, TARGET, 6),
        torch.randn(batch, TARGET if rule.location_based else SOURCE, 6 if rule.needs_equal_widths else 7),
        torch.randn(batch, SOURCE, VALUE),
        torch.arange(SOURCE) < torch.tensor(lengths).unsqueeze(1),
    )


def gradients(module: AttentionLayer, *given: Tensor) -> list[Tensor]:
    """Of the parameters and of query, key and value, for a loss that every output and weight is part of."""
    query, key, value, mask = given
    leaves = [tensor.clone().requires_grad_() for tensor in (query, key, value)]
    output, (weights, _) = module(*leaves, mask)
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
@settings(max_examples=20)
def test_rule_1_is_the_notes_code(batch: int, query: int, key: int, positions: int) -> None:
    """Weights `softmax(attn([Q; K]))`, applied to V, and `attn_combine([Q; applied])`; every position holds a token."""
    rule = tiny_rule("concat")
    module = rule.layer(query=query, key=key, value=VALUE, positions=positions, partner=query, output=OUTPUT)
    q, k, v = torch.randn(batch, 1, query), torch.randn(batch, 1, key), torch.randn(batch, positions, VALUE)
    output, (weights, _) = module(q, k, v, torch.ones(batch, positions, dtype=torch.bool))
    attention = module.score.get_submodule("linear")
    wanted = torch.softmax(attention(torch.cat((q, k), dim=-1)), dim=-1)
    torch.testing.assert_close(weights, wanted)
    torch.testing.assert_close(output, combined(module, q, torch.bmm(wanted, v)))
    assert output.shape == (batch, 1, OUTPUT)


@every_rule
def test_context_and_output_are_made_of_the_weights(name: str) -> None:
    """Whatever the rule: `context = sum_j w_j V_j` over a sentence's own tokens, `output = Linear([Q; context])`.

    With several heads each mixes its part of the values, and what is shown is the mean of their weights.
    """
    module, (query, key, value, mask) = layer(name), inputs(name)
    output, (shown, _) = module(query, key, value, mask)
    assert shown.shape == (len(LENGTHS), TARGET, SOURCE)
    scores = module.score(query, key if module.score.location_based else module.score.prepare(key))
    by_head = scores.unflatten(1, (TARGET, module.score.heads))
    parts = module.score.prepare_value(value).chunk(module.score.heads, dim=2)
    for b, length in enumerate(LENGTHS):
        for t in range(TARGET):
            weights = by_head[b, t, :, :length].softmax(dim=-1)
            mixed = [
                torch.stack([row[j] * part[b, j] for j in range(length)]).sum(dim=0)
                for row, part in zip(weights, parts, strict=True)
            ]
            torch.testing.assert_close(output[b, t], combined(module, query[b, t], torch.cat(mixed)))
            torch.testing.assert_close(shown[b, t, :length], weights.mean(dim=0))


@every_rule
def test_folding_changes_no_number(name: str) -> None:
    """`combine` of a mix is a mix of what has been combined: the loop's way and the notes' way."""
    module, (query, key, value, mask) = layer(name), inputs(name)
    output, _ = module(query, key, value, mask)
    step = torch.arange(TARGET).expand(len(LENGTHS), TARGET)
    prepared = key if module.score.location_based else module.score.prepare(key)
    weights, _ = module.attention_weights(query, prepared, mask, step)
    folded = module.fold(module.score.prepare_value(value))
    torch.testing.assert_close(module.project_partner(query) + module.mix_folded(weights, folded), output)


def test_weights_by_eye() -> None:
    """Rule 3, width 4: scores 0 and 1, weights (1, e) / (1 + e), context the mix of 10 and 20 in that proportion."""
    rule = tiny_rule("dot")
    module = rule.layer(query=4, key=4, value=1, positions=1, partner=4, output=2)
    query, key = torch.tensor([[[1.0, 0, 0, 0]]]), torch.tensor([[[0.0, 3, 0, 0], [2, 0, 5, 0], [9, 9, 9, 9]]])
    mask = torch.tensor([[True, True, False]])
    weights, _ = module.attention_weights(query, module.score.prepare(key), mask, torch.zeros(1, 1, dtype=torch.long))
    context = module.mix(weights, torch.tensor([[[10.0], [20.0], [77.0]]]))
    torch.testing.assert_close(weights, torch.tensor([[[1, math.e, 0]]]) / (1 + math.e))
    assert context.item() == pytest.approx((10 + 20 * math.e) / (1 + math.e))


@everything
def test_weights_sum_to_1_and_are_0_on_padding(name: str, distribution: str) -> None:
    query, key, value, mask = inputs(name)
    _, (weights, _) = layer(name, distribution)(query, key, value, mask)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(len(LENGTHS), TARGET))
    assert (weights[~mask.unsqueeze(1).expand_as(weights)] == 0).all()
    assert (weights >= 0).all()


@everything
@pytest.mark.parametrize("filling", [0.0, -1.0, 1e4])
def test_what_stands_in_the_padding_changes_nothing(name: str, distribution: str, filling: float) -> None:
    module, (query, key, value, mask) = layer(name, distribution), inputs(name)
    padding = ~mask.unsqueeze(2)
    other_key = key if module.score.location_based else key.masked_fill(padding, filling)
    other = query, other_key, value.masked_fill(padding, filling), mask
    (output, (weights, _)), (other_output, (other_weights, _)) = module(query, key, value, mask), module(*other)
    assert torch.equal(other_output, output)
    assert torch.equal(other_weights, weights)
    for found, wanted in zip(gradients(module, *other), gradients(module, query, key, value, mask), strict=True):
        assert torch.equal(found, wanted)


@everything
def test_a_sentence_alone_is_as_in_a_batch(name: str, distribution: str) -> None:
    module, (query, key, value, mask) = layer(name, distribution), inputs(name)
    output, (weights, _) = module(query, key, value, mask)
    for b, length in enumerate(LENGTHS):
        row = slice(b, b + 1)
        own_key = key[row] if module.score.location_based else key[row, :length]
        own_output, (own_weights, _) = module(query[row], own_key, value[row, :length], mask[row, :length])
        torch.testing.assert_close(own_output, output[row])
        torch.testing.assert_close(own_weights, weights[row, :, :length])


@everything
def test_a_row_of_padding_or_of_one_token_gives_numbers(name: str, distribution: str) -> None:
    module, (query, key, value, mask) = layer(name, distribution), inputs(name, [0, 1, SOURCE])
    output, (weights, _) = module(query, key, value, mask)
    assert torch.equal(weights[0], torch.zeros(TARGET, SOURCE))
    torch.testing.assert_close(output[0], combined(module, query[0], torch.zeros(TARGET, VALUE)))
    assert torch.equal(weights[1, :, 0], torch.ones(TARGET))
    for gradient in gradients(module, query, key, value, mask):
        assert gradient.isfinite().all()


@everything
def test_extreme_inputs_give_numbers(name: str, distribution: str) -> None:
    query, key, value, mask = inputs(name)
    module = layer(name, distribution)
    given = 1e4 * query, 1e4 * key, 1e4 * value, mask
    output, (weights, _) = module(*given)
    assert output.isfinite().all()
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(len(LENGTHS), TARGET))
    for gradient in gradients(module, *given):
        assert gradient.isfinite().all()


HISTORY = re.compile(r"score\.(coverage|location|filters)\.")
"""Parameters of the earlier weights, of which a layer alone has none; see `tests/nn/test_decoder.py` for a decoder."""


@everything
def test_every_parameter_gets_a_gradient(name: str, distribution: str) -> None:
    module = layer(name, distribution)
    names = ["query", "key", "value", *(parameter for parameter, _ in module.named_parameters())]
    found = dict(zip(names, gradients(module, *inputs(name)), strict=True))
    without = {parameter for parameter, gradient in found.items() if not gradient.any()}
    features = {parameter for parameter, _ in module.named_parameters() if HISTORY.search(parameter)}
    assert without == ({"key"} if name == "uniform" else features)


@pytest.mark.parametrize(("name", "distribution"), [one for one in EVERY if one[1] != "hard"])  # no slope of its own
def test_gradients_are_those_of_the_function(name: str, distribution: str) -> None:
    module = layer(name, distribution).double()
    query, key, value, mask = inputs(name, [SOURCE, 2, 0])
    leaves = [tensor.double().requires_grad_() for tensor in (query, key, value)]
    parameters = list(module.parameters())

    def function(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        values = dict(zip(dict(module.named_parameters()), tensors[3:], strict=True))
        output, attention = torch.func.functional_call(module, values, (*tensors[:3], mask))
        return output, attention.weights

    assert torch.autograd.gradcheck(function, (*leaves, *parameters), fast_mode=True)


@pytest.mark.parametrize(("name", "distribution"), [one for one in EVERY if one[1] != "hard"])  # its best may stay
def test_what_the_weights_depend_on(name: str, distribution: str) -> None:
    """On query and keys where the rule is content-based, on no encoder output in rule 1, on nothing without a rule."""
    module, (query, key, value, mask) = layer(name, distribution), inputs(name)
    weights = module(query, key, value, mask)[1].weights[:2]  # rows of one token have nothing to choose
    by_query, by_key = (
        any(not torch.allclose(module(*other, value, mask)[1].weights[:2], weights) for other in others)
        for others in (
            [(size * torch.randn_like(query), key) for size in (1, 2, 3, 4, 5)],
            [(query, size * torch.randn_like(key)) for size in (1, 2, 3, 4, 5)],
        )
    )
    wanted = (distribution == "local_p", False) if name == "uniform" else (True, True)
    assert (by_query, by_key) == wanted
    assert torch.equal(module(query, key, torch.randn_like(value), mask)[1].weights[:2], weights)


def test_rule_1_scores_the_first_positions() -> None:
    """With room for more positions than the batch has, the first ones count."""
    wide, (query, key, value, mask) = layer("concat", positions=9), inputs("concat")
    _, (weights, _) = wide(query, key, value, mask)
    scores = wide.score(query, key)
    assert scores.shape == (len(LENGTHS), TARGET, 9)
    torch.testing.assert_close(weights[0], scores[0, :, :SOURCE].softmax(dim=-1))


def test_rule_1_refuses_more_tokens_than_positions() -> None:
    with pytest.raises(AssertionError, match="5 tokens, 4 positions"):
        layer("concat", positions=4)(*inputs("concat"))
