"""Layers with 8-bit weights for search on a CPU. They read a quarter of the memory and multiply integers.

Weights are rounded to 8 bits, with one scale for each output. Inputs are rounded to 7 bits, since processors without
VNNI add pairs of products in 16 bits. Sums of integers are exact. So the result of a row of one layer depends on the
other rows of a batch by its float32 rounding at most. In a model the next layer rounds it, at times to another integer.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from seq2seq.nn.lstm import LSTM, next_state
from seq2seq.nn.recurrence import GRU
from seq2seq.nn.tanh import tanh
from seq2seq.runtime.errors import InputError

LEVELS = 63
"""The number of quantisation levels between 0 and the largest magnitude of an input."""

BLOCK = 256
"""Rows that are multiplied at one time, so that a core's cache holds what is computed from them."""

TINY = 1e-12
"""The smallest scale. It avoids a division by zero for a row of zeros."""


class Int8Linear(nn.Module):
    """`W x + b`, with W in 8 bits."""

    def __init__(
        self, weight: Float[Tensor, "out in"], bias: Float[Tensor, "out"] | None, *, bound: float | None = None
    ) -> None:
        """`bound` is the largest possible magnitude of an input. Without it, each row of inputs has its own scale."""
        super().__init__()
        self._scales = weight.abs().amax(dim=1).clamp_(min=TINY) / 127
        self._zeros = torch.zeros(len(weight), dtype=torch.long)
        self._rounded = (weight / self._scales.unsqueeze(1)).round_().to(torch.int8)
        self._packed = torch.ops.onednn.qlinear_prepack(self._rounded, None)
        self._offset = torch.tensor(LEVELS + 1.5)  # 0 becomes LEVELS + 1; the conversion truncates, so 0.5 more rounds
        self._bias = bias
        self._bound = bound
        self._out = len(weight)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_packed"}  # it cannot be copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._packed = torch.ops.onednn.qlinear_prepack(self._rounded, None)

    def forward(self, inputs: Float[Tensor, "*rows in"]) -> Float[Tensor, "*rows out"]:
        rows = inputs.reshape(-1, inputs.shape[-1])
        if len(rows) <= BLOCK:
            products = self._of_rows(rows)
        else:
            products = inputs.new_empty(len(rows), self._out)
            for block, out in zip(rows.split(BLOCK), products.split(BLOCK), strict=True):
                self._of_rows(block, out=out)
        return products.view(*inputs.shape[:-1], self._out)

    def _of_rows(
        self, rows: Float[Tensor, "rows in"], out: Float[Tensor, "rows out"] | None = None
    ) -> Float[Tensor, "rows out"]:
        if self._bound is not None:
            shifted = torch.add(self._offset, rows, alpha=LEVELS / self._bound)
            products = self._product(shifted, self._bound / LEVELS, self._bias)
            return products if out is None else out.copy_(products)
        scales = rows.abs().amax(dim=1, keepdim=True).clamp_(min=TINY).div_(LEVELS)
        products = self._product(torch.addcdiv(self._offset, rows, scales), 1.0, None)
        out = products if out is None else out
        if self._bias is None:
            return torch.mul(products, scales, out=out)
        return torch.addcmul(self._bias, products, scales, out=out)

    def _product(
        self, shifted: Float[Tensor, "rows in"], scale: float, bias: Float[Tensor, "out"] | None
    ) -> Float[Tensor, "rows out"]:
        """`scale W round(x) + b` for `shifted = x + 64.5`, with x within [-63, 63]."""
        rounded = shifted.to(torch.int8).view(torch.uint8)  # from 1 to 127; PyTorch converts to uint8 one by one
        weight = self._packed, self._scales, self._zeros
        product = torch.ops.onednn.qlinear_pointwise
        return product(rounded, scale, LEVELS + 1, *weight, bias, 1.0, 0, torch.float32, "none", [], "")


class Int8Cell(nn.Module):
    """`nn.GRUCell` or `nn.LSTMCell` with weights in 8 bits. The state of an LSTM is `[h; c]`.

    The part h of a state must be within [-1, 1], as those of both cells are.
    """

    def __init__(self, cell: nn.GRUCell | nn.LSTMCell) -> None:
        super().__init__()
        self.input_product = Int8Linear(cell.weight_ih, cell.bias_ih)
        self.state_product = Int8Linear(cell.weight_hh, cell.bias_hh, bound=1.0)
        self.width = cell.hidden_size
        self.next_state = _next_gru_state if isinstance(cell, nn.GRUCell) else _next_lstm_state

    def forward(
        self, inputs: Float[Tensor, "batch input"], state: Float[Tensor, "batch state"]
    ) -> Float[Tensor, "batch state"]:
        return self.next_state(self.input_product(inputs), self.state_product(state[:, : self.width]), state)


def weights_by_layer(layers: GRU | LSTM) -> list[list[tuple[Tensor, ...]]]:
    """Of each layer: input weights, state weights, input biases and state biases, each a tuple over the directions."""
    directions = 2 if layers.bidirectional else 1
    return [
        list(zip(*layers.all_weights[i : i + directions], strict=True))
        for i in range(0, len(layers.all_weights), directions)
    ]


