"""The rules against the notes' and the papers' formulas, written out one number at a time."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seq2seq.attention.scores import (
    SCORES,
    Additive,
    Concat,
    Dot,
    General,
    LuongDot,
    Score,
    ScoreSizes,
    TanhSum,
)

CONTENT_BASED = [name for name, rule in SCORES.items() if not rule.location_based]

shapes = given(
    batch=st.integers(1, 4),
    target=st.integers(1, 5),
    source=st.integers(1, 8),
    query=st.integers(1, 6),
    key=st.integers(1, 7),
    seed=st.integers(0, 2**32),
)
few = settings(max_examples=20, deadline=None)


def sizes(*, query: int, key: int, positions: int = 1) -> ScoreSizes:
    return ScoreSizes(query=query, key=key, value=8, positions=positions, heads=2)


def close(found: Tensor, wanted: list[list[list[float]]]) -> None:
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64))


def vectors(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def test_the_notes_three_rules_are_there() -> None:
    assert (SCORES["concat"], SCORES["tanh_sum"], SCORES["dot"]) == (Concat, TanhSum, Dot)
    assert len(CONTENT_BASED) >= 5


@shapes
@few
def test_rule_1(batch: int, target: int, source: int, query: int, key: int, seed: int) -> None:
    """`Linear([Q; K])`: K is one vector for each query, and there is one score for each position."""
    torch.manual_seed(seed)
    rule = Concat(sizes(query=query, key=key, positions=source)).double()
    q, k = vectors(batch, target, query), vectors(batch, target, key)
    weight, bias = rule.linear.weight.tolist(), rule.linear.bias.tolist()
    wanted = [
        [
            [
                sum(w * x for w, x in zip(weight[p], [*q[b, t].tolist(), *k[b, t].tolist()], strict=True)) + bias[p]
                for p in range(source)
            ]
            for t in range(target)
        ]
        for b in range(batch)
    ]
    close(rule(q, k), wanted)


@shapes
@few
def test_rule_2(batch: int, target: int, source: int, query: int, key: int, seed: int) -> None:
    """`sum(tanh(Linear([Q; K_j])))`, with one Linear over both, as the notes have it."""
    torch.manual_seed(seed)
    rule = TanhSum(sizes(query=query, key=key, positions=1)).double()
    q, k = vectors(batch, target, query), vectors(batch, source, key)
    weight, bias = torch.cat((rule.query.weight, rule.key.weight), dim=1).tolist(), rule.query.bias.tolist()

    def score(together: list[float]) -> float:
        return sum(
            math.tanh(sum(w * x for w, x in zip(row, together, strict=True)) + b)
            for row, b in zip(weight, bias, strict=True)
        )

    wanted = [
        [[score([*q[b, t].tolist(), *k[b, j].tolist()]) for j in range(source)] for t in range(target)]
        for b in range(batch)
    ]
    close(rule(q, rule.prepare(k)), wanted)


@shapes
@few
def test_rule_3_and_its_unscaled_form(batch: int, target: int, source: int, query: int, key: int, seed: int) -> None:
    """`Q.K_j / sqrt(d)`, and without the square root where the rule is Luong's."""
    torch.manual_seed(seed)
    q, k = vectors(batch, target, query), vectors(batch, source, query)
    widths = sizes(query=query, key=query, positions=key)
    for rule, scale in ((Dot(widths), math.sqrt(query)), (LuongDot(widths), 1.0)):
        wanted = [
            [
                [
                    sum(x * y for x, y in zip(q[b, t].tolist(), k[b, j].tolist(), strict=True)) / scale
                    for j in range(source)
                ]
                for t in range(target)
            ]
            for b in range(batch)
        ]
        close(rule(q, rule.prepare(k)), wanted)


def test_rule_3_by_eye() -> None:
    """Width 4, so the scale is 2: `(2, 0, 0, 0).(3, 1, 0, 0) / 2 = 3`."""
    rule = Dot(sizes(query=4, key=4, positions=1))
    query, key = torch.tensor([[[2.0, 0, 0, 0]]]), torch.tensor([[[3.0, 1, 0, 0], [0, 5, 0, 0], [-1, 0, 0, 7]]])
    assert rule(query, rule.prepare(key)).tolist() == [[[3.0, 0.0, -1.0]]]


def test_additive_with_ones_for_v_is_rule_2() -> None:
    widths = sizes(query=5, key=7, positions=1)
    additive, rule_2 = Additive(widths), TanhSum(widths, width=5)
    rule_2.load_state_dict({name: value for name, value in additive.state_dict().items() if not name.startswith("v")})
    torch.nn.init.ones_(additive.v.weight)
    query, key = torch.randn(2, 3, 5), torch.randn(2, 4, 7)
    torch.testing.assert_close(additive(query, additive.prepare(key)), rule_2(query, rule_2.prepare(key)))


def test_additive_is_v_times_tanh() -> None:
    rule = Additive(sizes(query=5, key=7, positions=1)).double().requires_grad_(False)
    query, key = vectors(2, 3, 5), vectors(2, 4, 7)
    wanted = [
        [
            [
                float(
                    rule.v.weight[0]
                    @ torch.tanh(rule.query.weight @ query[b, t] + rule.query.bias + rule.key.weight @ key[b, j])
                )
                for j in range(4)
            ]
            for t in range(3)
        ]
        for b in range(2)
    ]
    close(rule(query, rule.prepare(key)), wanted)


