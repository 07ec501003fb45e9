"""The losses of guided attention: each against its formula, and harmless where there is no link."""

import math

import pytest
import torch

from seq2seq.attention.guide import GUIDE_LOSSES, Guide

WEIGHTS = torch.tensor([[[0.5, 0.25, 0.25], [0.125, 0.125, 0.75]]])
LINKS = torch.tensor([[[True, True, False], [False, False, False]]])


def test_cross_entropy_by_hand() -> None:
    """Two linked tokens are gold by a half each; the second target token has no link."""
    loss = Guide("cross_entropy", weight=1.0)(WEIGHTS, LINKS)
    assert float(loss) == pytest.approx(-(math.log(0.5) + math.log(0.25)) / 2)


def test_squared_error_by_hand() -> None:
    loss = Guide("squared_error", weight=1.0)(WEIGHTS, LINKS)
    assert float(loss) == pytest.approx((0 + 0.25**2 + 0.25**2) / 2)


@pytest.mark.parametrize("name", GUIDE_LOSSES)
def test_the_loss_is_a_sum_over_linked_target_tokens(name: str) -> None:
    guide = Guide(name, weight=1.0)
    weights = torch.rand(3, 5, 4, generator=torch.Generator().manual_seed(1)).softmax(dim=2)
    links = torch.rand(3, 5, 4, generator=torch.Generator().manual_seed(2)) > 0.6
    assert 0 < links.any(dim=2).sum() < 15
    rows = [guide(weights[i : i + 1, t : t + 1], links[i : i + 1, t : t + 1]) for i in range(3) for t in range(5)]
    torch.testing.assert_close(guide(weights, links), torch.stack(rows).sum())
    assert all((row == 0) != links.any(dim=2).flatten()[i] for i, row in enumerate(rows))


@pytest.mark.parametrize("name", GUIDE_LOSSES)
def test_gradient_descent_on_the_scores_reaches_the_gold_weights(name: str) -> None:
    scores = torch.zeros(1, 2, 4, requires_grad=True)
    links = torch.tensor([[[False, True, False, True], [True, False, False, False]]])
    optimizer = torch.optim.Adam([scores], lr=0.3)
    for _ in range(300):
        optimizer.zero_grad()
        Guide(name, weight=1.0)(scores.softmax(dim=2), links).backward()
        optimizer.step()
    wanted = torch.tensor([[[0, 0.5, 0, 0.5], [1, 0, 0, 0]]])
    torch.testing.assert_close(scores.softmax(dim=2).detach(), wanted, atol=0.01, rtol=0)


@pytest.mark.parametrize("name", GUIDE_LOSSES)
@pytest.mark.parametrize("distance", [50.0, 200.0])
def test_hopeless_scores_have_a_finite_gradient(name: str, distance: float) -> None:
    """A weight of 1e-22, and one that float32 rounds to 0, at the gold link."""
    scores = torch.tensor([[[0.0, distance, 0.0]]], requires_grad=True)
    loss = 1e6 * Guide(name, weight=1.0)(scores.softmax(dim=2), torch.tensor([[[True, False, False]]]))
    loss.backward()
    assert loss.isfinite()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


def test_the_last_step_is_the_last() -> None:
    assert [Guide("cross_entropy", 1.0, last_step=2).applies_at(step) for step in (1, 2, 3)] == [True, True, False]
    assert Guide("cross_entropy", 1.0).applies_at(10**9)
