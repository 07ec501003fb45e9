"""Rules that also read the weights of earlier target words. To add one, see `scores.py`.

The weights of a word depend on those of the words before it, so a decoder must process its words in a loop.
"""

from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import pad

from seq2seq.attention.score_base import Score, ScoreSizes

FILTERS = 10
"""The number of filters of `Location`, as in Chorowski et al. 2015, section 3.1."""


class HistoryScore(Score):
    """`e_j = v.tanh(W Q + U K_j + F_j)`: the rule `additive` with features F of the earlier weights."""

    follows_history: ClassVar[bool] = True

    def __init__(self, sizes: ScoreSizes) -> None:
        super().__init__(sizes)
        self.query = nn.Linear(sizes.query, sizes.query)
        self.key = nn.Linear(sizes.key, sizes.query, bias=False)
        self.v = nn.Linear(sizes.query, 1, bias=False)

    def prepare(self, key: Float[Tensor, "batch source key"]) -> Float[Tensor, "batch source hidden"]:
        return self.key(key)

    def features(self, history: Float[Tensor, "batch target source"]) -> Float[Tensor, "batch target source hidden"]:
        """F: one vector for each source position."""
        raise NotImplementedError

    def next_history(
        self, history: Float[Tensor, "rows source"], weights: Float[Tensor, "rows source"]
    ) -> Float[Tensor, "rows source"]:
        """The history of the next word, from that of this word and its weights. The first word has zeros."""
        raise NotImplementedError

    def forward(
        self,
        query: Float[Tensor, "batch target query"],
        key: Float[Tensor, "batch source hidden"],
        history: Float[Tensor, "batch target source"] | None = None,
    ) -> Float[Tensor, "batch target source"]:
        """The scores. Without a history, those of the first target word."""
        if history is None:
            history = key.new_zeros(query.shape[0], query.shape[1], key.shape[1])
        summed = self.query(query).unsqueeze(2) + key.unsqueeze(1) + self.features(history)
        return torch.tanh(summed) @ self.v.weight[0]


class Coverage(HistoryScore):
    """`F_j = w c_j`, with the coverage c: the sum of all earlier weights (See et al. 2017, equations 10 and 11).

    Tu et al. 2016 (section 3.1) call it linguistic coverage with fertility 1. `training.coverage_loss` is its loss.
    """

    def __init__(self, sizes: ScoreSizes) -> None:
        super().__init__(sizes)
        self.coverage = nn.Linear(1, sizes.query, bias=False)

    def features(self, history: Float[Tensor, "batch target source"]) -> Float[Tensor, "batch target source hidden"]:
        return self.coverage(history.unsqueeze(3))

    def next_history(
        self, history: Float[Tensor, "rows source"], weights: Float[Tensor, "rows source"]
    ) -> Float[Tensor, "rows source"]:
        return history + weights


class Location(HistoryScore):
    """`F_j = U f_j`, with f the last weights, convolved with ten filters (Chorowski et al. 2015, equations 8 and 9).

    A filter reads the weights of `window` tokens to each side of j.
    """

    def __init__(self, sizes: ScoreSizes) -> None:
        super().__init__(sizes)
        self.window = sizes.window
        self.filters = nn.Linear(2 * sizes.window + 1, FILTERS, bias=False)
        self.location = nn.Linear(FILTERS, sizes.query, bias=False)

    def features(self, history: Float[Tensor, "batch target source"]) -> Float[Tensor, "batch target source hidden"]:
        padded, length = pad(history, (self.window, self.window)), history.shape[2]
        around = [padded[..., shift : shift + length] for shift in range(2 * self.window + 1)]
        return self.location(self.filters(torch.stack(around, dim=3)))

    def next_history(
        self, history: Float[Tensor, "rows source"], weights: Float[Tensor, "rows source"]
    ) -> Float[Tensor, "rows source"]:
        del history  # only the last weights are read
        return weights


def coverage_loss(
    weights: Float[Tensor, "batch target source"], mask: Bool[Tensor, "batch target"]
) -> Float[Tensor, ""]:
    """`sum_t sum_j min(w_tj, c_tj)` over target tokens t, with the coverage c (See et al. 2017, equations 12 and 13).

    It is the share of the weights that a source token had already. It can be computed for any rule.
    """
    words = weights.shape[1]
    earlier = torch.ones(words, words, dtype=weights.dtype, device=weights.device).tril(-1)
    return (torch.minimum(weights, earlier @ weights) * mask.unsqueeze(2)).sum()
