"""Softmax, sparsemax and 1.5-entmax over the tokens of a padded batch: scores e to weights w."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seq2seq.runtime.static_shapes import has_static_shapes

Scores = Float[Tensor, "batch target source"]
Weights = Float[Tensor, "batch target source"]
Mask = Bool[Tensor, "batch #target source"]


def masked_softmax(scores: Scores, mask: Mask) -> Weights:
    """`softmax` over the positions where the mask is True; exactly 0 elsewhere.

    In a row without tokens all weights are 0, and so is the context. (Softmax over a row of `-inf` is NaN, and one NaN
    in a batch ruins every gradient.)
    """
    if not torch.is_grad_enabled():  # a search calls it for each word, and `apply` takes longer than the softmax
        return _masked_softmax(scores, ~mask)
    return _MaskedSoftmax.apply(scores, mask)  # type: ignore[no-untyped-call]


def _masked_softmax(scores: Tensor, padding: Tensor) -> Tensor:
    weights = scores.masked_fill(padding, float("-inf")).softmax(dim=-1)
    return weights.masked_fill_(padding, 0.0)  # in a row without tokens it was NaN


class _MaskedSoftmax(torch.autograd.Function):
    """Mask, softmax and mask as one autograd node instead of three, since a loop over time repeats them at each step.

    With g the gradient of the weights, the gradient of `e_j` is `w_j (g_j - sum_k w_k g_k)`.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, mask: Tensor) -> Tensor:
        weights = _masked_softmax(scores, ~mask)
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (weights,) = ctx.saved_tensors
        if has_static_shapes(gradient):  # one kernel in place of three
            return torch.ops.aten._softmax_backward_data(gradient, weights, -1, weights.dtype), None
        product = gradient * weights
        return torch.addcmul(product, weights, product.sum(dim=-1, keepdim=True), value=-1), None


def masked_entmax(scores: Scores, mask: Mask, alpha: float) -> Weights:
    """alpha-entmax over the positions where the mask is True; exactly 0 elsewhere. `alpha` is 2 (sparsemax) or 1.5."""
    empty_row = ~mask.any(dim=-1, keepdim=True)
    token_scores = scores.masked_fill(~(mask | empty_row), float("-inf"))
    entmax = _Entmax.apply if torch.is_grad_enabled() else _entmax
    return entmax(token_scores, alpha).masked_fill(~mask, 0.0)


def _entmax(scores: Tensor, alpha: float) -> Tensor:
    # Scaled scores more than 1 below the best have weight 0. So -2 replaces -inf, which cannot be summed.
    scores = ((alpha - 1) * (scores - scores.amax(dim=-1, keepdim=True))).clamp(min=-2.0)
    ordered = scores.sort(dim=-1, descending=True).values
    count = torch.arange(1, scores.shape[-1] + 1, device=scores.device, dtype=scores.dtype)
    mean = ordered.cumsum(dim=-1) / count
    if alpha == 2:
        thresholds = mean - 1 / count
    else:
        squared_deviation = ordered.square().cumsum(dim=-1) - count * mean.square()
        thresholds = mean - ((1 - squared_deviation) / count).clamp(min=0).sqrt()
    support_size = (thresholds < ordered).sum(dim=-1, keepdim=True)
    return (scores - thresholds.gather(-1, support_size - 1)).clamp(min=0) ** (1 / (alpha - 1))


class _Entmax(torch.autograd.Function):
    """`w_j = max((alpha - 1) e_j - t, 0)^(1 / (alpha - 1))`, with t such that the sum is 1, for alpha 2 and 1.5.

    For both alphas t has a closed form over sorted scores (Martins and Astudillo 2016, algorithm 1; Peters et al. 2019,
    algorithm 2). With g the gradient of the weights, and `s_j = w_j^(2 - alpha)` where `w_j > 0`, else 0, the gradient
    of `e_j` is `s_j (g_j - sum_k s_k g_k / sum_k s_k)` for every alpha (Peters et al. 2019, proposition 2).
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, alpha: float) -> Tensor:
        weights = _entmax(scores, alpha)
        ctx.alpha = alpha
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (weights,) = ctx.saved_tensors
        slope = torch.where(weights > 0, weights ** (2 - ctx.alpha), 0.0)  # s in the formula above
        product = gradient * slope
        return product - slope * (product.sum(dim=-1, keepdim=True) / slope.sum(dim=-1, keepdim=True)), None
