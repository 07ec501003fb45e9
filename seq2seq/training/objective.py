"""What training minimises: the loss of a batch, and its parts."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy

from seq2seq.attention.distributions import Attention
from seq2seq.attention.guide import Guide
from seq2seq.attention.history import coverage_loss
from seq2seq.nn.cross_entropy import symmetric_divergence
from seq2seq.nn.decoder_base import concatenate
from seq2seq.nn.model import Model
from seq2seq.text.batches import PaddedPairs


class TeacherForcing(NamedTuple):
    """The share of gold words among those that the decoder reads. It changes linearly from the first to the last step.

    In place of a gold word the decoder reads its own most likely word (scheduled sampling, Bengio et al. 2015).
    """

    first: float
    last: float
    steps: int

    def share(self, step: int) -> float:
        """The share at a step, counted from 1."""
        return self.first + (self.last - self.first) * min(1.0, (step - 1) / max(1, self.steps - 1))


class Objective(NamedTuple):
    """The parts of the loss, and what the decoder reads.

    - `smoothing`: of the labels (Szegedy et al. 2016, section 7)
    - `r_drop`: alpha of R-Drop (Liang et al. 2021, equation 4). Each sentence is in the batch twice, with two dropout
      masks. The loss is half of the paper's, so that a token counts as much as without:
      `(L_1 + L_2) / 2 + alpha / 2 * (KL(p_1 || p_2) + KL(p_2 || p_1)) / 2`, with the distributions p_1 and p_2 of the
      next word under the two masks.
    - `coverage`: the weight of `seq2seq.attention.history.coverage_loss`
    - `guide`: guides the attention of batches with links
    - `counts_padding`: whether padding is a word to predict, which is a mistake (see `seq2seq/nn/mistakes.py`)
    - `teacher_forcing`: None if the decoder reads gold words only; `gold_share` is then the share of the current step
    """

    smoothing: float
    r_drop: float = 0.0
    coverage: float = 0.0
    guide: Guide | None = None
    counts_padding: bool = False
    teacher_forcing: TeacherForcing | None = None
    gold_share: float | Tensor = 1.0

    def at(self, step: int) -> "Objective":
        """The objective of a step, counted from 1: its share of gold words, and no guide whose steps are over."""
        guide = self.guide if self.guide is not None and self.guide.applies_at(step) else None
        share = 1.0 if self.teacher_forcing is None else self.teacher_forcing.share(step)
        return self._replace(guide=guide, gold_share=share)


class StepLoss(NamedTuple):
    """Losses in nats, as sums over target tokens, like `seq2seq.nn.cross_entropy.Loss`.

    Training minimises `smoothed`, which includes `guide` times its weight. `guide` is the loss of guided attention, a
    sum over the target tokens with a link; 0 without guidance.
    """

    smoothed: Float[Tensor, ""]
    negative_log_likelihood: Float[Tensor, ""]
    guide: Float[Tensor, ""]


class _Pairs(NamedTuple):
    """See `PaddedPairs`."""

    source: Tensor
    source_mask: Tensor
    target_input: Tensor
    target_output: Tensor
    target_mask: Tensor
    links: Tensor | None

    @classmethod
    def twice(cls, batch: PaddedPairs) -> "_Pairs":
        """All rows of the batch, and then all rows again."""
        twice = {name: getattr(batch, name).repeat(2, 1) for name in cls._fields if name != "links"}
        return cls(**twice, links=None if batch.links is None else batch.links.repeat(2, 1, 1))


def batch_loss(model: Model, batch: PaddedPairs, objective: Objective) -> StepLoss:
    """The loss of a batch: under teacher forcing, or with words of its own where the objective says so."""
    if objective.r_drop == 0:
        return _loss(model, batch, objective)[0]
    loss, outputs = _loss(model, _Pairs.twice(batch), objective)
    one, other = outputs.chunk(2)
    divergence = symmetric_divergence(model.output, one, other, batch.target_mask)
    smoothed, negative_log_likelihood, guide_loss = (value / 2 for value in loss)
    return StepLoss(smoothed + objective.r_drop / 4 * divergence, negative_log_likelihood, guide_loss)


def _loss(model: Model, batch: PaddedPairs, objective: Objective) -> tuple[StepLoss, Tensor]:
    """The loss of a batch without R-Drop, and the decoder's outputs."""
    if objective.teacher_forcing is None:
        outputs, attention = model(batch.source, batch.source_mask, batch.target_input)
    else:
        outputs, attention = _with_own_words(model, batch, objective.gold_share)
    mask = torch.ones_like(batch.target_mask) if objective.counts_padding else batch.target_mask
    loss = model.loss(outputs, batch.target_output, mask, smoothing=objective.smoothing)
    if objective.coverage:
        repetition = coverage_loss(attention.weights, batch.target_mask)
        loss = loss._replace(smoothed=loss.smoothed + objective.coverage * repetition)
    if attention.log_probability is not None:
        reinforce = _reinforce(model, outputs, attention.log_probability, batch)
        loss = loss._replace(smoothed=loss.smoothed + reinforce)
    guide = objective.guide
    if guide is None or batch.links is None:
        return StepLoss(*loss, torch.zeros_like(loss.negative_log_likelihood)), outputs
    guide_loss = guide(attention.weights, batch.links)
    smoothed = loss.smoothed + guide.weight * guide_loss
    return StepLoss(smoothed, loss.negative_log_likelihood, guide_loss.detach()), outputs


def _with_own_words(model: Model, batch: PaddedPairs, gold_share: float | Tensor) -> tuple[Tensor, Attention]:
    """The decoder's outputs and attention, word by word. At random the next word is gold, or the most likely one."""
    memory, state = model.encode(batch.source, batch.source_mask)
    word, outputs, attentions = batch.target_input[:, :1], [], []
    for gold in (*batch.target_input[:, 1:].split(1, dim=1), None):
        output, state, attention = model.decode(word, state, memory)
        outputs.append(output)
        attentions.append(attention)
        if gold is not None:
            is_gold = torch.rand(gold.shape, device=gold.device) < gold_share
            word = torch.where(is_gold, gold, model.output(output.detach()).argmax(dim=2))
    return torch.cat(outputs, dim=1), concatenate(attentions)


def _reinforce(model: Model, outputs: Tensor, log_probability: Tensor, batch: PaddedPairs) -> Tensor:
    """A sum with the value 0 and the gradient of `-sum_i (r_i - mean r) log p(draw_i)` (REINFORCE, Williams 1992).

    Hard attention learns from it. The reward `r_i` is the log-likelihood of target word i, in nats, and the mean over
    the batch is the baseline. The effect of a draw on later words, through the state of the decoder, is neglected; in
    `luong` there is none.
    """
    mask = batch.target_mask
    with torch.no_grad():
        logits = model.output(outputs).flatten(0, 1)
        loss = cross_entropy(logits, batch.target_output.flatten(), reduction="none").view_as(mask)
        advantage = (loss - (loss * mask).sum() / mask.sum()) * mask
    return (advantage * (log_probability - log_probability.detach())).sum()
