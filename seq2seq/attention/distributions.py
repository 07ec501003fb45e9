"""Distributions: they turn scores into attention weights.

Padding gets the weight 0, and finite scores give finite weights. To add a distribution, write one class here and add
one line to `DISTRIBUTIONS`; `attention.distribution=NAME` then selects it.
"""

from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.attention.masked_softmax import Mask, Scores, Weights, masked_entmax, masked_softmax

Query = Float[Tensor, "batch target query"]
Step = Int[Tensor, "batch target"]

ESTIMATORS = ("straight_through", "gumbel", "reinforce")
"""How `Hard` learns. Its docstring has the formulas."""


class Attention(NamedTuple):
    """What a distribution returns: the weights of each query and, for REINFORCE, the log-probability of its draw.

    `log_probability` is in nats, and 0 for a query that attends softly. It is None except in training with REINFORCE:
    all other distributions learn through their weights.
    """

    weights: Weights
    log_probability: Float[Tensor, "batch target"] | None = None


class HardOptions(NamedTuple):
    """How `Hard` learns.

    `estimator` is one of `ESTIMATORS`. `temperature` is that of the softmax whose gradient replaces the gradient of the
    choice; `Softmax` has it, too. `soft` is the probability that a target word attends softly in training.
    """

    estimator: str
    temperature: float
    soft: float


class DistributionSizes(NamedTuple):
    """Sizes and options that a distribution may need.

    `query` is the width of a query. `window` is D, in tokens: a local distribution sees at most 2 D + 1 positions.
    """

    query: int
    window: int
    hard: HardOptions


class Distribution(nn.Module):
    """Turns the scores e of a sentence's positions into weights that sum to 1 over its tokens.

    - `follows_target`: the weights depend on the number of target words read, so an encoder cannot use it
    - `is_hard`: one token gets all the weight, so it cannot be combined with a rule whose scores are all equal
    - `has_zeros`: a token can have weight 0, so there is no logarithm to guide the weights by
    - `uses_reinforce`: the scores learn from rewards, through the log-probability of the drawn token
    """

    follows_target: ClassVar[bool] = False
    is_hard: ClassVar[bool] = False
    has_zeros: ClassVar[bool] = True
    uses_reinforce: bool = False

    def __init__(self, sizes: DistributionSizes) -> None:
        super().__init__()

    def forward(self, scores: Scores, mask: Mask, query: Query, step: Step) -> Attention:
        """The weights of each query. `step` is the number of target words before it."""
        raise NotImplementedError


class Softmax(Distribution):
    """`w_j = exp(e_j / T) / sum_k exp(e_k / T)`: soft attention, where every token has some weight.

    The temperature T is 1 unless it is chosen. Above 1 weights are more equal, below 1 less.
    """

    has_zeros = False

    def __init__(self, sizes: DistributionSizes) -> None:
        super().__init__(sizes)
        self.temperature = sizes.hard.temperature

    def forward(self, scores: Scores, mask: Mask, query: Query, step: Step) -> Attention:
        return Attention(masked_softmax(scores if self.temperature == 1 else scores / self.temperature, mask))


class Hard(Distribution):
    """Hard attention: weight 1 for one token, 0 for the others.

    The token is the one with the best score; in training, `gumbel` and `reinforce` draw it from the softmax of the
    scores. The choice of a token cannot be differentiated, so an estimator replaces its gradient:

    - `straight_through`: no draw. The gradient is that of `softmax(e / temperature)` (Bengio et al. 2013, section 4).
    - `gumbel`: the token with the best `e + G` is a draw, where G is Gumbel noise. The gradient is that of
      `softmax((e + G) / temperature)` (Jang et al. 2017, section 2.2).
    - `reinforce`: the same draw. The gradient is that of its log-probability, times a reward (Williams 1992; Xu et al.
      2015, section 4.1); `training/step.py` has the reward. The weights are constants.

    The first two estimators are biased, the last has a high variance. All learn better if a random share of the target
    words, such as half, attends softly in training, with the weights `softmax(e)` (Xu et al. 2015, section 4.1).
    """

    is_hard = True

    def __init__(self, sizes: DistributionSizes) -> None:
        super().__init__(sizes)
        self.options = sizes.hard
        self.uses_reinforce = sizes.hard.estimator == "reinforce"

    def forward(self, scores: Scores, mask: Mask, query: Query, step: Step) -> Attention:
        noisy_scores = scores
        if self.training and self.options.estimator != "straight_through":
            # -log of exponential noise is Gumbel noise, and the best noisy score is a draw from softmax(scores).
            noisy_scores = scores - torch.empty_like(scores).exponential_().log()
        relaxed = masked_softmax(noisy_scores / self.options.temperature, mask)
        best = relaxed.argmax(dim=-1, keepdim=True)
        one_hot = torch.zeros_like(relaxed).scatter_(-1, best, 1.0).masked_fill(~mask, 0.0)
        soft_weights = masked_softmax(scores, mask)
        weights = one_hot if self.uses_reinforce else one_hot + (relaxed - relaxed.detach())
        log_probability = None
        if self.training and self.uses_reinforce:  # `clamp`: a row without tokens has the sum 0
            probability = (soft_weights * one_hot).sum(dim=-1)
            log_probability = probability.clamp(min=torch.finfo(probability.dtype).tiny).log()
        if self.training and self.options.soft:
            attends_softly = torch.rand_like(soft_weights[..., :1]) < self.options.soft
            weights = torch.where(attends_softly, soft_weights, weights)
            if log_probability is not None:
                log_probability = log_probability.masked_fill(attends_softly.squeeze(-1), 0.0)
        return Attention(weights, log_probability)


