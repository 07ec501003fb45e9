"""The notes' three steps in one layer, shared by every rule and every place."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear

from seq2seq.attention.distributions import Attention, Distribution, DistributionSizes, HardOptions
from seq2seq.attention.scores import Score, ScoreSizes


class Rule(NamedTuple):
    """An attention as a configuration names it; the last three are for those that have them."""

    score: type[Score]
    distribution: type[Distribution]
    heads: int
    window: int
    hard: HardOptions

    def layer(self, *, query: int, key: int, value: int, positions: int, beside: int, output: int) -> "AttentionLayer":
        """The layer for these widths, with fresh weights."""
        return AttentionLayer(
            self.score(ScoreSizes(query=query, key=key, value=value, positions=positions, heads=self.heads)),
            self.distribution(DistributionSizes(query=query, window=self.window, hard=self.hard)),
            beside_size=beside,
            value_size=value,
            output_size=output,
        )


class AttentionLayer(nn.Module):
    """Weights and context by a rule, `[Q; context]`, and Linear to the wanted width: the combine layer.

    1. `weights = distribution(score(Q, K))` over the source's tokens, `context = weights V`
       (`attention_weights`, `mix`)
    2. `[Q; context]`
    3. `output = Linear([Q; context])` (`combine`)
    """

    def __init__(
        self, score: Score, distribution: Distribution, *, beside_size: int, value_size: int, output_size: int
    ) -> None:
        """`beside_size` is the width of what step 2 concatenates with the context (the query, in the notes)."""
        super().__init__()
        self.score = score
        self.distribution = distribution
        self.linear = nn.Linear(beside_size + value_size, output_size)

    def attention_weights(
        self,
        query: Float[Tensor, "rows target query"],
        key: Float[Tensor, "keys positions key"],
        mask: Bool[Tensor, "batch source"],
        step: Int[Tensor, "rows target"],
    ) -> Attention:
        """The weights (rows, heads_target, source), one vector for each head of each target word.

        `key` has been through `score.prepare`, or is the rule's one vector beside Q. `step` counts the target words
        before each query. In a search several rows, one after the other, are hypotheses of one sentence.
        """
        rows, sentences = query.shape[0], mask.shape[0]
        query, step = in_rows(query, sentences), step.reshape(sentences, -1)
        if self.score.location_based:
            key = in_rows(key, sentences)
        scores = self.score(query, key)
        if self.score.location_based:  # one score for each position there can be: keep those of this batch
            assert scores.shape[-1] >= mask.shape[-1], f"{mask.shape[-1]} tokens, {scores.shape[-1]} positions"
            scores = scores[..., : mask.shape[-1]]
        if self.score.heads > 1:
            query, step = (by_word.repeat_interleave(self.score.heads, dim=1) for by_word in (query, step))
        weights, log_probability = self.distribution(scores, mask.unsqueeze(1), query, step)
        return Attention(in_rows(weights, rows), None if log_probability is None else log_probability.reshape(rows, -1))

    def mix(
        self, weights: Float[Tensor, "rows heads_target source"], value: Float[Tensor, "batch source value"]
    ) -> Float[Tensor, "rows target value"]:
        """`context = weights V`, each head with its part of the width. `value` has been through `prepare_value`."""
        weights, rows = in_rows(weights, value.shape[0]), weights.shape[0]
        if self.score.heads == 1:
            return in_rows(weights @ value, rows)
        of_head, parts = weights.unflatten(1, (-1, self.score.heads)), value.unflatten(2, (self.score.heads, -1))
        return in_rows(torch.einsum("bths,bshv->bthv", of_head, parts).flatten(2), rows)

    def merge_heads(self, attention: Attention) -> Attention:
        """Weights and log-probability of each target word: the mean of its heads' weights, the product of their draws'.

        The weights are (rows, target, source) then, the log-probability (rows, target).
        """
        weights, log_probability = attention
        if self.score.heads == 1:
            return attention
        if log_probability is not None:
            log_probability = log_probability.unflatten(1, (-1, self.score.heads)).sum(dim=2)
        return Attention(weights.unflatten(1, (-1, self.score.heads)).mean(dim=2), log_probability)

    def combine(
        self, beside: Float[Tensor, "batch target beside"], context: Float[Tensor, "batch target value"]
    ) -> Float[Tensor, "batch target output"]:
        """Steps 2 and 3."""
        return self.linear(torch.cat((beside, context), dim=-1))

    def fold(self, value: Float[Tensor, "batch source value"]) -> Float[Tensor, "batch mixed output"]:
        """Values that have been through the combine layer, once a sentence: `Linear([Q; w V]) = A Q + b + w (B V)`.

        `combine(beside, mix(weights, value)) = beside(beside) + mix_folded(weights, fold(value))`, for loops over time.
        """
        by_head = self.linear.weight[:, -value.shape[-1] :].unflatten(1, (self.score.heads, -1))
        parts = value.unflatten(2, (self.score.heads, -1))
        return torch.einsum("bshv,ohv->bhso", parts, by_head).flatten(1, 2)

    def project_query(self, beside: Float[Tensor, "batch target beside"]) -> Float[Tensor, "batch target output"]:
        """`A Q + b`: what the combine layer makes of all but the context."""
        return linear(beside, self.linear.weight[:, : beside.shape[-1]], self.linear.bias)

    def mix_folded(
        self, weights: Float[Tensor, "rows heads_target source"], folded: Float[Tensor, "batch mixed output"]
    ) -> Float[Tensor, "rows target output"]:
        """`w (B V)`, the sum over heads."""
        mixing = weights.unflatten(1, (-1, self.score.heads)).flatten(2)
        return in_rows(in_rows(mixing, folded.shape[0]) @ folded, weights.shape[0])

    def forward(
        self,
        query: Float[Tensor, "batch target query"],
        key: Float[Tensor, "batch positions key"],
        value: Float[Tensor, "batch source value"],
        mask: Bool[Tensor, "batch source"],
    ) -> tuple[Float[Tensor, "batch target output"], Attention]:
        """All three steps, as in the notes: the output and the attention. Queries count from target word 0."""
        step = torch.arange(query.shape[1], device=query.device).expand(query.shape[:2])
        attention = self.attention_weights(
            query, key if self.score.location_based else self.score.prepare(key), mask, step
        )
        context = self.mix(attention.weights, self.score.prepare_value(value))
        return self.combine(query, context), self.merge_heads(attention)


def in_rows(vectors: Float[Tensor, "before many width"], rows: int) -> Float[Tensor, "rows more width"]:
    """The vectors in so many rows: a sentence's hypotheses stand together, and attend to its one memory as one row."""
    return vectors.reshape(rows, -1, vectors.shape[-1])
