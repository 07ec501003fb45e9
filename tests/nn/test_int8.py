"""Layers with 8-bit weights against those that they replace, row by row, and where they are refused."""

import copy
import pickle

import pytest
import torch
from torch import nn

from seq2seq.nn import int8_model
from seq2seq.nn.cells import CELLS
from seq2seq.nn.decoder import DECODERS
from seq2seq.nn.decoder_base import Memory, State
from seq2seq.nn.int8 import BLOCK, Int8Cell, Int8Layers, Int8Linear, check_int8
from seq2seq.nn.int8_model import Int8AttentionLayer, use_int8_weights
from seq2seq.nn.lstm import LSTM
from seq2seq.nn.model import Model
from seq2seq.nn.recurrence import GRU
from seq2seq.runtime.errors import InputError
from seq2seq.text.batches import batch_sentences
from seq2seq.text.tokenizer import BOS
from tests.support.tiny import DEEP, DEEP_PLACES, EVERY, LSTM_PLACES, sentences, tiny_model
from tests.support.tiny import LSTM as LSTM_ENDING


@pytest.mark.parametrize("bound", [None, 1.0, 3.0])
@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer(bound: float | None, bias: bool) -> None:
    torch.manual_seed(1)
    layer, inputs = nn.Linear(48, 31, bias=bias), (bound or 9.0) * (2 * torch.rand(3, 5, 48) - 1)
    rounded = Int8Linear(layer.weight.detach(), None if layer.bias is None else layer.bias.detach(), bound=bound)
    wanted, found = layer(inputs), rounded(inputs)
    assert found.shape == wanted.shape
    assert 0 < (found - wanted).norm() < 0.02 * wanted.norm()
    for row, alone in zip(inputs.flatten(0, 1), found.flatten(0, 1), strict=True):
        torch.testing.assert_close(rounded(row.unsqueeze(0))[0], alone, rtol=1e-5, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("bound", [None, 1.0])
@pytest.mark.parametrize("bias", [True, False])
def test_many_rows_are_multiplied_in_blocks(bound: float | None, bias: bool) -> None:
    torch.manual_seed(1)
    weight, inputs = torch.randn(5, 6), 2 * torch.rand(3, BLOCK - 1, 6) - 1
    layer = Int8Linear(weight, torch.randn(5) if bias else None, bound=bound)
    torch.testing.assert_close(layer(inputs), torch.stack([layer(part) for part in inputs]))
    turned = inputs.transpose(0, 1)
    torch.testing.assert_close(layer(turned), layer(inputs).transpose(0, 1))


def test_a_row_of_zeros_gives_the_bias() -> None:
    layer = nn.Linear(7, 5)
    rounded = Int8Linear(layer.weight.detach(), layer.bias.detach())
    torch.testing.assert_close(rounded(torch.zeros(2, 7)), layer.bias.detach().expand(2, 5))


@torch.no_grad()
def test_a_weight_of_zeros_is_multiplied() -> None:
    assert (Int8Linear(torch.zeros(4, 6), None)(torch.randn(3, 6)) == 0).all()


@torch.no_grad()
def test_a_cell() -> None:
    torch.manual_seed(1)
    inputs, state, cell_state = torch.randn(6, 10), torch.rand(6, 14) * 2 - 1, torch.randn(6, 14)
    gru, lstm = nn.GRUCell(10, 14), nn.LSTMCell(10, 14)
    torch.testing.assert_close(Int8Cell(gru)(inputs, state), gru(inputs, state), atol=0.05, rtol=0)
    found = Int8Cell(lstm)(inputs, torch.cat((state, cell_state), dim=1))
    torch.testing.assert_close(found, torch.cat(lstm(inputs, (state, cell_state)), dim=1), atol=0.05, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("layers", [1, 2])
def test_layers_with_padding(layers: int, bidirectional: bool, cell: str) -> None:
    torch.manual_seed(1)
    wide, inputs = CELLS[cell].layer(10, 14, layers=layers, bidirectional=bidirectional).eval(), torch.randn(4, 7, 10)
    rounded, mask = Int8Layers(wide), torch.arange(7) < torch.tensor([7, 2, 1, 5]).unsqueeze(1)
    (outputs, last), (wanted, wanted_last) = rounded(inputs, mask=mask), wide(inputs, mask=mask)
    torch.testing.assert_close(outputs, wanted, atol=0.05, rtol=0)
    torch.testing.assert_close(last, wanted_last, atol=0.05, rtol=0)
    assert (outputs[~mask] == 0).all()
    for steps in (7, 1):
        state = torch.rand(last.shape)
        for found, other in zip(rounded(inputs[:, :steps], state), wide(inputs[:, :steps], state), strict=True):
            torch.testing.assert_close(found, other, atol=0.05, rtol=0)


@torch.no_grad()
def test_a_copy_multiplies_alike() -> None:
    """`multiprocessing` sends a translator to its processes as a pickle."""
    layer, inputs = Int8Linear(torch.randn(4, 6), torch.randn(4)), torch.randn(3, 6)
    for copied in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(copied(inputs), layer(inputs))


def outputs_of(model: Model) -> tuple[torch.Tensor, torch.Tensor]:
    """The log-probabilities and the attention weights of a few words."""
    with torch.no_grad():
        memory, state = model.encode(*batch_sentences(sentences([3, 7, 1], seed=2)))
        assert isinstance(memory, Memory)
        assert isinstance(state, State)
        outputs, _, weights = model.decode(torch.tensor([[BOS, 5, 9], [BOS, 8, 4], [BOS, 6, 6]]), state, memory)
        return model.output(outputs).log_softmax(dim=-1), weights


@pytest.mark.parametrize(("place", "rule"), [*EVERY, *((place, "general") for place in (*LSTM_PLACES, *DEEP_PLACES))])
def test_every_model(place: str, rule: str) -> None:
    model = tiny_model(place, rule).eval()
    wanted = outputs_of(model)
    use_int8_weights(model)
    replaced = {type(module) for module in model.modules()}
    assert Int8Linear in replaced
    assert not replaced & {GRU, LSTM, nn.GRUCell, nn.LSTMCell}
    for one, other in zip(outputs_of(model), wanted, strict=True):
        torch.testing.assert_close(one, other, atol=0.1, rtol=0)
    assert place.removesuffix(LSTM_ENDING).removesuffix(DEEP) in DECODERS


@torch.no_grad()
@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize("ending", ["", LSTM_ENDING, DEEP])
def test_products_of_words_are_looked_up(ending: str, scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The products in float32 give the outputs of 8-bit products, to rounding, and those of a wide vocabulary stay."""
    for rule, largest in (("general", 2**24), ("concat", 2**24), ("general", 1)):
        model = tiny_model("luong" + ending, rule).eval()
        model.scale = scale
        for name, weight in model.named_parameters():
            if "bias" in name:
                nn.init.normal_(weight)
        monkeypatch.setattr(int8_model, "LARGEST_TABLE", largest)
        copied = copy.deepcopy(model)
        use_int8_weights(copied)
        widths = [embedding.embedding_dim for embedding in (copied.source_embedding, copied.target_embedding)]
        gates, embedded = 4 if ending == LSTM_ENDING else 3, model.target_embedding.embedding_dim
        if largest == 1:
            assert widths == [embedded, embedded]
        elif rule == "concat":  # its query is the embedded word
            assert widths == [gates * model.encoder.output_size, embedded]
        else:
            assert widths == [gates * model.encoder.output_size, gates * model.decoder.width]
        for one, other in zip(outputs_of(copied), outputs_of(model), strict=True):
            torch.testing.assert_close(one, other, atol=0.1, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("rule", ["general", "multihead"])
@pytest.mark.parametrize("partner_bound", [None, 1.0])
def test_the_combine_layer_in_parts(rule: str, partner_bound: float | None) -> None:
    attention = tiny_model("luong", rule).decoder.attention
    rounded = Int8AttentionLayer(attention, partner_bound=partner_bound, value_bound=1.0)
    torch.manual_seed(1)
    partner = 2 * torch.rand(2, 3, attention.partner_size) - 1
    value = 2 * torch.rand(2, 4, attention.linear.in_features - attention.partner_size) - 1
    for found, wanted in (
        (rounded.project_partner(partner), attention.project_partner(partner)),
        (rounded.fold(value), attention.fold(value)),
    ):
        assert found.shape == wanted.shape
        assert 0 < (found - wanted).norm() < 0.03 * wanted.norm()


@torch.no_grad()
@pytest.mark.parametrize(
    ("place", "rule"), [*EVERY, *((place, "additive") for place in ("self_attention", *LSTM_PLACES))]
)
def test_bounds_hold_where_they_are_assumed(place: str, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large embeddings and weights drive states to their limits; an input beyond its bound would be wrapped around."""
    model = tiny_model(place, rule).eval()
    for weight in model.parameters():
        weight.mul_(30)
    use_int8_weights(model)
    seen = []

    def product(layer: Int8Linear, shifted: torch.Tensor, scale: float, bias: torch.Tensor | None) -> torch.Tensor:
        seen.append((shifted.amin().item(), shifted.amax().item()))
        return multiply(layer, shifted, scale, bias)

    multiply = Int8Linear._product
    monkeypatch.setattr(Int8Linear, "_product", product)
    outputs_of(model)
    assert len(seen) > 5
    assert min(low for low, _ in seen) >= 1
    assert max(high for _, high in seen) < 128


def test_other_devices_and_processors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_int8(torch.device("cpu"))
    with pytest.raises(InputError, match=r"device\.precision=int8 is for a CPU: set device=cpu"):
        check_int8(torch.device("cuda"))
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    with pytest.raises(InputError, match=r"device\.precision=int8 needs an x86 processor with AVX2"):
        check_int8(torch.device("cpu"))
