"""The loss of a batch, and optimiser steps as a generator."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy

from seq2seq.attention.guide import Guide
from seq2seq.nn.cross_entropy import symmetric_divergence
from seq2seq.nn.model import Model
from seq2seq.runtime import distributed
from seq2seq.runtime.memory import memory_or
from seq2seq.runtime.precision import products
from seq2seq.text.batches import Batch, PaddedPairs, padding_share
from seq2seq.training.freezing import trainable
from seq2seq.training.learning_rate import Schedule
from seq2seq.training.optimizer import gradient_norm, set_learning_rate, update_weights


class StepLoss(NamedTuple):
    """Losses in nats, as sums over target tokens, like `seq2seq.nn.cross_entropy.Loss`.

    Training minimises `smoothed`, which includes `guide` times its weight. `guide` is the loss of guided attention, a
    sum over the target tokens with a link; 0 without guidance.
    """

    smoothed: Float[Tensor, ""]
    negative_log_likelihood: Float[Tensor, ""]
    guide: Float[Tensor, ""]


class Update(NamedTuple):
    """The results of one optimiser step. Tensors stay on the device, so Python does not wait for them.

    - `step`: its number, from 1
    - `loss`, `tokens`, `linked`, `padding`, `positions`: sums over the batches of the step in all processes: the loss
      of the target tokens, their number, the number of those whose attention is guided, and the padding and all
      positions of both sides
    - `gradient_norm`: before clipping
    - `finite`: False if the loss or the norm was infinite or NaN; then the step was skipped, and no weight changed
    """

    step: int
    loss: StepLoss
    tokens: int
    linked: int
    padding: int
    positions: int
    gradient_norm: Tensor
    learning_rate: float
    finite: Tensor


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


def batch_loss(
    model: Model, batch: PaddedPairs, *, smoothing: float, r_drop: float = 0.0, guide: Guide | None = None
) -> StepLoss:
    """The loss of a batch under teacher forcing. With `guide`, its links guide the attention.

    With `r_drop`, the alpha of R-Drop (Liang et al. 2021, equation 4), each sentence is in the batch twice, with two
    dropout masks. The loss is half of the paper's, so that a token counts as much as without:
    `(L_1 + L_2) / 2 + alpha / 2 * (KL(p_1 || p_2) + KL(p_2 || p_1)) / 2`, with the distributions p_1 and p_2 of the
    next word under the two masks.
    """
    if r_drop == 0:
        return _loss(model, batch, smoothing=smoothing, guide=guide)[0]
    loss, outputs = _loss(model, _Pairs.twice(batch), smoothing=smoothing, guide=guide)
    one, other = outputs.chunk(2)
    divergence = symmetric_divergence(model.output, one, other, batch.target_mask)
    smoothed, negative_log_likelihood, guide_loss = (value / 2 for value in loss)
    return StepLoss(smoothed + r_drop / 4 * divergence, negative_log_likelihood, guide_loss)


def _loss(model: Model, batch: PaddedPairs, *, smoothing: float, guide: Guide | None) -> tuple[StepLoss, Tensor]:
    """The loss of a batch, and the decoder's outputs."""
    outputs, attention = model(batch.source, batch.source_mask, batch.target_input)
    loss = model.loss(outputs, batch.target_output, batch.target_mask, smoothing=smoothing)
    if attention.log_probability is not None:
        reinforce = _reinforce(model, outputs, attention.log_probability, batch)
        loss = loss._replace(smoothed=loss.smoothed + reinforce)
    if guide is None or batch.links is None:
        return StepLoss(*loss, torch.zeros_like(loss.negative_log_likelihood)), outputs
    guide_loss = guide(attention.weights, batch.links)
    smoothed = loss.smoothed + guide.weight * guide_loss
    return StepLoss(smoothed, loss.negative_log_likelihood, guide_loss.detach()), outputs


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


def updates(
    model: Model,
    optimizer: torch.optim.Optimizer,
    groups: Iterable[Sequence[Batch]],
    *,
    schedule: Schedule,
    smoothing: float,
    clip: float | None,
    r_drop: float = 0.0,
    precision: str = "float32",
    guide: Guide | None = None,
    start: int = 0,
) -> Iterator[Update]:
    """Makes one optimiser step for each group of batches, as if the group were one batch.

    The summed loss of each batch is divided by the number of target tokens of the whole group, so each token has the
    same weight. Gradients are clipped to the norm `clip`, or not if it is None. For `r_drop` see `batch_loss`. `guide`
    guides the attention of batches with links. `precision` is one of `seq2seq.runtime.precision.PRECISIONS`. The first
    step has the number `start + 1`.

    With several processes each has its own groups, and the groups of all processes together make a step. At the end of
    an epoch a group may be empty. Raises InputError if a batch needs more memory than there is.
    """
    zero = StepLoss(*next(model.parameters()).new_zeros(3))
    for step, group in enumerate(groups, start=start + 1):
        model.train()
        guide_now = guide if guide is not None and guide.applies_at(step) else None
        tokens, linked, padding, positions = _counts(group, guided=guide_now is not None)
        losses = []
        for batch in group:
            (rows, source), target = batch.source.shape, batch.target_input.shape[1]
            with memory_or(too_large(rows, source, target, step)), products(precision, batch.source.device):
                loss = batch_loss(model, batch, smoothing=smoothing, r_drop=r_drop, guide=guide_now)
                (loss.smoothed / tokens).backward()
            losses.append(StepLoss(*(value.detach() for value in loss)))
        total = StepLoss(*(torch.stack(values).sum() for values in zip(*losses or [zero], strict=True)))
        _all_reduce(model, total)
        norm, rate = gradient_norm(model), schedule.rate(step)
        set_learning_rate(optimizer, rate)
        finite = update_weights(optimizer, loss=total.smoothed, norm=norm, clip=clip)
        optimizer.zero_grad(set_to_none=True)
        yield Update(step, total, tokens, linked, padding, positions, norm, rate, finite)


def too_large(sentences: int, source: int, target: int, step: int) -> str:
    """The message for a batch of this shape that needs more memory than there is."""
    return (
        f"step {step}: no memory left for a batch of {sentences} sentences, of up to {source} source and {target} "
        "target subwords: lower training.batch.size (training.accumulate makes up for it) or dataset.longest"
    )


def _counts(group: Sequence[Batch], *, guided: bool) -> list[int]:
    """The target tokens, those that are guided, padding and positions of the group, summed over all processes."""
    counts = [(batch.target_tokens, batch.linked_tokens * guided, *padding_share(batch)) for batch in group]
    return distributed.all_reduce_sum(column_sums(counts, 4))


def column_sums(rows: Sequence[Sequence[int]], columns: int) -> list[int]:
    """The sum of each column; 0 without rows."""
    return [sum(row[column] for row in rows) for column in range(columns)]


def _all_reduce(model: Model, total: StepLoss) -> None:
    """Replaces gradients and loss by their sums over all processes. A process without a batch adds 0."""
    if distributed.world_size() > 1:
        parameters = trainable(model)
        gradients = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in parameters]
        distributed.all_reduce_([*gradients, *total])
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
