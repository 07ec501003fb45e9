"""Weights are weights whatever the scores and the mask; each distribution against its paper."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seq2seq.attention.distributions import (
    DISTRIBUTIONS,
    ESTIMATORS,
    Attention,
    Distribution,
    DistributionSizes,
    HardOptions,
)
from seq2seq.attention.masked_softmax import masked_softmax
from seq2seq.attention.score_base import ScoreSizes
from seq2seq.attention.scores import Dot, LuongDot

QUERY = 5

every_one = pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))


def distribution(
    name: str, *, window: int = 2, estimator: str = "straight_through", temperature: float = 1.0, soft: float = 0.0
) -> Distribution:
    torch.manual_seed(1)
    hard = HardOptions(estimator, temperature=temperature, soft=soft)
    return DISTRIBUTIONS[name](DistributionSizes(query=QUERY, window=window, hard=hard)).eval()


def weights(name: str, scores: list[float], **options: float | str) -> list[float]:
    """Of one target word over a sentence without padding; the word is the first, and its query is 0."""
    mask = torch.ones(1, 1, len(scores), dtype=torch.bool)
    query, step = torch.zeros(1, 1, QUERY), torch.zeros(1, 1, dtype=torch.long)
    scored = torch.tensor([[scores]])
    return distribution(name, **options)(scored, mask, query, step).weights.flatten().tolist()  # type: ignore[arg-type]


@st.composite
def given_scores(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    batch, target, source = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 6))
    torch.manual_seed(draw(st.integers(0, 2**32)))
    lengths = torch.tensor([draw(st.integers(0, source)) for _ in range(batch)])
    scale = draw(st.sampled_from([1.0, 100.0, 1e4]))
    mask = (torch.arange(source) < lengths.unsqueeze(1)).unsqueeze(1)
    step = torch.arange(target).expand(batch, target) + draw(st.integers(0, 8))
    return scale * torch.randn(batch, target, source), mask, torch.randn(batch, target, QUERY), step


@every_one
@given(given_scores())
@settings(max_examples=30)
def test_weights_of_tokens_sum_to_1_and_those_of_padding_are_0(
    name: str, found: tuple[Tensor, Tensor, Tensor, Tensor]
) -> None:
    scores, mask, query, step = found
    weights, _ = distribution(name)(scores, mask, query, step)
    assert weights.shape == scores.shape
    assert (weights >= 0).all()
    assert (weights[~mask.expand_as(weights)] == 0).all()
    torch.testing.assert_close(weights.sum(dim=-1), mask.any(dim=-1).float().expand_as(weights[..., 0]))


@every_one
@given(given_scores())
@settings(max_examples=30)
def test_what_stands_in_the_padding_changes_nothing(name: str, found: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    scores, mask, query, step = found
    upstream = torch.randn_like(scores)
    several = []
    for filling in (0.0, 1e4, -3e38):
        filled = scores.masked_fill(~mask, filling).requires_grad_()
        weights, _ = distribution(name)(filled, mask, query, step)
        (weights * upstream).sum().backward()
        assert filled.grad is not None
        assert weights.isfinite().all()
        assert filled.grad.isfinite().all()
        assert (filled.grad.masked_select(~mask) == 0).all()
        several.append((weights, filled.grad))
    for weights, gradient in several:
        assert torch.equal(weights, several[0][0])
        assert torch.equal(gradient, several[0][1])


@every_one
@given(given_scores(), st.sampled_from([-500.0, 3.0]))
@settings(max_examples=30)
def test_what_all_scores_share_changes_nothing(
    name: str, found: tuple[Tensor, Tensor, Tensor, Tensor], shift: float
) -> None:
    scores, mask, query, step = found
    scores = scores.double()
    module = distribution(name).double()
    torch.testing.assert_close(
        module(scores + shift, mask, query.double(), step).weights, module(scores, mask, query.double(), step).weights
    )


@pytest.mark.parametrize("name", sorted(set(DISTRIBUTIONS) - {"hard"}))
def test_the_gradient_is_that_of_the_function(name: str) -> None:
    module = distribution(name).double()
    mask = torch.tensor([[True, True, True, True, False], [False] * 5, [True] + [False] * 4]).unsqueeze(1)
    scores = torch.randn(3, 2, 5, dtype=torch.float64, requires_grad=True)
    query = torch.randn(3, 2, QUERY, dtype=torch.float64, requires_grad=True)
    step = torch.arange(2).expand(3, 2)
    assert torch.autograd.gradcheck(lambda x, q: module(x, mask, q, step).weights, (scores, query))


@every_one
def test_nothing_on_the_way_is_no_number(name: str) -> None:
    """Not even between the steps, where a mask would hide it: a search for NaN in training is not led astray."""
    scores, query = torch.randn(2, 3, 4, requires_grad=True), torch.randn(2, 3, QUERY)
    mask = torch.tensor([[False] * 4, [True, False, False, False]]).unsqueeze(1)
    with torch.autograd.set_detect_anomaly(True):
        distribution(name)(scores, mask, query, torch.arange(3).expand(2, 3)).weights.sum().backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


@given(given_scores())
@settings(max_examples=40)
def test_softmax_is_the_formula(found: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    scores, mask, _, _ = found
    weights = masked_softmax(scores, mask)
    for b in range(len(scores)):
        tokens = int(mask[b].sum())
        for t in range(scores.shape[1]):
            top = max(scores[b, t, :tokens].tolist(), default=0.0)
            parts = [math.exp(score - top) for score in scores[b, t, :tokens].tolist()]
            wanted = torch.tensor([part / sum(parts) for part in parts])
            torch.testing.assert_close(weights[b, t, :tokens], wanted)


def test_softmax_by_eye() -> None:
    """Scores 0 and 1: weights (1, e) / (1 + e), 0.269 and 0.731."""
    assert weights("softmax", [0.0, 1.0]) == pytest.approx([0.269, 0.731], abs=1e-3)


def test_a_mask_need_not_be_a_beginning() -> None:
    weights = masked_softmax(torch.zeros(1, 1, 4), torch.tensor([[[False, True, False, True]]]))
    assert weights.tolist() == [[[0.0, 0.5, 0.0, 0.5]]]


# --- sparse: Martins and Astudillo 2016; Peters et al. 2019 -----------------------------------------------------------


def test_sparsemax_by_eye() -> None:
    """Of two scores it is `(1 + e_1 - e_2) / 2` cut to [0, 1] (Martins and Astudillo 2016, section 2.2)."""
    assert weights("sparsemax", [0.0, 0.5]) == pytest.approx([0.25, 0.75])
    assert weights("sparsemax", [0.0, 1.0]) == pytest.approx([0.0, 1.0])
    assert weights("sparsemax", [0.0, 7.0]) == pytest.approx([0.0, 1.0])
    assert weights("sparsemax", [0.1, 1.1, 0.2, 0.9]) == pytest.approx([0.0, 0.6, 0.0, 0.4])
    assert weights("sparsemax", [3.0, 3.0, 3.0]) == pytest.approx([1 / 3] * 3)


def test_entmax_by_eye() -> None:
    """Two scores 2 apart or more: all for the better. 1 apart: `max(e / 2 - t, 0)^2` with t = (1 - sqrt(7)) / 4."""
    assert weights("entmax15", [0.0, 2.0]) == pytest.approx([0.0, 1.0])
    threshold = (1 - math.sqrt(7)) / 4
    assert weights("entmax15", [0.0, 1.0]) == pytest.approx([threshold**2, (0.5 - threshold) ** 2])
    assert weights("entmax15", [3.0, 3.0, 3.0, 3.0]) == pytest.approx([0.25] * 4)


@given(st.lists(st.floats(-4, 4), min_size=1, max_size=9), st.sampled_from([("sparsemax", 2.0), ("entmax15", 1.5)]))
@settings(max_examples=80)
def test_the_threshold_makes_the_sum_1(scores: list[float], which: tuple[str, float]) -> None:
    """Against the definition, its t found by halving."""
    name, alpha = which
    scaled = [(alpha - 1) * score for score in scores]
    low, high = max(scaled) - 1, max(scaled)
    for _ in range(60):
        middle = (low + high) / 2
        parts = [max(score - middle, 0) ** (1 / (alpha - 1)) for score in scaled]
        low, high = (middle, high) if sum(parts) > 1 else (low, middle)
    assert weights(name, scores) == pytest.approx(parts, abs=1e-3)  # float32, and a square root near 0


# --- hard: Bengio et al. 2013, Jang et al. 2017, Williams 1992 -------------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_hard_takes_the_best_token(estimator: str) -> None:
    assert weights("hard", [0.1, 0.3, 0.2], estimator=estimator, soft=0.9) == [0.0, 1.0, 0.0]
    assert weights("hard", [0.3, 0.3], estimator=estimator, soft=0.9) == [1.0, 0.0]


def in_training(count: int, **options: object) -> tuple[Tensor, Attention, Tensor]:
    """Scores, attention of so many words over three tokens and one of padding, and the softmax."""
    scores = torch.tensor([0.0, 1.0, -1.0, 9.0]).repeat(1, count, 1).requires_grad_()
    mask = torch.tensor([[[True, True, True, False]]])
    query, step = torch.zeros(1, count, QUERY), torch.zeros(1, count, dtype=torch.long)
    attention = distribution("hard", **options).train()(scores, mask, query, step)  # type: ignore[arg-type]
    return scores, attention, torch.tensor([0.0, 1.0, -1.0]).softmax(dim=0)


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
def test_the_temperature_of_softmax(temperature: float) -> None:
    scores = [0.5, -1.0, 2.0]
    expected = (torch.tensor(scores) / temperature).softmax(dim=0).tolist()
    assert weights("softmax", scores, temperature=temperature) == pytest.approx(expected)


def test_the_scale_of_dot_is_a_temperature() -> None:
    """`dot` is `luong_dot` with the temperature `sqrt(d)`, d the width of query and key."""
    torch.manual_seed(1)
    query, key = torch.randn(2, 3, 9), torch.randn(2, 4, 9)
    mask, step = torch.ones(2, 1, 4, dtype=torch.bool), torch.zeros(2, 3, dtype=torch.long)
    sizes = ScoreSizes(query=9, key=9, value=9, positions=1, heads=1)
    found = []
    for rule, temperature in ((Dot(sizes), 1.0), (LuongDot(sizes), 3.0)):
        hard = HardOptions("straight_through", temperature=temperature, soft=0.0)
        softmax = DISTRIBUTIONS["softmax"](DistributionSizes(query=9, window=1, hard=hard))
        found.append(softmax(rule(query, rule.prepare(key)), mask, query, step).weights)
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
@pytest.mark.parametrize("estimator", ["gumbel", "reinforce"])
def test_hard_draws_from_the_softmax_in_training(estimator: str, temperature: float) -> None:
    """Each weight is 0 or 1, and in 20,000 draws as often 1 as softmax says, whatever the temperature."""
    _, (drawn, _), softmax = in_training(20_000, estimator=estimator, temperature=temperature)
    assert ((drawn == 0) | (drawn == 1)).all()
    torch.testing.assert_close(drawn[0, :, :3].mean(dim=0), softmax, atol=0.015, rtol=0)
    assert (drawn[..., 3] == 0).all()


def test_straight_through_draws_nothing() -> None:
    _, (chosen, log_probability), _ = in_training(100)
    assert log_probability is None
    assert (chosen == torch.tensor([0.0, 1.0, 0.0, 0.0])).all()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_share_of_words_attends_softly_in_training(estimator: str) -> None:
    _, (weights, log_probability), softmax = in_training(20_000, estimator=estimator, soft=0.3)
    softly = ~((weights == 0) | (weights == 1)).all(dim=-1)
    assert float(softly.float().mean()) == pytest.approx(0.3, abs=0.015)
    torch.testing.assert_close(weights[softly][:, :3], softmax.expand(int(softly.sum()), 3))
    assert (log_probability is not None) == (estimator == "reinforce")
    if log_probability is not None:
        assert torch.equal(log_probability == 0, softly)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_gradient_of_a_choice_is_that_of_the_softmax(temperature: float) -> None:
    scores, upstream = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    mask = torch.ones(2, 1, 4, dtype=torch.bool)
    query, step = torch.zeros(2, 3, QUERY), torch.zeros(2, 3, dtype=torch.long)
    chosen, softened = scores.clone().requires_grad_(), scores.clone().requires_grad_()
    (distribution("hard", temperature=temperature)(chosen, mask, query, step).weights * upstream).sum().backward()
    ((softened / temperature).softmax(dim=-1) * upstream).sum().backward()
    torch.testing.assert_close(chosen.grad, softened.grad)


def test_reinforce_returns_the_log_probability_of_the_draw() -> None:
    """`log p_c` with the gradient `d log p_c / d e_j = [j = c] - p_j`; the weights are constants."""
    scores, (drawn, log_probability), softmax = in_training(50, estimator="reinforce")
    assert log_probability is not None
    assert not drawn.requires_grad
    torch.testing.assert_close(log_probability[0].detach(), softmax.log()[drawn[0].argmax(dim=-1)])
    log_probability.sum().backward()
    assert scores.grad is not None
    torch.testing.assert_close(scores.grad[0, :, :3], drawn[0, :, :3].detach() - softmax)
    assert (scores.grad[..., 3] == 0).all()


# --- local: Luong et al. 2015, section 3.2 ----------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, 2, 5, 9])
def test_local_m_sees_the_window_around_the_words_place(step: int) -> None:
    """Of 7 tokens, those no farther than 2 from the word's own place, or from the last token's."""
    scores, mask = torch.randn(1, 1, 8), (torch.arange(8) < 7).view(1, 1, 8)
    found = distribution("local_m")(scores, mask, torch.zeros(1, 1, QUERY), torch.tensor([[step]])).weights[0, 0]
    center = min(step, 6)
    inside = [place for place in range(7) if abs(place - center) <= 2]
    wanted = torch.zeros(8)
    wanted[inside] = scores[0, 0, inside].softmax(dim=0)
    torch.testing.assert_close(found, wanted)


def test_local_p_is_a_gaussian_around_a_predicted_place() -> None:
    """`p = (S - 1) sigmoid(v.tanh(W Q))`; weights go as `exp(e_j - (j - p)^2 / (2 (D / 2)^2))` within D of p."""
    module = distribution("local_p", window=2).requires_grad_(False)
    parameters = dict(module.named_parameters())
    scores, query = torch.randn(1, 3, 8), 2 * torch.randn(1, 3, QUERY)
    mask = (torch.arange(8) < 7).view(1, 1, 8)
    found, _ = module(scores, mask, query, torch.zeros(1, 3, dtype=torch.long))
    for t in range(3):
        hidden = torch.tanh(parameters["hidden.weight"] @ query[0, t])
        place = 6 * float(torch.sigmoid(parameters["v.weight"][0] @ hidden))
        parts = [
            math.exp(float(scores[0, t, j]) - (j - place) ** 2 / 2) if j < 7 and abs(j - place) <= 2 else 0.0
            for j in range(8)
        ]
        assert found[0, t].tolist() == pytest.approx([part / sum(parts) for part in parts], abs=1e-6)
