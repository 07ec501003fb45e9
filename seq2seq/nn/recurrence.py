"""GRUs over time: a loop of our own for CPUs, cuDNN's for GPUs.

On a CPU a loop costs more by its number of small operations than by its arithmetic. PyTorch's own loop records each
operation of each step, and adds to the gradient of each weight at each step. Here a step is a few operations in each
direction, and a weight's gradient is one product over all steps, taken after them. Values and gradients are PyTorch's,
up to rounding. Gradients overwrite the values that they are computed from, so backward can run once: PyTorch refuses a
second time.

On a GPU cuDNN runs each direction over padded sentences. Packing, PyTorch's way to leave padding out, needs the lengths
on the CPU and so waits for the device in each batch.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.backends.cudnn import rnn as cudnn

from seq2seq.nn.gru_step import next_state, step_backward
from seq2seq.runtime.static_shapes import has_static_shapes


class GRU(nn.GRU):
    """`nn.GRU`, batch first, with a mask for padding.

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
        directions = 2 if self.bidirectional else 1
        if state is None:
            state = inputs.new_zeros(self.num_layers * directions, inputs.shape[0], self.hidden_size)
        if has_static_shapes(inputs):
            return self._padded(inputs, state, mask)
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

    def _padded(self, inputs: Tensor, state: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Each layer and direction by PyTorch's own loop (cuDNN on a GPU), over padding too.

        The second direction reads each sentence reversed within its length, so both meet padding last, where it cannot
        reach a token's state.
        """
        batch, steps, directions = *inputs.shape[:2], 2 if self.bidirectional else 1
        position = torch.arange(steps, device=inputs.device).expand(batch, steps)
        last = steps - 1 if mask is None else mask.sum(dim=1, keepdim=True) - 1
        reverse = torch.where(position <= last, last - position, position)
        final: list[Tensor] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                inputs = nn.functional.dropout(inputs, self.dropout, self.training)
            outputs = []
            for direction in range(directions):
                index = layer * directions + direction
                ordered = inputs if direction == 0 else _Permuted.apply(inputs, reverse)  # type: ignore[no-untyped-call]
                first, weights = state[index : index + 1].contiguous(), list[Tensor](self.all_weights[index])
                states, end = torch.gru(ordered, first, weights, True, 1, 0.0, self.training, False, True)
                final.append(end[0] if mask is None else (states * (position == last).unsqueeze(2)).sum(dim=1))
                outputs.append(states if direction == 0 else _Permuted.apply(states, reverse))  # type: ignore[no-untyped-call]
            inputs = torch.cat(outputs, dim=-1)
            if mask is not None:
                inputs = inputs * mask.unsqueeze(2)
        return inputs, torch.stack(final)

    def flatten_parameters(self) -> None:
        """On a GPU, puts the weights of each direction into one piece of memory, as cuDNN reads them."""
        parameters = self._flat_weights
        if not all(isinstance(weight, Tensor) and weight.is_cuda for weight in parameters):
            return
        with torch.no_grad(), torch.cuda.device_of(parameters[0]):
            for weights in self.all_weights:
                torch._cudnn_rnn_flatten_weight(
                    list[Tensor](weights),
                    len(weights),
                    weights[0].shape[1],
                    cudnn.get_cudnn_mode(self.mode),
                    self.hidden_size,
                    0,
                    1,
                    self.batch_first,
                    False,
                )


def _stack_weights(directions: Sequence[Tensor]) -> Tensor:
    """Stacked; a single one without the copy, which in search would be a third of each step."""
    return torch.stack(tuple(directions)) if len(directions) > 1 else directions[0].unsqueeze(0)


class _Permuted(torch.autograd.Function):
    """Steps in another order: `index` (batch, steps) swaps pairs of steps, so it is its own inverse.

    The gradient of PyTorch's `gather` adds up, in no fixed order on a GPU; here it is a `gather` too.
    """

    @staticmethod
    def forward(ctx: Any, steps: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        return steps.gather(1, index.unsqueeze(2).expand_as(steps))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        return gradient.gather(1, index.unsqueeze(2).expand_as(gradient)), None


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
        rows, flat_parts = inputs.flatten(1, 2), parts.flatten(1, 2)
        gates_weight, candidate_weight = input_weight.mT.split((2 * width, width), dim=2)
        both = input_bias + state_bias
        torch.baddbmm(input_bias[:, None, 2 * width :], rows, candidate_weight, out=flat_parts[..., :width])
        torch.baddbmm(both[:, None, : 2 * width], rows, gates_weight, out=flat_parts[..., width : 3 * width])
        flat_parts[..., 3 * width :] = state_bias[:, None, 2 * width :]
        if padding is not None:  # an update gate of 1 keeps the state as it is
            parts[..., 2 * width : 3 * width].masked_fill_(padding, torch.inf)
        for t in range(steps):
            before, now = states[:, t], parts[:, t]
            now[..., width:].baddbmm_(before, state_weight.mT)
            next_state(now, before, out=states[:, t + 1])
        ctx.save_for_backward(inputs, input_weight, state_weight, parts, states)
        return states[:, 1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, input_weight, state_weight, parts, states = ctx.saved_tensors
        directions, _, batch, width = gradient.shape
        grad_state = gradient.new_zeros(directions, batch, width)
        for t in reversed(range(gradient.shape[1])):  # by steps, so that what is at work stays in the processor's cache
            grad_state += gradient[:, t]
            grad_before = step_backward(parts[:, t], states[:, t], grad_state)
            grad_state = torch.baddbmm(grad_before, parts[:, t, :, width:], state_weight)
        rows = parts.flatten(1, 2)
        input_part, state_part, sums = rows[..., : 3 * width], rows[..., width:], rows.sum(dim=1)
        grad_inputs = (input_part @ input_weight.roll(width, 1)).view_as(inputs)
        grad_input_weight = (input_part.mT @ inputs.flatten(1, 2)).roll(-width, 1)
        grad_state_weight = state_part.mT @ states[:, :-1].flatten(1, 2)
        grad_input_bias = sums[:, : 3 * width].roll(-width, 1)
        return grad_inputs, grad_state, grad_input_weight, grad_state_weight, grad_input_bias, sums[:, width:], None
