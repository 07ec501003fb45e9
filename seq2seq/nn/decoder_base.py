"""What all decoders share: the memory of the sources, the state between two steps, and the parts of every kind.

`nn/decoder.py` has the kinds.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.attention.distributions import Attention
from seq2seq.attention.history import HistoryScore
from seq2seq.attention.layer import Rule
from seq2seq.nn.cells import CELLS
from seq2seq.nn.deferred_gradients import DeferredGradLinear
from seq2seq.nn.dropout import Dropout


class Memory(NamedTuple):
    """Encoded sources, which a decoder attends to. They are the same at every step.

    `key` and `value` are prepared for the rule. `folded` is `AttentionLayer.fold(value)`.
    """

    key: Float[Tensor, "batch source key"]
    value: Float[Tensor, "batch source value"]
    folded: Float[Tensor, "batch heads_source output"]
    mask: Bool[Tensor, "batch source"]

    def select(self, rows: Int[Tensor, "rows"]) -> "Memory":
        """The memory of these rows, in this order. A row may occur more than once."""
        return Memory(*(field.index_select(0, rows) for field in self))


class State(NamedTuple):
    """The state of a decoder between two steps. `step` is the number of target words read.

    `hidden` is the state of the recurrent cell (see `nn/cells.py`); with several layers, of one after the other.
    `attentional` is the output for the last word, which a decoder with input feeding reads with the next one.
    `history` is what a rule reads that follows the earlier weights (see `attention/history.py`).
    """

    hidden: Float[Tensor, "batch state"]
    step: Int[Tensor, "batch"]
    attentional: Float[Tensor, "batch output"] | None = None
    history: Float[Tensor, "batch source"] | None = None

    def tensors(self) -> dict[str, Tensor]:
        """The parts by their names, without those that the decoder lacks."""
        return {name: tensor for name, tensor in self._asdict().items() if tensor is not None}

    def select(self, rows: Int[Tensor, "rows"]) -> "State":
        """The state of these rows, in this order. A row may occur more than once."""
        return State(**{name: tensor.index_select(0, rows) for name, tensor in self.tensors().items()})


class DecoderSizes(NamedTuple):
    """The widths of embedded words, encoder outputs and states, and the greatest source length in tokens.

    `cell` is a name in `CELLS`. `hidden` is the width of the part h of the state of one layer.
    """

    embedding: int
    value: int
    hidden: int
    positions: int
    cell: str = "gru"
    layers: int = 1


class Decoder(nn.Module):
    """The parts that all decoder kinds share: the bridge from the encoder, the choice of Q and K, the attention layer.

    Outputs are as wide as an embedding, so the output layer can share its weight with the embeddings.
    """

    def __init__(self, rule: Rule, sizes: DecoderSizes, *, dropout: float, partner: int, combined: int) -> None:
        """`partner` is the width of P in the table of `nn/decoder.py`, `combined` the combine layer's output."""
        super().__init__()
        content_based, location_based = (sizes.hidden, sizes.value), (sizes.embedding, sizes.hidden)
        query, key = location_based if rule.score.location_based else content_based  # the table in `nn/decoder.py`
        self.attention = rule.layer(
            query=query, key=key, value=sizes.value, positions=sizes.positions, partner=partner, output=combined
        )
        self.vectors = CELLS[sizes.cell].vectors
        self.bridge = nn.Linear(sizes.value, sizes.hidden)
        others = self.vectors * sizes.layers - 1
        self.bridges = nn.ModuleList(nn.Linear(sizes.value, sizes.hidden) for _ in range(others))
        self.dropout = Dropout(dropout)
        self.width = sizes.hidden

    def start(self, final: Float[Tensor, "batch final"], mask: Bool[Tensor, "batch source"]) -> State:
        """The first state of the decoder, `tanh(W final + b)`, from the final state of the encoder: the bridge.

        Each layer has a bridge of its own. For an LSTM, `final` is `[h; c]`, and a layer has a bridge for h and one,
        without tanh, for c. `mask` is that of the source.
        """
        step = torch.zeros(final.shape[0], dtype=torch.long, device=final.device)
        vectors, parts = final.chunk(self.vectors, dim=1), []
        for i, bridge in enumerate((self.bridge, *self.bridges)):
            part = bridge(vectors[i % self.vectors])
            parts.append(torch.tanh(part) if i % self.vectors == 0 else part)
        history = torch.zeros_like(mask, dtype=final.dtype) if self.attention.score.follows_history else None
        return State(torch.cat(parts, dim=1), step, history=history)

    def visible(self, state: Float[Tensor, "*rows state"]) -> Float[Tensor, "*rows hidden"]:
        """The part h of a state of the cell, which attention and the output layer read."""
        return state if state.shape[-1] == self.width else state[..., : self.width]

    def prepare_memory(
        self, outputs: Float[Tensor, "batch source value"], mask: Bool[Tensor, "batch source"]
    ) -> Memory:
        """The part of attention that does not depend on queries, from the encoder outputs."""
        value = self.attention.score.prepare_value(outputs)
        return Memory(self.attention.score.prepare(outputs), value, self.attention.fold(value), mask)

    def attention_weights(
        self,
        embedded: Float[Tensor, "batch target embedding"],
        hidden: Float[Tensor, "batch target hidden"],
        memory: Memory,
        step: Int[Tensor, "batch target"],
        history: Float[Tensor, "batch source"] | None = None,
    ) -> Attention:
        """The weights of all heads. Q and K are those of the table in `nn/decoder.py`."""
        if self.attention.score.location_based:
            return self.attention.attention_weights(embedded, hidden, memory.mask, step)
        return self.attention.attention_weights(hidden, memory.key, memory.mask, step, history)

    def attend(
        self,
        word: Float[Tensor, "batch one embedding"],
        hidden: Float[Tensor, "batch hidden"],
        memory: Memory,
        step: Int[Tensor, "batch one"],
        history: Float[Tensor, "batch source"] | None,
    ) -> tuple[Attention, Float[Tensor, "batch source"] | None]:
        """The weights of one word in a loop, and the history of the next word."""
        attention = self.attention_weights(word, hidden.unsqueeze(1), memory, step, history)
        if history is not None and isinstance(self.attention.score, HistoryScore):
            history = self.attention.score.next_history(history, attention.weights.squeeze(1))
        return attention, history

    def combine_in_loop(
        self, embedded: Float[Tensor, "batch target embedding"], memory: Memory
    ) -> tuple[DeferredGradLinear, DeferredGradLinear]:
        """`project_partner` and `mix_folded` of the attention layer, for a loop; P is as wide as h."""
        linear = self.attention.linear
        project_partner = DeferredGradLinear.linear(self.attention.partner_weight, linear.bias, like=embedded)
        zeros = embedded.new_zeros(()).expand(*embedded.shape[:2], linear.out_features)
        return project_partner, DeferredGradLinear(memory.folded, zeros)

    def forward(
        self, embedded: Float[Tensor, "batch target embedding"], state: State, memory: Memory
    ) -> tuple[Float[Tensor, "batch target embedding"], State, Attention]:
        """Outputs, the state after the last word, and the attention of each word, with its heads merged."""
        raise NotImplementedError


def concatenate(attentions: list[Attention]) -> Attention:
    """The attention of all steps as one."""
    log_probabilities = [step.log_probability for step in attentions if step.log_probability is not None]
    weights = torch.cat([step.weights for step in attentions], dim=1)
    return Attention(weights, torch.cat(log_probabilities, dim=1) if log_probabilities else None)


def words_before(state: State, embedded: Tensor) -> Int[Tensor, "batch target"]:
    """The number of target words before each of the embedded ones."""
    step = state.step.unsqueeze(1)
    return step if embedded.shape[1] == 1 else step + torch.arange(embedded.shape[1], device=embedded.device)
