"""Interventions: they change the attention weights of a trained model, to show what depends on these weights.

An intervention reads the weights of a distribution and returns others, without training. Unless its docstring says
otherwise, the new weights are at least 0, sum to 1 over the tokens of the source (EOS is one of them), and are 0 on
padding. Those of a sentence do not depend on the other sentences of its batch. Padding stands behind the tokens.

To add an intervention, write one class here and add one line to `INTERVENTIONS`; `attention.intervene=NAME` then
selects it.
"""

from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seq2seq.attention.distributions import Attention, Distribution, Query, Step
from seq2seq.attention.masked_softmax import Mask, Scores, Weights, masked_softmax

Heads = Int[Tensor, "target"]

SMALLEST_REST = 1e-30
"""Weights with a smaller sum are not renormalised, since their quotients would be imprecise."""


class InterventionOptions(NamedTuple):
    """The values that interventions use. Each reads those that its `options` name."""

    seed: int = 1
    shift: int = 1
    head: int = 0
    temperature: float = 1.0


class Intervention:
    """Changes attention weights. `options` are the names of the values of `InterventionOptions` that it uses."""

    options: ClassVar[tuple[str, ...]] = ()

    def __init__(self, values: InterventionOptions) -> None:
        self.values = values

    def __call__(self, weights: Weights, mask: Mask, step: Step, head: Heads) -> Weights:
        """The new weights of each query. `step` is the number of target words before it, `head` its head."""
        raise NotImplementedError


class Intervened(Distribution):
    """A trained distribution whose weights an intervention changes. `heads` is that of the rule."""

    def __init__(self, distribution: Distribution, intervention: Intervention, *, heads: int) -> None:
        nn.Module.__init__(self)
        self.distribution = distribution
        self.intervention = intervention
        self.heads = heads

    def forward(self, scores: Scores, mask: Mask, query: Query, step: Step) -> Attention:
        weights, _ = self.distribution(scores, mask, query, step)
        head = torch.arange(weights.shape[1], device=weights.device) % self.heads  # those of a word are adjacent
        return Attention(self.intervention(weights, mask, step, head))


class UniformWeights(Intervention):
    """`w'_j = 1 / S` for a source of S tokens."""

    def __call__(self, weights: Weights, mask: Mask, step: Step, head: Heads) -> Weights:
        return _uniform(mask.expand_as(weights))


