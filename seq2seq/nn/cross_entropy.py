"""Output layer and loss in one function, so that the logits of a whole batch are never in memory at once."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from seq2seq.runtime.determinism import unordered_additions
from seq2seq.runtime.products import add_product, factor, product, row_factor
from seq2seq.runtime.static_shapes import has_static_shapes

CHUNK_SIZE = 256
"""Target tokens whose logits are in memory at one time. With a vocabulary of 8,000 these take 8 MB, near the size of a
core's cache."""


class Loss(NamedTuple):
    """Losses in nats, as sums over target tokens. Divide them by the number of tokens once, at the end.

    Training minimises `smoothed`, the cross-entropy with label smoothing. The perplexity is `exp` of the mean of
    `negative_log_likelihood`, which has no gradient.
    """

    smoothed: Float[Tensor, ""]
    negative_log_likelihood: Float[Tensor, ""]


class _WithGradients(torch.autograd.Function):
    """A scalar whose forward pass saves the gradients of its first inputs. It has no gradient by the other inputs."""

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        others = len(ctx.needs_input_grad) - len(ctx.saved_tensors)
        return *(saved * gradient for saved in ctx.saved_tensors), *[None] * others


class _LinearCrossEntropy(_WithGradients):
    """Computes the gradient together with the loss, since both need the exponentials, which are then not stored.

    For logits z, with `Z = sum exp z` and V words, `log p = z - log Z`, and the gradient of the smoothed loss by z is
    `exp z / Z - (1 - smoothing) [y = target] - smoothing / V`. A pass over logits is expensive, so factors that a row
    or all words share are applied to smaller tensors: outputs are divided by Z, and `smoothing / V`, called `uniform`,
    multiplies the sum of the weights of all words.
    """

    @staticmethod
    def forward(
        ctx: Any, outputs: Tensor, weight: Tensor, bias: Tensor, target: Tensor, smoothing: float, differentiate: bool
    ) -> tuple[Tensor, Tensor]:
        (tokens, _), vocabulary = outputs.shape, weight.shape[0]
        uniform, weight_sum, bias_sum = smoothing / vocabulary, weight.sum(dim=0), bias.sum()
        smoothed, likelihood = outputs.new_zeros(()), outputs.new_zeros(())
        gradients = [torch.zeros_like(tensor) for tensor in (outputs, weight, bias)] if differentiate else []
        buffer, weight_factor = outputs.new_empty(min(CHUNK_SIZE, tokens), vocabulary), factor(weight)
        for start in range(0, tokens, CHUNK_SIZE):
            rows = slice(start, start + CHUNK_SIZE)
            inputs, target_ids = outputs[rows], target[rows].unsqueeze(1)
            logits = product(row_factor(inputs), weight_factor.t(), rows=len(inputs), out=buffer[: len(inputs)]).add_(
                bias
            )
            target_logits, largest = logits.gather(1, target_ids), logits.amax(dim=1, keepdim=True)
            exponentials = logits.sub_(largest).exp_()
            sums = exponentials.sum(dim=1, keepdim=True)  # Z / exp(largest); the factor cancels
            log_sums = largest + sums.log()
            log_likelihood = (target_logits - log_sums).sum()
            likelihood -= log_likelihood
            log_probability_sum = (inputs @ weight_sum + bias_sum - vocabulary * log_sums.squeeze(1)).sum()
            smoothed -= (1 - smoothing) * log_likelihood + uniform * log_probability_sum
            if gradients:
                exponentials.scatter_add_(1, target_ids, (smoothing - 1) * sums)
                grad_rows = row_factor(exponentials)
                product(grad_rows, weight_factor, rows=len(inputs), out=gradients[0][rows]).div_(sums)
                add_product(gradients[1], grad_rows.t(), row_factor(inputs / sums), out=gradients[1])
                gradients[2].addmv_(exponentials.t(), 1 / sums.squeeze(1))
        if gradients:
            gradients[0] -= uniform * weight_sum
            gradients[1] -= uniform * outputs.sum(dim=0)
            gradients[2] -= uniform * tokens
        ctx.save_for_backward(*gradients)
        ctx.mark_non_differentiable(likelihood)
        return smoothed, likelihood


def linear_cross_entropy(
    layer: nn.Linear, outputs: Float[Tensor, "tokens width"], target: Int[Tensor, "tokens"], *, smoothing: float
) -> Loss:
    """Cross-entropy of `softmax(layer(outputs))` with label smoothing (Szegedy et al. 2016, section 7), as a sum.

    The target distribution is `(1 - smoothing) [y = target] + smoothing / V`, with V the size of the vocabulary. Each
    row is a target token; padding is left out. The gradient is computed in the forward pass, if gradients are enabled.
    """
    differentiate = torch.is_grad_enabled()  # in validation `ctx.needs_input_grad` is True for parameters, too
    smoothed, likelihood = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        outputs, layer.weight, layer.bias, target, smoothing, differentiate
    )
    return Loss(smoothed, likelihood)


