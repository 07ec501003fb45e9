"""The rules: how well does each source position answer a query?

A rule returns scores and nothing else. What makes weights of them (mask and softmax), the mix and the combine layer
stand once, in `distributions.py` and `layer.py`. To add a rule: one class here, one line in `SCORES`, one YAML of the
same name in `configs/attention/`.
"""

import math
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize


class ScoreSizes(NamedTuple):
    """What a rule may need to know: widths of query, key and value, the greatest source length, the number of heads."""

    query: int
    key: int
    value: int
    positions: int
    heads: int


class Score(nn.Module):
    """A rule. Content-based rules compare the query with every key; a location-based rule looks at no key at all.

    `location_based` says which vectors the decoder hands over as Q and K (the table stands in `nn/decoder.py`).
    `direct` says that query and key are multiplied as they are, so that both must have the same width. `constant` says
    that all scores are equal. A rule of several `heads` scores each position once a head.
    """

    location_based: ClassVar[bool] = False
    needs_equal_widths: ClassVar[bool] = False
    is_uniform: ClassVar[bool] = False
    heads: int = 1

    def __init__(self, sizes: ScoreSizes) -> None:
        super().__init__()
        assert not self.needs_equal_widths or sizes.query == sizes.key, (
            f"{type(self).__name__} needs one width: {sizes}"
        )

    def prepare(self, key: Float[Tensor, "batch source key"]) -> Float[Tensor, "batch source prepared"]:
        """What of the keys does not depend on the query: done once a sentence, not once a step."""
        return key

    def prepare_value(self, value: Float[Tensor, "batch source value"]) -> Float[Tensor, "batch source value"]:
        """The values that the weights mix; head h mixes the h-th part of their width."""
        return value

    def forward(
        self, query: Float[Tensor, "batch target query"], key: Float[Tensor, "batch source prepared"]
    ) -> Float[Tensor, "batch rows source"]:
        """`rows` is target x heads, the heads of one target word side by side."""
        raise NotImplementedError


class Concat(Score):
    """Rule 1 of the notes: `Linear([Q; K])`, one score for each *position* 1..positions.

    K is one vector beside Q (in a decoder: Q the embedded previous word, K the state), as in the notes' `MyAtt1` and
    `MyAtt2`. So the weights look at no encoder output: this is location-based attention, and sources have a greatest
    length. (A score `w.[Q; K_j]` for each key would be no cure: it is `w_q.Q + w_k.K_j`, the first term is the same
    for every j, softmax cancels it, and attention would ignore the decoder.)
    """

    location_based = True

    def __init__(self, sizes: ScoreSizes) -> None:
        super().__init__(sizes)
        self.linear = nn.Linear(sizes.query + sizes.key, sizes.positions)

    def forward(
        self, query: Float[Tensor, "batch target query"], key: Float[Tensor, "batch target key"]
    ) -> Float[Tensor, "batch target positions"]:
        return self.linear(torch.cat((query, key), dim=-1))


class TanhSum(Score):
    """Rule 2 of the notes: `sum(tanh(Linear([Q; K_j])))`. It is `Additive` with v fixed to ones.

    So a step of training moves all terms together: a sum of hundreds saturates the softmax before it has learned
    where to look, and Linear is narrow.
    """

    def __init__(self, sizes: ScoreSizes, *, width: int = 16) -> None:
        super().__init__(sizes)
        # Linear([Q; K_j]) = query(Q) + key(K_j): the second term is the same at every step.
        self.query = nn.Linear(sizes.query, width)
        self.key = nn.Linear(sizes.key, width, bias=False)

    def prepare(self, key: Float[Tensor, "batch source key"]) -> Float[Tensor, "batch source hidden"]:
        return self.key(key)

    def forward(
        self, query: Float[Tensor, "batch target query"], key: Float[Tensor, "batch source hidden"]
    ) -> Float[Tensor, "batch target source"]:
        return _TanhDot.apply(self.query(query), key, key.new_ones(key.shape[-1]))  # type: ignore[no-untyped-call]


