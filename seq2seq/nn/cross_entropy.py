"""The output layer and its loss in one, so that logits for a whole batch are never held."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import nll_loss

ROWS = 256
"""Target tokens whose logits exist at one time. At a vocabulary of 8,000 they take 8 MB, near a core's cache."""


class Loss(NamedTuple):
    """Sums over target tokens, to be divided by their number once, at the end.

    `smoothed` is what training minimises; `negative_log_likelihood` (nats) is what perplexity is made of.
    """

    smoothed: Float[Tensor, ""]
    negative_log_likelihood: Float[Tensor, ""]


class _LinearCrossEntropy(torch.autograd.Function):
    """Computes the gradient together with the value: the exponentials are at hand then, and need not be kept.

    For logits z with `Z = sum exp z`, `log p = z - log Z`, and the gradient of the smoothed loss by z is
    `exp z / Z - (1 - smoothing) [y = target] - smoothing / V`. Passes over logits are dear, so what a whole row or all
    words share is left to the small tensors: outputs are divided by Z, and `smoothing / V`, here `even`, acts on the
    sum of all words' weights.
    """

    @staticmethod
    def forward(
        ctx: Any, outputs: Tensor, weight: Tensor, bias: Tensor, target: Tensor, smoothing: float, differentiate: bool
    ) -> tuple[Tensor, Tensor]:
        (tokens, _), vocabulary = outputs.shape, weight.shape[0]
        even, words, biases = smoothing / vocabulary, weight.sum(dim=0), bias.sum()
        smoothed, likelihood = outputs.new_zeros(()), outputs.new_zeros(())
        gradients = [torch.zeros_like(tensor) for tensor in (outputs, weight, bias)] if differentiate else []
        room = outputs.new_empty(min(ROWS, tokens), vocabulary)
        for start in range(0, tokens, ROWS):
            rows = slice(start, start + ROWS)
            inputs, picked = outputs[rows], target[rows].unsqueeze(1)
            logits = torch.mm(inputs, weight.t(), out=room[: len(inputs)]).add_(bias)
            of_target, largest = logits.gather(1, picked), logits.amax(dim=1, keepdim=True)
            exponentials = logits.sub_(largest).exp_()
            sums = exponentials.sum(dim=1, keepdim=True)  # Z, but for exp of the largest, which cancels
            log_sums = largest + sums.log()
            log_likelihood = (of_target - log_sums).sum()
            likelihood -= log_likelihood
            of_all = (inputs @ words + biases - vocabulary * log_sums.squeeze(1)).sum()
            smoothed -= (1 - smoothing) * log_likelihood + even * of_all
            if gradients:
                exponentials.scatter_add_(1, picked, (smoothing - 1) * sums)
                torch.mm(exponentials, weight, out=gradients[0][rows]).div_(sums)
                gradients[1].addmm_(exponentials.t(), inputs / sums)
                gradients[2].addmv_(exponentials.t(), 1 / sums.squeeze(1))
        if gradients:
            gradients[0] -= even * words
            gradients[1] -= even * outputs.sum(dim=0)
            gradients[2] -= even * tokens
        ctx.save_for_backward(*gradients)
        ctx.mark_non_differentiable(likelihood)
        return smoothed, likelihood

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        outputs, weight, bias = (saved * gradient for saved in ctx.saved_tensors)
        return outputs, weight, bias, None, None, None


def linear_cross_entropy(
    layer: nn.Linear, outputs: Float[Tensor, "tokens width"], target: Int[Tensor, "tokens"], *, smoothing: float
) -> Loss:
    """Cross-entropy of `softmax(layer(outputs))` against targets smoothed as in Szegedy et al. 2016, section 7.

    The target distribution is `(1 - smoothing) [y = target] + smoothing / V`. Rows are target tokens without padding.
    """
    differentiate = torch.is_grad_enabled()  # `ctx.needs_input_grad` is true of parameters in validation too
    smoothed, likelihood = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        outputs, layer.weight, layer.bias, target, smoothing, differentiate
    )
    return Loss(smoothed, likelihood)


def padded_linear_cross_entropy(
    layer: nn.Linear,
    outputs: Float[Tensor, "batch target width"],
    target: Int[Tensor, "batch target"],
    mask: Bool[Tensor, "batch target"],
    *,
    smoothing: float,
) -> Loss:
    """`linear_cross_entropy` of the tokens of a padded batch, by operations whose shapes depend on no values.

    Logits of the whole batch are in memory, padding's too: 32 MB for 2,000 positions and a vocabulary of 4,000.
    """
    logits = layer(outputs).flatten(0, 1)
    log_probabilities = logits.log_softmax(dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))
    padding = -100
    tokens = target.masked_fill(~mask, padding).flatten()
    likelihood = nll_loss(log_probabilities, tokens, ignore_index=padding, reduction="sum")
    even = -(log_probabilities.mean(dim=-1) * mask.flatten()).sum()
    return Loss((1 - smoothing) * likelihood + smoothing * even, likelihood.detach())
