"""GRUs over time, for CPUs: there a loop costs more by its number of small operations than by its arithmetic.

PyTorch's own loop records each operation of each step, and adds to the gradient of each weight at each step. Here a
step is a few operations in each direction, and a weight's gradient is one product over all steps, taken after them.
Values and gradients are PyTorch's, up to rounding. Gradients take the place of what they are computed from, so a graph
can be gone back through once: a second time PyTorch refuses.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

sigmoid_backward, tanh_backward = torch.ops.aten.sigmoid_backward.grad_input, torch.ops.aten.tanh_backward.grad_input


class GRU(nn.GRU):
    """`nn.GRU`, batch first, whose padding is told by a mask.

    With reset r, update z and candidate n, from the products `W_i x + b_i` and `W_h h + b_h` cut in three:
    `n = tanh(x_n + r h_n)` and `h' = n + z (h - n)` (Cho et al. 2014, with r after the product, as cuDNN has it).
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, layers: int = 1, dropout: float = 0.0, bidirectional: bool = False
    ) -> None:
        """`hidden_size` is the width of one direction. `dropout` acts between layers."""
        dropout = dropout if layers > 1 else 0.0  # with one layer PyTorch warns
        super().__init__(
            input_size, hidden_size, layers, dropout=dropout, bidirectional=bidirectional, batch_first=True
        )

    def forward(  # type: ignore[override]
        self,
        inputs: Float[Tensor, "batch steps input"],
        state: Float[Tensor, "layers batch hidden"] | None = None,
        mask: Bool[Tensor, "batch steps"] | None = None,
    ) -> tuple[Float[Tensor, "batch steps outputs"], Float[Tensor, "layers batch hidden"]]:
        """Outputs (0 on padding) and the state after each sentence's last token, as `nn.GRU` has both.

        A mask's tokens come first in each row, and each row has one.
        """
        if inputs.is_cuda:
            return self._cudnn(inputs, state, mask)
        directions = 2 if self.bidirectional else 1
        if state is None:
            state = inputs.new_zeros(self.num_layers * directions, inputs.shape[0], self.hidden_size)
        inputs, padding = inputs.transpose(0, 1), None if mask is None else ~mask.t().unsqueeze(2)
        last = []
        for layer, first in enumerate(state.split(directions)):
            if layer and self.dropout:
                inputs = nn.functional.dropout(inputs, self.dropout, self.training)
            if padding is not None:
                inputs = inputs.masked_fill(padding, 0.0)
            weights = zip(*self.all_weights[layer * directions : (layer + 1) * directions], strict=True)
            states = _Layer.apply(  # type: ignore[no-untyped-call]
                self._stack_directions(inputs),
                first,
                *map(_stack_weights, weights),
                None if padding is None else self._stack_directions(padding),
            )
            last.append(states[:, -1])
            inputs = torch.cat((states[0], states[1].flip(0)), dim=-1) if self.bidirectional else states[0]
        outputs = inputs if padding is None else inputs.masked_fill(padding, 0.0)
        return outputs.transpose(0, 1), torch.cat(last)

    def _stack_directions(self, steps: Tensor) -> Tensor:
        """(directions, steps, ...): the second direction has the last step first."""
        return torch.stack((steps, steps.flip(0))) if self.bidirectional else steps.unsqueeze(0)

    def _cudnn(self, inputs: Tensor, state: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        if mask is None:
            return super().forward(inputs, state)
        packed = pack_padded_sequence(inputs, mask.sum(dim=1).cpu(), batch_first=True, enforce_sorted=False)
        outputs, last = super().forward(packed, state)
        return pad_packed_sequence(outputs, batch_first=True, total_length=mask.shape[1])[0], last


def _stack_weights(directions: Sequence[Tensor]) -> Tensor:
    """Stacked; a single one without the copy, which in search would be a third of each step."""
    return torch.stack(tuple(directions)) if len(directions) > 1 else directions[0].unsqueeze(0)


# A step has four parts, side by side: candidate n, reset r, update z, and `W_h h + b_h` of the candidate. Inputs reach
# the first three and the state the last three, so each product lands where it is added and nothing is moved. Backward,
# the gradients by these sums take their place.


def _next(parts: Tensor, before: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The next state, from sums of products, of which it makes what they stand for."""
    width = before.shape[-1]
    parts[..., width : 3 * width].sigmoid_()
    candidate, reset, update, of_state = parts.chunk(4, dim=-1)
    return torch.lerp(candidate.addcmul_(reset, of_state).tanh_(), before, update, out=out)


def _back(parts: Tensor, before: Tensor, by_next: Tensor) -> Tensor:
    """Puts gradients by the sums of products in the parts' place; returns that by `before`, the products apart."""
    width = before.shape[-1]
    candidate, reset, update, of_state = parts.chunk(4, dim=-1)
    switches, by_switches = parts[..., width : 3 * width], torch.empty_like(parts[..., : 2 * width])
    by_reset, by_update = by_switches.chunk(2, dim=-1)
    kept = by_next * update
    torch.mul(by_next, before - candidate, out=by_update)
    by_candidate = tanh_backward(by_next - kept, candidate, grad_input=candidate)
    torch.mul(by_candidate, of_state, out=by_reset)
    torch.mul(by_candidate, reset, out=of_state)
    sigmoid_backward(by_switches, switches, grad_input=switches)
    return kept


class _Layer(torch.autograd.Function):
    """One layer, all steps of all directions.

    Shapes: inputs (directions, steps, batch, in), state (directions, batch, hidden), weights and biases those of
    `nn.GRU`, whose rows are r, z and n, behind a dimension for directions; padding (directions, steps, batch, 1).
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        state: Tensor,
        input_weight: Tensor,
        state_weight: Tensor,
        input_bias: Tensor,
        state_bias: Tensor,
        padding: Tensor | None,
    ) -> Tensor:
        (directions, steps, batch, _), width = inputs.shape, state.shape[-1]
        parts = inputs.new_empty(directions, steps, batch, 4 * width)
        states = state.new_empty(directions, steps + 1, batch, width)
        states[:, 0] = state
        rows, given = inputs.flatten(1, 2), parts.flatten(1, 2)
        (of_switches, of_candidate), both = input_weight.mT.split((2 * width, width), dim=2), input_bias + state_bias
        torch.baddbmm(input_bias[:, None, 2 * width :], rows, of_candidate, out=given[..., :width])
        torch.baddbmm(both[:, None, : 2 * width], rows, of_switches, out=given[..., width : 3 * width])
        given[..., 3 * width :] = state_bias[:, None, 2 * width :]
        if padding is not None:  # an update gate of 1 keeps the state as it is
            parts[..., 2 * width : 3 * width].masked_fill_(padding, torch.inf)
        for t in range(steps):
            before, now = states[:, t], parts[:, t]
            now[..., width:].baddbmm_(before, state_weight.mT)
            _next(now, before, out=states[:, t + 1])
        ctx.save_for_backward(inputs, input_weight, state_weight, parts, states)
        return states[:, 1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, input_weight, state_weight, parts, states = ctx.saved_tensors
        directions, _, batch, width = gradient.shape
        by_state = gradient.new_zeros(directions, batch, width)
        for t in reversed(range(gradient.shape[1])):  # by steps, so that what is at work stays in the processor's cache
            by_state += gradient[:, t]
            kept = _back(parts[:, t], states[:, t], by_state)
            by_state = torch.baddbmm(kept, parts[:, t, :, width:], state_weight)
        rows = parts.flatten(1, 2)
        of_inputs, of_states, sums = rows[..., : 3 * width], rows[..., width:], rows.sum(dim=1)
        by_inputs = (of_inputs @ input_weight.roll(width, 1)).view_as(inputs)
        by_input_weight = (of_inputs.mT @ inputs.flatten(1, 2)).roll(-width, 1)
        by_state_weight = of_states.mT @ states[:, :-1].flatten(1, 2)
        by_input_bias = sums[:, : 3 * width].roll(-width, 1)
        return by_inputs, by_state, by_input_weight, by_state_weight, by_input_bias, sums[:, width:], None


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
        _, _, input_bias, state_bias, of_inputs, of_states = weights
        width = state.shape[1]
        (of_switches, of_candidate), both = of_inputs.split((2 * width, width), dim=1), input_bias + state_bias
        parts = state.new_empty(len(state), 4 * width)
        torch.addmm(input_bias[2 * width :], inputs, of_candidate, out=parts[:, :width])
        torch.addmm(both[: 2 * width], inputs, of_switches, out=parts[:, width : 3 * width])
        parts[:, 3 * width :] = state_bias[2 * width :]
        parts[:, width:].addmm_(state, of_states)
        ctx.save_for_backward(inputs, state, parts)
        ctx.weights, ctx.steps = weights, steps
        return _next(parts, state)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        inputs, state, parts = ctx.saved_tensors
        width = state.shape[1]
        kept = _back(parts, state, gradient)
        ctx.steps.append((inputs, state, parts))
        input_weight, state_weight, *_ = ctx.weights
        by_inputs = parts[:, :width] @ input_weight[2 * width :]
        by_inputs.addmm_(parts[:, width : 3 * width], input_weight[: 2 * width])
        return by_inputs, kept.addmm_(parts[:, width:], state_weight), None, None, None


class _Weights(torch.autograd.Function):
    """Nothing, which every step depends on: so its backward runs after theirs, and has them all."""

    @staticmethod
    def forward(ctx: Any, steps: list[tuple[Tensor, ...]], *weights: Tensor) -> Tensor:
        ctx.steps, ctx.like = steps, weights
        return weights[0].new_empty(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor | None, ...]:
        if not ctx.steps:  # no loss saw a step
            return None, *(torch.zeros_like(weight) for weight in ctx.like)
        inputs, states, by_parts = (torch.cat(tensors) for tensors in zip(*ctx.steps, strict=True))
        ctx.steps.clear()
        width, sums = states.shape[1], by_parts.sum(dim=0)
        by_input_weight = (by_parts[:, : 3 * width].t() @ inputs).roll(-width, 0)
        by_state_weight = by_parts[:, width:].t() @ states
        return None, by_input_weight, by_state_weight, sums[: 3 * width].roll(-width), sums[width:]


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
