"""The rules: each scores how well a source position answers a query.

A rule returns scores only. `distributions.py` turns them into weights, and `layer.py` has the weighted sum of the
values and the combine layer. To add a rule, write one class here, add one line to `SCORES`, and add one YAML file of
the same name to `configs/attention/`.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from seq2seq.attention.history import Coverage, Location
from seq2seq.attention.score_base import Score, ScoreSizes
from seq2seq.attention.tanh_dot import tanh_dot
from seq2seq.runtime.products import Linear


class Concat(Score):
    """Rule 1 of the notes: `e = Linear([Q; K])`, one score for each *position* 1..positions.

    As in the notes' `MyAtt1` and `MyAtt2`, K is one vector for each query: in a decoder, Q is the embedded previous
    word and K the state. So the weights do not depend on the encoder outputs (location-based attention), and there is
    a greatest source length. A score `w.[Q; K_j]` for each key would not help: it equals `w_q.Q + w_k.K_j`, softmax
    cancels the first term, which is the same for every j, and the decoder could not control its attention.
    """

    location_based = True

    def __init__(self, sizes: ScoreSizes) -> None:
        super().__init__(sizes)
        self.linear = Linear(sizes.query + sizes.key, sizes.positions)

    def forward(
        self, query: Float[Tensor, "batch target query"], key: Float[Tensor, "batch target key"]
    ) -> Float[Tensor, "batch target positions"]:
        return self.linear(torch.cat((query, key), dim=-1))


class TanhSum(Score):
    """Rule 2 of the notes: `e_j = sum(tanh(Linear([Q; K_j])))`. It is `Additive` with v fixed to ones.

    Since v is fixed, a training step moves all terms of the sum in the same direction. A sum of hundreds of terms
    saturates the softmax before it has learned where to look, so Linear is only `width` wide.
    """

    def __init__(self, sizes: ScoreSizes, *, width: int = 16) -> None:
        super().__init__(sizes)
        # Linear([Q; K_j]) = query(Q) + key(K_j). The second term is the same at every step: `prepare` computes it.
        self.query = Linear(sizes.query, width)
        self.key = Linear(sizes.key, width, bias=False)

    def prepare(self, key: Float[Tensor, "batch source key"]) -> Float[Tensor, "batch source hidden"]:
        return self.key(key)

    def forward(
        self, query: Float[Tensor, "batch target query"], key: Float[Tensor, "batch source hidden"]
    ) -> Float[Tensor, "batch target source"]:
        return tanh_dot(self.query(query), key, key.new_ones(key.shape[-1]))


class Additive(TanhSum):
    """`e_j = v.tanh(W Q + U K_j)` (Bahdanau et al. 2015, appendix A.1.2): rule 2 with a learned v."""

    def __init__(self, sizes: ScoreSizes) -> None:
        super().__init__(sizes, width=sizes.query)
        self.v = Linear(sizes.query, 1, bias=False)

    def forward(
        self, query: Float[Tensor, "batch target query"], key: Float[Tensor, "batch source hidden"]
    ) -> Float[Tensor, "batch target source"]:
        return tanh_dot(self.query(query), key, self.v.weight.squeeze(0))


class LuongDot(Score):
    """`e_j = Q.K_j` (Luong et al. 2015, equation 8, "dot"): rule 3 without its scale."""

    needs_equal_widths = True

    def forward(
        self, query: Float[Tensor, "batch target query"], key: Float[Tensor, "batch source query"]
    ) -> Float[Tensor, "batch target source"]:
        if query.shape[1] > 1 and query.device.type == "cpu" and torch.is_inference_mode_enabled():
            return (key @ query.transpose(1, 2)).transpose(1, 2)  # a beam: MKL takes half of the time in this order
        return query @ key.transpose(1, 2)


class Dot(LuongDot):
    """Rule 3 of the notes: `e_j = Q.K_j / sqrt(d)`, with d the width of Q and K (Vaswani et al. 2017, equation 1)."""

    def prepare(self, key: Float[Tensor, "batch source key"]) -> Float[Tensor, "batch source key"]:
        return key / math.sqrt(key.shape[-1])


class General(LuongDot):
    """`e_j = Q.(W K_j)` (Luong et al. 2015, equation 8, "general"): a bilinear form, so the widths may differ."""

    needs_equal_widths = False

    def __init__(self, sizes: ScoreSizes) -> None:
        super().__init__(sizes)
        self.key = Linear(sizes.key, sizes.query, bias=False)

    def prepare(self, key: Float[Tensor, "batch source key"]) -> Float[Tensor, "batch source query"]:
        return self.key(key)


class Multihead(Score):
    """`e_hj = (W_h Q).(U_h K_j) / sqrt(d)` for head h, with d the width of a head (Vaswani et al. 2017, section 3.2.2).

    Each head mixes its own projection of the values. The combine layer is the paper's `W^O`.
    """

    def __init__(self, sizes: ScoreSizes) -> None:
        super().__init__(sizes)
        assert sizes.query % sizes.heads == sizes.value % sizes.heads == 0, sizes
        self.heads = sizes.heads
        self.query = Linear(sizes.query, sizes.query, bias=False)
        self.key = Linear(sizes.key, sizes.query, bias=False)
        self.value = Linear(sizes.value, sizes.value, bias=False)

    def prepare(self, key: Float[Tensor, "batch source key"]) -> Float[Tensor, "batch source query"]:
        return self.key(key)

    def prepare_value(self, value: Float[Tensor, "batch source value"]) -> Float[Tensor, "batch source value"]:
        return self.value(value)

    def forward(
        self, query: Float[Tensor, "batch target query"], key: Float[Tensor, "batch source query"]
    ) -> Float[Tensor, "batch rows source"]:
        queries, keys = (
            vectors.reshape(*vectors.shape[:2], self.heads, -1).transpose(1, 2) for vectors in (self.query(query), key)
        )
        scores = queries @ keys.transpose(2, 3) / math.sqrt(queries.shape[-1])  # batch, heads, target, source
        return scores.transpose(1, 2).flatten(1, 2)


class Cosine(Score):
    """`e_j = exp(b) cos(Q, K_j)`, with b learned from 0 (key strength in Graves et al. 2014, equations 5 and 6)."""

    needs_equal_widths = True

    def __init__(self, sizes: ScoreSizes) -> None:
        super().__init__(sizes)
        self.strength = nn.Parameter(torch.zeros(()))

    def prepare(self, key: Float[Tensor, "batch source key"]) -> Float[Tensor, "batch source key"]:
        return normalize(key, dim=-1)

    def forward(
        self, query: Float[Tensor, "batch target query"], key: Float[Tensor, "batch source query"]
    ) -> Float[Tensor, "batch target source"]:
        return self.strength.exp() * (normalize(query, dim=-1) @ key.transpose(1, 2))


class Uniform(Score):
    """`e_j = 0`, so the context is the mean of the values at every step: the no-attention baseline."""

    is_uniform = True

    def forward(
        self, query: Float[Tensor, "batch target query"], key: Float[Tensor, "batch source key"]
    ) -> Float[Tensor, "batch target source"]:
        return query.new_zeros(query.shape[0], query.shape[1], key.shape[1])


SCORES: dict[str, type[Score]] = {
    "concat": Concat,
    "tanh_sum": TanhSum,
    "dot": Dot,
    "additive": Additive,
    "general": General,
    "luong_dot": LuongDot,
    "multihead": Multihead,
    "cosine": Cosine,
    "coverage": Coverage,
    "location": Location,
    "uniform": Uniform,
}
