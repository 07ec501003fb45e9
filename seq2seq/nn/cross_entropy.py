"""The output layer and its loss in one, so that logits for a whole batch are never held."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

ROWS = 512
"""Target tokens whose logits exist at one time. At a vocabulary of 8,000 they take 16 MB, near a core's cache."""


class Loss(NamedTuple):
    """Sums over target tokens, to be divided by their number once, at the end.

    `smoothed` is what training minimises; `negative_log_likelihood` (nats) is what perplexity is made of.
    """

    smoothed: Float[Tensor, ""]
    negative_log_likelihood: Float[Tensor, ""]


class _LinearCrossEntropy(torch.autograd.Function):
    """Computes the gradient together with the value: the softmax is at hand then, and need not be kept."""

    @staticmethod
    def forward(
        ctx: Any, outputs: Tensor, weight: Tensor, bias: Tensor, target: Tensor, smoothing: float, differentiate: bool
    ) -> tuple[Tensor, Tensor]:
        vocabulary = weight.shape[0]
        smoothed, likelihood = outputs.new_zeros(()), outputs.new_zeros(())
        gradients = [torch.zeros_like(tensor) for tensor in (outputs, weight, bias)] if differentiate else []
        for start in range(0, outputs.shape[0], ROWS):
            rows = slice(start, start + ROWS)
            scores = torch.addmm(bias, outputs[rows], weight.t()).log_softmax(dim=1)
            picked = target[rows].unsqueeze(1)
            log_likelihood = scores.gather(1, picked).sum()
            likelihood -= log_likelihood
            smoothed -= (1 - smoothing) * log_likelihood + smoothing / vocabulary * scores.sum()
            if gradients:  # d smoothed / d logits = softmax - (1 - smoothing) [y = target] - smoothing / V
                scores.exp_()
                if smoothing:
                    scores.sub_(smoothing / vocabulary)
                scores.scatter_(1, picked, scores.gather(1, picked) - (1 - smoothing))
                torch.mm(scores, weight, out=gradients[0][rows])
                gradients[1].addmm_(scores.t(), outputs[rows])
                gradients[2].add_(scores.sum(dim=0))
        ctx.save_for_backward(*gradients)
        ctx.mark_non_differentiable(likelihood)
        return smoothed, likelihood

    @staticmethod
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
