"""The weights of a model before training."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


@torch.no_grad()
def initialize(model: nn.Module, *, embeddings: Sequence[Tensor]) -> None:
    """Draws all weights of the model, in the order of its modules, from PyTorch's random generator.

    - Matrices are uniform in `[-a, a]` with `a = sqrt(6 / (in + out))` (Glorot and Bengio 2010).
    - State-to-state matrices of a GRU are orthogonal (Saxe et al. 2014). Each gate is drawn separately.
    - Biases are 0.
    - `embeddings` (vocabulary, width), which include the output layer's weight, are normal with the standard deviation
      `1 / sqrt(width)`. So logits begin near 0, and the loss begins near `log(vocabulary)`.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.GRU | nn.GRUCell):
            for name, weight in module.named_parameters(recurse=False):
                for gate in weight.chunk(1 if isinstance(module, nn.Linear) else 3):
                    if "bias" in name:
                        nn.init.zeros_(gate)
                    elif "hh" in name:
                        nn.init.orthogonal_(gate)
                    else:
                        nn.init.xavier_uniform_(gate)
    for matrix in dict.fromkeys(embeddings):
        nn.init.normal_(matrix, std=matrix.shape[1] ** -0.5)
