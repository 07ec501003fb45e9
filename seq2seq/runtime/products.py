"""Matrix products of training. With `device.precision=bfloat16` they round their factors to bfloat16.

The sums within a product are float32. Its result is rounded to bfloat16 once, and added and stored as float32. Weights,
activations, gradients, losses and the optimiser's moments are float32, as in mixed precision training (Micikevicius et
al. 2018). A processor with AMX computes such a product four to ten times as fast. Rounding takes a part of that time,
so a weight that several products share is rounded once. Otherwise, and with float64, nothing is rounded.

With every setting these are float32: the products of LSTMs, of attention weights, of the bridge from encoder to
decoder, of the rules `coverage` and `location`, of the distribution `local_p`, and of the combine layer in a loop.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from seq2seq.runtime.errors import InputError
from seq2seq.runtime.precision import rounds_factors


def bfloat16_is_fast() -> bool:
    """Whether the processor has instructions that multiply bfloat16."""
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def check_bfloat16(device: torch.device) -> None:
    """Raises InputError if training on the device cannot round factors, or would be slow."""
    if device.type != "cpu":
        raise InputError(
            "device.precision=bfloat16 is for a CPU: set device=cpu, or device.precision=auto for this GPU"
        )
    if not bfloat16_is_fast():
        raise InputError(
            "device.precision=bfloat16 needs a processor that multiplies bfloat16 (AMX or AVX-512 BF16): use float32"
        )


def factor(weight: Tensor) -> Tensor:
    """A weight as `product` and `add_product` read it."""
    return weight.bfloat16() if _is_rounded(weight) else weight


def row_factor(tensor: Float[Tensor, "*batch rows width"]) -> Float[Tensor, "*batch padded_rows width"]:
    """Rows, of which each batch has another number, as `product` and `add_product` read them.

    Where they are rounded there are rows of zeros at the end: oneDNN compiles a kernel for each shape, which takes as
    long as some products, and keeps it. So the number of rows is rounded up to one of a few.
    """
    if not _is_rounded(tensor):
        return tensor
    rows = tensor.shape[-2]
    multiple = 32 if rows <= 512 else 128
    missing = -rows % multiple
    if missing == 0:
        return tensor.bfloat16()
    padded = tensor.new_empty(*tensor.shape[:-2], rows + missing, tensor.shape[-1], dtype=torch.bfloat16)
    padded[..., :rows, :] = tensor
    padded[..., rows:, :] = 0
    return padded


def product(left: Tensor, right: Tensor, *, rows: int | None = None, out: Tensor | None = None) -> Tensor:
    """`left @ right` of two factors; only the first rows, if a number is given."""
    if left.dtype != torch.bfloat16:
        return torch.matmul(left, right, out=out)
    result = _bfloat16_product(left, right)[..., :rows, :]
    return result.float() if out is None else out.copy_(result)


def add_product(added: Tensor, left: Tensor, right: Tensor, *, out: Tensor | None = None) -> Tensor:
    """`added + left @ right` of two factors, matrices or batches of them. `out` may be `added`.

    The result has the rows of `out` or, without it, of `added`.
    """
    if left.dtype == torch.bfloat16:
        rows = (added if out is None else out).shape[-2]
        return torch.add(added, _bfloat16_product(left, right)[..., :rows, :], out=out)
    fused = torch.addmm if left.dim() == 2 else torch.baddbmm
    return fused(added, left, right, out=out)


def _is_rounded(tensor: Tensor) -> bool:
    return rounds_factors() and tensor.dtype == torch.float32


def _bfloat16_product(left: Tensor, right: Tensor) -> Tensor:
    """`left @ right`, one matrix at a time: PyTorch's batched product copies bfloat16 factors that are transposed."""
    if left.dim() == 2:
        return left @ right
    result = left.new_empty(*left.shape[:2], right.shape[2])
    for one_left, one_right, one_result in zip(left, right, result, strict=True):
        torch.mm(one_left, one_right, out=one_result)
    return result


def linear(
    inputs: Float[Tensor, "*rows in"], weight: Float[Tensor, "out in"], bias: Float[Tensor, "out"] | None = None
) -> Float[Tensor, "*rows out"]:
    """`torch.nn.functional.linear` of factors that may be rounded."""
    if not _is_rounded(inputs):
        return nn.functional.linear(inputs, weight, bias)
    result: Tensor = _RoundedProduct.apply(inputs.flatten(0, -2), weight)  # type: ignore[no-untyped-call]
    result = result.unflatten(0, inputs.shape[:-1])
    return result if bias is None else result + bias


class _RoundedProduct(torch.autograd.Function):
    """`inputs @ weight.t()` of rounded factors, which are what it stores."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor) -> Tensor:
        factors = row_factor(inputs), factor(weight)
        ctx.save_for_backward(*factors)
        ctx.rows = len(inputs)
        return product(factors[0], factors[1].t(), rows=ctx.rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        inputs, weight = ctx.saved_tensors
        grad = row_factor(gradient)
        return product(grad, weight, rows=ctx.rows), product(grad.t(), inputs)


class Linear(nn.Linear):
    """`nn.Linear` of factors that may be rounded."""

    def forward(self, input: Tensor) -> Tensor:  # PyTorch's name
        return linear(input, self.weight, self.bias)
