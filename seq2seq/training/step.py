"""Optimiser steps as a generator."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seq2seq.nn.model import Model
from seq2seq.runtime import distributed
from seq2seq.runtime.memory import memory_or
from seq2seq.runtime.precision import products
from seq2seq.text.batches import Batch, padding_share
from seq2seq.training.freezing import trainable
from seq2seq.training.learning_rate import Schedule
from seq2seq.training.objective import Objective, StepLoss, batch_loss
from seq2seq.training.optimizer import gradient_norm, set_learning_rate, update_weights


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


def updates(
    model: Model,
    optimizer: torch.optim.Optimizer,
    groups: Iterable[Sequence[Batch]],
    *,
    objective: Objective,
    schedule: Schedule,
    clip: float | None,
    precision: str = "float32",
    start: int = 0,
) -> Iterator[Update]:
    """Makes one optimiser step for each group of batches, as if the group were one batch.

    The baseline of REINFORCE is that of each batch, however.
    The summed loss of each batch is divided by the number of target tokens of the whole group, so each token has the
    same weight. Gradients are clipped to the norm `clip`, or not if it is None. `precision` is one of
    `seq2seq.runtime.precision.PRECISIONS`. The first step has the number `start + 1`.

    With several processes each has its own groups, and the groups of all processes together make a step. At the end of
    an epoch a group may be empty. Raises InputError if a batch needs more memory than there is.
    """
    zero = StepLoss(*next(model.parameters()).new_zeros(3))
    for step, group in enumerate(groups, start=start + 1):
        model.train()
        parts = objective.at(step)
        tokens, linked, padding, positions = _counts(group, guided=parts.guide is not None)
        losses = []
        for batch in group:
            (rows, source), target = batch.source.shape, batch.target_input.shape[1]
            with memory_or(too_large(rows, source, target, step)), products(precision, batch.source.device):
                loss = batch_loss(model, batch, parts)
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
