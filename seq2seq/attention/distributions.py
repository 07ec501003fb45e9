"""What makes weights of scores. Every distribution gives 0 on padding, and nothing that is no number.

To add one: one class here, one line in `DISTRIBUTIONS`; `attention.distribution=NAME` works then.
"""

from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

Scores = Float[Tensor, "batch target source"]
Weights = Float[Tensor, "batch target source"]
Mask = Bool[Tensor, "batch #target source"]
Query = Float[Tensor, "batch target query"]
Step = Int[Tensor, "batch target"]


ESTIMATORS = ("straight_through", "gumbel", "reinforce")


class Attention(NamedTuple):
    """Where a query attends.

    `log_probability` is that of the token that was drawn, in training by REINFORCE: 0 where the query attends softly.
    Other distributions have None: their weights are what they learn by.
    """

    weights: Weights
    log_probability: Float[Tensor, "batch target"] | None = None


class HardOptions(NamedTuple):
    """How `Hard` learns: by which of `ESTIMATORS`, at which temperature, and which share of words attends softly."""

    estimator: str
    temperature: float
    soft: float


class DistributionSizes(NamedTuple):
    """What a distribution may need to know.

    `query` is the width of a query; `window` is D, so that a local distribution sees 2 D + 1 positions.
    """

    query: int
    window: int
    hard: HardOptions


class Distribution(nn.Module):
    """Weights over a sentence's tokens from their scores.

    `follows_target` says that the weights depend on how many target words were read, so that an encoder has no use
    for it; `is_hard` says that it takes the best score alone, so that a rule of equal scores has no use for it.
    `uses_reinforce` says that it learns from rewards, by the log-probability of what it drew.
    """

    follows_target: ClassVar[bool] = False
    is_hard: ClassVar[bool] = False
    uses_reinforce: bool = False

    def __init__(self, shape: DistributionSizes) -> None:
        super().__init__()

    def forward(self, scores: Scores, mask: Mask, query: Query, step: Step) -> Attention:
        """`step` counts the target words before each query."""
        raise NotImplementedError


def masked_softmax(scores: Scores, mask: Mask) -> Weights:
    """`softmax` over the positions where the mask is True; exactly 0 elsewhere.

    A row without a single token has all weights 0, so its context is 0: softmax over nothing but `-inf` would be NaN,
    and one NaN in a batch ruins every gradient.
    """
    return _MaskedSoftmax.apply(scores, mask)  # type: ignore[no-untyped-call]


