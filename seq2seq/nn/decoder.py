"""The places where a decoder can attend.

What Q, K and V are in each place (y: embedded previous word, s: decoder state, s': state between the two GRUs, h:
encoder outputs); the last row is the encoder that attends to itself (`nn/encoder.py`):

| place          | rule           | Q         | K         | V | beside the context in the combine layer |
|----------------|----------------|-----------|-----------|---|-----------------------------------------|
| bahdanau       | content-based  | s_{i-1}   | h         | h | y_{i-1}                                 |
| bahdanau       | location-based | y_{i-1}   | s_{i-1}   | h | y_{i-1}                                 |
| luong          | content-based  | s_i       | h         | h | s_i                                     |
| luong          | location-based | y_{i-1}   | s_i       | h | s_i                                     |
| conditional    | content-based  | s'_i      | h         | h | s'_i                                    |
| conditional    | location-based | y_{i-1}   | s'_i      | h | s'_i                                    |
| self_attention | content-based  | h_i       | h         | h | h_i                                     |
| self_attention | location-based | h_i       | h_i       | h | h_i                                     |

A decoder is called with any number of embedded target words: all of them in training, one in search. It is the same
arithmetic, so there is no second path that could differ.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.attention.distributions import Attention
from seq2seq.attention.layer import Rule
from seq2seq.nn.deferred_gradients import DeferredGradGRUCell, DeferredGradLinear
from seq2seq.nn.dropout import Dropout
from seq2seq.nn.int8 import Int8GRUCell
from seq2seq.nn.recurrence import GRU


class Memory(NamedTuple):
    """Encoded sources: what a decoder attends to. It stays the same from step to step.

    `key` and `value` are prepared for the rule, `folded` is `value` after the combine layer (`AttentionLayer.fold`).
    """

    key: Float[Tensor, "batch source key"]
    value: Float[Tensor, "batch source value"]
    folded: Float[Tensor, "batch mixed output"]
    mask: Bool[Tensor, "batch source"]

    def select(self, rows: Int[Tensor, "rows"]) -> "Memory":
        """The given rows, in their order; a row may be taken more than once."""
        return Memory(*(field.index_select(0, rows) for field in self))


class State(NamedTuple):
    """What a decoder carries from one step to the next; `step` counts the target words read."""

    hidden: Float[Tensor, "batch hidden"]
    step: Int[Tensor, "batch"]

    def select(self, rows: Int[Tensor, "rows"]) -> "State":
        """The given rows, in their order; a row may be taken more than once."""
        return State(*(field.index_select(0, rows) for field in self))


class DecoderSizes(NamedTuple):
    """DecoderSizes of the vectors that a decoder handles, and the greatest source length, in tokens."""

    embedding: int
    value: int
    hidden: int
    positions: int


class Decoder(nn.Module):
    """What the places share: the bridge from the encoder, the choice of Q and K, the attention layer.

    Outputs are as wide as an embedding, so that the output layer can share its weight with the embeddings.
    """

    def __init__(self, rule: Rule, widths: DecoderSizes, *, dropout: float, beside: int, combined: int) -> None:
        """`beside` is the width of what is concatenated with the context, `combined` that of the combine layer."""
        super().__init__()
        query, key = (
            (widths.embedding, widths.hidden) if rule.score.location_based else (widths.hidden, widths.value)
        )  # the table above
        self.attention = rule.layer(
            query=query, key=key, value=widths.value, positions=widths.positions, beside=beside, output=combined
        )
        self.bridge = nn.Linear(widths.value, widths.hidden)
        self.dropout = Dropout(dropout)

    def start(self, final: Float[Tensor, "batch value"]) -> State:
        """The first state from the encoder's last: `tanh(W final + b)`, the bridge."""
        step = torch.zeros(final.shape[0], dtype=torch.long, device=final.device)
        return State(torch.tanh(self.bridge(final)), step)

    def prepare_memory(
        self, outputs: Float[Tensor, "batch source value"], mask: Bool[Tensor, "batch source"]
    ) -> Memory:
        """All that attention can do ahead of the queries."""
        value = self.attention.score.prepare_value(outputs)
        return Memory(self.attention.score.prepare(outputs), value, self.attention.fold(value), mask)

    def attention_weights(
        self,
        embedded: Float[Tensor, "batch target embedding"],
        hidden: Float[Tensor, "batch target hidden"],
        memory: Memory,
        step: Int[Tensor, "batch target"],
    ) -> Attention:
        """The weights of all heads, with Q and K as the table says."""
        if self.attention.score.location_based:
            return self.attention.attention_weights(embedded, hidden, memory.mask, step)
        return self.attention.attention_weights(hidden, memory.key, memory.mask, step)

    def forward(
        self, embedded: Float[Tensor, "batch target embedding"], state: State, memory: Memory
    ) -> tuple[Float[Tensor, "batch target embedding"], State, Attention]:
        """Outputs, the state after the last word, and where each word attends, its heads merged."""
        raise NotImplementedError


