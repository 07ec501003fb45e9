"""What makes weights of scores. Every distribution gives 0 on padding, and nothing that is no number."""

from jaxtyping import Bool, Float
from torch import Tensor


def masked_softmax(
    scores: Float[Tensor, "batch target source"], mask: Bool[Tensor, "batch source"]
) -> Float[Tensor, "batch target source"]:
    """`softmax` over the positions where the mask is True; exactly 0 elsewhere.

    A row without a single token has all weights 0, so its context is 0: softmax over nothing but `-inf` would be NaN,
    and one NaN in a batch ruins every gradient.
    """
    mask = mask.unsqueeze(1)
    nothing = ~mask.any(dim=-1, keepdim=True)
    return scores.masked_fill(~(mask | nothing), float("-inf")).softmax(dim=-1).masked_fill(~mask, 0.0)
