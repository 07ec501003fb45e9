"""Products whose factors are rounded to bfloat16, against the same products of float64."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from seq2seq.nn.model import Model
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.precision import products
from seq2seq.runtime.products import (
    Linear,
    add_product,
    bfloat16_is_fast,
    check_bfloat16,
    factor,
    linear,
    product,
    row_factor,
)
from seq2seq.text.batches import Batch
from seq2seq.training.objective import Objective, batch_loss
from tests.support.tiny import PLACES, RULES, ragged_batch, tiny_model

CPU = torch.device("cpu")
ROUNDING = 2.0**-8
"""The largest relative error of a number that is rounded to bfloat16, and of a sum of such products a little more."""


@pytest.fixture
def rounding() -> Iterator[None]:
    with products("bfloat16", CPU):
        yield


def pair(*batch: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(*batch, 5, 7), torch.randn(*batch, 6, 7).mT


def exact(left: Tensor, right: Tensor) -> Tensor:
    """The product of the rounded factors, in float64."""
    return left.bfloat16().double() @ right.bfloat16().double()


def close(found: Tensor, wanted: Tensor) -> None:
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), wanted, rtol=ROUNDING, atol=1e-6)


@pytest.mark.parametrize("batch", [(), (1,), (3,)])
@pytest.mark.usefixtures("rounding")
def test_products_of_rounded_factors(batch: tuple[int, ...]) -> None:
    left, right = pair(*batch)
    factors, wanted = (row_factor(left), factor(right)), exact(left, right)
    assert [each.dtype for each in factors] == [torch.bfloat16] * 2
    assert factors[0].shape == (*batch, 32, 7)
    found = product(*factors, rows=5)
    close(found, wanted)
    out = torch.empty(*batch, 5, 12)[..., 3:9]  # a part of a buffer, as a GRU has it
    assert product(*factors, rows=5, out=out) is out
    close(out, wanted)
    added = torch.randn(*batch, 5, 6)
    torch.testing.assert_close(add_product(added, *factors), added + found, rtol=0, atol=1e-6)
    bias, sums = torch.randn(*batch, 1, 6), added.clone()
    torch.testing.assert_close(add_product(bias, *factors, out=torch.empty(*batch, 5, 6)), bias + found)
    assert add_product(sums, *factors, out=sums) is sums
    torch.testing.assert_close(sums, added + found, rtol=0, atol=1e-6)
    close(product(factors[0].mT, row_factor(added)), exact(left.mT, added))  # over rows: a gradient of weights


@pytest.mark.parametrize(("rows", "padded"), [(1, 32), (32, 32), (33, 64), (512, 512), (513, 640), (1025, 1152)])
@pytest.mark.usefixtures("rounding")
def test_rows_are_rounded_up_with_zeros(rows: int, padded: int) -> None:
    tensor = torch.randn(2, rows, 3)
    found = row_factor(tensor)
    assert found.shape == (2, padded, 3)
    torch.testing.assert_close(found[:, :rows], tensor.bfloat16(), rtol=0, atol=0)
    assert not found[:, rows:].any()


@pytest.mark.parametrize("batch", [(), (3,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_otherwise_nothing_is_rounded(batch: tuple[int, ...], dtype: torch.dtype) -> None:
    left, right = (each.to(dtype) for each in pair(*batch))
    with products("bfloat16" if dtype == torch.float64 else "float32", CPU):
        assert factor(left) is left
        assert row_factor(left) is left
        torch.testing.assert_close(product(left, right), left @ right, rtol=0, atol=0)
        added = torch.randn(*batch, 5, 6, dtype=dtype)
        torch.testing.assert_close(add_product(added, left, right), added + left @ right)


@pytest.mark.usefixtures("rounding")
def test_a_linear_layer_adds_its_bias_and_differentiates_in_float32() -> None:
    torch.manual_seed(1)
    layer, inputs = Linear(7, 6), torch.randn(2, 5, 7, requires_grad=True)
    found = layer(inputs)
    close(found - layer.bias, exact(inputs.detach(), layer.weight.detach().t()))
    grad = torch.randn_like(found)
    found.backward(grad)
    rows, grad_rows = inputs.detach().flatten(0, 1), grad.flatten(0, 1)
    assert inputs.grad is not None
    assert layer.weight.grad is not None
    close(inputs.grad, exact(grad, layer.weight.detach()))
    close(layer.weight.grad, exact(grad_rows.t(), rows))
    torch.testing.assert_close(layer.bias.grad, grad_rows.sum(dim=0))
    close(linear(inputs, layer.weight).detach(), exact(inputs.detach(), layer.weight.detach().t()))


def test_a_linear_layer_is_pytorchs_without_rounding() -> None:
    torch.manual_seed(1)
    ours, theirs, inputs = Linear(7, 6), nn.Linear(7, 6), torch.randn(2, 5, 7)
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(inputs), theirs(inputs), rtol=0, atol=0)


def loss_and_gradients(model: Model, batch: Batch, precision: str, dtype: torch.dtype) -> tuple[float, Tensor]:
    model.to(dtype).zero_grad()
    with products(precision, CPU):
        loss = batch_loss(model, batch, Objective(0.1)).smoothed / batch.target_tokens
        loss.backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert {gradient.dtype for gradient in gradients} == {dtype}
    return loss.item(), torch.cat([gradient.flatten() for gradient in gradients])


@pytest.mark.parametrize(("place", "rule"), [*((place, "general") for place in PLACES), *(("luong", r) for r in RULES)])
def test_gradients_are_near_those_of_float64(place: str, rule: str) -> None:
    if place == "luong" and rule in ("coverage", "location"):
        place = "bahdanau"
    model, batch = tiny_model(place, rule, tie="all"), ragged_batch()
    rounded, exactly = (
        loss_and_gradients(model, batch, precision, dtype)
        for precision, dtype in (("bfloat16", torch.float32), ("float32", torch.float64))
    )
    assert rounded[0] == pytest.approx(exactly[0], rel=0.003)
    assert rounded[0] != exactly[0]
    gradient, wanted = rounded[1].double(), exactly[1]
    assert torch.cosine_similarity(gradient, wanted, dim=0) > 0.9995
    assert gradient.norm().item() == pytest.approx(wanted.norm().item(), rel=0.01)


def test_other_devices_and_processors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"device\.precision=bfloat16 is for a CPU: set device=cpu"):
        check_bfloat16(torch.device("cuda"))
    monkeypatch.setattr("seq2seq.runtime.products.bfloat16_is_fast", lambda: False)
    with pytest.raises(InputError, match=r"device\.precision=bfloat16 needs a processor that multiplies bfloat16"):
        check_bfloat16(CPU)
    monkeypatch.setattr("seq2seq.runtime.products.bfloat16_is_fast", lambda: True)
    check_bfloat16(CPU)
    assert isinstance(bfloat16_is_fast(), bool)
