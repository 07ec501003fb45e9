"""A model with 8-bit weights, for search on a CPU: which of its layers become those of `int8.py`."""

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.attention.layer import AttentionLayer
from seq2seq.attention.score_base import Score
from seq2seq.nn.decoder import Bahdanau, Luong
from seq2seq.nn.encoder import RecurrentEncoder
from seq2seq.nn.int8 import Int8Cell, Int8Layers, Int8Linear, weights_by_layer
from seq2seq.nn.lstm import LSTM
from seq2seq.nn.model import Model
from seq2seq.nn.recurrence import GRU

LARGEST_TABLE = 2**24
"""The greatest number of products in a table of embedded words: 64 MB."""


@torch.no_grad()
def use_int8_weights(model: Model) -> None:
    """Replaces recurrent and linear layers and the decoder's attention layer by layers with 8-bit weights, in place.

    Layers with one output stay. Products of embedded words are looked up where nothing else reads these words.
    """
    encoder = model.encoder if isinstance(model.encoder, RecurrentEncoder) else model.encoder.recurrent
    _look_up_products(model, "source_embedding", encoder)
    if isinstance(model.decoder, Luong) and not model.decoder.attention.score.location_based:
        _look_up_products(model, "target_embedding", model.decoder)
    attention = model.decoder.attention
    values_are_outputs = type(attention.score).prepare_value is Score.prepare_value
    model.decoder.attention = Int8AttentionLayer(
        attention,
        partner_bound=None if isinstance(model.decoder, Bahdanau) else 1.0,  # states are within [-1, 1], words are not
        value_bound=1.0 if values_are_outputs and isinstance(model.encoder, RecurrentEncoder) else None,
    )
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, GRU | LSTM):
                setattr(parent, name, Int8Layers(layer))
            elif isinstance(layer, nn.GRUCell | nn.LSTMCell):
                setattr(parent, name, Int8Cell(layer))
            elif isinstance(layer, nn.Linear) and layer.out_features > 1 and not isinstance(parent, AttentionLayer):
                bound = 1.0 if layer is model.output else None  # the inputs of the output layer are results of tanh
                setattr(parent, name, Int8Linear(layer.weight, layer.bias, bound=bound))


def _look_up_products(model: Model, embedding: str, reader: RecurrentEncoder | Luong) -> None:
    """Replaces an embedding by a table of the products `W x + b` that the first recurrent layer makes of its words."""
    layers = reader.get_submodule(reader.layer)
    assert isinstance(layers, GRU | LSTM), type(layers)
    weights, _, biases, _ = weights_by_layer(layers)[0]
    weight, words = torch.cat(weights), getattr(model, embedding).weight
    if len(words) * len(weight) > LARGEST_TABLE:
        return
    table = torch.addmm(torch.cat(biases) / model.scale, words, weight.t())  # the model multiplies it by its scale
    setattr(model, embedding, nn.Embedding.from_pretrained(table))
    setattr(reader, reader.layer, Int8Layers(layers, reads_products=True))


class Int8AttentionLayer(AttentionLayer):
    """An attention layer whose combine layer, where a search uses it in parts, has weights in 8 bits."""

    def __init__(self, layer: AttentionLayer, *, partner_bound: float | None, value_bound: float | None) -> None:
        """The bounds are those of `Int8Linear` for partners and prepared values."""
        nn.Module.__init__(self)
        self.score, self.distribution = layer.score, layer.distribution
        self.linear, self.partner_size = layer.linear, layer.partner_size
        self._partner = Int8Linear(layer.partner_weight, layer.linear.bias, bound=partner_bound)
        self._values = nn.ModuleList(Int8Linear(weight, None, bound=value_bound) for weight in layer.value_weights)

    def value_products(self) -> Iterable[Callable[[Tensor], Tensor]]:
        return self._values

    def project_partner(self, partner: Float[Tensor, "batch target partner"]) -> Float[Tensor, "batch target output"]:
        return self._partner(partner)
