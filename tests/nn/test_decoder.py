"""Both places, with every rule: the papers' equations, one step or many, alone or in company."""

import pytest
import torch
from torch import Tensor

from seq2seq.attention.history import HistoryScore
from seq2seq.nn.decoder import LuongInputFeeding
from seq2seq.nn.decoder_base import Decoder, DecoderSizes, Memory, State
from seq2seq.nn.tanh import tanh
from tests.support.tiny import EMBEDDING, EVERY, PLACES, VALUE, WITH_LAYERS, tiny_decoder

TARGET = 4
LENGTHS = [5, 3, 1]
SOURCE = 5
MASK = torch.arange(SOURCE) < torch.tensor(LENGTHS).unsqueeze(1)

everywhere = pytest.mark.parametrize(("place", "rule"), EVERY + [(place, rule) for place, rule, _ in WITH_LAYERS])


def test_there_is_something_to_test() -> None:
    assert {("bahdanau", "concat"), ("bahdanau", "dot"), ("luong", "general")} <= set(EVERY)


def inputs(decoder: Decoder, widths: DecoderSizes) -> tuple[Tensor, State, Memory]:
    torch.manual_seed(2)
    value = torch.randn(len(LENGTHS), SOURCE, VALUE)
    width = widths.hidden * (1 + len(decoder.bridges))
    embedded, hidden = torch.randn(len(LENGTHS), TARGET, EMBEDDING), torch.randn(len(LENGTHS), width).tanh()
    output = torch.randn(len(LENGTHS), EMBEDDING).tanh() if isinstance(decoder, LuongInputFeeding) else None
    history = torch.rand(MASK.shape) * MASK if decoder.attention.score.follows_history else None
    state = State(hidden, torch.tensor([3, 0, 1]), output, history)
    return embedded, state, Decoder.prepare_memory(decoder, value, MASK)  # with the values, which `Luong` leaves out


def gru(weights: dict[str, Tensor], vector: Tensor, state: Tensor) -> Tensor:
    """One step of a GRU for one sentence."""
    from_input = [
        weight @ vector + bias
        for weight, bias in zip(weights["weight_ih"].chunk(3), weights["bias_ih"].chunk(3), strict=True)
    ]
    from_state = [
        weight @ state + bias
        for weight, bias in zip(weights["weight_hh"].chunk(3), weights["bias_hh"].chunk(3), strict=True)
    ]
    reset, update = ((one + other).sigmoid() for one, other in zip(from_input[:2], from_state[:2], strict=True))
    return (1 - update) * torch.tanh(from_input[2] + reset * from_state[2]) + update * state


def mix(
    decoder: Decoder, word: Tensor, state: Tensor, memory: Memory, history: Tensor | None, b: int, length: int
) -> tuple[Tensor, Tensor]:
    """Context and weights of one sentence, with Q and K from the table in `nn/decoder.py`, a head at a time."""
    score, value = decoder.attention.score, memory.value[b, :length]
    if score.location_based:
        scores = score(word[None, None], state[None, None])[0, :, :length]
    elif history is not None:
        assert isinstance(score, HistoryScore)
        scores = score(state[None, None], memory.key[b : b + 1, :length], history[b, None, None, :length])[0]
    else:
        scores = score(state[None, None], memory.key[b : b + 1, :length])[0]
    weights = scores.softmax(dim=1)
    parts = value.chunk(score.heads, dim=1)
    mixed = [
        sum((w * v for w, v in zip(row, part, strict=True)), torch.zeros(part.shape[1]))
        for row, part in zip(weights, parts, strict=True)
    ]
    return torch.cat(mixed), weights.mean(dim=0)


