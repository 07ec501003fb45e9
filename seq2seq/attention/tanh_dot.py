"""Scores `v.tanh(Q + K_j)`, which take most of the time of the rules `additive` and `tanh_sum`."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from seq2seq.runtime.static_shapes import has_static_shapes

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input

CHUNK_SIZE = 2**17
"""Entries of `s` (see `_TanhDot`) that are in memory at one time on a CPU: 512 KB, which stay in a core's cache."""


def tanh_dot(
    query: Float[Tensor, "batch target hidden"],
    key: Float[Tensor, "batch source hidden"],
    v: Float[Tensor, "hidden"],
) -> Float[Tensor, "batch target source"]:
    """`v.tanh(Q + K_j)`.

    On a CPU the scores of a few sentences are computed at a time: writing all entries to memory and reading them back
    takes three times as long as computing them. While ONNX traces the model, all are computed at once. On a GPU, in a
    loop over words, the number of kernels counts, so it is PyTorch's own form, which has the fewest.
    """
    if has_static_shapes(query):
        if query.shape[1] == 1:
            return torch.tanh(query.unsqueeze(2) + key.unsqueeze(1)) @ v
        return _TanhDotOfAllWords.apply(query, key, v)  # type: ignore[no-untyped-call]
    is_traced = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    sentences = len(query) if is_traced else max(1, CHUNK_SIZE // max(1, query[:1].numel() * key.shape[1]))
    return _TanhDot.apply(query, key, v, sentences)  # type: ignore[no-untyped-call]


class _TanhDot(torch.autograd.Function):
    """`tanh_dot` as one autograd node, since a loop over time repeats it at each step.

    With `s = sigmoid(2 (Q + K_j))`, `tanh(Q + K_j) = 2 s - 1`: on a CPU, PyTorch's sigmoid takes a quarter of the time
    of its tanh. So a score is `2 v.s - sum(v)`, and the gradient of `Q + K_j` is `4 v s (1 - s)`.

    The backward pass computes s again. Stored for all steps, it would be by far the largest tensor of a batch.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, v: Tensor, sentences: int) -> Tensor:
        ctx.save_for_backward(query, key, v)
        ctx.sentences = sentences
        double_v, sum_v = 2 * v, v.sum()
        if sentences >= len(query):
            return _sigmoid_of_sum(query, key) @ double_v - sum_v
        scores, buffer = query.new_empty(*query.shape[:2], key.shape[1]), _buffer(query, key, sentences)
        chunks = (tensor.split(sentences) for tensor in (query, key, scores))
        for chunk_query, chunk_key, out in zip(*chunks, strict=True):
            s = _sigmoid_of_sum(chunk_query, chunk_key, out=buffer[: len(out)])
            torch.mv(s.flatten(0, 2), double_v, out=out.view(-1))
        return scores - sum_v

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, v = ctx.saved_tensors
        four_v = 4 * v
        grad_query, grad_key, dots = torch.empty_like(query), torch.empty_like(key), torch.zeros_like(v)
        buffer, grad_buffer = (_buffer(query, key, ctx.sentences) for _ in range(2))
        chunks = (tensor.split(ctx.sentences) for tensor in (query, key, gradient, grad_query, grad_key))
        for chunk_query, chunk_key, grad_scores, out_query, out_key in zip(*chunks, strict=True):
            s = _sigmoid_of_sum(chunk_query, chunk_key, out=buffer[: len(out_key)])
            dots += grad_scores.flatten() @ s.flatten(0, 2)
            grad_sum = torch.mul(grad_scores.unsqueeze(3), four_v, out=grad_buffer[: len(out_key)])
            sigmoid_backward(grad_sum, s, grad_input=grad_sum)
            torch.sum(grad_sum, dim=2, out=out_query)
            torch.sum(grad_sum, dim=1, out=out_key)
        return grad_query, grad_key, 2 * dots - gradient.sum(), None


class _TanhDotOfAllWords(torch.autograd.Function):
    """`tanh_dot` of all words at once, for a GPU, where the traffic of the largest tensors counts.

    The gradient of `Q + K_j` is `v g (1 - tanh^2)` with g the gradient of a score. It is summed over words and over
    source positions; v is the same for all, so it multiplies the sums.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, v: Tensor) -> Tensor:
        tanh = (query.unsqueeze(2) + key.unsqueeze(1)).tanh_()
        ctx.save_for_backward(tanh, v)
        return tanh @ v

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        tanh, v = ctx.saved_tensors
        by_v = gradient.flatten() @ tanh.flatten(0, 2) if ctx.needs_input_grad[2] else None
        slopes = torch.ops.aten.tanh_backward(gradient.unsqueeze(3), tanh)
        return v * slopes.sum(dim=2), v * slopes.sum(dim=1), by_v


def _buffer(query: Tensor, key: Tensor, sentences: int) -> Float[Tensor, "sentences target source hidden"]:
    return query.new_empty(min(sentences, len(query)), query.shape[1], key.shape[1], query.shape[2])


def _sigmoid_of_sum(
    query: Tensor, key: Tensor, *, out: Tensor | None = None
) -> Float[Tensor, "batch target source hidden"]:
    """`sigmoid(2 (Q + K_j))`."""
    return torch.add((2 * query).unsqueeze(2), key.unsqueeze(1), alpha=2, out=out).sigmoid_()
