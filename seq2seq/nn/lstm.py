"""LSTMs over time, and one step of an LSTM in a loop. Their state is one vector `[h; c]`.

The step is that of `torch.nn.LSTM` (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000):

    i = sigmoid(W_i x + U_i h + b_i)      f = sigmoid(W_f x + U_f h + b_f)      o = sigmoid(W_o x + U_o h + b_o)
    c' = f * c + i * tanh(W_g x + U_g h + b_g)
    h' = o * tanh(c')
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

from seq2seq.nn.deferred_gradients import DeferredGradLinear
from seq2seq.nn.recurrence import RecurrentLayers, last_tokens
from seq2seq.nn.tanh import tanh


class LSTM(RecurrentLayers, nn.LSTM):
    """`nn.LSTM`, batch first, with a mask for padding. A loop over time computes it in training and in search."""

    def forward(  # type: ignore[override]
        self,
        inputs: Float[Tensor, "batch steps input"],
        state: Float[Tensor, "layers batch state"] | None = None,
        mask: Bool[Tensor, "batch steps"] | None = None,
    ) -> tuple[Float[Tensor, "batch steps outputs"], Float[Tensor, "layers batch state"]]:
        """Outputs h (0 on padding) and the state `[h; c]` after the last token, with layers ordered as in `nn.LSTM`.

        In each row of the mask, tokens come before padding, and there is at least one token.
        """
        directions, width = 2 if self.bidirectional else 1, self.hidden_size
        if state is not None and mask is None and self._is_single_step(inputs):
            hidden, states = inputs[:, 0], []
            for before, layer_weights in zip(state, self.all_weights, strict=True):
                states.append(lstm_step(hidden, before, *layer_weights))
                hidden = states[-1][:, :width]
            return hidden.unsqueeze(1), torch.stack(states)
        assert state is None or mask is None, "a sentence with padding begins with the state 0"
        if state is None:
            state = inputs.new_zeros(self.num_layers * directions, inputs.shape[0], 2 * width)
        masks = self.recurrent_dropout(state[..., :width])
        is_traced = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        last = []
        for layer, initial in enumerate(state.split(directions)):
            if layer and self.dropout:
                inputs = nn.functional.dropout(inputs, self.dropout, self.training)
            part = slice(layer * directions, (layer + 1) * directions)
            weights, dropout_masks = self.all_weights[part], None if masks is None else masks[part]
            if mask is not None and is_traced:
                inputs, ends = self._traced_layer(weights, inputs, mask)
            else:
                inputs, ends = self._layer(weights, inputs, initial, mask, dropout_masks)
            last.append(ends)
        return inputs, torch.cat(last)

    def _layer(
        self,
        all_weights: Sequence[Sequence[Tensor]],
        inputs: Float[Tensor, "batch steps input"],
        state: Float[Tensor, "directions batch state"],
        mask: Bool[Tensor, "batch steps"] | None,
        masks: Float[Tensor, "directions batch hidden"] | None,
    ) -> tuple[Float[Tensor, "batch steps outputs"], Float[Tensor, "directions batch state"]]:
        """One layer: all directions together, as one batch. The second one reads the steps in reverse order.

        On padding the input gate is 0 and the forget gate is 1, so c stays as it is: after the last token, and at 0
        before the first token that the second direction reads, and so does h there.
        """
        directions, (batch, steps) = len(state), inputs.shape[:2]
        input_weight, state_weight, input_bias, state_bias = (
            torch.stack(weights) for weights in zip(*all_weights, strict=True)
        )
        ordered = torch.stack((inputs, inputs.flip(1))) if directions == 2 else inputs.unsqueeze(0)
        products = torch.baddbmm(
            (input_bias + state_bias).unsqueeze(1), ordered.flatten(1, 2), input_weight.transpose(1, 2)
        )
        products = products.view(directions, batch, steps, -1)
        padding = None if mask is None else torch.stack((~mask, ~mask.flip(1)))[:directions].unsqueeze(3)
        if padding is not None:
            input_gate, forget_gate, rest = products.tensor_split((self.hidden_size, 2 * self.hidden_size), dim=3)
            closed = input_gate.masked_fill(padding, -torch.inf), forget_gate.masked_fill(padding, torch.inf)
            products = torch.cat((*closed, rest), dim=3)
        product_of_state = DeferredGradLinear(state_weight.transpose(1, 2), products.flatten(0, 1))
        hidden, cell_state = state.flatten(0, 1).chunk(2, dim=1)
        dropout_mask = None if masks is None else masks.flatten(0, 1)
        states = []
        for _ in range(steps):
            read = hidden if dropout_mask is None else hidden * dropout_mask
            hidden, cell_state = next_state(product_of_state(read), cell_state)
            states.append(hidden)
        outputs = torch.stack(states, dim=1).unflatten(0, (directions, batch))
        ends = [state.unflatten(0, (directions, batch)) for state in (hidden, cell_state)]
        return _in_order(outputs, ends[0], ends[1], mask)

    def _traced_layer(
        self, all_weights: Sequence[Sequence[Tensor]], inputs: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`_layer` with padding, by PyTorch's own loop, which ONNX can hold for any number of steps.

        Padding is one more input, whose weights close the input gate and open the forget gate.
        """
        column = inputs.new_tensor([-CLOSED, CLOSED, 0, 0]).repeat_interleave(self.hidden_size).unsqueeze(1)
        marked = torch.cat((inputs, (~mask).unsqueeze(2).to(inputs.dtype)), dim=2)
        results = []
        for direction, (input_weight, *weights) in enumerate(all_weights):
            zeros = torch.zeros_like(marked[:, 0, :1]).expand(-1, self.hidden_size).unsqueeze(0)
            marked_weights = [torch.cat((input_weight, column), dim=1), *weights]
            ordered = marked.flip(1) if direction else marked
            results.append(torch.lstm(ordered, (zeros, zeros), marked_weights, True, 1, 0.0, False, False, True))
        outputs, hidden, cell_state = (list(tensors) for tensors in zip(*results, strict=True))
        return _in_order(torch.stack(outputs), torch.cat(hidden), torch.cat(cell_state), mask)


