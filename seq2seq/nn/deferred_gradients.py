"""A GRU cell and a linear layer in a loop, whose weights get their gradient after the last step."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from seq2seq.nn.gru_step import next_state, step_backward


class DeferredGradGRUCell:
    """`nn.GRUCell` in a loop with something between its steps, such as attention.

    A step is one node of the graph, and the gradient of the weights is taken of all steps together: a backward pass
    that asks for gradients of inputs alone leaves its steps to the next.
    """

    def __init__(self, cell: nn.GRUCell) -> None:
        self._steps: list[tuple[Tensor, ...]] = []
        weights = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
        self._weights = [weight.detach() for weight in weights]
        self._weights += [weight.t().contiguous() for weight in self._weights[:2]]
        self._together = _Weights.apply(self._steps, *weights)  # type: ignore[no-untyped-call]

    def __call__(
        self, inputs: Float[Tensor, "batch input"], state: Float[Tensor, "batch hidden"]
    ) -> Float[Tensor, "batch hidden"]:
        """The next state."""
        return _Step.apply(inputs, state, self._together, self._weights, self._steps)  # type: ignore[no-untyped-call]


class _Step(torch.autograd.Function):
    """One step; backward, what the weights' gradients are made of is left in `steps`."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, state: Tensor, together: Tensor, weights: list[Tensor], steps: list[Any]
    ) -> Tensor:
        _, _, input_bias, state_bias, input_weight_t, state_weight_t = weights
        width = state.shape[1]
        gates_weight, candidate_weight = input_weight_t.split((2 * width, width), dim=1)
        both = input_bias + state_bias
        parts = state.new_empty(len(state), 4 * width)
        torch.addmm(input_bias[2 * width :], inputs, candidate_weight, out=parts[:, :width])
        torch.addmm(both[: 2 * width], inputs, gates_weight, out=parts[:, width : 3 * width])
        parts[:, 3 * width :] = state_bias[2 * width :]
        parts[:, width:].addmm_(state, state_weight_t)
        ctx.save_for_backward(inputs, state, parts)
        ctx.weights, ctx.steps = weights, steps
        return next_state(parts, state)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        inputs, state, parts = ctx.saved_tensors
        width = state.shape[1]
        grad_before = step_backward(parts, state, gradient)
        ctx.steps.append((inputs, state, parts))
        input_weight, state_weight, *_ = ctx.weights
        grad_inputs = parts[:, :width] @ input_weight[2 * width :]
        grad_inputs.addmm_(parts[:, width : 3 * width], input_weight[: 2 * width])
        return grad_inputs, grad_before.addmm_(parts[:, width:], state_weight), None, None, None


class _Weights(torch.autograd.Function):
    """Dummy input of every step; autograd therefore runs this backward last, when all steps are done."""

    @staticmethod
    def forward(ctx: Any, steps: list[tuple[Tensor, ...]], *weights: Tensor) -> Tensor:
        ctx.steps, ctx.like = steps, weights
        return weights[0].new_empty(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor | None, ...]:
        if not ctx.steps:  # no loss saw a step
            return None, *(torch.zeros_like(weight) for weight in ctx.like)
        inputs, states, grad_parts = (torch.cat(tensors) for tensors in zip(*ctx.steps, strict=True))
        ctx.steps.clear()
        width, sums = states.shape[1], grad_parts.sum(dim=0)
        grad_input_weight = (grad_parts[:, : 3 * width].t() @ inputs).roll(-width, 0)
        grad_state_weight = grad_parts[:, width:].t() @ states
        return None, grad_input_weight, grad_state_weight, sums[: 3 * width].roll(-width), sums[width:]


class DeferredGradLinear:
    """`x_t M + b_t` once a step: the steps use M as a constant, and its gradient is taken of all steps together.

    M is one matrix for all sentences, or one for each. In a search, a sentence has as many rows as hypotheses.
    """

    def __init__(
        self,
        matrix: Float[Tensor, "in out"] | Float[Tensor, "batch in out"],
        biases: Float[Tensor, "rows steps out"],
    ) -> None:
        self._inputs: list[Tensor] = []
        self._matrix = matrix.detach()
        biases = _OneProduct.apply(biases, matrix, self._inputs)  # type: ignore[no-untyped-call]
        self._biases: Iterator[Tensor] = iter(biases.unbind(1))

    @classmethod
    def linear(
        cls, weight: Float[Tensor, "out in"], bias: Float[Tensor, "out"], *, like: Float[Tensor, "batch steps width"]
    ) -> "DeferredGradLinear":
        """`W x_t + b` for as many sentences and steps as `like` has."""
        return cls(weight.t(), bias.expand(*like.shape[:2], -1))

    def __call__(self, vector: Float[Tensor, "rows in"]) -> Float[Tensor, "rows out"]:
        self._inputs.append(vector.detach())
        bias = next(self._biases)
        if self._matrix.dim() == 2:
            return torch.addmm(bias, vector, self._matrix)
        bias, rows = (of.unflatten(0, (len(self._matrix), -1)) for of in (bias, vector))
        return torch.baddbmm(bias, rows, self._matrix).flatten(0, 1)


class _OneProduct(torch.autograd.Function):
    """The biases of all steps; backward, their gradient, and that of the matrix which those steps did not give."""

    @staticmethod
    def forward(ctx: Any, biases: Tensor, matrix: Tensor, inputs: list[Tensor]) -> Tensor:
        ctx.inputs, ctx.one = inputs, matrix.dim() == 2
        return biases.view_as(biases)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        inputs, products = torch.stack(ctx.inputs, dim=1), gradient
        if ctx.one:
            inputs, products = inputs.flatten(0, 1), products.flatten(0, 1)
        return gradient, inputs.transpose(-2, -1) @ products, None