class LocalM(Distribution):
    """Softmax over the tokens within D positions of the target word's own (Luong et al. 2015, section 3.2, "local-m").

    After t target words, and for a source of S tokens, the centre of the window is `min(t, S - 1)`.
    """

    follows_target = True

    def __init__(self, sizes: DistributionSizes) -> None:
        super().__init__(sizes)
        self.window = sizes.window

    def forward(self, scores: Scores, mask: Mask, query: Query, step: Step) -> Attention:
        center = torch.minimum(step.unsqueeze(2), mask.sum(dim=2, keepdim=True) - 1)
        return Attention(masked_softmax(scores, _window_mask(center, mask, self.window)))


class LocalP(Distribution):
    """Softmax over the tokens within D of a position p that the query predicts (Luong et al. 2015, "local-p").

    `p = (S - 1) sigmoid(v.tanh(W Q))` for the positions 0 to S - 1 of a source. The paper multiplies the weights by a
    Gaussian with mean p and standard deviation D / 2, so their sum is below 1. Here the logarithm of the Gaussian is
    added to the scores, so the sum of the weights is 1.
    """

    def __init__(self, sizes: DistributionSizes) -> None:
        super().__init__(sizes)
        self.window = sizes.window
        self.hidden = nn.Linear(sizes.query, sizes.query, bias=False)
        self.v = nn.Linear(sizes.query, 1, bias=False)

    def forward(self, scores: Scores, mask: Mask, query: Query, step: Step) -> Attention:
        last = (mask.sum(dim=2, keepdim=True) - 1).clamp(min=0)
        center = last * torch.sigmoid(self.v(torch.tanh(self.hidden(query))))
        distance = torch.arange(mask.shape[2], device=mask.device) - center
        gaussian = -2 * (distance / self.window).square()
        return Attention(masked_softmax(scores + gaussian, _window_mask(center, mask, self.window)))


def _window_mask(center: Tensor, mask: Mask, window: int) -> Bool[Tensor, "batch target source"]:
    """True for tokens at a distance of at most `window` from the centre; `center` is (batch, target, 1)."""
    positions = torch.arange(mask.shape[2], device=mask.device)
    return mask & ((positions - center).abs() <= window)


class Sparsemax(Distribution):
    """`w_j = max(e_j - t, 0)`, with t such that the weights sum to 1 (Martins and Astudillo 2016, proposition 1).

    These are the weights with the least Euclidean distance from the scores. Most of them are exactly 0.
    """

    def forward(self, scores: Scores, mask: Mask, query: Query, step: Step) -> Attention:
        return Attention(masked_entmax(scores, mask, 2.0))


class Entmax15(Distribution):
    """`w_j = max(e_j / 2 - t, 0)^2`, with t such that the weights sum to 1 (Peters et al. 2019, section 4).

    It is 1.5-entmax, between softmax (1-entmax) and sparsemax (2-entmax).
    """

    def forward(self, scores: Scores, mask: Mask, query: Query, step: Step) -> Attention:
        return Attention(masked_entmax(scores, mask, 1.5))


DISTRIBUTIONS: dict[str, type[Distribution]] = {
    "softmax": Softmax,
    "hard": Hard,
    "local_m": LocalM,
    "local_p": LocalP,
    "sparsemax": Sparsemax,
    "entmax15": Entmax15,
}