class _PaddedLinearCrossEntropy(_WithGradients):
    """`_LinearCrossEntropy` of all rows at once, for a GPU: as few passes over the logits as PyTorch's kernels allow.

    `counts` is 1 for a token and 0 for padding. The probabilities take the memory of the logits. Then `log Z` comes
    from the most likely word k, `log Z = z_k - log p_k`, since `p_k` is never near 0.
    """

    @staticmethod
    def forward(
        ctx: Any,
        outputs: Tensor,
        weight: Tensor,
        bias: Tensor,
        target: Tensor,
        counts: Tensor,
        smoothing: float,
        differentiate: bool,
    ) -> tuple[Tensor, Tensor]:
        vocabulary, target_ids, rows = weight.shape[0], target.unsqueeze(1), counts.unsqueeze(1)
        uniform, weight_sum, bias_sum = smoothing / vocabulary, weight.sum(dim=0), bias.sum()
        logits = torch.addmm(bias, outputs, weight.t())
        target_logits, (largest, word) = logits.gather(1, target_ids), logits.max(dim=1, keepdim=True)
        probabilities = torch.softmax(logits, dim=1, out=logits)
        log_sums = largest - probabilities.gather(1, word).log()
        log_likelihood = ((target_logits - log_sums) * rows).sum()
        log_probability_sum = ((outputs @ weight_sum + bias_sum - vocabulary * log_sums.squeeze(1)) * counts).sum()
        smoothed = -(1 - smoothing) * log_likelihood - uniform * log_probability_sum
        if differentiate:
            with unordered_additions():  # each addition is to another element
                by_logits = probabilities.scatter_add_(1, target_ids, torch.full_like(rows, smoothing - 1))
            counted = outputs * rows
            by_outputs = torch.addmm(weight_sum, by_logits, weight, beta=-uniform).mul_(rows)
            by_weight = torch.addmm(counted.sum(dim=0), by_logits.t(), counted, beta=-uniform)
            by_bias = torch.addmv(counts.sum(), by_logits.t(), counts, beta=-uniform)
            ctx.save_for_backward(by_outputs, by_weight, by_bias)
        likelihood = -log_likelihood
        ctx.mark_non_differentiable(likelihood)
        return smoothed, likelihood


def padded_linear_cross_entropy(
    layer: nn.Linear,
    outputs: Float[Tensor, "batch target width"],
    target: Int[Tensor, "batch target"],
    mask: Bool[Tensor, "batch target"],
    *,
    smoothing: float,
) -> Loss:
    """`linear_cross_entropy` of the tokens of a padded batch, with static shapes (`seq2seq/runtime/static_shapes.py`).

    The logits of the whole batch are in memory, with padding: 32 MB for 2,000 positions and a vocabulary of 4,000.
    """
    rows = outputs.flatten(0, 1), layer.weight, layer.bias, target.flatten(), mask.flatten().to(outputs.dtype)
    smoothed, likelihood = _PaddedLinearCrossEntropy.apply(*rows, smoothing, torch.is_grad_enabled())  # type: ignore[no-untyped-call]
    return Loss(smoothed, likelihood)


def symmetric_divergence(
    layer: nn.Linear,
    one: Float[Tensor, "batch target width"],
    other: Float[Tensor, "batch target width"],
    mask: Bool[Tensor, "batch target"],
) -> Float[Tensor, ""]:
    """`KL(p || q) + KL(q || p) = sum (p - q) (log p - log q)` in nats, summed over the tokens of the mask.

    p and q are `softmax(layer(outputs))` of the two outputs. The gradient is computed in the forward pass, if gradients
    are enabled. With static shapes the logits of the whole batch are in memory.
    """
    if not has_static_shapes(one):
        differentiate = torch.is_grad_enabled()
        tensors = one[mask], other[mask], layer.weight, layer.bias
        divergence: Tensor = _SymmetricDivergence.apply(*tensors, differentiate)  # type: ignore[no-untyped-call]
        return divergence
    dtype = torch.promote_types(one.dtype, torch.float32)
    log_p, log_q = (layer(outputs).log_softmax(dim=-1, dtype=dtype) for outputs in (one, other))
    return (((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(dim=-1) * mask).sum()


class _SymmetricDivergence(_WithGradients):
    """Computes the gradient together with the divergence, a part of the tokens at a time.

    With `d = log p - log q`, the gradient by the logits of p is `p (d - KL(p || q)) + p - q`. That by the logits of q
    is the same with p and q exchanged.
    """

    @staticmethod
    def forward(ctx: Any, one: Tensor, other: Tensor, weight: Tensor, bias: Tensor, differentiate: bool) -> Tensor:
        divergence, weight_factor, chunk_size = one.new_zeros(()), factor(weight), CHUNK_SIZE // 2
        gradients = [torch.zeros_like(tensor) for tensor in (one, other, weight, bias)] if differentiate else []
        for start in range(0, len(one), chunk_size):
            rows = slice(start, start + chunk_size)
            inputs = torch.cat((one[rows], other[rows]))
            logits = product(row_factor(inputs), weight_factor.t(), rows=len(inputs)).add_(bias)
            logs = logits.log_softmax(dim=1)
            (log_p, log_q), (p, q) = logs.chunk(2), logs.exp().chunk(2)
            difference = log_p - log_q
            divergences = (p * difference).sum(dim=1, keepdim=True), -(q * difference).sum(dim=1, keepdim=True)
            divergence += sum(each.sum() for each in divergences)
            if gradients:
                by_p = p * (difference + (1 - divergences[0])) - q
                by_q = q * ((1 - divergences[1]) - difference) - p
                by_logits = torch.cat((by_p, by_q))
                grad_rows = row_factor(by_logits)
                by_one, by_other = product(grad_rows, weight_factor, rows=len(inputs)).chunk(2)
                gradients[0][rows], gradients[1][rows] = by_one, by_other
                add_product(gradients[2], grad_rows.t(), row_factor(inputs), out=gradients[2])
                gradients[3] += by_logits.sum(dim=0)
        ctx.save_for_backward(*gradients)
        return divergence
