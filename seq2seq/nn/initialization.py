"""The weights of a model before training."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

GATES: dict[type[nn.Module], int] = {nn.Linear: 1, nn.GRU: 3, nn.GRUCell: 3, nn.LSTM: 4, nn.LSTMCell: 4}
"""The layers that are drawn, and the number of matrices of a weight: one for each gate."""


@torch.no_grad()
def initialize(model: nn.Module, *, embeddings: Sequence[Tensor]) -> None:
    """Draws all weights of the model, in the order of its modules, from PyTorch's random generator.

    - Matrices are uniform in `[-a, a]` with `a = sqrt(6 / (in + out))` (Glorot and Bengio 2010).
    - State-to-state matrices of GRUs and LSTMs are orthogonal (Saxe et al. 2014). Each gate is drawn separately.
    - Biases are 0, but 1 for the forget gate of an LSTM (Jozefowicz et al. 2015), in `bias_ih`.
    - `embeddings` (vocabulary, width), which include the output layer's weight, are normal with the standard deviation
      `1 / sqrt(width)`. So logits begin near 0, and the loss begins near `log(vocabulary)`.
    """
    for module in model.modules():
        if isinstance(module, tuple(GATES)):
            gates = next(number for kind, number in GATES.items() if isinstance(module, kind))
            for name, weight in module.named_parameters(recurse=False):
                for index, gate in enumerate(weight.chunk(gates)):
                    if "bias" in name:
                        nn.init.constant_(gate, float(gates == 4 and index == 1 and "ih" in name))
                    elif "hh" in name:
                        nn.init.orthogonal_(gate)
                    else:
                        nn.init.xavier_uniform_(gate)
    for matrix in dict.fromkeys(embeddings):
        nn.init.normal_(matrix, std=matrix.shape[1] ** -0.5)
