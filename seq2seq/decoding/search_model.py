"""A model as a search uses it: its step function, and a copy with the weights laid out for the products of a search."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seq2seq.decoding.beam_search import Step
from seq2seq.decoding.ensemble import Ensemble
from seq2seq.nn.int8_model import use_int8_weights
from seq2seq.nn.model import Model

BLOCK = 256
"""Rows whose log-probabilities exist at one time. At a vocabulary of 8,000 they take 8 MB, which a cache can hold."""


def next_token(model: Model | Ensemble) -> Step[Any, Any]:
    """The step function of a search with this model."""

    def step(
        tokens: Int[Tensor, "rows"], state: Any, memory: Any
    ) -> tuple[Iterator[Float[Tensor, "_rows vocabulary"]], Any, Float[Tensor, "rows source"]]:
        outputs, state, attention = model.decode(tokens.unsqueeze(1), state, memory)
        beam = len(tokens) // len(memory.mask)
        rows = len(tokens) if tokens.is_cuda else beam * max(1, BLOCK // beam)
        blocks = outputs.squeeze(1).split(rows)
        return (_log_softmax(model.output(block)) for block in blocks), state, attention.weights.squeeze(1)

    return step


def _log_softmax(logits: Float[Tensor, "rows vocabulary"]) -> Float[Tensor, "rows vocabulary"]:
    """In place, so that a cache holds a block once and not twice."""
    return torch.log_softmax(logits, dim=-1, out=logits)


@torch.no_grad()
def for_search(model: Model, *, int8: bool = False) -> Model:
    """A copy of the model whose weight matrices are laid out in memory for search: `[in, out]` instead of `[out, in]`.

    Training multiplies by a weight and by its transpose. Search only multiplies forward, and few rows at a time: on a
    CPU, products of 5 to 128 rows take up to half as long with this layout. Embeddings and biases are shared with the
    model; on other devices, all weights are. `int8` replaces GRUs and linear layers by those of `seq2seq/nn/int8.py`.
    """
    copied = copy.deepcopy(model, {id(weight): weight for weight in model.parameters()}).eval()
    if next(model.parameters()).device.type != "cpu":  # cuDNN's GRU refuses weights that are transposed views
        return copied
    if int8:
        use_int8_weights(copied)
    for module in copied.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            if weight.dim() == 2 and not isinstance(module, nn.Embedding):  # it looks up rows
                setattr(module, name, nn.Parameter(weight.t().contiguous().t(), requires_grad=False))
    return copied
