"""A GRU cell and a linear layer for loops. The gradients of their weights are computed once, after all steps.

At each step the backward pass computes the gradient of inputs only, and stores what the gradient of the weights needs.
When all steps are done, one matrix product over them gives the gradient of each weight.
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from seq2seq.nn.fused_gru import fused_gru, fused_gru_backward
from seq2seq.nn.gru_step import next_state, step_backward
from seq2seq.runtime.products import add_product, factor, product, row_factor


class DeferredGradGRUCell:
    """`nn.GRUCell` for a loop with other operations between its steps, such as attention.

    A step is one autograd node. If a backward pass asks for gradients of inputs only, the steps stay stored, and the
    next backward pass adds them to the gradients of the weights.
    """

    def __init__(
        self, cell: nn.GRUCell, mask: Float[Tensor, "batch hidden"] | None = None, *, fused: bool = False
    ) -> None:
        """With a mask, the products of states read `mask * state` (see `seq2seq.nn.dropout.RecurrentDropout`).

        `fused` is for a GPU: all of a step but its products is one kernel of PyTorch's.
        """
        self._mask = mask
        self._steps: list[tuple[Tensor, ...]] = []
        self._step: type[_FusedStep | _Step] = _FusedStep if fused else _Step
        weights = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
        self._weights = [weight.detach() for weight in weights]
        if not fused:
            self._weights[:2] = map(factor, self._weights[:2])
            self._weights += [weight.t().contiguous() for weight in self._weights[:2]]
        self._weights_node = _Weights.apply(self._steps, *weights)  # type: ignore[no-untyped-call]

    def __call__(
        self, inputs: Float[Tensor, "batch input"], state: Float[Tensor, "batch hidden"]
    ) -> Float[Tensor, "batch hidden"]:
        """The next state (see `seq2seq/nn/gru_step.py`)."""
        return self._step.apply(  # type: ignore[no-untyped-call]
            inputs, state, self._weights_node, self._weights, self._steps, self._mask
        )


class _Step(torch.autograd.Function):
    """One step. Its backward pass appends to `steps` the tensors from which `_Weights` computes gradients.

    `weights_node` makes `_Weights` an input of the step.
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        state: Tensor,
        weights_node: Tensor,
        weights: list[Tensor],
        steps: list[Any],
        mask: Tensor | None,
    ) -> Tensor:
        _, _, input_bias, state_bias, input_weight_t, state_weight_t = weights
        width = state.shape[1]
        gates_weight, candidate_weight = input_weight_t.split((2 * width, width), dim=1)
        bias_sum = input_bias + state_bias
        buffer = state.new_empty(len(state), 4 * width)
        rows, products = row_factor(inputs), buffer[:, width:]
        add_product(input_bias[2 * width :], rows, candidate_weight, out=buffer[:, :width])
        add_product(bias_sum[: 2 * width], rows, gates_weight, out=buffer[:, width : 3 * width])
        buffer[:, 3 * width :] = state_bias[2 * width :]
        read = row_factor(state if mask is None else state * mask)
        add_product(products, read, state_weight_t, out=products)
        ctx.save_for_backward(inputs, state, buffer, mask)
        ctx.weights, ctx.steps = weights, steps
        return next_state(buffer, state)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, state, buffer, mask = ctx.saved_tensors
        width = state.shape[1]
        direct_grad = step_backward(buffer, state, gradient)
        ctx.steps.append((inputs, state if mask is None else state * mask, buffer))
        input_weight, state_weight, *_ = ctx.weights
        grads = row_factor(buffer)
        grad_inputs = product(grads[:, :width], input_weight[2 * width :], rows=len(state))
        add_product(grad_inputs, grads[:, width : 3 * width], input_weight[: 2 * width], out=grad_inputs)
        if mask is None:
            grad_state = add_product(direct_grad, grads[:, width:], state_weight, out=direct_grad)
        else:
            grad_state = direct_grad.addcmul_(product(grads[:, width:], state_weight, rows=len(state)), mask)
        return grad_inputs, grad_state, None, None, None, None