class Permute(Intervention):
    """`w'_j = w_p(j)`, with p a random permutation of the source's tokens (Jain and Wallace 2019, section 4.2.1).

    Each step and each head has another permutation. It depends on `seed`, the step, the head and the number of source
    tokens alone, so all sentences of one length have the same one at the same step.
    """

    options = ("seed",)

    def __call__(self, weights: Weights, mask: Mask, step: Step, head: Heads) -> Weights:
        seed = torch.tensor(self.values.seed % MODULUS, device=weights.device)
        numbers = _hash(_hash(seed) ^ (self.values.seed // MODULUS))
        for part in (mask.sum(dim=2), step, head):  # (batch, 1), (batch, target), (target)
            numbers = _hash(numbers ^ part)
        positions = torch.arange(weights.shape[2], device=weights.device)
        numbers = _hash(numbers.unsqueeze(2) ^ positions)  # a bijection, so those of a source differ
        order = numbers.masked_fill(~mask, MODULUS).argsort(dim=2, stable=True)  # padding stays behind the tokens
        return weights.gather(2, order)


class DropGreatest(Intervention):
    """`w'_j = w_j / (1 - w_m)`, with m the token of the greatest weight, and `w'_m = 0` (Serrano and Smith 2019).

    Of equal weights the first is dropped. If the others sum to 0, they become equal. The only token of a source keeps
    its weight.
    """

    def __call__(self, weights: Weights, mask: Mask, step: Step, head: Heads) -> Weights:
        others = mask.expand_as(weights).scatter(2, weights.argmax(dim=2, keepdim=True), False)
        rest = weights.masked_fill(~others, 0.0)
        total = rest.sum(dim=2, keepdim=True)
        renormalized = torch.where(total > SMALLEST_REST, rest / total.clamp(min=SMALLEST_REST), _uniform(others))
        return torch.where(others.any(dim=2, keepdim=True), renormalized, weights)


class HardWeights(Intervention):
    """`w'_m = 1` for the token m of the greatest weight, the first of equals; the others are 0."""

    def __call__(self, weights: Weights, mask: Mask, step: Step, head: Heads) -> Weights:
        best = weights.argmax(dim=2, keepdim=True)
        return torch.zeros_like(weights).scatter_(2, best, 1.0).masked_fill(~mask, 0.0)


class Shift(Intervention):
    """`w'_j = w_(j - shift) mod S` for a source of S tokens: each weight moves `shift` tokens to the right."""

    options = ("shift",)

    def __call__(self, weights: Weights, mask: Mask, step: Step, head: Heads) -> Weights:
        positions = torch.arange(weights.shape[2], device=weights.device)
        origins = (positions - self.values.shift) % mask.sum(dim=2, keepdim=True).clamp(min=1)
        return weights.gather(2, origins.expand_as(weights)).masked_fill(~mask, 0.0)


class OneHead(Intervention):
    """Head `head`, counted from 0, keeps its weights; those of the other heads are 0 and do not sum to 1.

    The mean over the heads, which programs show, therefore sums to 1 / heads.
    """

    options = ("head",)

    def __call__(self, weights: Weights, mask: Mask, step: Step, head: Heads) -> Weights:
        return weights.masked_fill((head != self.values.head).unsqueeze(1), 0.0)


class Temperature(Intervention):
    """`w'_j = w_j^(1/T) / sum_k w_k^(1/T)`, which is `softmax(e / T)` if w is `softmax(e)`. A weight of 0 stays 0."""

    options = ("temperature",)

    def __call__(self, weights: Weights, mask: Mask, step: Step, head: Heads) -> Weights:
        return masked_softmax(weights.log() / self.values.temperature, mask)


class FromMatrix(Intervention):
    """Row t of a matrix has the weights of step t, for all heads. The matrix has a column for each token.

    Steps behind the last row keep their own weights, and so do those whose row is all 0. It is for a batch of one
    sentence.
    """

    def __init__(self, matrix: Float[Tensor, "steps source"]) -> None:
        self.matrix = matrix

    def __call__(self, weights: Weights, mask: Mask, step: Step, head: Heads) -> Weights:
        if len(self.matrix) == 0:
            return weights
        rows = self.matrix[step.clamp(max=len(self.matrix) - 1)]
        is_changed = (step < len(self.matrix)).unsqueeze(2) & (rows > 0).any(dim=2, keepdim=True)
        return torch.where(is_changed, rows, weights)


class FromModel(Intervention):
    """The weights of another model, for all heads of the next word of each row; see `AttentionTransfer`."""

    def __init__(self, others: Float[Tensor, "rows 1 source"]) -> None:
        self.others = others

    def __call__(self, weights: Weights, mask: Mask, step: Step, head: Heads) -> Weights:
        by_sentence = self.others.reshape(len(weights), -1, weights.shape[2])
        return by_sentence.repeat_interleave(weights.shape[1] // by_sentence.shape[1], dim=1)


INTERVENTIONS: dict[str, type[Intervention]] = {
    "uniform": UniformWeights,
    "permute": Permute,
    "drop_greatest": DropGreatest,
    "hard": HardWeights,
    "shift": Shift,
    "head": OneHead,
    "temperature": Temperature,
}

MODULUS = 2**32


def _uniform(mask: Mask) -> Weights:
    """Equal weights where the mask is True."""
    return mask / mask.sum(dim=2, keepdim=True).clamp(min=1)


def _hash(numbers: Tensor) -> Tensor:
    """A bijection of the integers from 0 to 2^32 - 1 that looks random (the hash "lowbias32" of Wellons 2018).

    It uses integers only, so results are equal on every device.
    """
    numbers = (numbers ^ (numbers >> 16)) * 0x7FEB352D % MODULUS
    numbers = (numbers ^ (numbers >> 15)) * 0x846CA68B % MODULUS
    return numbers ^ (numbers >> 16)
