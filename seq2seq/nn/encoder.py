"""Encoders: embedded source tokens to one vector for each token and one for the sentence."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from seq2seq.attention.layer import Rule
from seq2seq.nn.cells import CELLS


class RecurrentEncoder(nn.Module):
    """A bidirectional GRU or LSTM whose results do not depend on padding."""

    def __init__(
        self,
        *,
        embedding_size: int,
        hidden_size: int,
        layers: int,
        dropout: float,
        recurrent_dropout: float = 0.0,
        cell: str = "gru",
    ) -> None:
        """`hidden_size` is the width of one direction; outputs are twice as wide. `dropout` acts between layers.

        `cell` is a name in `seq2seq.nn.cells.CELLS`.
        """
        super().__init__()
        self.output_size = 2 * hidden_size
        self.layer = cell  # the module of this name: `gru` or `lstm`
        layer = CELLS[cell].layer(
            embedding_size,
            hidden_size,
            layers=layers,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            bidirectional=True,
        )
        self.add_module(self.layer, layer)

    def forward(
        self, embedded: Float[Tensor, "batch source embedding"], mask: Bool[Tensor, "batch source"]
    ) -> tuple[Float[Tensor, "batch source value"], Float[Tensor, "batch final"]]:
        """One output for each token, 0 on padding, and the final states of both directions, concatenated.

        With an LSTM these are h of both directions, then c of both. Every row of the mask has at least one token, since
        a source ends in EOS.
        """
        outputs, last = self.get_submodule(self.layer)(embedded, mask=mask)
        vectors = last.split(self.output_size // 2, dim=2)  # h, or h and c
        return outputs, torch.cat([vector[direction] for vector in vectors for direction in (-2, -1)], dim=-1)


class SelfAttentionEncoder(nn.Module):
    """Self-attention over the outputs h of a GRU or LSTM: `h + Linear([h; context])`, with Q = K = V = h."""

    def __init__(self, recurrent: RecurrentEncoder, rule: Rule, *, positions: int) -> None:
        """`positions` is the greatest source length, in tokens, that a location-based rule can score."""
        super().__init__()
        self.recurrent = recurrent
        self.output_size = size = recurrent.output_size
        self.attention = rule.layer(query=size, key=size, value=size, positions=positions, partner=size, output=size)

    def forward(
        self, embedded: Float[Tensor, "batch source embedding"], mask: Bool[Tensor, "batch source"]
    ) -> tuple[Float[Tensor, "batch source value"], Float[Tensor, "batch final"]]:
        """The same as in `RecurrentEncoder`, whose final states these are."""
        outputs, last = self.recurrent(embedded, mask)
        attended, _ = self.attention(outputs, outputs, outputs, mask)
        return outputs + attended.masked_fill(~mask.unsqueeze(2), 0.0), last


Encoder = RecurrentEncoder | SelfAttentionEncoder
