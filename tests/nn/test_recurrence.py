"""The loops for CPUs against PyTorch's own, value and gradient."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.checkpoint import checkpoint

from seq2seq.nn.deferred_gradients import DeferredGradGRUCell, DeferredGradLinear
from seq2seq.nn.dropout import RecurrentDropout
from seq2seq.nn.fused_gru import FusedLayer
from seq2seq.nn.recurrence import GRU, _Layer
from seq2seq.runtime.static_shapes import static_shapes

INPUT, HIDDEN, STEPS = 5, 3, 6
LENGTHS = [4, 6, 1, 3]
BATCH = len(LENGTHS)

many = pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (1, True), (2, False), (2, True)])
Form = Callable[[], AbstractContextManager[None]]
both_forms = pytest.mark.parametrize("form", [nullcontext, static_shapes], ids=["for a CPU", "for a GPU"])


def pair(layers: int, *, bidirectional: bool) -> tuple[GRU, nn.GRU]:
    """Ours and PyTorch's with the same weights."""
    torch.manual_seed(1)
    ours = GRU(INPUT, HIDDEN, layers=layers, bidirectional=bidirectional).double()
    theirs = nn.GRU(INPUT, HIDDEN, layers, bidirectional=bidirectional, batch_first=True).double()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def vectors(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def same(ours: nn.Module, theirs: nn.Module, found: list[Tensor], wanted: list[Tensor], leaves: list[Tensor]) -> None:
    """Values, and the gradients of a loss that everything is part of."""
    gradients = []
    for module, results in ((ours, found), (theirs, wanted)):
        torch.manual_seed(4)
        loss = torch.stack([(result * torch.randn(result.shape, dtype=result.dtype)).sum() for result in results]).sum()
        gradients.append(torch.autograd.grad(loss, [*leaves, *module.parameters()]))
    for one, other in zip([*found, *gradients[0]], [*wanted, *gradients[1]], strict=True):
        torch.testing.assert_close(one, other)


@both_forms
@many
def test_without_a_mask_it_is_pytorchs(layers: int, bidirectional: bool, form: Form) -> None:
    ours, theirs = pair(layers, bidirectional=bidirectional)
    inputs, state = vectors(BATCH, STEPS, INPUT), vectors(layers * (1 + bidirectional), BATCH, HIDDEN)
    with form():
        results = ours(inputs, state)
    same(ours, theirs, list(results), list(theirs(inputs, state)), [inputs, state])


@both_forms
@many
def test_with_a_mask_it_is_pytorchs_on_packed_sequences(layers: int, bidirectional: bool, form: Form) -> None:
    ours, theirs = pair(layers, bidirectional=bidirectional)
    inputs, lengths = vectors(BATCH, STEPS, INPUT), torch.tensor(LENGTHS)
    packed, last = theirs(pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False))
    outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=STEPS)
    with form():
        results = ours(inputs, mask=torch.arange(STEPS) < lengths.unsqueeze(1))
    same(ours, theirs, list(results), [outputs, last], [inputs])


@pytest.mark.parametrize("masked", [False, True])
@many
def test_without_gradients_it_is_the_same(layers: int, bidirectional: bool, masked: bool) -> None:
    ours, _ = pair(layers, bidirectional=bidirectional)
    inputs, state = vectors(BATCH, STEPS, INPUT), vectors(layers * (1 + bidirectional), BATCH, HIDDEN)
    mask = torch.arange(STEPS) < torch.tensor(LENGTHS).unsqueeze(1) if masked else None
    with torch.no_grad():
        results = ours(inputs, state, mask)
    torch.testing.assert_close(results, ours(inputs, state, mask))


@many
def test_a_single_step_without_gradients_is_the_same_to_the_bit(layers: int, bidirectional: bool) -> None:
    ours, _ = pair(layers, bidirectional=bidirectional)
    inputs, state = vectors(BATCH, 1, INPUT), vectors(layers * (1 + bidirectional), BATCH, HIDDEN)
    with torch.no_grad():
        results = ours(inputs, state)
        expected = ours._forward_padded(inputs, state, None)
    assert all(torch.equal(one, other) for one, other in zip(results, expected, strict=True))