class _TanhDot(torch.autograd.Function):
    """`v.tanh(Q + K_j)`: one node, whose backward goes once through what a loop over time has in memory.

    The tanh is computed anew there: of all steps together it would be the largest tensor of a batch by far.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, v: Tensor) -> Tensor:
        ctx.save_for_backward(query, key, v)
        return _tanh_of_sum(query, key) @ v

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, v = ctx.saved_tensors
        activation = _tanh_of_sum(query, key)
        slope = torch.ops.aten.tanh_backward(gradient.unsqueeze(3) * v, activation)
        of_key = slope.squeeze(1) if slope.shape[1] == 1 else slope.sum(dim=1)
        return slope.sum(dim=2), of_key, gradient.flatten() @ activation.flatten(0, 2)


def _tanh_of_sum(query: Tensor, key: Tensor) -> Float[Tensor, "batch target source hidden"]:
    return (query.unsqueeze(2) + key.unsqueeze(1)).tanh_()


class Additive(TanhSum):
    """`v.tanh(W Q + U K_j)` (Bahdanau et al. 2015, appendix A.1.2): rule 2 with a learned v."""

    def __init__(self, sizes: ScoreSizes) -> None:
        super().__init__(sizes, width=sizes.query)
        self.v = nn.Linear(sizes.query, 1, bias=False)

    def forward(
        self, query: Float[Tensor, "batch target query"], key: Float[Tensor, "batch source hidden"]
    ) -> Float[Tensor, "batch target source"]:
        return _TanhDot.apply(self.query(query), key, self.v.weight[0])  # type: ignore[no-untyped-call]


class LuongDot(Score):
    """`Q.K_j` (Luong et al. 2015, equation 8, "dot"): rule 3 without its scale."""

    needs_equal_widths = True

    def forward(
        self, query: Float[Tensor, "batch target query"], key: Float[Tensor, "batch source query"]
    ) -> Float[Tensor, "batch target source"]:
        return query @ key.transpose(1, 2)


class Dot(LuongDot):
    """Rule 3 of the notes: `Q.K_j / sqrt(d)`, d the width of Q and K (Vaswani et al. 2017, equation 1)."""

    def prepare(self, key: Float[Tensor, "batch source key"]) -> Float[Tensor, "batch source key"]:
        return key / math.sqrt(key.shape[-1])


class General(LuongDot):
    """`Q.(W K_j)` (Luong et al. 2015, equation 8, "general"): a bilinear form, so the widths may differ."""

    needs_equal_widths = False

    def __init__(self, sizes: ScoreSizes) -> None:
        super().__init__(sizes)
        self.key = nn.Linear(sizes.key, sizes.query, bias=False)

    def prepare(self, key: Float[Tensor, "batch source key"]) -> Float[Tensor, "batch source query"]:
        return self.key(key)


class Multihead(Score):
    """`(W_h Q).(U_h K_j) / sqrt(d)` for each head h, d the width of a head (Vaswani et al. 2017, section 3.2.2).

    Each head mixes its own projection of the values; the combine layer is the paper's W^O.
    """

    def __init__(self, sizes: ScoreSizes) -> None:
        super().__init__(sizes)
        assert sizes.query % sizes.heads == sizes.value % sizes.heads == 0, sizes
        self.heads = sizes.heads
        self.query = nn.Linear(sizes.query, sizes.query, bias=False)
        self.key = nn.Linear(sizes.key, sizes.query, bias=False)
        self.value = nn.Linear(sizes.value, sizes.value, bias=False)

    def prepare(self, key: Float[Tensor, "batch source key"]) -> Float[Tensor, "batch source query"]:
        return self.key(key)

    def prepare_value(self, value: Float[Tensor, "batch source value"]) -> Float[Tensor, "batch source value"]:
        return self.value(value)

    def forward(
        self, query: Float[Tensor, "batch target query"], key: Float[Tensor, "batch source query"]
    ) -> Float[Tensor, "batch rows source"]:
        queries, keys = (vectors.unflatten(2, (self.heads, -1)).transpose(1, 2) for vectors in (self.query(query), key))
        scores = queries @ keys.transpose(2, 3) / math.sqrt(queries.shape[-1])  # batch, heads, target, source
        return scores.transpose(1, 2).flatten(1, 2)


class Cosine(Score):
    """`exp(b) cos(Q, K_j)` with a learned b, 0 at first (the key strength of Graves et al. 2014, equations 5 and 6)."""

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
    """All scores 0, so the context is the mean of the values at every step: the no-attention baseline."""

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
    "uniform": Uniform,
}
