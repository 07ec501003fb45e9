"""The fused output layer and loss against PyTorch's own, in value and gradient."""

from collections import Counter
from contextlib import nullcontext
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from seq2seq.nn import cross_entropy
from seq2seq.nn.cross_entropy import linear_cross_entropy, padded_linear_cross_entropy, symmetric_divergence
from seq2seq.runtime.static_shapes import static_shapes

WIDTH, VOCABULARY = 5, 11


def problem(tokens: int) -> tuple[nn.Linear, Tensor, Tensor]:
    torch.manual_seed(tokens)
    layer = nn.Linear(WIDTH, VOCABULARY).double()
    outputs = 3 * torch.randn(tokens, WIDTH, dtype=torch.float64)
    return layer, outputs.requires_grad_(), torch.randint(VOCABULARY, (tokens,))


@pytest.fixture(params=[4, 512])
def _rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_entropy, "CHUNK_SIZE", request.param)


@pytest.mark.usefixtures("_rows")
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("tokens", [1, 3, 4, 8, 13])
def test_value_and_gradients_are_those_of_pytorch(smoothing: float, tokens: int) -> None:
    """With any number of blocks: less than one, just as many, and a rest."""
    layer, outputs, target = problem(tokens)
    leaves = [outputs, layer.weight, layer.bias]
    found = linear_cross_entropy(layer, outputs, target, smoothing=smoothing)
    wanted = F.cross_entropy(layer(outputs), target, label_smoothing=smoothing, reduction="sum")
    torch.testing.assert_close(found.smoothed, wanted)
    torch.testing.assert_close(
        found.negative_log_likelihood, F.cross_entropy(layer(outputs), target, reduction="sum").detach()
    )
    for one, other in zip(
        torch.autograd.grad(found.smoothed, leaves), torch.autograd.grad(wanted, leaves), strict=True
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("padding", ["none", "some", "all"])
def test_the_form_with_padding_is_that_of_pytorch(smoothing: float, padding: str) -> None:
    layer, outputs, target = problem(12)
    leaves, scale = [outputs, layer.weight, layer.bias], -0.25
    mask = torch.full((3, 4), padding == "none")
    if padding == "some":
        mask[0], mask[1, :3] = True, True
    found = padded_linear_cross_entropy(
        layer, outputs.unflatten(0, mask.shape), target.view_as(mask), mask, smoothing=smoothing
    )
    logits, rest = layer(outputs)[mask.flatten()], target[mask.flatten()]
    wanted = F.cross_entropy(logits, rest, label_smoothing=smoothing, reduction="sum")
    torch.testing.assert_close(found.smoothed, wanted)
    torch.testing.assert_close(found.negative_log_likelihood, F.cross_entropy(logits, rest, reduction="sum").detach())
    for one, other in zip(
        torch.autograd.grad(scale * found.smoothed, leaves), torch.autograd.grad(scale * wanted, leaves), strict=True
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("margin", [0.0, 1e-3, 5.0, 50.0, 500.0, 5e4])
def test_the_form_with_padding_is_exact_for_likely_and_for_unlikely_words(margin: float) -> None:
    """In float32, where the probability of the unlikely word is 0."""
    layer = nn.Linear(1, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[margin], [0.0], [0.0]]))
        layer.bias.zero_()
    mask = torch.ones(1, 2, dtype=torch.bool)
    found = padded_linear_cross_entropy(layer, torch.ones(1, 2, 1), torch.tensor([[0, 1]]), mask, smoothing=0.0)
    logits = layer(torch.ones(2, 1)).double().detach()
    wanted = F.cross_entropy(logits, torch.tensor([0, 1]), reduction="sum")
    torch.testing.assert_close(found.smoothed.double(), wanted, rtol=1e-6, atol=1e-6)
    (gradient,) = torch.autograd.grad(found.smoothed, layer.bias)
    probabilities = logits.softmax(dim=1).sum(dim=0) - torch.tensor([1.0, 1.0, 0.0])
    torch.testing.assert_close(gradient.double(), probabilities, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("_rows")
def test_gradients_are_those_of_the_function() -> None:
    layer, outputs, target = problem(6)

    def function(outputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        own = nn.Linear(WIDTH, VOCABULARY).double()
        del own.weight, own.bias
        own.weight, own.bias = weight, bias
        return linear_cross_entropy(own, outputs, target, smoothing=0.2).smoothed

    assert torch.autograd.gradcheck(function, (outputs, layer.weight, layer.bias))


def test_what_comes_from_above_scales_the_gradient() -> None:
    layer, outputs, target = problem(7)
    leaves = [outputs, layer.weight, layer.bias]
    plain = torch.autograd.grad(linear_cross_entropy(layer, outputs, target, smoothing=0.1).smoothed, leaves)
    loss = linear_cross_entropy(layer, outputs, target, smoothing=0.1).smoothed
    scaled = torch.autograd.grad(-0.25 * loss, leaves, retain_graph=True)
    again = torch.autograd.grad(-0.25 * loss, leaves)
    for one, other, third in zip(plain, scaled, again, strict=True):
        torch.testing.assert_close(other, -0.25 * one)
        assert torch.equal(other, third)


def test_no_token_has_no_loss() -> None:
    layer, outputs, target = problem(0)
    found = linear_cross_entropy(layer, outputs, target, smoothing=0.1)
    found.smoothed.backward()
    assert (found.smoothed.item(), found.negative_log_likelihood.item()) == (0.0, 0.0)
    for leaf in (outputs, layer.weight, layer.bias):
        assert leaf.grad is not None
        assert not leaf.grad.any()


def test_a_tied_matrix_gets_the_gradients_of_both_uses() -> None:
    torch.manual_seed(1)
    embedding, layer = nn.Embedding(VOCABULARY, WIDTH), nn.Linear(WIDTH, VOCABULARY)
    layer.weight = embedding.weight
    ids, target = torch.tensor([3, 0, 7, 3]), torch.tensor([1, 7, 2, 2])
    found = linear_cross_entropy(layer, torch.tanh(embedding(ids)), target, smoothing=0.1).smoothed
    wanted = F.cross_entropy(layer(torch.tanh(embedding(ids))), target, label_smoothing=0.1, reduction="sum")
    torch.testing.assert_close(
        torch.autograd.grad(found, embedding.weight), torch.autograd.grad(wanted, embedding.weight)
    )


def test_great_logits_give_numbers() -> None:
    layer, outputs, target = problem(6)
    found = linear_cross_entropy(layer, 1e4 * outputs, target, smoothing=0.1).smoothed
    found.backward()
    assert found.isfinite()
    assert outputs.grad is not None
    assert outputs.grad.isfinite().all()


class Operations(TorchDispatchMode):
    """Counts what PyTorch computes, and the tensors in new memory by shape."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.new_memory: Counter[tuple[int, ...]] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[function.overloadpacket.__name__] += 1
        result = function(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and all(alias.alias_info is None for alias in function._schema.returns):
            self.new_memory[tuple(result.shape)] += 1
        return result


def test_without_gradients_nothing_is_computed_for_them() -> None:
    """The layer's parameters want gradients also where nobody asks for them, as in validation."""
    layer, outputs, target = problem(9)
    with torch.no_grad(), Operations() as without:
        linear_cross_entropy(layer, outputs, target, smoothing=0.1)
    with Operations() as with_gradients:
        linear_cross_entropy(layer, outputs, target, smoothing=0.1)
    assert (without.counts["mm"], with_gradients.counts["mm"]) == (1, 2)
    assert not {"addmm_", "addmv_", "scatter_add_", "zeros_like"} & set(without.counts)


def test_with_padding_the_logits_are_in_memory_once() -> None:
    layer, outputs, target = problem(9)
    shape, forms = outputs.unsqueeze(0), []
    for context in (torch.no_grad(), nullcontext()):
        with context, Operations() as operations:
            padded_linear_cross_entropy(layer, shape, target[None], torch.ones_like(target[None] > 0), smoothing=0.1)
        forms.append(operations)
    without, with_gradients = (form.counts for form in forms)
    assert (without["addmm"], with_gradients["addmm"]) == (1, 3)
    assert not {"addmv", "scatter_add_"} & set(without)
    for form in forms:
        assert form.new_memory[(len(target), VOCABULARY)] == 1


@pytest.mark.usefixtures("_rows")
@pytest.mark.parametrize("tokens", [1, 2, 3, 7])
def test_the_divergence_is_that_of_the_formula(tokens: int) -> None:
    """In parts and at once, as on a CPU and on a GPU: value and gradients, with a token that the mask leaves out."""
    layer, outputs, _ = problem(2 * tokens + 2)
    mask = torch.ones(1, tokens + 1, dtype=torch.bool)
    mask[0, tokens // 2] = False
    leaves = [outputs, layer.weight, layer.bias]
    one, other = outputs.unsqueeze(0).chunk(2, dim=1)
    log_p, log_q = (layer(each[mask]).log_softmax(dim=1) for each in (one, other))
    wanted = ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum()
    for context in (nullcontext(), static_shapes()):
        with context:
            found = symmetric_divergence(layer, one, other, mask)
            gradients = torch.autograd.grad(3 * found, leaves, retain_graph=True)
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(gradients, torch.autograd.grad(3 * wanted, leaves, retain_graph=True))
    with torch.no_grad():
        torch.testing.assert_close(symmetric_divergence(layer, one, other, mask), wanted.detach())


@pytest.mark.usefixtures("_rows")
def test_gradients_of_the_divergence_are_those_of_the_function() -> None:
    layer, outputs, _ = problem(6)
    mask = torch.ones(1, 3, dtype=torch.bool)

    def function(outputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        own = nn.Linear(WIDTH, VOCABULARY).double()
        del own.weight, own.bias
        own.weight, own.bias = weight, bias
        return symmetric_divergence(own, *outputs.unsqueeze(0).chunk(2, dim=1), mask)

    assert torch.autograd.gradcheck(function, (outputs, layer.weight, layer.bias))
