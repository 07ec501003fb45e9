"""LSTMs against PyTorch's own, value and gradient."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seq2seq.nn.cells import loop_cell
from seq2seq.nn.dropout import RecurrentDropout
from seq2seq.nn.lstm import LSTM, DeferredGradLSTMCell
from tests.nn.test_recurrence import BATCH, HIDDEN, INPUT, LENGTHS, STEPS, in_loop, many, same, vectors


def pair(layers: int, *, bidirectional: bool) -> tuple[LSTM, nn.LSTM]:
    """Ours and PyTorch's with the same weights."""
    torch.manual_seed(1)
    ours = LSTM(INPUT, HIDDEN, layers=layers, bidirectional=bidirectional).double()
    theirs = nn.LSTM(INPUT, HIDDEN, layers, bidirectional=bidirectional, batch_first=True).double()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@many
def test_without_a_mask_it_is_pytorchs(layers: int, bidirectional: bool) -> None:
    ours, theirs = pair(layers, bidirectional=bidirectional)
    inputs, state = vectors(BATCH, STEPS, INPUT), vectors(layers * (1 + bidirectional), BATCH, 2 * HIDDEN)
    outputs, last = theirs(inputs, tuple(part.contiguous() for part in state.chunk(2, dim=2)))
    same(ours, theirs, list(ours(inputs, state)), [outputs, torch.cat(last, dim=2)], [inputs, state])


@many
def test_with_a_mask_it_is_pytorchs_on_packed_sequences(layers: int, bidirectional: bool) -> None:
    ours, theirs = pair(layers, bidirectional=bidirectional)
    inputs, lengths = vectors(BATCH, STEPS, INPUT), torch.tensor(LENGTHS)
    packed, last = theirs(pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False))
    outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=STEPS)
    results = ours(inputs, mask=torch.arange(STEPS) < lengths.unsqueeze(1))
    same(ours, theirs, list(results), [outputs, torch.cat(last, dim=2)], [inputs])


def test_without_gradients_it_is_the_same_to_the_bit() -> None:
    ours, _ = pair(2, bidirectional=True)
    inputs, mask = vectors(BATCH, STEPS, INPUT), torch.arange(STEPS) < torch.tensor(LENGTHS).unsqueeze(1)
    with torch.no_grad():
        results = ours(inputs, mask=mask)
    assert all(map(torch.equal, results, ours(inputs, mask=mask)))


def test_a_single_step_without_gradients_is_the_same() -> None:
    ours, theirs = pair(1, bidirectional=False)
    inputs, state = vectors(BATCH, 1, INPUT), vectors(1, BATCH, 2 * HIDDEN)
    outputs, last = theirs(inputs, tuple(part.contiguous() for part in state.chunk(2, dim=2)))
    with torch.no_grad():
        torch.testing.assert_close(ours(inputs, state), (outputs, torch.cat(last, dim=2)))


def test_a_step_of_a_search_is_that_of_the_loop() -> None:
    torch.manual_seed(1)
    cell = nn.LSTMCell(INPUT, HIDDEN).double()
    inputs, state = vectors(BATCH, 1, INPUT), vectors(BATCH, 2 * HIDDEN)
    with torch.no_grad():
        found = loop_cell(cell, None, like=inputs)(inputs[:, 0], state)
    torch.testing.assert_close(found, loop_cell(cell, None, like=inputs)(inputs[:, 0], state))
    mask = torch.zeros_like(state)
    with torch.no_grad():
        masked = loop_cell(cell, mask, like=inputs)(inputs[:, 0], state)
    torch.testing.assert_close(masked, loop_cell(cell, mask, like=inputs)(inputs[:, 0], state))
    assert not torch.allclose(masked, found)


@pytest.mark.parametrize("masked", [False, True])
def test_steps_with_something_between_them(masked: bool) -> None:
    """In a loop as in `nn.LSTMCell`; with recurrent dropout the products read the masked h, and c stays."""
    torch.manual_seed(1)
    cell = nn.LSTMCell(INPUT, HIDDEN).double()
    inputs, start = vectors(BATCH, STEPS, INPUT), vectors(BATCH, 2 * HIDDEN)
    mask = RecurrentDropout(0.4)(start) if masked else None
    ours = DeferredGradLSTMCell(cell, mask, like=inputs)

    def theirs(vector: Tensor, state: Tensor) -> Tensor:
        hidden, cell_state = state.chunk(2, dim=1)
        read = hidden if mask is None else hidden * mask[:, :HIDDEN]
        return torch.cat(cell(vector, (read, cell_state)), dim=1)

    same(cell, cell, *([in_loop(step, inputs, start)] for step in (ours, theirs)), [inputs, start])


def test_recurrent_dropout_has_one_mask_for_all_steps() -> None:
    torch.manual_seed(1)
    lstm = LSTM(INPUT, HIDDEN, recurrent_dropout=0.4).double()
    masks: list[Tensor] = []
    lstm.recurrent_dropout.register_forward_hook(lambda *arguments: masks.append(arguments[-1]))
    inputs = vectors(BATCH, STEPS, INPUT)
    outputs, last = lstm(inputs)
    ((mask,),) = masks
    assert mask.unique().tolist() == [0.0, pytest.approx(1 / 0.6, rel=1e-4)]
    cell = nn.LSTMCell(INPUT, HIDDEN).double()
    cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in lstm.state_dict().items()})
    state: Any = (torch.zeros(BATCH, HIDDEN).double(), torch.zeros(BATCH, HIDDEN).double())
    for t in range(STEPS):
        state = cell(inputs[:, t], (state[0] * mask, state[1]))
        torch.testing.assert_close(outputs[:, t], state[0])
    torch.testing.assert_close(last[0], torch.cat(state, dim=1))
    assert not torch.equal(lstm.eval()(inputs)[0], outputs)
    assert torch.equal(lstm(inputs)[0], lstm(inputs)[0])
