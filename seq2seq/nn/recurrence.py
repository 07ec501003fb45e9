"""GRUs over time: our own loop for training, PyTorch's for search and validation, cuDNN's for one direction on a GPU.

In training on a CPU the cost of a loop is its number of small operations more than its arithmetic. PyTorch's loop
records each operation of each step, and adds to the gradient of each weight at each step. Ours has a few operations for
a step, forward and backward, and the gradient of a weight is one product over all steps, computed after the last.
Values and gradients equal PyTorch's up to rounding. Gradients overwrite the values from which they are computed, so the
backward pass can run only once; PyTorch raises an error on a second call. Without gradients PyTorch's loop is faster.

Packed sequences, PyTorch's way to skip padding, need the lengths on the CPU, so on a GPU Python would wait for the
device in each batch. PyTorch's loop and cuDNN's run each direction over padded sentences instead. On a GPU our own loop
is that of `seq2seq/nn/fused_gru.py`; cuDNN's trains what has one direction and no recurrent dropout.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.backends.cudnn import rnn as cudnn

from seq2seq.nn.dropout import RecurrentDropout
from seq2seq.nn.fused_gru import FusedLayer
from seq2seq.nn.gru_step import next_state, step_backward
from seq2seq.runtime.products import add_product, factor, product, row_factor
from seq2seq.runtime.static_shapes import has_static_shapes


class RecurrentLayers(nn.RNNBase):
    """What GRU and LSTM share: options, and whether a call is one step. It precedes PyTorch's class among the bases."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        layers: int = 1,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        """`hidden_size` is the width of one direction. `dropout` acts between layers.

        With `recurrent_dropout`, the products `U h` of a step read `m * h` in place of the state h, where m is one mask
        for all steps of a sentence, layer and direction.
        """
        dropout = dropout if layers > 1 else 0.0  # PyTorch warns about dropout with one layer
        options: dict[str, Any] = {"dropout": dropout, "bidirectional": bidirectional, "batch_first": True}
        super().__init__(input_size, hidden_size, layers, **options)  # type: ignore[arg-type]  # of nn.GRU or nn.LSTM
        self.recurrent_dropout = RecurrentDropout(recurrent_dropout)

    def _is_single_step(self, inputs: Tensor) -> bool:
        """Whether cells can compute this, such as a step of a search: they have a third of the operations of layers."""
        needs_layers = self.bidirectional or torch.is_grad_enabled() or (self.training and self.dropout > 0)
        return inputs.shape[1] == 1 and not needs_layers


class GRU(RecurrentLayers, nn.GRU):
    """`nn.GRU`, batch first, with a mask for padding.

    `h' = (1 - z) n + z h`, with reset gate r, update gate z and candidate n (Cho et al. 2014, with r applied after the
    product, as in cuDNN). `seq2seq/nn/gru_step.py` has all formulas.
    """

    def forward(  # type: ignore[override]
        self,
        inputs: Float[Tensor, "batch steps input"],
        state: Float[Tensor, "layers batch hidden"] | None = None,
        mask: Bool[Tensor, "batch steps"] | None = None,
    ) -> tuple[Float[Tensor, "batch steps outputs"], Float[Tensor, "layers batch hidden"]]:
        """Outputs (0 on padding) and the state after the last token of each sentence, as `nn.GRU` orders them.

        In each row of the mask, tokens come before padding, and there is at least one token.
        """
        directions = 2 if self.bidirectional else 1
        if state is not None and mask is None and inputs.device.type == "cpu" and self._is_single_step(inputs):
            last = [inputs[:, 0]]
            for before, weights in zip(state, self.all_weights, strict=True):
                last.append(torch.gru_cell(last[-1], before, *weights))
            return last[-1].unsqueeze(1), torch.stack(last[1:])
        if state is None:
            state = inputs.new_zeros(self.num_layers * directions, inputs.shape[0], self.hidden_size)
        masks = self.recurrent_dropout(state)
        runs_in_cudnn = has_static_shapes(inputs) and not self.bidirectional
        if masks is None and (runs_in_cudnn or not torch.is_grad_enabled()):
            return self._forward_padded(inputs, state, mask)
        loop = FusedLayer if inputs.is_cuda else _Layer
        inputs, padding = inputs.transpose(0, 1), None if mask is None else ~mask.t().unsqueeze(2)
        ends = []
        for layer, initial in enumerate(state.split(directions)):
            if layer and self.dropout:
                inputs = nn.functional.dropout(inputs, self.dropout, self.training)
            if padding is not None:
                inputs = inputs.masked_fill(padding, 0.0)
            layer_weights = zip(*self.all_weights[layer * directions : (layer + 1) * directions], strict=True)
            states = loop.apply(  # type: ignore[no-untyped-call]
                self._stack_directions(inputs),
                initial,
                *map(_stack_weights, layer_weights),
                None if padding is None else self._stack_directions(padding),
                None if masks is None else masks[layer * directions : (layer + 1) * directions],
            )
            ends.append(states[:, -1])
            inputs = torch.cat((states[0], states[1].flip(0)), dim=-1) if self.bidirectional else states[0]
        outputs = inputs if padding is None else inputs.masked_fill(padding, 0.0)
        return outputs.transpose(0, 1), torch.cat(ends)

    def _stack_directions(self, steps: Tensor) -> Tensor:
        """(directions, steps, ...). The second direction has the steps in reverse order."""
        return torch.stack((steps, steps.flip(0))) if self.bidirectional else steps.unsqueeze(0)

    def _forward_padded(self, inputs: Tensor, state: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """`forward` by PyTorch's loop (cuDNN's on a GPU), for each layer and direction, over sentences with padding.

        The second direction reads each sentence reversed within its length. So both directions read padding last, and
        no state of a token depends on it.
        """
        directions, reverse = 1, torch.empty(0)
        if self.bidirectional:
            directions, reverse = 2, _reverse_order(inputs, mask)
        is_last = None if mask is None else last_tokens(mask)
        final: list[Tensor] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                inputs = nn.functional.dropout(inputs, self.dropout, self.training)
            outputs = []
            for direction in range(directions):
                index = layer * directions + direction
                ordered = inputs if direction == 0 else _permute(inputs, reverse)
                initial, weights = state[index : index + 1].contiguous(), list[Tensor](self.all_weights[index])
                states, end = torch.gru(ordered, initial, weights, True, 1, 0.0, self.training, False, True)
                final.append(end[0] if is_last is None else (states * is_last.unsqueeze(2)).sum(dim=1))
                outputs.append(states if direction == 0 else _permute(states, reverse))
            inputs = torch.cat(outputs, dim=-1) if directions > 1 else outputs[0]
            if mask is not None:
                inputs = inputs * mask.unsqueeze(2)
        return inputs, torch.stack(final)

    def flatten_parameters(self) -> None:
        """On a GPU, moves the weights of each direction into one block of memory, which cuDNN needs."""
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


def last_tokens(mask: Bool[Tensor, "batch steps"]) -> Bool[Tensor, "batch steps"]:
    """True at the last token of each sentence."""
    return mask & ~nn.functional.pad(mask[:, 1:], (0, 1))


def _stack_weights(weights: Sequence[Tensor]) -> Tensor:
    """One weight of all directions as (directions, ...).

    The weight of a single direction is not copied: in a search the copy took a third of the time of each step.
    """
    return torch.stack(tuple(weights)) if len(weights) > 1 else weights[0].unsqueeze(0)


def _reverse_order(inputs: Tensor, mask: Tensor | None) -> Tensor:
    """(batch, steps): the index of each step when the tokens are read in reverse and the padding stays in place."""
    position = torch.arange(inputs.shape[1], device=inputs.device).expand(inputs.shape[:2])
    last = inputs.shape[1] - 1 if mask is None else mask.sum(dim=1, keepdim=True) - 1
    return torch.where(position <= last, last - position, position)


def _permute(steps: Tensor, index: Tensor) -> Tensor:
    """The steps in another order. `index` is (batch, steps)."""
    return steps.gather(1, index.unsqueeze(2).expand_as(steps))


class _Layer(torch.autograd.Function):
    """One layer: all steps of all directions. Returns the states (directions, steps, batch, hidden).

    Shapes: inputs (directions, steps, batch, in), state and the mask of recurrent dropout (directions, batch, hidden),
    padding (directions, steps, batch, 1). Weights and biases have a first dimension for directions and then the shape
    that they have in `nn.GRU`, with the rows of r, z and n.
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
        mask: Tensor | None,
    ) -> Tensor:
        (directions, steps, batch, _), width = inputs.shape, state.shape[-1]
        buffer = inputs.new_empty(directions, steps, batch, 4 * width)
        states = state.new_empty(directions, steps + 1, batch, width)
        states[:, 0] = state
        rows, flat_buffer = row_factor(inputs.flatten(1, 2)), buffer.flatten(1, 2)
        gates_weight, candidate_weight = factor(input_weight).mT.split((2 * width, width), dim=2)
        bias_sum, state_weight_t = input_bias + state_bias, factor(state_weight).mT
        add_product(input_bias[:, None, 2 * width :], rows, candidate_weight, out=flat_buffer[..., :width])
        add_product(bias_sum[:, None, : 2 * width], rows, gates_weight, out=flat_buffer[..., width : 3 * width])
        flat_buffer[..., 3 * width :] = state_bias[:, None, 2 * width :]
        if padding is not None:  # an update gate z of 1 copies the state
            buffer[..., 2 * width : 3 * width].masked_fill_(padding, torch.inf)
        for t in range(steps):
            previous, step_buffer = states[:, t], buffer[:, t]
            read, products = row_factor(previous if mask is None else previous * mask), step_buffer[..., width:]
            add_product(products, read, state_weight_t, out=products)
            next_state(step_buffer, previous, out=states[:, t + 1])
        ctx.save_for_backward(inputs, input_weight, state_weight, buffer, states, mask)
        return states[:, 1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, input_weight, state_weight, buffer, states, mask = ctx.saved_tensors
        directions, _, batch, width = gradient.shape
        grad_state, state_factor = gradient.new_zeros(directions, batch, width), factor(state_weight)
        for t in reversed(range(gradient.shape[1])):  # one step at a time, so its tensors stay in the processor's cache
            grad_state += gradient[:, t]
            direct_grad = step_backward(buffer[:, t], states[:, t], grad_state)
            grad_products = row_factor(buffer[:, t, :, width:])
            if mask is None:
                grad_state = add_product(direct_grad, grad_products, state_factor)
            else:
                grad_state = direct_grad.addcmul_(product(grad_products, state_factor, rows=batch), mask)
        flat_buffer, rows = buffer.flatten(1, 2), inputs.flatten(1, 2)
        sums, grad_rows = flat_buffer.sum(dim=1), row_factor(flat_buffer)
        input_grads, state_grads = grad_rows[..., : 3 * width], grad_rows[..., width:]
        grad_inputs = product(input_grads, factor(input_weight.roll(width, 1)), rows=rows.shape[1]).view_as(inputs)
        grad_input_weight = product(input_grads.mT, row_factor(rows)).roll(-width, 1)
        previous = states[:, :-1] if mask is None else states[:, :-1] * mask.unsqueeze(1)
        grad_state_weight = product(state_grads.mT, row_factor(previous.flatten(1, 2)))
        weight_grads = grad_input_weight, grad_state_weight, sums[:, : 3 * width].roll(-width, 1), sums[:, width:]
        return grad_inputs, grad_state, *weight_grads, None, None
