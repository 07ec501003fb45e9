"""The kinds of decoder: they attend before the GRU, after it, or between two GRUs.

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

In `luong_input_feeding` they are those of `luong`.

A decoder takes any number of embedded target words: all of them in training, one in search. The function is the same,
so training and search cannot differ.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seq2seq.attention.distributions import Attention
from seq2seq.attention.layer import Rule
from seq2seq.nn.cells import CELLS, loop_cell
from seq2seq.nn.decoder_base import Decoder, DecoderSizes, Memory, State, concatenate, words_before
from seq2seq.nn.deferred_gradients import DeferredGradLinear
from seq2seq.nn.dropout import RecurrentDropout
from seq2seq.nn.tanh import tanh
from seq2seq.runtime.products import Linear


class AttentionalOutput(Decoder):
    """The parts that `Luong` and `LuongInputFeeding` share: the output is the combine layer's, after tanh.

    This is the attentional vector of Luong et al. 2015, equation 5.
    """

    def __init__(self, rule: Rule, sizes: DecoderSizes, *, dropout: float) -> None:
        super().__init__(rule, sizes, dropout=dropout, partner=sizes.hidden, combined=sizes.embedding)

    def prepare_memory(
        self, outputs: Float[Tensor, "batch source value"], mask: Bool[Tensor, "batch source"]
    ) -> Memory:
        """Without values: the folded values are enough, and a search would copy both."""
        return super().prepare_memory(outputs, mask)._replace(value=outputs.new_empty(*mask.shape, 0))


class Luong(AttentionalOutput):
    """The GRU, then attention and the combine layer (Luong et al. 2015, equation 5, without input feeding).

    `s_i = GRU(y_{i-1}, s_{i-1})`, `c_i = attend(s_i)`, output `tanh(combine([s_i; c_i]))`. No state depends on
    attention, so the GRU runs over the whole target first, and attention is one product for all words. With several
    layers, each reads the states of the one below, and s_i is that of the last.

    In a search with 8-bit weights, `embedded` are the products of the words that the first layer reads.
    """

    def __init__(self, rule: Rule, sizes: DecoderSizes, *, dropout: float, recurrent_dropout: float = 0.0) -> None:
        super().__init__(rule, sizes, dropout=dropout)
        self.layer, self.layers = sizes.cell, sizes.layers  # the module of this name: `gru` or `lstm`
        layer = CELLS[sizes.cell].layer(
            sizes.embedding,
            sizes.hidden,
            layers=sizes.layers,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
        )
        self.add_module(self.layer, layer)

    def forward(
        self, embedded: Float[Tensor, "batch target input"], state: State, memory: Memory
    ) -> tuple[Float[Tensor, "batch target embedding"], State, Attention]:
        step = words_before(state, embedded)
        initial = state.hidden.unflatten(1, (self.layers, -1)).transpose(0, 1)
        hidden, last = self.get_submodule(self.layer)(embedded, initial)
        hidden = self.dropout(hidden)
        attention = self.attention_weights(embedded, hidden, memory, step)
        context = self.attention.mix_folded(attention.weights, memory.folded)
        outputs = tanh(self.attention.project_partner(hidden) + context)
        return outputs, State(last.transpose(0, 1).flatten(1), step[:, -1] + 1), self.attention.merge_heads(attention)


class LuongInputFeeding(AttentionalOutput):
    """`Luong` whose GRU also reads the output for the last word (input feeding, Luong et al. 2015, section 3.3).

    `s_i = GRU([y_{i-1}; o_{i-1}], s_{i-1})`, `c_i = attend(s_i)`, output `o_i = tanh(combine([s_i; c_i]))`, and `o_0`
    is 0. The state depends on attention, so words are processed in a loop.
    """

    def __init__(self, rule: Rule, sizes: DecoderSizes, *, dropout: float, recurrent_dropout: float = 0.0) -> None:
        super().__init__(rule, sizes, dropout=dropout)
        self.recurrent_dropout = RecurrentDropout(recurrent_dropout)
        self.cell = CELLS[sizes.cell].step(2 * sizes.embedding, sizes.hidden)

    def start(self, final: Float[Tensor, "batch final"], mask: Bool[Tensor, "batch source"]) -> State:
        """The bridge, and an output of zeros."""
        zeros = final.new_zeros(final.shape[0], self.attention.linear.out_features)
        return super().start(final, mask)._replace(attentional=zeros)

    def forward(
        self, embedded: Float[Tensor, "batch target embedding"], state: State, memory: Memory
    ) -> tuple[Float[Tensor, "batch target embedding"], State, Attention]:
        step, hidden, output = words_before(state, embedded), state.hidden, state.attentional
        history = state.history
        assert output is not None
        cell = loop_cell(self.cell, self.recurrent_dropout(hidden), like=embedded)
        project_partner, mix = self.combine_in_loop(embedded, memory)
        outputs, attentions = [], []
        for word, word_step in zip(embedded.split(1, dim=1), step.split(1, dim=1), strict=True):
            hidden = cell(torch.cat((word.squeeze(1), output), dim=1), hidden)
            partner = self.dropout(self.visible(hidden))
            attention, history = self.attend(word, partner, memory, word_step, history)
            output = tanh(project_partner(partner) + mix(attention.weights.flatten(1)))
            attentions.append(attention)
            outputs.append(output)
        attention = self.attention.merge_heads(concatenate(attentions))
        return torch.stack(outputs, dim=1), State(hidden, step[:, -1] + 1, output, history), attention


class DeepOutput(Decoder):
    """The parts that `Bahdanau` and `Conditional` share: a GRU that reads the context, and a deep output.

    The state s depends on attention, so words are processed in a loop. With y the embedded previous word and c the
    context, the output is `tanh(W [s; y; c] + b)`: a deep output as in Pascanu et al. 2014, with tanh for maxout.
    """

    def __init__(
        self, rule: Rule, sizes: DecoderSizes, *, dropout: float, recurrent_dropout: float, partner: int
    ) -> None:
        super().__init__(rule, sizes, dropout=dropout, partner=partner, combined=sizes.hidden)
        self.recurrent_dropout = RecurrentDropout(recurrent_dropout)
        self.cell = CELLS[sizes.cell].step(sizes.hidden, sizes.hidden)
        self.readout = Linear(sizes.hidden + sizes.embedding + sizes.value, sizes.embedding)

    def read(
        self,
        states: list[Float[Tensor, "batch hidden"]],
        embedded: Float[Tensor, "batch target embedding"],
        attentions: list[Attention],
        memory: Memory,
    ) -> tuple[Float[Tensor, "batch target embedding"], Attention]:
        """The outputs of all steps, and their attention with its heads merged."""
        attention = concatenate(attentions)
        context = self.attention.mix(attention.weights, memory.value)
        features = torch.cat((torch.stack(states, dim=1), embedded, context), dim=-1)
        return tanh(self.readout(self.dropout(features))), self.attention.merge_heads(attention)


class Bahdanau(DeepOutput):
    """Attention with the previous state; the GRU reads the context combined with the word (Bahdanau et al. 2015).

    `c_i = attend(s_{i-1})`, `s_i = GRU(combine([y_{i-1}; c_i]), s_{i-1})`, with y the embedded previous word. In the
    notes this is attention "as the decoder's input".
    """

    def __init__(self, rule: Rule, sizes: DecoderSizes, *, dropout: float, recurrent_dropout: float = 0.0) -> None:
        super().__init__(rule, sizes, dropout=dropout, recurrent_dropout=recurrent_dropout, partner=sizes.embedding)

    def forward(
        self, embedded: Float[Tensor, "batch target embedding"], state: State, memory: Memory
    ) -> tuple[Float[Tensor, "batch target embedding"], State, Attention]:
        step, hidden, history = words_before(state, embedded), state.hidden, state.history
        combine = DeferredGradLinear(memory.folded, self.attention.project_partner(embedded))
        cell = loop_cell(self.cell, self.recurrent_dropout(hidden), like=embedded)
        states, attentions = [], []
        for word, word_step in zip(embedded.split(1, dim=1), step.split(1, dim=1), strict=True):
            attention, history = self.attend(word, self.visible(hidden), memory, word_step, history)
            hidden = cell(combine(attention.weights.flatten(1)), hidden)
            attentions.append(attention)
            states.append(self.visible(hidden))
        outputs, attention = self.read(states, embedded, attentions, memory)
        return outputs, State(hidden, step[:, -1] + 1, history=history), attention


class Conditional(DeepOutput):
    """A GRU, attention and the combine layer, another GRU: the conditional GRU (Sennrich et al. 2017, section 4).

    `s'_i = GRU(y_{i-1}, s_{i-1})`, `c_i = attend(s'_i)`, `s_i = GRU(combine([s'_i; c_i]), s'_i)`. So the query depends
    on the previous word. In the paper the second GRU reads the context only.
    """

    def __init__(self, rule: Rule, sizes: DecoderSizes, *, dropout: float, recurrent_dropout: float = 0.0) -> None:
        super().__init__(rule, sizes, dropout=dropout, recurrent_dropout=recurrent_dropout, partner=sizes.hidden)
        self.first = CELLS[sizes.cell].step(sizes.embedding, sizes.hidden)

    def forward(
        self, embedded: Float[Tensor, "batch target embedding"], state: State, memory: Memory
    ) -> tuple[Float[Tensor, "batch target embedding"], State, Attention]:
        step, hidden, history = words_before(state, embedded), state.hidden, state.history
        first, second = (
            loop_cell(cell, self.recurrent_dropout(hidden), like=embedded) for cell in (self.first, self.cell)
        )
        project_partner, mix = self.combine_in_loop(embedded, memory)
        states, attentions = [], []
        for word, word_step in zip(embedded.split(1, dim=1), step.split(1, dim=1), strict=True):
            between = first(word.squeeze(1), hidden)
            query = self.visible(between)
            attention, history = self.attend(word, query, memory, word_step, history)
            hidden = second(project_partner(query) + mix(attention.weights.flatten(1)), between)
            attentions.append(attention)
            states.append(self.visible(hidden))
        outputs, attention = self.read(states, embedded, attentions, memory)
        return outputs, State(hidden, step[:, -1] + 1, history=history), attention


DECODERS: dict[str, type[Bahdanau] | type[Luong] | type[LuongInputFeeding] | type[Conditional]] = {
    "bahdanau": Bahdanau,
    "luong": Luong,
    "luong_input_feeding": LuongInputFeeding,
    "conditional": Conditional,
}
