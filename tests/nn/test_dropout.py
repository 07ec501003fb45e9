"""Dropout drops so many, scales the rest, and sends gradients the same way."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch

from seq2seq.nn.dropout import Dropout, WordDropout
from seq2seq.runtime.static_shapes import static_shapes


@pytest.mark.parametrize("probability", [0.1, 0.35, 0.9])
def test_so_many_are_dropped_and_the_rest_is_scaled(probability: float) -> None:
    torch.manual_seed(1)
    inputs = torch.ones(301, 1001, requires_grad=True)
    outputs = Dropout(probability)(inputs)
    dropped = outputs == 0
    assert dropped.float().mean().item() == pytest.approx(probability, abs=0.005)
    torch.testing.assert_close(
        outputs[~dropped], torch.full_like(outputs[~dropped], 1 / (1 - probability)), rtol=2e-4, atol=0
    )
    assert dropped.float().mean(dim=0).std() < 0.04  # in every column alike: entries do not follow one another
    assert abs(torch.corrcoef(dropped[:, :4].float().t())[0, 1:]).max() < 0.2  # the four entries of one number


def test_nearly_everything_may_be_dropped_but_not_everything() -> None:
    assert Dropout(0.9999999)(torch.ones(1000)).isfinite().all()
    for wrong in (1.0, -0.5):
        with pytest.raises(AssertionError):
            Dropout(wrong)


def test_the_gradient_takes_the_same_way() -> None:
    torch.manual_seed(1)
    inputs, upstream = torch.randn(7, 5, requires_grad=True), torch.randn(7, 5)
    outputs = Dropout(0.5)(inputs)
    (outputs * upstream).sum().backward()
    torch.testing.assert_close(inputs.grad, upstream * (outputs / inputs).detach())


def test_a_seed_decides() -> None:
    drawn = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        drawn.append(Dropout(0.5)(torch.ones(9, 11)))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_nothing_happens_when_evaluating_or_without_a_probability() -> None:
    inputs = torch.randn(3, 4)
    assert torch.equal(Dropout(0.5).eval()(inputs), inputs)
    assert torch.equal(Dropout(0.0)(inputs), inputs)


@pytest.mark.parametrize("form", [nullcontext, static_shapes], ids=["for a CPU", "for a GPU"])
def test_a_word_is_dropped_as_a_whole(form: Callable[[], AbstractContextManager[None]]) -> None:
    """Each occurrence by itself; the others are scaled, and so are their gradients."""
    torch.manual_seed(1)
    inputs = torch.ones(97, 83, 5, requires_grad=True)
    with form():
        outputs = WordDropout(0.2)(inputs)
    words = outputs[:, :, 0]
    assert torch.equal(outputs, words.unsqueeze(2).expand_as(outputs))
    dropped = words == 0
    assert dropped.float().mean().item() == pytest.approx(0.2, abs=0.02)
    assert dropped.any(dim=0).all()
    assert not dropped.all(dim=0).any()
    torch.testing.assert_close(words[~dropped], torch.full_like(words[~dropped], 1.25), rtol=1e-4, atol=0)
    outputs.sum().backward()
    torch.testing.assert_close(inputs.grad, outputs.detach())
    assert torch.equal(WordDropout(0.2).eval()(inputs), inputs)
    assert WordDropout(0.0)(inputs) is inputs
