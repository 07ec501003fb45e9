"""The notes' three steps in one layer, shared by every rule and every place."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from seq2seq.attention.distributions import masked_softmax
from seq2seq.attention.scores import Score


class AttentionLayer(nn.Module):
    """Weights and context by a rule, `[Q; context]`, and Linear to the wanted width: the combine layer.

    1. `weights = softmax(score(Q, K))` over the source's tokens, `context = weights V`   (`attend`)
    2. `[Q; context]`
    3. `output = Linear([Q; context])`                                                    (`combine`)
    """

    def __init__(self, score: Score, *, combine_size: int, value_size: int, output_size: int) -> None:
        """`combine_size` is the width of what stands beside the context in step 2 (the query, in the notes)."""
        super().__init__()
        self.score = score
        self.linear = nn.Linear(combine_size + value_size, output_size)

    def prepare(self, value: Float[Tensor, "batch source value"]) -> Float[Tensor, "batch source key"]:
        """The keys of a sentence, computed once: K = V up to what the rule can do ahead of the query."""
        return self.score.prepare(value)

    def attend(
        self,
        query: Float[Tensor, "batch target query"],
        key: Float[Tensor, "batch positions key"],
        value: Float[Tensor, "batch source value"],
        mask: Bool[Tensor, "batch source"],
    ) -> tuple[Float[Tensor, "batch target value"], Float[Tensor, "batch target source"]]:
        """Step 1: context and weights. `key` has been through `prepare`, or is the rule's one vector beside Q."""
        scores = self.score(query, key)
        if self.score.location_based:  # one score for each position there can be: keep those of this batch
            assert scores.shape[-1] >= mask.shape[-1], f"{mask.shape[-1]} tokens, {scores.shape[-1]} positions"
            scores = scores[..., : mask.shape[-1]]
        weights = masked_softmax(scores, mask)
        return weights @ value, weights

    def combine(
        self, beside: Float[Tensor, "batch target beside"], context: Float[Tensor, "batch target value"]
    ) -> Float[Tensor, "batch target output"]:
        """Steps 2 and 3."""
        return self.linear(torch.cat((beside, context), dim=-1))

    def forward(
        self,
        query: Float[Tensor, "batch target query"],
        key: Float[Tensor, "batch positions key"],
        value: Float[Tensor, "batch source value"],
        mask: Bool[Tensor, "batch source"],
    ) -> tuple[Float[Tensor, "batch target output"], Float[Tensor, "batch target source"]]:
        """All three steps, as in the notes: `(output, weights)`."""
        prepared = key if self.score.location_based else self.prepare(key)
        context, weights = self.attend(query, prepared, value, mask)
        return self.combine(query, context), weights
