"""Weights are weights whatever the scores and the mask."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seq2seq.attention.distributions import masked_softmax


@st.composite
def scores_and_mask(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    batch, target, source = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 6))
    torch.manual_seed(draw(st.integers(0, 2**32)))
    lengths = torch.tensor([draw(st.integers(0, source)) for _ in range(batch)])
    scale = draw(st.sampled_from([1.0, 100.0, 1e4]))
    return scale * torch.randn(batch, target, source), torch.arange(source) < lengths.unsqueeze(1)


@given(scores_and_mask())
@settings(max_examples=40, deadline=None)
def test_softmax_over_tokens_and_0_on_padding(given: tuple[Tensor, Tensor]) -> None:
    scores, mask = given
    weights = masked_softmax(scores, mask)
    for b in range(len(scores)):
        tokens = int(mask[b].sum())
        assert (weights[b, :, tokens:] == 0).all()
        for t in range(scores.shape[1]):
            top = max(scores[b, t, :tokens].tolist(), default=0.0)
            parts = [math.exp(score - top) for score in scores[b, t, :tokens].tolist()]
            wanted = torch.tensor([part / sum(parts) for part in parts])
            torch.testing.assert_close(weights[b, t, :tokens], wanted)
    torch.testing.assert_close(weights.sum(dim=-1), mask.any(dim=1, keepdim=True).float().expand_as(weights[..., 0]))


@given(scores_and_mask())
@settings(deadline=None)
def test_what_stands_in_the_padding_changes_nothing(given: tuple[Tensor, Tensor]) -> None:
    scores, mask = given
    upstream = torch.randn_like(scores)
    found = []
    for filling in (0.0, 1e4, -3e38):
        filled = scores.masked_fill(~mask.unsqueeze(1), filling).requires_grad_()
        weights = masked_softmax(filled, mask)
        (weights * upstream).sum().backward()
        found.append((weights, filled.grad))
    for weights, gradient in found:
        assert gradient is not None
        assert torch.equal(weights, found[0][0])
        assert torch.equal(gradient, found[0][1])
        assert weights.isfinite().all()
        assert gradient.isfinite().all()
        assert (gradient.masked_select(~mask.unsqueeze(1)) == 0).all()


def test_by_eye() -> None:
    """Scores 0 and 1: weights (1, e) / (1 + e), 0.269 and 0.731."""
    weights = masked_softmax(torch.tensor([[[0.0, 1.0, 9.0]]]), torch.tensor([[True, True, False]]))
    torch.testing.assert_close(weights, torch.tensor([[[1.0, math.e, 0.0]]]) / (1 + math.e))
    torch.testing.assert_close(weights[0, 0], torch.tensor([0.269, 0.731, 0.0]), atol=1e-3, rtol=0)


def test_a_mask_need_not_be_a_beginning() -> None:
    weights = masked_softmax(torch.zeros(1, 1, 4), torch.tensor([[False, True, False, True]]))
    assert weights.tolist() == [[[0.0, 0.5, 0.0, 0.5]]]


def test_gradient() -> None:
    mask = torch.tensor([[True, True, True, False], [False] * 4, [True, False, False, False]])
    scores = torch.randn(3, 2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: masked_softmax(x, mask), scores)


def test_nothing_on_the_way_is_no_number() -> None:
    """Not even between the steps, where a mask would hide it: a search for NaN in training is not led astray."""
    scores = torch.randn(2, 3, 4, requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):
        masked_softmax(scores, torch.tensor([[False] * 4, [True, False, False, False]])).sum().backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()
