"""Encoders: embedded source tokens to one vector for each token and one for the sentence."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from seq2seq.attention.layer import Rule
from seq2seq.nn.recurrence import GRU


class GRUEncoder(nn.Module):
    """A bidirectional GRU whose results do not depend on padding."""

    def __init__(
        self, *, embedding_size: int, hidden_size: int, layers: int, dropout: float, recurrent_dropout: float = 0.0
    ) -> None:
        """`hidden_size` is the width of one direction; outputs are twice as wide. `dropout` acts between layers."""
        super().__init__()
        self.output_size = 2 * hidden_size
        self.gru = GRU(
            embedding_size,
            hidden_size,
            layers=layers,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            bidirectional=True,
        )

    def forward(
        self, embedded: Float[Tensor, "batch source embedding"], mask: Bool[Tensor, "batch source"]
    ) -> tuple[Float[Tensor, "batch source value"], Float[Tensor, "batch value"]]:
        """One output for each token, 0 on padding, and the final states of both directions, concatenated.

        Every row of the mask has at least one token, since a source ends in EOS.
        """
        outputs, last = self.gru(embedded, mask=mask)
        return outputs, torch.cat((last[-2], last[-1]), dim=-1)


class SelfAttentionEncoder(nn.Module):
    """Self-attention over the outputs h of a GRU: `h + Linear([h; context])`, with Q = K = V = h."""

    def __init__(self, gru: GRUEncoder, rule: Rule, *, positions: int) -> None:
        """`positions` is the greatest source length, in tokens, that a location-based rule can score."""
        super().__init__()
        self.recurrent = gru
        self.output_size = size = gru.output_size
        self.attention = rule.layer(query=size, key=size, value=size, positions=positions, partner=size, output=size)

    def forward(
        self, embedded: Float[Tensor, "batch source embedding"], mask: Bool[Tensor, "batch source"]
    ) -> tuple[Float[Tensor, "batch source value"], Float[Tensor, "batch value"]]:
        """The same as in `GRUEncoder`. The final states are the GRU's."""
        outputs, last = self.recurrent(embedded, mask)
        attended, _ = self.attention(outputs, outputs, outputs, mask)
        return outputs + attended.masked_fill(~mask.unsqueeze(2), 0.0), last


Encoder = GRUEncoder | SelfAttentionEncoder