class _MaskedSoftmax(torch.autograd.Function):
    """One node where a mask, a softmax and a mask would be three: a loop over time has one of these a step."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, mask: Tensor) -> Tensor:
        padding, nothing = ~mask, ~mask.any(dim=-1, keepdim=True)
        weights = scores.masked_fill(padding & ~nothing, float("-inf")).softmax(dim=-1).masked_fill_(padding, 0.0)
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (weights,) = ctx.saved_tensors
        product = gradient * weights
        return torch.addcmul(product, weights, product.sum(dim=-1, keepdim=True), value=-1), None


class Softmax(Distribution):
    """`exp(e_j) / sum_k exp(e_k)`: soft attention, a part of every token."""

    def forward(self, scores: Scores, mask: Mask, query: Query, step: Step) -> Attention:
        return Attention(masked_softmax(scores, mask))


class Hard(Distribution):
    """Weight 1 for one token, 0 for the others: the best, or in training a draw from the softmax.

    A choice has no slope. There are three ways out:

    - `straight_through`: no draw; the gradient is that of `softmax(e / temperature)` (Bengio et al. 2013, section 4).
    - `gumbel`: a draw, the best of the scores with Gumbel noise; the gradient is that of their softmax, noise and all,
      at the temperature (Jang et al. 2017, section 2.2).
    - `reinforce`: a draw; the gradient of its log-probability times a reward (Williams 1992; Xu et al. 2015, section
      4.1), which is in `training/step.py`. The weights are constants.

    The first two are biased, the last varies much. All learn better where a coin lets half of the words attend softly
    in training, by the softmax of the scores as they are (Xu et al. 2015, section 4.1).
    """

    is_hard = True

    def __init__(self, shape: DistributionSizes) -> None:
        super().__init__(shape)
        self.learning = shape.hard
        self.uses_reinforce = shape.hard.estimator == "reinforce"

    def forward(self, scores: Scores, mask: Mask, query: Query, step: Step) -> Attention:
        noisy = scores
        if self.training and self.learning.estimator != "straight_through":
            # The best of these is a draw from the softmax.
            noisy = scores - torch.empty_like(scores).exponential_().log()
        slope = masked_softmax(noisy / self.learning.temperature, mask)
        chosen = torch.zeros_like(slope).scatter_(-1, slope.argmax(dim=-1, keepdim=True), 1.0).masked_fill(~mask, 0.0)
        soft = masked_softmax(scores, mask)
        weights = chosen if self.uses_reinforce else chosen + (slope - slope.detach())
        log_probability = None
        if self.training and self.uses_reinforce:  # the draw is the best of `slope`; a row of padding alone has none
            log_probability = (soft * chosen).sum(dim=-1).clamp(min=torch.finfo(soft.dtype).tiny).log()
        if self.training and self.learning.soft:
            softly = torch.rand_like(soft[..., :1]) < self.learning.soft
            weights = torch.where(softly, soft, weights)
            if log_probability is not None:
                log_probability = log_probability.masked_fill(softly.squeeze(-1), 0.0)
        return Attention(weights, log_probability)


class LocalM(Distribution):
    """Softmax over the tokens within D of the target word's own place (Luong et al. 2015, section 3.2, "local-m").

    Where the source is shorter than the target, the window stays at its last token.
    """

    follows_target = True

    def __init__(self, shape: DistributionSizes) -> None:
        super().__init__(shape)
        self.window = shape.window

    def forward(self, scores: Scores, mask: Mask, query: Query, step: Step) -> Attention:
        center = torch.minimum(step.unsqueeze(2), mask.sum(dim=2, keepdim=True) - 1)
        return Attention(masked_softmax(scores, _near(center, mask, self.window)))


class LocalP(Distribution):
    """Softmax over the tokens within D of a place `p` that the query predicts (Luong et al. 2015, "local-p").

    `p = (S - 1) sigmoid(v.tanh(W Q))` for places 0 to S - 1. The paper multiplies the weights by a Gaussian around p
    of deviation D / 2 and leaves their sum below 1; here its logarithm is added to the scores, so that the sum is 1.
    """

    def __init__(self, shape: DistributionSizes) -> None:
        super().__init__(shape)
        self.window = shape.window
        self.hidden = nn.Linear(shape.query, shape.query, bias=False)
        self.v = nn.Linear(shape.query, 1, bias=False)

    def forward(self, scores: Scores, mask: Mask, query: Query, step: Step) -> Attention:
        last = (mask.sum(dim=2, keepdim=True) - 1).clamp(min=0)
        center = last * torch.sigmoid(self.v(torch.tanh(self.hidden(query))))
        distance = torch.arange(mask.shape[2], device=mask.device) - center
        gaussian = -2 * (distance / self.window).square()
        return Attention(masked_softmax(scores + gaussian, _near(center, mask, self.window)))


def _near(center: Tensor, mask: Mask, window: int) -> Bool[Tensor, "batch target source"]:
    """The tokens no farther than `window` from the centre, (batch, target, 1)."""
    places = torch.arange(mask.shape[2], device=mask.device)
    return mask & ((places - center).abs() <= window)


class Sparsemax(Distribution):
    """The weights nearest to the scores themselves: `max(e_j - t, 0)` (Martins and Astudillo 2016, equation 1).

    Soft attention most of whose weights are exactly 0.
    """

    def forward(self, scores: Scores, mask: Mask, query: Query, step: Step) -> Attention:
        return Attention(_masked_entmax(scores, mask, 2.0))


class Entmax15(Distribution):
    """`max(e_j / 2 - t, 0)^2`, midway between softmax and sparsemax (Peters et al. 2019, section 4)."""

    def forward(self, scores: Scores, mask: Mask, query: Query, step: Step) -> Attention:
        return Attention(_masked_entmax(scores, mask, 1.5))


def _masked_entmax(scores: Scores, mask: Mask, alpha: float) -> Weights:
    nothing = ~mask.any(dim=-1, keepdim=True)
    tokens = scores.masked_fill(~(mask | nothing), float("-inf"))
    return _Entmax.apply(tokens, alpha).masked_fill(~mask, 0.0)  # type: ignore[no-untyped-call]


class _Entmax(torch.autograd.Function):
    """`max((alpha - 1) e - t, 0)^(1 / (alpha - 1))` with the t that makes the sum 1, for alpha 2 and 1.5.

    Both thresholds have a closed form once the scores are sorted (Martins and Astudillo 2016, algorithm 1; Peters et
    al. 2019, algorithm 2). The slope is the same formula for every alpha (Peters et al. 2019, proposition 2).
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, alpha: float) -> Tensor:
        # What is more than 1 below the best has weight 0; so has -2, which unlike -inf can be added.
        scores = ((alpha - 1) * (scores - scores.amax(dim=-1, keepdim=True))).clamp(min=-2.0)
        ordered = scores.sort(dim=-1, descending=True).values
        count = torch.arange(1, scores.shape[-1] + 1, device=scores.device, dtype=scores.dtype)
        mean = ordered.cumsum(dim=-1) / count
        if alpha == 2:
            thresholds = mean - 1 / count
        else:
            spread = ordered.square().cumsum(dim=-1) - count * mean.square()
            thresholds = mean - ((1 - spread) / count).clamp(min=0).sqrt()
        support = (thresholds < ordered).sum(dim=-1, keepdim=True)
        weights = (scores - thresholds.gather(-1, support - 1)).clamp(min=0) ** (1 / (alpha - 1))
        ctx.alpha = alpha
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (weights,) = ctx.saved_tensors
        slope = torch.where(weights > 0, weights ** (2 - ctx.alpha), 0.0)
        product = gradient * slope
        return product - slope * (product.sum(dim=-1, keepdim=True) / slope.sum(dim=-1, keepdim=True)), None


DISTRIBUTIONS: dict[str, type[Distribution]] = {
    "softmax": Softmax,
    "hard": Hard,
    "local_m": LocalM,
    "local_p": LocalP,
    "sparsemax": Sparsemax,
    "entmax15": Entmax15,
}
