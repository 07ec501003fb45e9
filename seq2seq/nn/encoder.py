"""Source tokens in, one vector for each token and one for the sentence out."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class GRUEncoder(nn.Module):
    """A bidirectional GRU over packed sequences: padding is never read, so it cannot change a number."""

    def __init__(self, *, embedding_size: int, hidden_size: int, layers: int, dropout: float) -> None:
        """`hidden_size` is the width of one direction; outputs are twice as wide. `dropout` acts between layers."""
        super().__init__()
        self.output_size = 2 * hidden_size
        self.gru = nn.GRU(
            embedding_size,
            hidden_size,
            num_layers=layers,
            dropout=dropout if layers > 1 else 0.0,
            batch_first=True,
            bidirectional=True,
        )

    def forward(
        self, embedded: Float[Tensor, "batch source embedding"], mask: Bool[Tensor, "batch source"]
    ) -> tuple[Float[Tensor, "batch source value"], Float[Tensor, "batch value"]]:
        """One output for each token, zeros on padding, and the last state of both directions side by side.

        Every row of the mask holds at least one token: a source ends in EOS.
        """
        lengths = mask.sum(dim=1).cpu()
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        outputs, final = self.gru(packed)
        padded, _ = pad_packed_sequence(outputs, batch_first=True, total_length=mask.shape[1])
        return padded, torch.cat((final[-2], final[-1]), dim=-1)