@many
def test_its_gradient_is_that_of_the_function(layers: int, bidirectional: bool) -> None:
    ours, _ = pair(layers, bidirectional=bidirectional)
    mask = torch.arange(3) < torch.tensor([[3], [1]])
    inputs, state = vectors(2, 3, INPUT), vectors(layers * (1 + bidirectional), 2, HIDDEN)

    def anew(x: Tensor, h: Tensor) -> Any:
        """For gradcheck goes back many times through what can be gone back through once."""
        return checkpoint(ours, x, h, mask, use_reentrant=False)

    assert torch.autograd.gradcheck(anew, (inputs, state))


def in_loop(step: Callable[[Tensor, Tensor], Tensor], inputs: Tensor, start: Tensor) -> Tensor:
    """The states of all steps, each of which reads an input that depends on the state."""
    state, states = start, []
    for vector in inputs.unbind(1):
        state = step(vector * state.sum(dim=1, keepdim=True).sigmoid(), state)
        states.append(state)
    return torch.stack(states)


def masked_step(cell: nn.GRUCell, inputs: Tensor, state: Tensor, mask: Tensor) -> Tensor:
    """A step whose products of states read `mask * state`, operation by operation."""
    input_parts = (inputs @ cell.weight_ih.t() + cell.bias_ih).chunk(3, dim=1)
    state_parts = ((state * mask) @ cell.weight_hh.t() + cell.bias_hh).chunk(3, dim=1)
    reset, update = ((input_parts[i] + state_parts[i]).sigmoid() for i in range(2))
    candidate = (input_parts[2] + reset * state_parts[2]).tanh()
    return (1 - update) * candidate + update * state


def fixed_masks(module: nn.Module) -> list[Tensor]:
    """Lists the masks of recurrent dropout that the module draws."""
    masks: list[Tensor] = []
    module.register_forward_hook(lambda _, __, mask: masks.append(mask))
    return masks


@both_forms
@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_dropout_has_one_mask_for_all_steps(bidirectional: bool, form: Form) -> None:
    """By PyTorch's own gradients, over padding, in both layers and directions."""
    torch.manual_seed(2)
    gru = GRU(INPUT, HIDDEN, layers=2, recurrent_dropout=0.4, bidirectional=bidirectional).double()
    masks = fixed_masks(gru.recurrent_dropout)
    directions = 1 + bidirectional
    inputs, start, lengths = vectors(BATCH, STEPS, INPUT), vectors(2 * directions, BATCH, HIDDEN), torch.tensor(LENGTHS)
    with form():
        outputs, last = gru(inputs, start, torch.arange(STEPS) < lengths.unsqueeze(1))
    (mask,) = masks
    assert mask.unique().tolist() == pytest.approx([0.0, 1 / 0.6], rel=1e-4)
    expected, final = torch.zeros_like(outputs), []
    layer_inputs = inputs
    for layer in range(2):
        expected = torch.zeros(BATCH, STEPS, directions * HIDDEN, dtype=torch.float64)
        for direction in range(directions):
            index = layer * directions + direction
            cell = nn.GRUCell(layer_inputs.shape[2], HIDDEN)
            cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh = gru.all_weights[index]
            ends = []
            for row, length in enumerate(LENGTHS):
                state = start[index, row : row + 1]
                for step in range(length) if direction == 0 else reversed(range(length)):
                    state = masked_step(cell, layer_inputs[row : row + 1, step], state, mask[index, row : row + 1])
                    columns = torch.zeros_like(expected)
                    columns[row, step, direction * HIDDEN : (direction + 1) * HIDDEN] = 1
                    expected = expected + columns * state.repeat(1, directions).unsqueeze(1)
                ends.append(state)
            final.append(torch.cat(ends))
        layer_inputs = expected
    same(gru, gru, [outputs, last], [expected, torch.stack(final)], [inputs, start])