class Luong(Decoder):
    """The GRU first, then attend and combine (Luong et al. 2015, equation 5, without input feeding).

    `s_i = GRU(y_{i-1}, s_{i-1})`, `c_i = attend(s_i)`, output `tanh(combine([s_i; c_i]))`. Attention feeds no state,
    so the GRU runs over the whole target and attention is one product.
    """

    def __init__(self, rule: Rule, widths: DecoderSizes, *, dropout: float) -> None:
        super().__init__(rule, widths, dropout=dropout, beside=widths.hidden, combined=widths.embedding)
        self.gru = GRU(widths.embedding, widths.hidden)

    def prepare_memory(
        self, outputs: Float[Tensor, "batch source value"], mask: Bool[Tensor, "batch source"]
    ) -> Memory:
        """Without values, which a search would copy: the folded ones are enough."""
        return super().prepare_memory(outputs, mask)._replace(value=outputs.new_empty(*mask.shape, 0))

    def forward(
        self, embedded: Float[Tensor, "batch target embedding"], state: State, memory: Memory
    ) -> tuple[Float[Tensor, "batch target embedding"], State, Attention]:
        step = _steps(state, embedded)
        hidden, last = self.gru(embedded, state.hidden.unsqueeze(0))
        hidden = self.dropout(hidden)
        attention = self.attention_weights(embedded, hidden, memory, step)
        context = self.attention.mix_folded(attention.weights, memory.folded)
        outputs = torch.tanh(self.attention.project_query(hidden) + context)
        return outputs, State(last.squeeze(0), step[:, -1] + 1), self.attention.merge_heads(attention)


class DeepOutput(Decoder):
    """Attention inside the loop over words: what it finds feeds a GRU, and the output sees all there is.

    With s the GRU's new state, y the embedded previous word and c the context, the output is `tanh(W [s; y; c] + b)`: a
    deep output as in Pascanu et al. 2014, with tanh for maxout.
    """

    def __init__(self, rule: Rule, widths: DecoderSizes, *, dropout: float, beside: int) -> None:
        super().__init__(rule, widths, dropout=dropout, beside=beside, combined=widths.hidden)
        self.cell = nn.GRUCell(widths.hidden, widths.hidden)
        self.readout = nn.Linear(widths.hidden + widths.embedding + widths.value, widths.embedding)

    def read(
        self,
        states: list[Float[Tensor, "batch hidden"]],
        embedded: Float[Tensor, "batch target embedding"],
        attended: list[Attention],
        memory: Memory,
    ) -> tuple[Float[Tensor, "batch target embedding"], Attention]:
        """The outputs of all steps, and where they attend, their heads merged."""
        draws = [step.log_probability for step in attended if step.log_probability is not None]
        weights = torch.cat([step.weights for step in attended], dim=1)
        attention = Attention(weights, torch.cat(draws, dim=1) if draws else None)
        context = self.attention.mix(weights, memory.value)
        features = torch.cat((torch.stack(states, dim=1), embedded, context), dim=-1)
        return torch.tanh(self.readout(self.dropout(features))), self.attention.merge_heads(attention)


