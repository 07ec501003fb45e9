"""The weights of a model before training."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


@torch.no_grad()
def initialize(model: nn.Module, *, embeddings: Sequence[Tensor]) -> None:
    """Draws all weights anew, in the order of the modules.

    Matrices are uniform within `sqrt(6 / (in + out))` (Glorot and Bengio 2010), those from state to state orthogonal
    (Saxe et al. 2014), each gate by itself; biases are 0. `embeddings` (vocabulary, width), the output layer's weight
    among them, are normal with deviation `1 / sqrt(width)`: logits begin near 0, and the loss near `log(vocabulary)`.
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