CLOSED = 1e4
"""The argument of a gate that is 1 and, with a minus, of one that is 0, whatever else is added."""


def _in_order(
    outputs: Float[Tensor, "directions batch steps hidden"],
    hidden: Float[Tensor, "directions batch hidden"],
    cell_state: Float[Tensor, "directions batch hidden"],
    mask: Bool[Tensor, "batch steps"] | None,
) -> tuple[Float[Tensor, "batch steps outputs"], Float[Tensor, "directions batch state"]]:
    """The outputs of all directions in the order of the text, 0 on padding, and the state after the last token.

    `outputs` are those of each direction in its order; `hidden` and `cell_state` are those after its last step.
    """
    forward, *backward = outputs.unbind(0)
    if mask is not None:
        hidden = torch.cat(((forward * last_tokens(mask).unsqueeze(2)).sum(dim=1).unsqueeze(0), hidden[1:]))
    ordered = torch.cat((forward, *(states.flip(1) for states in backward)), dim=2)
    if mask is not None:
        ordered = ordered * mask.unsqueeze(2)
    return ordered, torch.cat((hidden, cell_state), dim=2)


class DeferredGradLSTMCell:
    """`nn.LSTMCell` for a loop with other operations between its steps. Its weights' gradients come after the loop."""

    def __init__(
        self,
        cell: nn.LSTMCell,
        mask: Float[Tensor, "batch state"] | None = None,
        *,
        like: Float[Tensor, "batch steps width"],
    ) -> None:
        """`like` has the number of sentences and of steps. Of the mask, the part of h is for the products `U h`."""
        weight = torch.cat((cell.weight_ih, cell.weight_hh), dim=1)
        self._linear = DeferredGradLinear.linear(weight, cell.bias_ih + cell.bias_hh, like=like)
        self._mask = None if mask is None else mask.chunk(2, dim=1)[0]

    def __call__(
        self, inputs: Float[Tensor, "batch input"], state: Float[Tensor, "batch state"]
    ) -> Float[Tensor, "batch state"]:
        """The next state `[h; c]`."""
        hidden, cell_state = state.chunk(2, dim=1)
        read = hidden if self._mask is None else hidden * self._mask
        return torch.cat(next_state(self._linear(torch.cat((inputs, read), dim=1)), cell_state), dim=1)


def lstm_step(
    inputs: Float[Tensor, "batch input"],
    state: Float[Tensor, "batch state"],
    input_weight: Float[Tensor, "gates input"],
    state_weight: Float[Tensor, "gates hidden"],
    input_bias: Float[Tensor, "gates"],
    state_bias: Float[Tensor, "gates"],
) -> Float[Tensor, "batch state"]:
    """The next state `[h; c]`, for a search: there a copy of the weights would take most of the time."""
    hidden, cell_state = state.chunk(2, dim=1)
    gates = linear(inputs, input_weight, input_bias) + linear(hidden, state_weight, state_bias)
    return torch.cat(next_state(gates, cell_state), dim=1)


def next_state(
    gates: Float[Tensor, "*rows gates"], cell_state: Float[Tensor, "*rows hidden"]
) -> tuple[Float[Tensor, "*rows hidden"], Float[Tensor, "*rows hidden"]]:
    """The next h and c, from the arguments of the gates i, f, g and o, one block beside the other."""
    if not torch.is_grad_enabled():  # such as while ONNX traces the model
        hidden, cell_state, *_ = _next_state(gates, cell_state)
        return hidden, cell_state
    return _Step.apply(gates, cell_state)  # type: ignore[no-untyped-call]


def _next_state(gates: Tensor, cell_state: Tensor) -> tuple[Tensor, ...]:
    """The next h and c, and what its backward pass needs: i, f, g, o and tanh(c')."""
    width = cell_state.shape[-1]
    input_gate, forget_gate = gates[..., : 2 * width].sigmoid().chunk(2, dim=-1)
    candidate, output_gate = tanh(gates[..., 2 * width : 3 * width]), gates[..., 3 * width :].sigmoid()
    cell_state = torch.addcmul(forget_gate * cell_state, input_gate, candidate)
    squashed = tanh(cell_state)
    return output_gate * squashed, cell_state, input_gate, forget_gate, candidate, output_gate, squashed


class _Step(torch.autograd.Function):
    """`_next_state` as one autograd node, since a loop over time repeats it at each step."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, cell_state: Tensor) -> tuple[Tensor, Tensor]:
        hidden, next_cell_state, *rest = _next_state(gates, cell_state)
        ctx.save_for_backward(cell_state, *rest)
        return hidden, next_cell_state

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_hidden: Tensor, grad_cell_state: Tensor) -> tuple[Tensor, Tensor]:
        cell_state, input_gate, forget_gate, candidate, output_gate, squashed = ctx.saved_tensors
        aten = torch.ops.aten
        grad_cell_state = grad_cell_state + aten.tanh_backward(grad_hidden * output_gate, squashed)
        gates = (
            aten.sigmoid_backward(grad_cell_state * candidate, input_gate),
            aten.sigmoid_backward(grad_cell_state * cell_state, forget_gate),
            aten.tanh_backward(grad_cell_state * input_gate, candidate),
            aten.sigmoid_backward(grad_hidden * squashed, output_gate),
        )
        return torch.cat(gates, dim=-1), grad_cell_state * forget_gate