class Int8Layers(nn.Module):
    """`seq2seq.nn.recurrence.GRU` or `seq2seq.nn.lstm.LSTM` with weights in 8 bits. See `Int8Cell` for the state."""

    def __init__(self, layers: GRU | LSTM, *, reads_products: bool = False) -> None:
        """With `reads_products` the inputs are `W x + b` of the first layer, one direction beside the other."""
        super().__init__()
        weights = weights_by_layer(layers)
        self.directions = len(weights[0][0])
        self.width = layers.hidden_size
        self.vectors, self.next_state = (1, _next_gru_state) if isinstance(layers, GRU) else (2, _next_lstm_state)
        self.input_products = nn.ModuleList(
            nn.Identity() if reads_products and layer == 0 else Int8Linear(torch.cat(input_weights), torch.cat(biases))
            for layer, (input_weights, _, biases, _) in enumerate(weights)
        )
        self.state_products = nn.ModuleList(
            Int8Linear(weight, bias, bound=1.0)
            for _, state_weights, _, biases in weights
            for weight, bias in zip(state_weights, biases, strict=True)
        )

    def forward(
        self,
        inputs: Float[Tensor, "batch steps input"],
        state: Float[Tensor, "layers batch state"] | None = None,
        mask: Bool[Tensor, "batch steps"] | None = None,
    ) -> tuple[Float[Tensor, "batch steps outputs"], Float[Tensor, "layers batch state"]]:
        """Outputs (0 on padding) and the state after the last token of each sentence, as `nn.GRU` orders them."""
        steps = inputs.transpose(0, 1).contiguous()  # so that the rows of a step are adjacent
        length, batch = steps.shape[:2]
        if state is None:
            state = inputs.new_zeros(len(self.state_products), batch, self.vectors * self.width)
        last, padding = list(state), None if mask is None else ~mask.t().unsqueeze(2)
        is_padded = [False] * length if padding is None else padding.flatten(1).any(dim=1).tolist()
        for layer, input_product in enumerate(self.input_products):
            products = input_product(steps).chunk(self.directions, dim=2)
            steps = steps.new_empty(length, batch, self.directions * self.width)
            outputs = steps.chunk(self.directions, dim=2)
            for direction in range(self.directions):
                i = layer * self.directions + direction
                for t in range(length) if direction == 0 else reversed(range(length)):
                    last[i] = self.next_state(
                        products[direction][t],
                        self.state_products[i](last[i][:, : self.width]),
                        last[i],
                        padding[t] if padding is not None and is_padded[t] else None,
                        out=outputs[direction][t],
                    )
                last[i] = last[i].clone()  # it may be a part of `steps`, and padding there
            if padding is not None:
                steps.masked_fill_(padding, 0.0)
        return steps.transpose(0, 1).contiguous(), torch.stack(last)


def _next_gru_state(
    input_product: Float[Tensor, "batch gates"],
    state_product: Float[Tensor, "batch gates"],
    state: Float[Tensor, "batch hidden"],
    padding: Bool[Tensor, "batch 1"] | None = None,
    out: Float[Tensor, "batch hidden"] | None = None,
) -> Float[Tensor, "batch hidden"]:
    """The next state of a GRU from `W x + b` and `U h + c` (see `gru_step.py`). On padding it equals `state`."""
    width = state.shape[1]
    reset, update = input_product[:, : 2 * width].add(state_product[:, : 2 * width]).sigmoid_().chunk(2, dim=1)
    candidate = tanh(torch.addcmul(input_product[:, 2 * width :], reset, state_product[:, 2 * width :]))
    return torch.lerp(candidate, state, update if padding is None else update.masked_fill_(padding, 1.0), out=out)


def _next_lstm_state(
    input_product: Float[Tensor, "batch gates"],
    state_product: Float[Tensor, "batch gates"],
    state: Float[Tensor, "batch state"],
    padding: Bool[Tensor, "batch 1"] | None = None,
    out: Float[Tensor, "batch hidden"] | None = None,
) -> Float[Tensor, "batch state"]:
    """The next `[h; c]` from `W x + b` and `U h + c` (see `lstm.py`), and its h in `out`. On padding it is `state`."""
    after = torch.cat(next_state(input_product + state_product, state.chunk(2, dim=1)[1]), dim=1)
    if padding is not None:
        after = torch.where(padding, state, after)
    if out is not None:
        out.copy_(after[:, : out.shape[1]])
    return after


def int8_is_possible(device: torch.device) -> bool:
    """Whether these layers can run on the device, and fast."""
    has_instructions = torch.backends.cpu.get_cpu_capability().startswith("AVX")
    return device.type == "cpu" and torch.backends.mkldnn.is_available() and has_instructions


def check_int8(device: torch.device) -> None:
    """Raises InputError if these layers cannot run on the device, or would be slow."""
    if device.type != "cpu":
        raise InputError("device.precision=int8 is for a CPU: set device=cpu, or device.precision=auto for this GPU")
    if not int8_is_possible(device):
        raise InputError("device.precision=int8 needs an x86 processor with AVX2, and PyTorch with oneDNN: use float32")
