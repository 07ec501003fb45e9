"""The places where a decoder can attend.

What Q, K and V are in each place (y: embedded previous word, s: decoder state, h: encoder outputs):

| place    | rule           | Q         | K         | V | beside the context in the combine layer |
|----------|----------------|-----------|-----------|---|-----------------------------------------|
| bahdanau | content-based  | s_{i-1}   | h         | h | y_{i-1}                                 |
| bahdanau | location-based | y_{i-1}   | s_{i-1}   | h | y_{i-1}                                 |
| luong    | content-based  | s_i       | h         | h | s_i                                     |
| luong    | location-based | y_{i-1}   | s_i       | h | s_i                                     |

A decoder is called with any number of embedded target words: all of them in training, one in search. It is the same
arithmetic, so there is no second path that could differ.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.attention.layer import AttentionLayer
from seq2seq.attention.scores import Score, Sizes


class Memory(NamedTuple):
    """Encoded sources: what a decoder attends to. It stays the same from step to step."""

    key: Float[Tensor, "batch source key"]
    value: Float[Tensor, "batch source value"]
    mask: Bool[Tensor, "batch source"]

    def select(self, rows: Int[Tensor, "rows"]) -> "Memory":
        """The given rows, in their order; a row may be taken more than once."""
        return Memory(*(field.index_select(0, rows) for field in self))


class State(NamedTuple):
    """What a decoder carries from one step to the next."""

    hidden: Float[Tensor, "batch hidden"]

    def select(self, rows: Int[Tensor, "rows"]) -> "State":
        """The given rows, in their order; a row may be taken more than once."""
        return State(*(field.index_select(0, rows) for field in self))


class Widths(NamedTuple):
    """Widths of the vectors that a decoder handles, and the greatest source length, in tokens."""

    embedding: int
    value: int
    hidden: int
    positions: int


class Decoder(nn.Module):
    """What both places share: the bridge from the encoder, the choice of Q and K, the attention layer.

    Outputs are as wide as an embedding, so that the output layer can share its weight with the embeddings.
    """

    def __init__(
        self, rule: type[Score], widths: Widths, *, dropout: float, combine_size: int, combined_size: int
    ) -> None:
        """`combine_size` is the width of what stands beside the context, `combined_size` what comes of both."""
        super().__init__()
        query, key = (
            (widths.embedding, widths.hidden) if rule.location_based else (widths.hidden, widths.value)
        )  # the table above
        self.attention = AttentionLayer(
            rule(Sizes(query=query, key=key, positions=widths.positions)),
            combine_size=combine_size,
            value_size=widths.value,
            output_size=combined_size,
        )
        self.bridge = nn.Linear(widths.value, widths.hidden)
        self.dropout = nn.Dropout(dropout)

    def start(self, final: Float[Tensor, "batch value"]) -> State:
        """The first state from the encoder's last: `tanh(W final + b)`, the bridge."""
        return State(torch.tanh(self.bridge(final)))

    def attend(
        self,
        embedded: Float[Tensor, "batch target embedding"],
        hidden: Float[Tensor, "batch target hidden"],
        memory: Memory,
    ) -> tuple[Float[Tensor, "batch target value"], Float[Tensor, "batch target source"]]:
        """Context and weights with Q and K as the table says."""
        if self.attention.score.location_based:
            return self.attention.attend(embedded, hidden, memory.value, memory.mask)
        return self.attention.attend(hidden, memory.key, memory.value, memory.mask)

    def forward(
        self, embedded: Float[Tensor, "batch target embedding"], state: State, memory: Memory
    ) -> tuple[Float[Tensor, "batch target embedding"], State, Float[Tensor, "batch target source"]]:
        """Outputs, the state after the last word, and the weights."""
        raise NotImplementedError


class Bahdanau(Decoder):
    """Attend with the previous state, combine with the embedded word, feed the GRU (Bahdanau et al. 2015).

    This is the notes' attention "as the decoder's input". With y the embedded previous word:
    `c_i = attend(s_{i-1})`, `s_i = GRU(combine([y_{i-1}; c_i]), s_{i-1})`, and the output is
    `tanh(W [s_i; y_{i-1}; c_i] + b)` (a deep output as in Pascanu et al. 2014, with tanh for maxout).
    """

    def __init__(self, rule: type[Score], widths: Widths, *, dropout: float) -> None:
        super().__init__(rule, widths, dropout=dropout, combine_size=widths.embedding, combined_size=widths.hidden)
        self.cell = nn.GRUCell(widths.hidden, widths.hidden)
        self.readout = nn.Linear(widths.hidden + widths.embedding + widths.value, widths.embedding)

    def forward(
        self, embedded: Float[Tensor, "batch target embedding"], state: State, memory: Memory
    ) -> tuple[Float[Tensor, "batch target embedding"], State, Float[Tensor, "batch target source"]]:
        hidden = state.hidden
        states, contexts, weights = [], [], []
        for word in embedded.split(1, dim=1):
            context, weight = self.attend(word, hidden.unsqueeze(1), memory)
            hidden = self.cell(self.attention.combine(word, context).squeeze(1), hidden)
            states.append(hidden)
            contexts.append(context)
            weights.append(weight)
        together = torch.cat((torch.stack(states, dim=1), embedded, torch.cat(contexts, dim=1)), dim=-1)
        outputs = torch.tanh(self.readout(self.dropout(together)))
        return outputs, State(hidden), torch.cat(weights, dim=1)


class Luong(Decoder):
    """The GRU first, then attend and combine (Luong et al. 2015, equation 5, without input feeding).

    `s_i = GRU(y_{i-1}, s_{i-1})`, `c_i = attend(s_i)`, output `tanh(combine([s_i; c_i]))`. Attention feeds no state,
    so the GRU runs over the whole target and attention is one product.
    """

    def __init__(self, rule: type[Score], widths: Widths, *, dropout: float) -> None:
        super().__init__(rule, widths, dropout=dropout, combine_size=widths.hidden, combined_size=widths.embedding)
        self.gru = nn.GRU(widths.embedding, widths.hidden, batch_first=True)

    def forward(
        self, embedded: Float[Tensor, "batch target embedding"], state: State, memory: Memory
    ) -> tuple[Float[Tensor, "batch target embedding"], State, Float[Tensor, "batch target source"]]:
        hidden, last = self.gru(embedded, state.hidden.unsqueeze(0))
        hidden = self.dropout(hidden)
        context, weights = self.attend(embedded, hidden, memory)
        return torch.tanh(self.attention.combine(hidden, context)), State(last.squeeze(0)), weights


DECODERS: dict[str, type[Bahdanau] | type[Luong]] = {"bahdanau": Bahdanau, "luong": Luong}