def test_recurrent_dropout_of_steps_with_something_between_them() -> None:
    torch.manual_seed(1)
    cell = nn.GRUCell(INPUT, HIDDEN).double()
    inputs, start = vectors(BATCH, STEPS, INPUT), vectors(BATCH, HIDDEN)
    mask = RecurrentDropout(0.4)(start)
    assert mask is not None
    steps = DeferredGradGRUCell(cell, mask), partial(masked_step, cell, mask=mask)
    same(cell, cell, *([in_loop(step, inputs, start)] for step in steps), [inputs, start])


def fused_gru(input_gates: Tensor, state_gates: Tensor, state: Tensor, *biases: Tensor) -> tuple[Tensor, Tensor]:
    """What PyTorch's kernel computes on a GPU: the next state, and r, z, n, h and `U_n h + c_n`."""
    input_bias, state_bias = biases or (0.0, 0.0)
    input_parts, state_parts = (input_gates + input_bias).chunk(3, 1), (state_gates + state_bias).chunk(3, 1)
    reset, update = ((one + other).sigmoid() for one, other in zip(input_parts[:2], state_parts[:2], strict=True))
    candidate = (input_parts[2] + reset * state_parts[2]).tanh()
    after = candidate + update * (state - candidate)
    return after, torch.cat((reset, update, candidate, state, state_parts[2]), 1)


