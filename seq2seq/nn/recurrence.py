"""GRUs over time, for CPUs: there a loop costs more by its number of small operations than by its arithmetic.

PyTorch's own loop records each operation of each step, and adds to the gradient of each weight at each step. Here a
step is a few operations in each direction, and a weight's gradient is one product over all steps, taken after them.
Values and gradients are PyTorch's, up to rounding.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import linear
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
        padding = None if mask is None else ~mask.unsqueeze(2)
        last = []
        for layer, first in enumerate(state.split(directions)):
            if layer and self.dropout:
                inputs = nn.functional.dropout(inputs, self.dropout, self.training)
            if padding is not None:
                inputs = inputs.masked_fill(padding, 0.0)
            weights = self.all_weights[layer * directions : (layer + 1) * directions]
            states = _layer(inputs, first, padding, weights)
            last.append(states[:, -1])
            outputs = states[0] if directions == 1 else torch.cat((states[0], states[1].flip(0)), dim=-1)
            inputs = outputs.transpose(0, 1)
        return inputs if padding is None else inputs.masked_fill(padding, 0.0), torch.cat(last)

    def _cudnn(self, inputs: Tensor, state: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        if mask is None:
            return super().forward(inputs, state)
        packed = pack_padded_sequence(inputs, mask.sum(dim=1).cpu(), batch_first=True, enforce_sorted=False)
        outputs, last = super().forward(packed, state)
        return pad_packed_sequence(outputs, batch_first=True, total_length=mask.shape[1])[0], last


def _layer(inputs: Tensor, state: Tensor, padding: Tensor | None, weights: Sequence[Sequence[Tensor]]) -> Tensor:
    """States (directions, steps, batch, hidden) of one layer; the second direction has its last step first."""
    products = []
    for direction, (input_weight, _, input_bias, _) in enumerate(weights):
        product = linear(inputs, input_weight, input_bias)
        if padding is not None:  # an update gate of 1 keeps the state as it is
            keeping = product.new_zeros(3, state.shape[-1])
            keeping[1] = torch.inf
            product = torch.where(padding, keeping.flatten(), product)
        products.append(product.transpose(0, 1).flip(0) if direction else product.transpose(0, 1))
    hidden = _together([hidden_weight.t() for _, hidden_weight, _, _ in weights])
    bias = _together([hidden_bias for _, _, _, hidden_bias in weights]).unsqueeze(1)
    return _Recurrence.apply(_together(products), state, hidden, bias)  # type: ignore[no-untyped-call]


def _together(directions: list[Tensor]) -> Tensor:
    """Stacked; a single one without the copy, which in search would be a third of each step."""
    return torch.stack(directions) if len(directions) > 1 else directions[0].unsqueeze(0)


class _Recurrence(torch.autograd.Function):
    """All steps of all directions.

    Shapes: from_input (directions, steps, batch, 3 hidden), state (directions, batch, hidden), weight (directions,
    hidden, 3 hidden), bias (directions, 1, 3 hidden).
    """

    @staticmethod
    def forward(ctx: Any, from_input: Tensor, state: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        (directions, steps, batch, _), width = from_input.shape, state.shape[-1]
        states = state.new_empty(directions, steps + 1, batch, width)
        states[:, 0] = state
        gates = torch.empty_like(from_input)
        candidate_products = torch.empty_like(states[:, 1:])
        for t in range(steps):
            product, now = torch.baddbmm(bias, states[:, t], weight), gates[:, t]
            torch.add(from_input[:, t, :, : 2 * width], product[..., : 2 * width], out=now[..., : 2 * width]).sigmoid_()
            reset, update, candidate = now.split(width, dim=-1)
            candidate_products[:, t] = product[..., 2 * width :]
            torch.addcmul(from_input[:, t, :, 2 * width :], reset, product[..., 2 * width :], out=candidate).tanh_()
            torch.lerp(candidate, states[:, t], update, out=states[:, t + 1])
        ctx.save_for_backward(states, gates, candidate_products, weight)
        return states[:, 1:]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        states, gates, candidate_products, weight = ctx.saved_tensors
        directions, steps, batch, width = gradient.shape
        by_input, by_product = torch.empty_like(gates), torch.empty_like(gates)
        back = weight.transpose(1, 2).contiguous()
        by_state = gradient.new_zeros(directions, batch, width)
        for t in reversed(range(steps)):  # a step at a time, so that what it works on stays in the processor's cache
            reset, update, candidate = gates[:, t].split(width, dim=-1)
            by_reset, by_update, by_candidate = by_input[:, t].split(width, dim=-1)
            by_state += gradient[:, t]
            kept = by_state * update
            torch.mul(by_state, states[:, t] - candidate, out=by_update)
            tanh_backward(by_state - kept, candidate, grad_input=by_candidate)
            torch.mul(by_candidate, candidate_products[:, t], out=by_reset)
            switches, by_switches = gates[:, t, :, : 2 * width], by_input[:, t, :, : 2 * width]
            sigmoid_backward(by_switches, switches, grad_input=by_switches)
            by_product[:, t] = by_input[:, t]
            by_product[:, t, :, 2 * width :].mul_(reset)
            by_state = torch.baddbmm(kept, by_product[:, t], back)
        rows = by_product.flatten(1, 2)
        by_weight = states[:, :-1].flatten(1, 2).transpose(1, 2) @ rows
        return by_input, by_state, by_weight, rows.sum(dim=1, keepdim=True)


class Cell:
    """`nn.GRUCell` in a loop with something between its steps, such as attention.

    A step is one node of the graph, and the gradient of the weights is taken of all steps together.
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
        _, _, input_bias, hidden_bias, by_input, by_state = weights
        width = state.shape[1]
        gates = torch.addmm(input_bias, inputs, by_input)
        products = torch.addmm(hidden_bias, state, by_state)
        switches = gates[:, : 2 * width].add_(products[:, : 2 * width]).sigmoid_()
        reset, update = switches.split(width, dim=1)
        candidate = gates[:, 2 * width :].addcmul_(reset, products[:, 2 * width :]).tanh_()
        ctx.save_for_backward(inputs, state, gates, products)
        ctx.weights, ctx.steps = weights, steps
        return torch.lerp(candidate, state, update)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        inputs, state, gates, products = ctx.saved_tensors
        width = state.shape[1]
        switches, (reset, update, candidate) = gates[:, : 2 * width], gates.split(width, dim=1)
        kept = gradient * update
        by_input = torch.empty_like(gates)
        by_reset, by_update, by_candidate = by_input.split(width, dim=1)
        torch.mul(gradient, state - candidate, out=by_update)
        tanh_backward(gradient - kept, candidate, grad_input=by_candidate)
        torch.mul(by_candidate, products[:, 2 * width :], out=by_reset)
        sigmoid_backward(by_input[:, : 2 * width], switches, grad_input=by_input[:, : 2 * width])
        by_product = by_input.clone()
        by_product[:, 2 * width :].mul_(reset)
        ctx.steps.append((inputs, state, by_input, by_product))
        input_weight, hidden_weight, *_ = ctx.weights
        return by_input @ input_weight, kept.addmm_(by_product, hidden_weight), None, None, None


