"""Guided attention: a loss that draws the decoder's attention weights towards given word alignments."""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor

SMALLEST = 1e-30
"""Smaller weights are raised to it before their logarithm, so that no gradient overflows. They have no gradient."""

Weights = Float[Tensor, "batch target source"]
Links = Bool[Tensor, "batch target source"]
Sum = Float[Tensor, ""]


def cross_entropy(weights: Weights, gold: Weights) -> Sum:
    """`-sum_t sum_j A_tj log w_tj` (Chen et al. 2016; Liu et al. 2016)."""
    return -(gold * weights.clamp(min=SMALLEST).log()).sum()


def squared_error(weights: Weights, gold: Weights) -> Sum:
    """`sum_t sum_j (w_tj - A_tj)^2 / 2` over target tokens t with a link (Chen et al. 2016; Liu et al. 2016)."""
    linked = gold.any(dim=2, keepdim=True)
    return ((weights - gold).square() * linked).sum() / 2


GUIDE_LOSSES: dict[str, Callable[[Weights, Weights], Sum]] = {
    "cross_entropy": cross_entropy,
    "squared_error": squared_error,
}


class Guide(NamedTuple):
    """How links guide attention: a name in `GUIDE_LOSSES`, its weight in the loss, and the last step (None: all).

    Of several heads, the mean of their weights is guided.
    """

    loss: str
    weight: float
    last_step: int | None = None

    def applies_at(self, step: int) -> bool:
        """Whether the attention is guided at this step, counted from 1."""
        return self.last_step is None or step <= self.last_step

    def __call__(self, weights: Weights, links: Links) -> Sum:
        """The loss of attention weights, as a sum over the target tokens with a link; others have no part in it.

        The gold weights A of a target token are equal for all source tokens that it is linked with, and sum to 1.
        """
        gold = links / links.sum(dim=2, keepdim=True).clamp(min=1)
        return GUIDE_LOSSES[self.loss](weights, gold.to(weights.dtype))