class _FusedStep(torch.autograd.Function):
    """`_Step` on a GPU, where the number of kernels counts: three forward and three backward."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        state: Tensor,
        weights_node: Tensor,
        weights: list[Tensor],
        steps: list[Any],
        mask: Tensor | None,
    ) -> Tensor:
        input_weight, state_weight, *biases = weights
        read = state if mask is None else state * mask
        next_hidden, workspace = fused_gru(inputs @ input_weight.t(), read @ state_weight.t(), state, *biases)
        ctx.save_for_backward(inputs, read, workspace, mask)
        ctx.weights, ctx.steps = weights, steps
        return next_hidden

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, read, workspace, mask = ctx.saved_tensors
        grad_input_gates, grad_state_gates, grad_state, *_ = fused_gru_backward(gradient, workspace, False)
        ctx.steps.append((inputs, read, grad_input_gates, grad_state_gates))
        input_weight, state_weight, *_ = ctx.weights
        if mask is None:
            torch.addmm(grad_state, grad_state_gates, state_weight, out=grad_state)
        else:
            grad_state.addcmul_(grad_state_gates @ state_weight, mask)
        return grad_input_gates @ input_weight, grad_state, None, None, None, None


class _Weights(torch.autograd.Function):
    """Gradients of the weights. The result is a dummy input of every step, so autograd runs this backward pass last."""

    @staticmethod
    def forward(ctx: Any, steps: list[tuple[Tensor, ...]], *weights: Tensor) -> Tensor:
        ctx.steps, ctx.weights = steps, weights
        return weights[0].new_empty(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor | None, ...]:
        if not ctx.steps:  # the loss depends on no step
            return None, *(torch.zeros_like(weight) for weight in ctx.weights)
        inputs, states, *grad_gates = (torch.cat(tensors) for tensors in zip(*ctx.steps, strict=True))
        ctx.steps.clear()
        if len(grad_gates) == 2:  # of `_FusedStep`
            by_input, by_state = grad_gates
            return None, by_input.t() @ inputs, by_state.t() @ states, by_input.sum(dim=0), by_state.sum(dim=0)
        (grad_buffer,) = grad_gates
        width, sums, grads = states.shape[1], grad_buffer.sum(dim=0), row_factor(grad_buffer)
        grad_input_weight = product(grads[:, : 3 * width].t(), row_factor(inputs)).roll(-width, 0)
        grad_state_weight = product(grads[:, width:].t(), row_factor(states))
        return None, grad_input_weight, grad_state_weight, sums[: 3 * width].roll(-width), sums[width:]


class DeferredGradLinear:
    """`x_t M + b_t` for step t of a loop. The call for a step computes it; calls come in the order of the steps.

    M is one matrix for all rows, or one for each sentence. Adjacent rows share the matrix of a sentence: in a search
    they are its hypotheses.
    """

    def __init__(
        self,
        matrix: Float[Tensor, "in out"] | Float[Tensor, "batch in out"],
        biases: Float[Tensor, "rows steps out"],
    ) -> None:
        self._inputs: list[Tensor] = []
        self._matrix = matrix.detach()
        if torch.is_grad_enabled():
            biases = _MatrixGradient.apply(biases, matrix, self._inputs)  # type: ignore[no-untyped-call]
        self._biases: Iterator[Tensor] = iter(biases.unbind(1))

    @classmethod
    def linear(
        cls, weight: Float[Tensor, "out in"], bias: Float[Tensor, "out"], *, like: Float[Tensor, "batch steps width"]
    ) -> "DeferredGradLinear":
        """`W x_t + b`, for the number of sentences and steps of `like`."""
        return cls(weight.t(), bias.expand(*like.shape[:2], -1))

    def __call__(self, vector: Float[Tensor, "rows in"]) -> Float[Tensor, "rows out"]:
        self._inputs.append(vector.detach())
        bias = next(self._biases)
        if self._matrix.dim() == 2:
            return torch.addmm(bias, vector, self._matrix)
        bias, rows = (tensor.unflatten(0, (self._matrix.shape[0], -1)) for tensor in (bias, vector))
        return torch.baddbmm(bias, rows, self._matrix).flatten(0, 1)


class _MatrixGradient(torch.autograd.Function):
    """Returns the biases of all steps. Its backward pass runs after the steps and computes the gradient of M, too.

    The gradient g of `x_t M + b_t` is that of `b_t`, so the gradient of M is the sum of `x_t^T g_t` over all steps.
    """

    @staticmethod
    def forward(ctx: Any, biases: Tensor, matrix: Tensor, inputs: list[Tensor]) -> Tensor:
        ctx.inputs, ctx.matrices = inputs, None if matrix.dim() == 2 else len(matrix)
        return biases.view_as(biases)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        inputs, grad_outputs = torch.stack(ctx.inputs, dim=1), gradient
        if ctx.matrices is None:
            inputs, grad_outputs = inputs.flatten(0, 1), grad_outputs.flatten(0, 1)
        elif ctx.matrices != len(inputs):
            inputs, grad_outputs = (rows.unflatten(0, (ctx.matrices, -1)).flatten(1, 2) for rows in (inputs, gradient))
        return gradient, inputs.transpose(-2, -1) @ grad_outputs, None
