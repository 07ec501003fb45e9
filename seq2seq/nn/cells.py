"""The recurrent cells by name: GRU and LSTM, over time and as one step of a loop.

Code that uses a cell sees a state as one vector. That of a GRU is h; that of an LSTM is `[h; c]`.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.nn.deferred_gradients import DeferredGradGRUCell
from seq2seq.nn.int8 import Int8Cell
from seq2seq.nn.lstm import LSTM, DeferredGradLSTMCell, lstm_step
from seq2seq.nn.recurrence import GRU


class Cell(NamedTuple):
    """The layer over time, the parameters of one step, and the number of vectors in a state."""

    layer: type[GRU] | type[LSTM]
    step: type[nn.GRUCell] | type[nn.LSTMCell]
    vectors: int


CELLS = {"gru": Cell(GRU, nn.GRUCell, vectors=1), "lstm": Cell(LSTM, nn.LSTMCell, vectors=2)}


def loop_cell(
    cell: nn.GRUCell | nn.LSTMCell | Int8Cell,
    mask: Float[Tensor, "batch state"] | None,
    *,
    like: Float[Tensor, "batch steps width"],
) -> Callable[[Tensor, Tensor], Tensor]:
    """The form of a cell for a loop over words: from an input and a state to the next state.

    `mask` is that of recurrent dropout, and `like` has the number of sentences and of steps. While ONNX traces the
    model, the cell is PyTorch's, which ONNX can hold.
    """
    if isinstance(cell, Int8Cell):
        return cell
    if isinstance(cell, nn.LSTMCell):
        if mask is None and not torch.is_grad_enabled():
            weights = cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh
            return lambda inputs, state: lstm_step(inputs, state, *weights)
        return DeferredGradLSTMCell(cell, mask, like=like)
    is_traced = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return cell if is_traced else DeferredGradGRUCell(cell, mask, fused=like.is_cuda)
