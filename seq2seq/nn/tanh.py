"""`tanh`, in the form that is fastest for a search."""

import torch
from jaxtyping import Float
from torch import Tensor


def tanh(vectors: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
    """`tanh(x)`. A search on a CPU computes `2 sigmoid(2 x) - 1`, which takes PyTorch a quarter of the time."""
    if torch.is_inference_mode_enabled() and vectors.device.type == "cpu":
        return vectors.mul(2).sigmoid_().mul_(2).sub_(1)
    return torch.tanh(vectors)
