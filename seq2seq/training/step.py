"""The loss of a batch, and optimiser steps as a generator."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from seq2seq.nn.cross_entropy import Loss, symmetric_divergence
from seq2seq.nn.model import Model
from seq2seq.runtime import distributed
from seq2seq.runtime.memory import memory_or
from seq2seq.runtime.precision import products
from seq2seq.text.batches import Batch, PaddedPairs, padding_share
from seq2seq.training.freezing import trainable
from seq2seq.training.learning_rate import Schedule
from seq2seq.training.optimizer import gradient_norm, set_learning_rate, update_weights


class Update(NamedTuple):
    """The results of one optimiser step. Tensors stay on the device, so Python does not wait for them.

    - `step`: its number, from 1
    - `loss`, `tokens`, `padding`, `positions`: sums over the batches of the step in all processes: the loss of the
      target tokens, their number, and the padding and all positions of both sides
    - `gradient_norm`: before clipping
    - `finite`: False if the loss or the norm was infinite or NaN; then the step was skipped, and no weight changed
    """

    step: int
    loss: Loss
    tokens: int
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

    @classmethod
    def twice(cls, batch: PaddedPairs) -> "_Pairs":
        """All rows of the batch, and then all rows again."""
        return cls(*(getattr(batch, name).repeat(2, 1) for name in cls._fields))


def batch_loss(model: Model, batch: PaddedPairs, *, smoothing: float, r_drop: float = 0.0) -> Loss:
    """The loss of a batch under teacher forcing.

    With `r_drop`, the alpha of R-Drop (Liang et al. 2021, equation 4), each sentence is in the batch twice, with two
    dropout masks. The loss is half of the paper's, so that a token counts as much as without:
    `(L_1 + L_2) / 2 + alpha / 2 * (KL(p_1 || p_2) + KL(p_2 || p_1)) / 2`, with the distributions p_1 and p_2 of the
    next word under the two masks.
    """
    if r_drop == 0:
        return _loss(model, batch, smoothing=smoothing)[0]
    loss, outputs = _loss(model, _Pairs.twice(batch), smoothing=smoothing)
    one, other = outputs.chunk(2)
    divergence = symmetric_divergence(model.output, one, other, batch.target_mask)
    return Loss(loss.smoothed / 2 + r_drop / 4 * divergence, loss.negative_log_likelihood / 2)


def _loss(model: Model, batch: PaddedPairs, *, smoothing: float) -> tuple[Loss, Tensor]:
    """The loss of a batch, and the decoder's outputs."""
    outputs, attention = model(batch.source, batch.source_mask, batch.target_input)
    loss = model.loss(outputs, batch.target_output, batch.target_mask, smoothing=smoothing)
    if attention.log_probability is not None:
        reinforce = _reinforce(model, outputs, attention.log_probability, batch)
        loss = loss._replace(smoothed=loss.smoothed + reinforce)
    return loss, outputs


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
    start: int = 0,
) -> Iterator[Update]:
    """Makes one optimiser step for each group of batches, as if the group were one batch.

    The summed loss of each batch is divided by the number of target tokens of the whole group, so each token has the
    same weight. Gradients are clipped to the norm `clip`, or not if it is None. For `r_drop` see `batch_loss`.
    `precision` is one of `seq2seq.runtime.precision.PRECISIONS`. The first step has the number `start + 1`.

    With several processes each has its own groups, and the groups of all processes together make a step. At the end of
    an epoch a group may be empty. Raises InputError if a batch needs more memory than there is.
    """
    zero = Loss(*next(model.parameters()).new_zeros(2))
    for step, group in enumerate(groups, start=start + 1):
        model.train()
        tokens, padding, positions = _counts(group)
        losses = []
        for batch in group:
            (rows, source), target = batch.source.shape, batch.target_input.shape[1]
            with memory_or(too_large(rows, source, target, step)), products(precision, batch.source.device):
                loss = batch_loss(model, batch, smoothing=smoothing, r_drop=r_drop)
                (loss.smoothed / tokens).backward()
            losses.append(Loss(*(value.detach() for value in loss)))
        total = Loss(*(torch.stack(values).sum() for values in zip(*losses or [zero], strict=True)))
        _all_reduce(model, total)
        norm, rate = gradient_norm(model), schedule.rate(step)
        set_learning_rate(optimizer, rate)
        finite = update_weights(optimizer, loss=total.smoothed, norm=norm, clip=clip)
        optimizer.zero_grad(set_to_none=True)
        yield Update(step, total, tokens, padding, positions, norm, rate, finite)


def too_large(sentences: int, source: int, target: int, step: int) -> str:
    """The message for a batch of this shape that needs more memory than there is."""
    return (
        f"step {step}: no memory left for a batch of {sentences} sentences, of up to {source} source and {target} "
        "target subwords: lower training.batch.size (training.accumulate makes up for it) or dataset.longest"
    )


def _counts(group: Sequence[Batch]) -> list[int]:
    """The target tokens, padding and positions of the group, summed over all processes."""
    counts = [(batch.target_tokens, *padding_share(batch)) for batch in group]
    return distributed.all_reduce_sum([sum(column) for column in zip((0, 0, 0), *counts, strict=True)])


def _all_reduce(model: Model, total: Loss) -> None:
    """Replaces gradients and loss by their sums over all processes. A process without a batch adds 0."""
    if distributed.world_size() > 1:
        parameters = trainable(model)
        gradients = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in parameters]
        distributed.all_reduce_([*gradients, *total])
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