def cell(named: dict[str, Tensor], prefix: str, suffix: str = "") -> dict[str, Tensor]:
    return {name: named[f"{prefix}.{name}{suffix}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}


@pytest.mark.parametrize("rule", [rule for place, rule in EVERY if place == "bahdanau"])
def test_bahdanau_by_hand(rule: str) -> None:
    """`c = attend(s_{i-1})`, `s_i = GRU(combine([y; c]), s_{i-1})`, output `tanh(W [s_i; y; c] + b)`."""
    decoder, widths = tiny_decoder("bahdanau", rule)
    embedded, state, memory = inputs(decoder, widths)
    outputs, after, (weights, _) = decoder(embedded[:, :1], state, memory)
    named = dict(decoder.named_parameters())
    for b, length in enumerate(LENGTHS):
        word, before = embedded[b, 0], state.hidden[b]
        context, wanted = mix(decoder, word, before, memory, state.history, b, length)
        combined = named["attention.linear.weight"] @ torch.cat((word, context)) + named["attention.linear.bias"]
        hidden = gru(cell(named, "cell"), combined, before)
        readout = named["readout.weight"] @ torch.cat((hidden, word, context)) + named["readout.bias"]
        torch.testing.assert_close(weights[b, 0, :length], wanted)
        torch.testing.assert_close(after.hidden[b], hidden)
        torch.testing.assert_close(outputs[b, 0], torch.tanh(readout))


@pytest.mark.parametrize("rule", [rule for place, rule in EVERY if place == "luong"])
def test_luong_by_hand(rule: str) -> None:
    """`s_i = GRU(y, s_{i-1})`, `c = attend(s_i)`, output `tanh(W [s_i; c] + b)`."""
    decoder, widths = tiny_decoder("luong", rule)
    embedded, state, memory = inputs(decoder, widths)
    outputs, after, (weights, _) = decoder(embedded[:, :1], state, memory)
    named = dict(decoder.named_parameters())
    for b, length in enumerate(LENGTHS):
        word = embedded[b, 0]
        hidden = gru(cell(named, "gru", "_l0"), word, state.hidden[b])
        context, wanted = mix(decoder, word, hidden, memory, state.history, b, length)
        combined = named["attention.linear.weight"] @ torch.cat((hidden, context)) + named["attention.linear.bias"]
        torch.testing.assert_close(weights[b, 0, :length], wanted)
        torch.testing.assert_close(after.hidden[b], hidden)
        torch.testing.assert_close(outputs[b, 0], torch.tanh(combined))


@pytest.mark.parametrize("rule", [rule for place, rule in EVERY if place == "luong_input_feeding"])
def test_luong_with_input_feeding_by_hand(rule: str) -> None:
    """`s_i = GRU([y; o_{i-1}], s_{i-1})`, `c = attend(s_i)`, output `o_i = tanh(W [s_i; c] + b)`."""
    decoder, widths = tiny_decoder("luong_input_feeding", rule)
    embedded, state, memory = inputs(decoder, widths)
    outputs, after, (weights, _) = decoder(embedded[:, :1], state, memory)
    named = dict(decoder.named_parameters())
    assert state.attentional is not None
    assert after.attentional is not None
    for b, length in enumerate(LENGTHS):
        word = embedded[b, 0]
        hidden = gru(cell(named, "cell"), torch.cat((word, state.attentional[b])), state.hidden[b])
        context, wanted = mix(decoder, word, hidden, memory, state.history, b, length)
        combined = named["attention.linear.weight"] @ torch.cat((hidden, context)) + named["attention.linear.bias"]
        torch.testing.assert_close(weights[b, 0, :length], wanted)
        torch.testing.assert_close(after.hidden[b], hidden)
        torch.testing.assert_close(outputs[b, 0], torch.tanh(combined))
        assert torch.equal(after.attentional[b], outputs[b, 0])


def test_input_feeding_starts_with_zeros() -> None:
    output = (
        tiny_decoder("luong_input_feeding", "general")[0]
        .start(torch.randn(3, VALUE), torch.ones(3, 4, dtype=torch.bool))
        .attentional
    )
    assert output is not None
    assert output.shape == (3, EMBEDDING)
    assert not output.any()


@pytest.mark.parametrize("rule", [rule for place, rule in EVERY if place == "conditional"])
def test_conditional_by_hand(rule: str) -> None:
    """`s' = GRU(y, s_{i-1})`, `c = attend(s')`, `s_i = GRU(combine([s'; c]), s')`, output `tanh(W [s_i; y; c] + b)`."""
    decoder, widths = tiny_decoder("conditional", rule)
    embedded, state, memory = inputs(decoder, widths)
    outputs, after, (weights, _) = decoder(embedded[:, :1], state, memory)
    named = dict(decoder.named_parameters())
    for b, length in enumerate(LENGTHS):
        word = embedded[b, 0]
        between = gru(cell(named, "first"), word, state.hidden[b])
        context, wanted = mix(decoder, word, between, memory, state.history, b, length)
        combined = named["attention.linear.weight"] @ torch.cat((between, context)) + named["attention.linear.bias"]
        hidden = gru(cell(named, "cell"), combined, between)
        readout = named["readout.weight"] @ torch.cat((hidden, word, context)) + named["readout.bias"]
        torch.testing.assert_close(weights[b, 0, :length], wanted)
        torch.testing.assert_close(after.hidden[b], hidden)
        torch.testing.assert_close(outputs[b, 0], torch.tanh(readout))


@pytest.mark.parametrize("place", PLACES)
def test_the_first_state_is_the_bridge(place: str) -> None:
    decoder, widths = tiny_decoder(place, "general")
    final = torch.randn(3, VALUE)
    hidden = decoder.start(final, MASK).hidden
    assert hidden.shape == (3, widths.hidden)
    torch.testing.assert_close(hidden, torch.tanh(final @ decoder.bridge.weight.T + decoder.bridge.bias))


def test_the_second_layer_reads_the_first_and_attention_the_second() -> None:
    decoder, widths = tiny_decoder("luong_deep", "general")
    one, _ = tiny_decoder("luong", "general", seed=2)
    embedded, state, memory = inputs(decoder, widths)
    named = dict(decoder.named_parameters())
    lower, upper = state.hidden.split(widths.hidden, dim=1)
    outputs, after, (weights, _) = decoder(embedded[:, :1], state, memory)
    for b, length in enumerate(LENGTHS):
        first = gru(cell(named, "gru", "_l0"), embedded[b, 0], lower[b])
        second = gru(cell(named, "gru", "_l1"), first, upper[b])
        torch.testing.assert_close(after.hidden[b], torch.cat((first, second)))
        context, wanted = mix(decoder, embedded[b, 0], second, memory, None, b, length)
        combined = named["attention.linear.weight"] @ torch.cat((second, context)) + named["attention.linear.bias"]
        torch.testing.assert_close(weights[b, 0, :length], wanted)
        torch.testing.assert_close(outputs[b, 0], torch.tanh(combined))
    assert {name for name in named if name not in dict(one.named_parameters())} == {
        *(f"gru.{kind}_l1" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
        "bridges.0.weight",
        "bridges.0.bias",
    }


@pytest.mark.parametrize("cell", ["", "_lstm"])
def test_each_layer_has_a_bridge(cell: str) -> None:
    decoder, widths = tiny_decoder("luong_deep" + cell, "general")
    vectors = 2 if cell else 1
    final = torch.randn(3, vectors * VALUE)
    parts = decoder.start(final, MASK).hidden.split(widths.hidden, dim=1)
    bridges = [decoder.bridge, *decoder.bridges]
    assert len(parts) == len(bridges) == 2 * vectors
    for i, (part, bridge) in enumerate(zip(parts, bridges, strict=True)):
        wanted = final.chunk(vectors, dim=1)[i % vectors] @ bridge.weight.T + bridge.bias
        torch.testing.assert_close(part, wanted if i % vectors else torch.tanh(wanted))


@everywhere
def test_a_word_at_a_time_is_all_words_at_once(place: str, rule: str) -> None:
    decoder, widths = tiny_decoder(place, rule)
    embedded, state, memory = inputs(decoder, widths)
    outputs, last, (weights, _) = decoder(embedded, state, memory)
    assert weights.shape == (len(LENGTHS), TARGET, SOURCE)
    for t in range(TARGET):
        output, state, (weight, _) = decoder(embedded[:, t : t + 1], state, memory)
        torch.testing.assert_close(output, outputs[:, t : t + 1])
        torch.testing.assert_close(weight, weights[:, t : t + 1])
    torch.testing.assert_close(state.hidden, last.hidden)


@everywhere
def test_what_stands_in_the_padding_changes_nothing(place: str, rule: str) -> None:
    decoder, widths = tiny_decoder(place, rule)
    embedded, state, memory = inputs(decoder, widths)
    raw, found = torch.randn(len(LENGTHS), SOURCE, VALUE), []
    for filling in (0.0, 1e4):
        value = raw.masked_fill(~memory.mask.unsqueeze(2), filling).requires_grad_()
        filled = decoder.prepare_memory(value, memory.mask)
        outputs, last, (weights, _) = decoder(embedded, state, filled)
        loss = outputs.square().sum() + last.hidden.sum() + weights.square().sum()
        parameters = [parameter for name, parameter in decoder.named_parameters() if not name.startswith("bridge")]
        gradients = torch.autograd.grad(loss, [value, *parameters])
        found.append((outputs, last.hidden, weights, *gradients))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


@everywhere
def test_rows_can_be_reordered_repeated_and_dropped(place: str, rule: str) -> None:
    """A selection of the batch goes on as the rows themselves would have, the first one alone too."""
    decoder, widths = tiny_decoder(place, rule)
    embedded, state, memory = inputs(decoder, widths)
    outputs, last, (weights, _) = decoder(embedded, state, memory)
    for rows in (torch.tensor([2, 0, 0, 1]), torch.tensor([1])):
        own_outputs, own_last, (own_weights, _) = decoder(embedded[rows], state.select(rows), memory.select(rows))
        torch.testing.assert_close(own_outputs, outputs[rows])
        torch.testing.assert_close(own_last.hidden, last.hidden[rows])
        torch.testing.assert_close(own_weights, weights[rows])


def test_select_takes_every_field() -> None:
    memory = Memory(torch.randn(3, 2, 4), torch.randn(3, 2, 5), torch.randn(3, 2, 6), torch.rand(3, 2) > 0.5)
    selected = memory.select(torch.tensor([1, 1, 2, 0]))
    assert isinstance(selected, Memory)
    for field, whole in zip(selected, memory, strict=True):
        assert torch.equal(field, torch.stack([whole[1], whole[1], whole[2], whole[0]]))


@everywhere
def test_every_parameter_gets_a_gradient(place: str, rule: str) -> None:
    decoder, widths = tiny_decoder(place, rule)
    embedded, _, memory = inputs(decoder, widths)
    memory = decoder.prepare_memory(torch.randn(len(LENGTHS), SOURCE, VALUE), memory.mask)
    outputs, _, _ = decoder(
        embedded, decoder.start(torch.randn(len(LENGTHS), VALUE * decoder.vectors), memory.mask), memory
    )
    outputs.sum().backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("place", PLACES)
def test_dropout_is_off_when_evaluating(place: str) -> None:
    decoder, widths = tiny_decoder(place, "general", dropout=0.5)
    given = inputs(decoder, widths)
    assert not torch.equal(decoder(*given)[0], decoder(*given)[0])
    decoder.eval()
    plain, _ = tiny_decoder(place, "general", dropout=0.0)
    assert torch.equal(decoder(*given)[0], plain(*given)[0])


def test_tanh_of_a_search() -> None:
    """Also of large numbers, and of what is not finite."""
    vectors = torch.tensor([-1e4, -20.0, -3.0, -1e-3, -1e-9, 0.0, 0.5, 40.0, 1e4, float("inf"), float("-inf")])
    given = vectors.clone()
    assert torch.equal(tanh(vectors), torch.tanh(vectors))
    with torch.inference_mode():
        torch.testing.assert_close(tanh(vectors), torch.tanh(vectors), atol=2e-7, rtol=0)
        assert tanh(torch.tensor([float("nan")])).isnan()
    assert torch.equal(vectors, given)