class Bahdanau(DeepOutput):
    """Attend with the previous state, combine with the embedded word, feed the GRU (Bahdanau et al. 2015).

    This is the notes' attention "as the decoder's input". With y the embedded previous word:
    `c_i = attend(s_{i-1})`, `s_i = GRU(combine([y_{i-1}; c_i]), s_{i-1})`.
    """

    def __init__(self, rule: Rule, widths: DecoderSizes, *, dropout: float) -> None:
        super().__init__(rule, widths, dropout=dropout, beside=widths.embedding)

    def forward(
        self, embedded: Float[Tensor, "batch target embedding"], state: State, memory: Memory
    ) -> tuple[Float[Tensor, "batch target embedding"], State, Attention]:
        step, hidden = _steps(state, embedded), state.hidden
        combine = DeferredGradLinear(memory.folded, self.attention.project_query(embedded))
        cell = _loop_cell(self.cell)
        states, attended = [], []
        for word, now in zip(embedded.split(1, dim=1), step.split(1, dim=1), strict=True):
            attended.append(self.attention_weights(word, hidden.unsqueeze(1), memory, now))
            hidden = cell(combine(attended[-1].weights.flatten(1)), hidden)
            states.append(hidden)
        outputs, attention = self.read(states, embedded, attended, memory)
        return outputs, State(hidden, step[:, -1] + 1), attention


class Conditional(DeepOutput):
    """A GRU, then attend and combine, then another GRU: the conditional GRU (Sennrich et al. 2017, section 4).

    `s'_i = GRU(y_{i-1}, s_{i-1})`, `c_i = attend(s'_i)`, `s_i = GRU(combine([s'_i; c_i]), s'_i)`. So the query has
    seen the previous word. (In the paper the second GRU reads the context alone.)
    """

    def __init__(self, rule: Rule, widths: DecoderSizes, *, dropout: float) -> None:
        super().__init__(rule, widths, dropout=dropout, beside=widths.hidden)
        self.first = nn.GRUCell(widths.embedding, widths.hidden)

    def forward(
        self, embedded: Float[Tensor, "batch target embedding"], state: State, memory: Memory
    ) -> tuple[Float[Tensor, "batch target embedding"], State, Attention]:
        step, hidden = _steps(state, embedded), state.hidden
        first, second = _loop_cell(self.first), _loop_cell(self.cell)
        beside = self.attention.linear.weight[:, : hidden.shape[1]]
        of_query = DeferredGradLinear.linear(beside, self.attention.linear.bias, like=embedded)
        mix = DeferredGradLinear(memory.folded, hidden.new_zeros(()).expand(*embedded.shape[:2], hidden.shape[1]))
        states, attended = [], []
        for word, now in zip(embedded.split(1, dim=1), step.split(1, dim=1), strict=True):
            between = first(word.squeeze(1), hidden)
            attended.append(self.attention_weights(word, between.unsqueeze(1), memory, now))
            combined = of_query(between) + mix(attended[-1].weights.flatten(1))
            hidden = second(combined, between)
            states.append(hidden)
        outputs, attention = self.read(states, embedded, attended, memory)
        return outputs, State(hidden, step[:, -1] + 1), attention


def _loop_cell(cell: nn.GRUCell | Int8GRUCell) -> Callable[[Tensor, Tensor], Tensor]:
    """The cell for a loop over words."""
    return cell if isinstance(cell, Int8GRUCell) else DeferredGradGRUCell(cell)


def _steps(state: State, embedded: Tensor) -> Int[Tensor, "batch target"]:
    """How many target words stand before each of the given."""
    return state.step.unsqueeze(1) + torch.arange(embedded.shape[1], device=embedded.device)


DECODERS: dict[str, type[Bahdanau] | type[Luong] | type[Conditional]] = {
    "bahdanau": Bahdanau,
    "luong": Luong,
    "conditional": Conditional,
}