class _Weights(torch.autograd.Function):
    """Nothing, which every step depends on: so its backward runs after theirs, and has them all."""

    @staticmethod
    def forward(ctx: Any, steps: list[tuple[Tensor, ...]], *weights: Tensor) -> Tensor:
        ctx.steps, ctx.like = steps, weights
        return weights[0].new_empty(0)

    @staticmethod
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor | None, ...]:
        if not ctx.steps:  # no loss saw a step
            return None, *(torch.zeros_like(weight) for weight in ctx.like)
        inputs, states, by_input, by_product = (torch.cat(tensors) for tensors in zip(*ctx.steps, strict=True))
        ctx.steps.clear()
        return None, by_input.t() @ inputs, by_product.t() @ states, by_input.sum(dim=0), by_product.sum(dim=0)


class Stepwise:
    """`x_t M + b_t` once a step: the steps use M as a constant, and its gradient is taken of all steps together.

    M is one matrix for all sentences, or one for each.
    """

    def __init__(
        self,
        matrix: Float[Tensor, "in out"] | Float[Tensor, "batch in out"],
        biases: Float[Tensor, "batch steps out"],
    ) -> None:
        self._inputs: list[Tensor] = []
        self._matrix = matrix.detach()
        biases = _OneProduct.apply(biases, matrix, self._inputs)  # type: ignore[no-untyped-call]
        self._biases: Iterator[Tensor] = iter(biases.unbind(1))

    @classmethod
    def linear(
        cls, weight: Float[Tensor, "out in"], bias: Float[Tensor, "out"], *, like: Float[Tensor, "batch steps width"]
    ) -> "Stepwise":
        """`W x_t + b` for as many sentences and steps as `like` has."""
        return cls(weight.t(), bias.expand(*like.shape[:2], -1))

    def __call__(self, vector: Float[Tensor, "batch in"]) -> Float[Tensor, "batch out"]:
        self._inputs.append(vector.detach())
        bias = next(self._biases)
        if self._matrix.dim() == 2:
            return torch.addmm(bias, vector, self._matrix)
        return torch.baddbmm(bias.unsqueeze(1), vector.unsqueeze(1), self._matrix).squeeze(1)


class _OneProduct(torch.autograd.Function):
    """The biases of all steps; backward, their gradient, and that of the matrix which those steps did not give."""

    @staticmethod
    def forward(ctx: Any, biases: Tensor, matrix: Tensor, inputs: list[Tensor]) -> Tensor:
        ctx.inputs, ctx.one = inputs, matrix.dim() == 2
        return biases.view_as(biases)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        inputs, products = torch.stack(ctx.inputs, dim=1), gradient
        if ctx.one:
            inputs, products = inputs.flatten(0, 1), products.flatten(0, 1)
        return gradient, inputs.transpose(-2, -1) @ products, None
