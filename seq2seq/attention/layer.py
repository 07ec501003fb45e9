"""The attention layer: weights and context, concatenation, combine layer. All rules, decoders and encoders share it."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.attention.distributions import Attention, Distribution, DistributionSizes, HardOptions
from seq2seq.attention.history import HistoryScore
from seq2seq.attention.score_base import Score, ScoreSizes
from seq2seq.runtime.products import Linear, linear
from seq2seq.runtime.static_shapes import has_static_shapes


class Rule(NamedTuple):
    """An attention mechanism as a configuration describes it: a score and a distribution, with their options.

    `heads` is an option of `Multihead`, `window` of `LocalM`, `LocalP` and `Location`, `hard` of `Hard`; others ignore
    them.
    """

    score: type[Score]
    distribution: type[Distribution]
    heads: int
    window: int
    hard: HardOptions

    def layer(self, *, query: int, key: int, value: int, positions: int, partner: int, output: int) -> "AttentionLayer":
        """A new attention layer.

        `positions` is the greatest source length in tokens; all else are widths. `partner` is the width of the vector
        that the combine layer concatenates with the context.
        """
        sizes = ScoreSizes(query=query, key=key, value=value, positions=positions, heads=self.heads, window=self.window)
        return AttentionLayer(
            self.score(sizes),
            self.distribution(DistributionSizes(query=query, window=self.window, hard=self.hard)),
            partner_size=partner,
            value_size=value,
            output_size=output,
        )


class AttentionLayer(nn.Module):
    """Attention in the three steps of the notes.

    1. `weights = distribution(score(Q, K))` over the source's tokens, `context = weights V`
       (`attention_weights`, `mix`)
    2. `[P; context]`, where P is the partner of the context; in the notes it is the query Q
    3. `output = Linear([P; context])`, the combine layer (`combine`)
    """

    def __init__(
        self, score: Score, distribution: Distribution, *, partner_size: int, value_size: int, output_size: int
    ) -> None:
        """`partner_size` is the width of the vector that step 2 concatenates with the context."""
        super().__init__()
        self.score = score
        self.distribution = distribution
        self.partner_size = partner_size
        self.linear = Linear(partner_size + value_size, output_size)

    def attention_weights(
        self,
        query: Float[Tensor, "rows target query"],
        key: Float[Tensor, "key_rows positions key"],
        mask: Bool[Tensor, "batch source"],
        step: Int[Tensor, "rows target"],
        history: Float[Tensor, "rows source"] | None = None,
    ) -> Attention:
        """The weights (rows, heads_target, source): one vector for each head of each target word.

        For a content-based rule, `key` is the result of `score.prepare`. For a location-based rule it is one vector for
        each query. `step` is the number of target words before each query. `history` is that of a rule which follows
        it; None stands for the first target word. In a search the hypotheses of a sentence are adjacent rows, so `rows`
        is a multiple of `batch`.
        """
        rows, sentences = query.shape[0], mask.shape[0]
        query, step = _regroup(query, sentences), step.reshape(sentences, -1)
        if self.score.location_based:
            key = _regroup(key, sentences)
        if isinstance(self.score, HistoryScore) and history is not None:
            scores = self.score(query, key, _regroup(history.unsqueeze(1), sentences))
        else:
            scores = self.score(query, key)
        if self.score.location_based:  # there is a score for each possible position; this batch needs the first ones
            scores = _first_positions(scores, mask.shape[-1])
        if self.score.heads > 1:
            query, step = (tensor.repeat_interleave(self.score.heads, dim=1) for tensor in (query, step))
        weights, log_probability = self.distribution(scores, mask.unsqueeze(1), query, step)
        return Attention(
            _regroup(weights, rows), None if log_probability is None else log_probability.reshape(rows, -1)
        )

    def mix(
        self, weights: Float[Tensor, "rows heads_target source"], value: Float[Tensor, "batch source value"]
    ) -> Float[Tensor, "rows target value"]:
        """`context = weights V`. Each head mixes its own part of the width. `value` is a result of `prepare_value`."""
        weights, rows = _regroup(weights, value.shape[0]), weights.shape[0]
        if self.score.heads == 1:
            return _regroup(weights @ value, rows)
        weights, value = self._split_heads(weights), self._split_width(value)
        return _regroup(torch.einsum("bths,bshv->bthv", weights, value).flatten(2), rows)

    def merge_heads(self, attention: Attention) -> Attention:
        """One weight vector and one log-probability for each target word: the heads' mean and the heads' sum.

        The weights become (rows, target, source), the log-probability becomes (rows, target).
        """
        weights, log_probability = attention
        if self.score.heads == 1:
            return attention
        if log_probability is not None:
            log_probability = log_probability.unflatten(1, (-1, self.score.heads)).sum(dim=2)
        return Attention(self._split_heads(weights).mean(dim=2), log_probability)

    def combine(
        self, partner: Float[Tensor, "batch target partner"], context: Float[Tensor, "batch target value"]
    ) -> Float[Tensor, "batch target output"]:
        """Steps 2 and 3: `Linear([P; context])`."""
        return self.linear(torch.cat((partner, context), dim=-1))

    @property
    def partner_weight(self) -> Float[Tensor, "output partner"]:
        """A, where the combine layer is `A P + B c + b` and c the context."""
        return self.linear.weight[:, : self.partner_size]

    @property
    def value_weights(self) -> tuple[Float[Tensor, "output value"], ...]:
        """The columns of B for each head."""
        return self.linear.weight[:, self.partner_size :].chunk(self.score.heads, dim=1)

    def fold(self, value: Float[Tensor, "batch source value"]) -> Float[Tensor, "batch heads_source output"]:
        """`B V`, the combine layer applied to the values, where `Linear([P; w V]) = A P + b + w (B V)`.

        It is computed once for each sentence, so a loop over time need not apply B at each step:
        `combine(P, mix(w, V)) = project_partner(P) + mix_folded(w, fold(V))`.
        """
        heads = zip(self._split_width(value).unbind(2), self.value_products(), strict=True)
        return torch.cat([product(head) for head, product in heads], dim=1)

    def value_products(self) -> Iterable[Callable[[Tensor], Tensor]]:
        """The product of each head's columns of B with its values, for `fold`."""
        return [partial(linear, weight=weight) for weight in self.value_weights]

    def project_partner(self, partner: Float[Tensor, "batch target partner"]) -> Float[Tensor, "batch target output"]:
        """`A P + b`: the part of the combine layer that does not depend on the context."""
        return linear(partner, self.partner_weight, self.linear.bias)

    def mix_folded(
        self, weights: Float[Tensor, "rows heads_target source"], folded: Float[Tensor, "batch heads_source output"]
    ) -> Float[Tensor, "rows target output"]:
        """`w (B V)`, summed over heads. `folded` is a result of `fold`."""
        head_weights = self._split_heads(weights).flatten(2)
        return _regroup(_regroup(head_weights, folded.shape[0]) @ folded, weights.shape[0])

    def _split_heads(self, weights: Tensor) -> Float[Tensor, "rows target heads source"]:
        return weights.reshape(weights.shape[0], -1, self.score.heads, weights.shape[2])

    def _split_width(self, value: Tensor) -> Float[Tensor, "batch source heads value"]:
        return value.reshape(*value.shape[:2], self.score.heads, -1)

    def forward(
        self,
        query: Float[Tensor, "batch target query"],
        key: Float[Tensor, "batch positions key"],
        value: Float[Tensor, "batch source value"],
        mask: Bool[Tensor, "batch source"],
    ) -> tuple[Float[Tensor, "batch target output"], Attention]:
        """All three steps with P = Q, as in the notes: the output, and the attention with its heads merged.

        The first query is that of target word 0.
        """
        step = torch.arange(query.shape[1], device=query.device).expand(query.shape[:2])
        attention = self.attention_weights(
            query, key if self.score.location_based else self.score.prepare(key), mask, step
        )
        context = self.mix(attention.weights, self.score.prepare_value(value))
        return self.combine(query, context), self.merge_heads(attention)


def _regroup(vectors: Float[Tensor, "rows_in steps_in width"], rows: int) -> Float[Tensor, "rows steps_out width"]:
    """The same vectors in `rows` rows.

    The hypotheses of a sentence are adjacent rows. As one row they attend to their sentence's one memory.
    """
    return vectors.reshape(rows, -1, vectors.shape[-1])


def _first_positions(
    scores: Float[Tensor, "batch target positions"], count: int
) -> Float[Tensor, "batch target source"]:
    """The scores of the first positions.

    Only with static shapes can a batch have more positions than the rule scores: both sides are padded to one length,
    and a target can be longer than every source. All of these are padding, and any score will do.
    """
    missing = count - scores.shape[-1]
    if missing <= 0:
        return scores[..., :count]
    assert has_static_shapes(scores), f"{count} tokens, {scores.shape[-1]} positions"
    return nn.functional.pad(scores, (0, missing))
