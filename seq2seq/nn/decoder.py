"""The three kinds of decoder: they attend before the GRU, after it, or between two GRUs.

The table has query Q, key K and value V for each decoder kind, and the partner P of the context in the combine layer
`Linear([P; context])`. Here y is the embedded previous word, s the decoder state, s' the state between the two GRUs,
and h are the encoder outputs. The last two rows are the encoder that attends to itself (`nn/encoder.py`):

| decoder kind   | rule           | Q         | K         | V | P       |
|----------------|----------------|-----------|-----------|---|---------|
| bahdanau       | content-based  | s_{i-1}   | h         | h | y_{i-1} |
| bahdanau       | location-based | y_{i-1}   | s_{i-1}   | h | y_{i-1} |
| luong          | content-based  | s_i       | h         | h | s_i     |
| luong          | location-based | y_{i-1}   | s_i       | h | s_i     |
| conditional    | content-based  | s'_i      | h         | h | s'_i    |
| conditional    | location-based | y_{i-1}   | s'_i      | h | s'_i    |
| self_attention | content-based  | h_i       | h         | h | h_i     |
| self_attention | location-based | h_i       | h_i       | h | h_i     |

A decoder takes any number of embedded target words: all of them in training, one in search. The function is the same,
so training and search cannot differ.
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
    """The state of a decoder between two steps. `step` is the number of target words read."""

    hidden: Float[Tensor, "batch hidden"]
    step: Int[Tensor, "batch"]

    def select(self, rows: Int[Tensor, "rows"]) -> "State":
        """The state of these rows, in this order. A row may occur more than once."""
        return State(*(field.index_select(0, rows) for field in self))


class DecoderSizes(NamedTuple):
    """The widths of embedded words, encoder outputs and states, and the greatest source length in tokens."""

    embedding: int
    value: int
    hidden: int
    positions: int


class Decoder(nn.Module):
    """The parts that all decoder kinds share: the bridge from the encoder, the choice of Q and K, the attention layer.

    Outputs are as wide as an embedding, so the output layer can share its weight with the embeddings.
    """

    def __init__(self, rule: Rule, sizes: DecoderSizes, *, dropout: float, partner: int, combined: int) -> None:
        """`partner` is the width of P in the table above, `combined` that of the combine layer's output."""
        super().__init__()
        query, key = (
            (sizes.embedding, sizes.hidden) if rule.score.location_based else (sizes.hidden, sizes.value)
        )  # see the table above
        self.attention = rule.layer(
            query=query, key=key, value=sizes.value, positions=sizes.positions, partner=partner, output=combined
        )
        self.bridge = nn.Linear(sizes.value, sizes.hidden)
        self.dropout = Dropout(dropout)

    def start(self, final: Float[Tensor, "batch value"]) -> State:
        """The bridge: the first state of the decoder, `tanh(W final + b)`, from the final state of the encoder."""
        step = torch.zeros(final.shape[0], dtype=torch.long, device=final.device)
        return State(torch.tanh(self.bridge(final)), step)

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
    ) -> Attention:
        """The weights of all heads. Q and K are those of the table above."""
        if self.attention.score.location_based:
            return self.attention.attention_weights(embedded, hidden, memory.mask, step)
        return self.attention.attention_weights(hidden, memory.key, memory.mask, step)

    def forward(
        self, embedded: Float[Tensor, "batch target embedding"], state: State, memory: Memory
    ) -> tuple[Float[Tensor, "batch target embedding"], State, Attention]:
        """Outputs, the state after the last word, and the attention of each word, with its heads merged."""
        raise NotImplementedError


class Luong(Decoder):
    """The GRU, then attention and the combine layer (Luong et al. 2015, equation 5, without input feeding).

    `s_i = GRU(y_{i-1}, s_{i-1})`, `c_i = attend(s_i)`, output `tanh(combine([s_i; c_i]))`. No state depends on
    attention, so the GRU runs over the whole target first, and attention is one product for all words.
    """

    def __init__(self, rule: Rule, sizes: DecoderSizes, *, dropout: float) -> None:
        super().__init__(rule, sizes, dropout=dropout, partner=sizes.hidden, combined=sizes.embedding)
        self.gru = GRU(sizes.embedding, sizes.hidden)

    def prepare_memory(
        self, outputs: Float[Tensor, "batch source value"], mask: Bool[Tensor, "batch source"]
    ) -> Memory:
        """Without values: the folded values are enough, and a search would copy both."""
        return super().prepare_memory(outputs, mask)._replace(value=outputs.new_empty(*mask.shape, 0))

    def forward(
        self, embedded: Float[Tensor, "batch target embedding"], state: State, memory: Memory
    ) -> tuple[Float[Tensor, "batch target embedding"], State, Attention]:
        step = _steps(state, embedded)
        hidden, last = self.gru(embedded, state.hidden.unsqueeze(0))
        hidden = self.dropout(hidden)
        attention = self.attention_weights(embedded, hidden, memory, step)
        context = self.attention.mix_folded(attention.weights, memory.folded)
        outputs = torch.tanh(self.attention.project_partner(hidden) + context)
        return outputs, State(last.squeeze(0), step[:, -1] + 1), self.attention.merge_heads(attention)