def fused_gru_backward(gradient: Tensor, workspace: Tensor, has_bias: bool) -> tuple[Tensor | None, ...]:
    assert not has_bias
    reset, update, candidate, state, product = workspace.chunk(5, 1)
    by_candidate = gradient * (1 - update) * (1 - candidate**2)
    by_reset = by_candidate * product * reset * (1 - reset)
    by_update = gradient * (state - candidate) * update * (1 - update)
    by_input = torch.cat((by_reset, by_update, by_candidate), 1)
    return by_input, torch.cat((by_reset, by_update, by_candidate * reset), 1), gradient * update, None, None


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_steps_with_the_kernel_of_a_gpu_are_those_of_a_cell(dropout: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seq2seq.nn.deferred_gradients.fused_gru", fused_gru)
    monkeypatch.setattr("seq2seq.nn.deferred_gradients.fused_gru_backward", fused_gru_backward)
    torch.manual_seed(1)
    cell = nn.GRUCell(INPUT, HIDDEN).double()
    inputs, start = vectors(BATCH, STEPS, INPUT), vectors(BATCH, HIDDEN)
    mask = RecurrentDropout(dropout)(start)
    plain = cell if mask is None else partial(masked_step, cell, mask=mask)
    steps = DeferredGradGRUCell(cell, mask, fused=True), plain
    same(cell, cell, *([in_loop(step, inputs, start)] for step in steps), [inputs, start])


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("masked", [False, True])
@many
def test_layers_with_the_kernel_of_a_gpu_are_those_of_a_cpu(
    layers: int, bidirectional: bool, masked: bool, dropout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seq2seq.nn.fused_gru.fused_gru", fused_gru)
    monkeypatch.setattr("seq2seq.nn.fused_gru.fused_gru_backward", fused_gru_backward)
    torch.manual_seed(1)
    gru = GRU(INPUT, HIDDEN, layers=layers, bidirectional=bidirectional, recurrent_dropout=dropout).double()
    inputs, state = vectors(BATCH, STEPS, INPUT), vectors(layers * (1 + bidirectional), BATCH, HIDDEN)
    mask = torch.arange(STEPS) < torch.tensor(LENGTHS).unsqueeze(1) if masked else None
    results = []
    for loop in (FusedLayer, _Layer):
        torch.manual_seed(2)
        monkeypatch.setattr("seq2seq.nn.recurrence._Layer", loop)
        results.append(list(gru(inputs, state, mask)))
    same(gru, gru, *results, [inputs, state])


def test_recurrent_dropout_is_for_training() -> None:
    gru, inputs = GRU(INPUT, HIDDEN, recurrent_dropout=0.5), torch.randn(BATCH, STEPS, INPUT)
    with torch.no_grad():
        assert not torch.equal(gru(inputs)[0], gru(inputs)[0])
    gru.eval()
    plain = GRU(INPUT, HIDDEN)
    plain.load_state_dict(gru.state_dict())
    assert torch.equal(gru(inputs)[0], plain(inputs)[0])


def test_going_back_a_second_time_is_refused() -> None:
    """Gradients stand where the first time found its values."""
    inputs, start = vectors(BATCH, STEPS, INPUT), vectors(BATCH, HIDDEN)
    outputs, _ = GRU(INPUT, HIDDEN).double()(inputs)
    for result in (outputs, DeferredGradGRUCell(nn.GRUCell(INPUT, HIDDEN).double())(inputs[:, 0], start)):
        result.sum().backward(retain_graph=True)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            result.sum().backward()


def test_a_gradient_has_no_gradient() -> None:
    inputs, start = vectors(BATCH, STEPS, INPUT), vectors(BATCH, HIDDEN)
    outputs, _ = GRU(INPUT, HIDDEN).double()(inputs)
    for result in (outputs, DeferredGradGRUCell(nn.GRUCell(INPUT, HIDDEN).double())(inputs[:, 0], start)):
        (gradient,) = torch.autograd.grad(result.square().sum(), inputs, create_graph=True)
        with pytest.raises(RuntimeError, match="once_differentiable"):
            gradient.sum().backward()


def test_dropout_acts_between_layers_while_training() -> None:
    ours = GRU(INPUT, HIDDEN, layers=2, dropout=0.5)
    inputs = torch.randn(BATCH, STEPS, INPUT)
    assert not torch.equal(ours(inputs)[0], ours(inputs)[0])
    ours.eval()
    assert torch.equal(ours(inputs)[0], ours(inputs)[0])
    assert GRU(INPUT, HIDDEN, layers=1, dropout=0.5).dropout == 0.0


def test_steps_are_those_of_a_cell() -> None:
    """With something between them that the next step needs, as attention is."""
    torch.manual_seed(1)
    cell = nn.GRUCell(INPUT, HIDDEN).double()
    inputs, start = vectors(BATCH, STEPS, INPUT), vectors(BATCH, HIDDEN)
    results: list[list[Tensor]] = []
    for ours in (True, False):
        state, states = start, []
        step = DeferredGradGRUCell(cell) if ours else cell
        for vector in inputs.unbind(1):
            vector = vector * state.sum(dim=1, keepdim=True).sigmoid()
            state = step(vector, state)
            states.append(state)
        results.append([torch.stack(states)])
    same(cell, cell, *results, [inputs, start])


def test_steps_that_no_loss_sees_give_no_gradient() -> None:
    layer = nn.Linear(INPUT, HIDDEN).double()
    inputs = vectors(BATCH, STEPS, INPUT)
    stepwise = DeferredGradLinear.linear(layer.weight, layer.bias, like=inputs)
    found = [stepwise(vector) for vector in inputs.unbind(1)][2]
    same(layer, layer, [found], [layer(inputs[:, 2])], [inputs])


def test_steps_may_have_a_matrix_for_each_sentence() -> None:
    matrices, biases, inputs = (
        vectors(BATCH, INPUT, HIDDEN),
        vectors(BATCH, STEPS, HIDDEN),
        vectors(BATCH, STEPS, INPUT),
    )
    stepwise = DeferredGradLinear(matrices, biases)
    found = [torch.stack([stepwise(vector) for vector in inputs.unbind(1)], dim=1)]
    nothing = nn.Module()
    same(nothing, nothing, found, [biases + inputs @ matrices], [matrices, biases, inputs])


# --- the form for a GPU, on a CPU -------------------------------------------------------------------------------------


def test_over_padding_a_row_without_a_token_gives_zeros() -> None:
    ours, _ = pair(1, bidirectional=True)
    inputs = vectors(2, STEPS, INPUT)
    with static_shapes():
        outputs, last = ours(inputs, mask=torch.tensor([[True] * STEPS, [False] * STEPS]))
    assert torch.equal(outputs[1], torch.zeros_like(outputs[1]))
    assert torch.equal(last[:, 1], torch.zeros_like(last[:, 1]))