def test_general_is_a_bilinear_form() -> None:
    rule = General(sizes(query=5, key=7, positions=1)).double().requires_grad_(False)
    query, key = vectors(2, 3, 5), vectors(2, 4, 7)
    wanted = [
        [[float(query[b, t] @ (rule.key.weight @ key[b, j])) for j in range(4)] for t in range(3)] for b in range(2)
    ]
    close(rule(query, rule.prepare(key)), wanted)


def test_multihead_is_a_dot_product_in_each_head() -> None:
    """`(W_h Q).(U_h K_j) / sqrt(d / heads)`: head 0 has the first rows of W and U, head 1 the others."""
    rule = SCORES["multihead"](sizes(query=6, key=7)).double().requires_grad_(False)
    query, key = vectors(2, 3, 6), vectors(2, 4, 7)
    weights = dict(rule.named_parameters())
    found = rule(query, rule.prepare(key))
    for b, t, head, j in itertools.product(range(2), range(3), range(2), range(4)):
        part = slice(3 * head, 3 * head + 3)
        one, other = weights["query.weight"][part] @ query[b, t], weights["key.weight"][part] @ key[b, j]
        assert float(found[b, 2 * t + head, j]) == pytest.approx(float(one @ other) / math.sqrt(3))
    value = vectors(2, 4, 8)
    torch.testing.assert_close(rule.prepare_value(value), value @ weights["value.weight"].T)


def test_cosine_is_the_strength_times_the_cosine() -> None:
    rule = SCORES["cosine"](sizes(query=6, key=6)).double().requires_grad_(False)
    query, key = vectors(2, 3, 6), vectors(2, 4, 6)
    torch.nn.init.constant_(rule.strength, math.log(10))
    found = rule(query, rule.prepare(key))
    for b, t, j in itertools.product(range(2), range(3), range(4)):
        q, k = query[b, t].tolist(), key[b, j].tolist()
        wanted = sum(x * y for x, y in zip(q, k, strict=True)) / math.hypot(*q) / math.hypot(*k)
        assert float(found[b, t, j]) == pytest.approx(10 * wanted)
    torch.testing.assert_close(rule(100 * query, rule.prepare(0.01 * key)), found)


def content_based(name: str) -> tuple[Score, Tensor, Tensor]:
    rule = SCORES[name](sizes(query=6, key=6 if SCORES[name].needs_equal_widths else 7, positions=1)).double()
    return rule, vectors(3, 4, 6), vectors(3, 5, 6 if rule.needs_equal_widths else 7)


@pytest.mark.parametrize("name", CONTENT_BASED)
def test_a_content_based_score_knows_its_own_query_and_key_alone(name: str) -> None:
    """Queries and keys in another order give the same scores in that order."""
    rule, query, key = content_based(name)
    scores = rule(query, rule.prepare(key))
    assert scores.shape == (3, 4 * rule.heads, 5)
    rows, columns = torch.tensor([2, 0, 3, 1]), torch.tensor([4, 1, 0, 3, 2])
    by_word = scores.unflatten(1, (4, rule.heads))
    torch.testing.assert_close(rule(query[:, rows], rule.prepare(key)), by_word[:, rows].flatten(1, 2))
    torch.testing.assert_close(rule(query, rule.prepare(key[:, columns])), scores[:, :, columns])


@pytest.mark.parametrize("name", [name for name in CONTENT_BASED if name != "uniform"])
def test_a_content_based_score_weighs_the_query_against_the_keys(name: str) -> None:
    """Not as a sum of a term for each, of which softmax would cancel the query's."""
    rule, query, key = content_based(name)
    scores = rule(query, rule.prepare(key)).unflatten(1, (4, rule.heads))
    differences = scores[..., 1:] - scores[..., :1]
    assert (differences[:, 1:] - differences[:, :1]).abs().min() > 1e-6


def test_uniform_sees_nothing() -> None:
    rule, query, key = content_based("uniform")
    assert torch.equal(rule(query, rule.prepare(key)), torch.zeros(3, 4, 5, dtype=torch.float64))


DIRECT = [name for name, rule in SCORES.items() if rule.needs_equal_widths]


@pytest.mark.parametrize("name", DIRECT)
def test_what_multiplies_query_and_key_needs_one_width(name: str) -> None:
    with pytest.raises(AssertionError, match="one width"):
        SCORES[name](sizes(query=5, key=7, positions=1))


@pytest.mark.parametrize("hypotheses", [1, 5])
@pytest.mark.parametrize("rule", ["luong_dot", "dot", "general"])
def test_a_search_has_the_same_scores(rule: str, hypotheses: int) -> None:
    score = SCORES[rule](sizes(query=6, key=6)).double()
    query, key = vectors(3, hypotheses, 6), score.prepare(vectors(3, 4, 6))
    wanted = score(query, key)
    with torch.inference_mode():
        torch.testing.assert_close(score(query, key), wanted)