class DeepOutput(Decoder):
    """The parts that `Bahdanau` and `Conditional` share: a GRU that reads the context, and a deep output.

    The state s depends on attention, so words are processed in a loop. With y the embedded previous word and c the
    context, the output is `tanh(W [s; y; c] + b)`: a deep output as in Pascanu et al. 2014, with tanh for maxout.
    """

    def __init__(self, rule: Rule, sizes: DecoderSizes, *, dropout: float, partner: int) -> None:
        super().__init__(rule, sizes, dropout=dropout, partner=partner, combined=sizes.hidden)
        self.cell = nn.GRUCell(sizes.hidden, sizes.hidden)
        self.readout = nn.Linear(sizes.hidden + sizes.embedding + sizes.value, sizes.embedding)

    def read(
        self,
        states: list[Float[Tensor, "batch hidden"]],
        embedded: Float[Tensor, "batch target embedding"],
        attentions: list[Attention],
        memory: Memory,
    ) -> tuple[Float[Tensor, "batch target embedding"], Attention]:
        """The outputs of all steps, and their attention with its heads merged."""
        log_probabilities = [step.log_probability for step in attentions if step.log_probability is not None]
        weights = torch.cat([step.weights for step in attentions], dim=1)
        attention = Attention(weights, torch.cat(log_probabilities, dim=1) if log_probabilities else None)
        context = self.attention.mix(weights, memory.value)
        features = torch.cat((torch.stack(states, dim=1), embedded, context), dim=-1)
        return torch.tanh(self.readout(self.dropout(features))), self.attention.merge_heads(attention)


class Bahdanau(DeepOutput):
    """Attention with the previous state; the GRU reads the context combined with the word (Bahdanau et al. 2015).

    `c_i = attend(s_{i-1})`, `s_i = GRU(combine([y_{i-1}; c_i]), s_{i-1})`, with y the embedded previous word. In the
    notes this is attention "as the decoder's input".
    """

    def __init__(self, rule: Rule, sizes: DecoderSizes, *, dropout: float) -> None:
        super().__init__(rule, sizes, dropout=dropout, partner=sizes.embedding)

    def forward(
        self, embedded: Float[Tensor, "batch target embedding"], state: State, memory: Memory
    ) -> tuple[Float[Tensor, "batch target embedding"], State, Attention]:
        step, hidden = _steps(state, embedded), state.hidden
        combine = DeferredGradLinear(memory.folded, self.attention.project_partner(embedded))
        cell = _loop_cell(self.cell)
        states, attentions = [], []
        for word, word_step in zip(embedded.split(1, dim=1), step.split(1, dim=1), strict=True):
            attentions.append(self.attention_weights(word, hidden.unsqueeze(1), memory, word_step))
            hidden = cell(combine(attentions[-1].weights.flatten(1)), hidden)
            states.append(hidden)
        outputs, attention = self.read(states, embedded, attentions, memory)
        return outputs, State(hidden, step[:, -1] + 1), attention


class Conditional(DeepOutput):
    """A GRU, attention and the combine layer, another GRU: the conditional GRU (Sennrich et al. 2017, section 4).

    `s'_i = GRU(y_{i-1}, s_{i-1})`, `c_i = attend(s'_i)`, `s_i = GRU(combine([s'_i; c_i]), s'_i)`. So the query depends
    on the previous word. In the paper the second GRU reads the context only.
    """

    def __init__(self, rule: Rule, sizes: DecoderSizes, *, dropout: float) -> None:
        super().__init__(rule, sizes, dropout=dropout, partner=sizes.hidden)
        self.first = nn.GRUCell(sizes.embedding, sizes.hidden)

    def forward(
        self, embedded: Float[Tensor, "batch target embedding"], state: State, memory: Memory
    ) -> tuple[Float[Tensor, "batch target embedding"], State, Attention]:
        step, hidden = _steps(state, embedded), state.hidden
        first, second = _loop_cell(self.first), _loop_cell(self.cell)
        partner_weight = self.attention.linear.weight[:, : hidden.shape[1]]
        project_partner = DeferredGradLinear.linear(partner_weight, self.attention.linear.bias, like=embedded)
        mix = DeferredGradLinear(memory.folded, hidden.new_zeros(()).expand(*embedded.shape[:2], hidden.shape[1]))
        states, attentions = [], []
        for word, word_step in zip(embedded.split(1, dim=1), step.split(1, dim=1), strict=True):
            between = first(word.squeeze(1), hidden)
            attentions.append(self.attention_weights(word, between.unsqueeze(1), memory, word_step))
            combined = project_partner(between) + mix(attentions[-1].weights.flatten(1))
            hidden = second(combined, between)
            states.append(hidden)
        outputs, attention = self.read(states, embedded, attentions, memory)
        return outputs, State(hidden, step[:, -1] + 1), attention


def _loop_cell(cell: nn.GRUCell | Int8GRUCell) -> Callable[[Tensor, Tensor], Tensor]:
    """The form of the cell for a loop over words. While ONNX traces the model it is PyTorch's, which ONNX can hold."""
    is_traced = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return cell if isinstance(cell, Int8GRUCell) or is_traced else DeferredGradGRUCell(cell)


def _steps(state: State, embedded: Tensor) -> Int[Tensor, "batch target"]:
    """The number of target words before each of the embedded ones."""
    return state.step.unsqueeze(1) + torch.arange(embedded.shape[1], device=embedded.device)


DECODERS: dict[str, type[Bahdanau] | type[Luong] | type[Conditional]] = {
    "bahdanau": Bahdanau,
    "luong": Luong,
    "conditional": Conditional,
}
