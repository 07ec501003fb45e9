"""The loss of a batch, and a generator of optimiser steps."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from seq2seq.nn.cross_entropy import Loss
from seq2seq.nn.model import Model
from seq2seq.runtime import distributed
from seq2seq.runtime.memory import memory_or
from seq2seq.runtime.precision import products
from seq2seq.text.batches import Batch, PaddedPairs, padding_share
from seq2seq.training.learning_rate import Schedule
from seq2seq.training.optimizer import gradient_norm, set_learning_rate, update_weights


class Update(NamedTuple):
    """One optimiser step: sums over its batches; tensors are still on the device, so that nothing waits for them.

    Where `finite` is False, the loss or the norm was infinite or no number, and the weights stayed as they were.
    """

    step: int
    loss: Loss
    tokens: int
    padding: int
    positions: int
    gradient_norm: Tensor
    learning_rate: float
    finite: Tensor


def batch_loss(model: Model, batch: PaddedPairs, *, smoothing: float) -> Loss:
    """The loss of a batch under teacher forcing."""
    outputs, attention = model(batch.source, batch.source_mask, batch.target_input)
    loss = model.loss(outputs, batch.target_output, batch.target_mask, smoothing=smoothing)
    if attention.log_probability is not None:
        gradient = _reinforcement(model, outputs, attention.log_probability, batch)
        loss = loss._replace(smoothed=loss.smoothed + gradient)
    return loss


def _reinforcement(model: Model, outputs: Tensor, log_probability: Tensor, batch: PaddedPairs) -> Tensor:
    """0, with the gradient of `-sum_i (r_i - mean r) log p(draw_i)` (Williams 1992), which hard attention learns by.

    The reward r is the log-likelihood of the draw's own word; its effect on later words through the decoder's state
    (`luong` has none) is left out. The mean over the batch is the baseline.
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
    precision: str = "float32",
    start: int = 0,
) -> Iterator[Update]:
    """One update for each group of batches: its gradient is that of all their tokens as one batch.

    Every batch's summed loss is divided by the tokens of the whole group, so a group of k batches weighs each token
    as one batch of the same sentences would. Gradients are clipped to the norm `clip` where it is given. `precision` is
    that of `seq2seq.precision`.

    Of several processes each gives its own groups, and a group is what all of them have for one step. Where an epoch
    ends, some may have no batch.
    """
    nothing = Loss(*next(model.parameters()).new_zeros(2))
    for step, group in enumerate(groups, start=start + 1):
        model.train()
        tokens, padding, positions = _counts(group)
        losses = []
        for batch in group:
            (rows, source), target = batch.source.shape, batch.target_input.shape[1]
            with memory_or(too_large(rows, source, target, step)), products(precision, batch.source.device):
                loss = batch_loss(model, batch, smoothing=smoothing)
                (loss.smoothed / tokens).backward()
            losses.append(Loss(*(part.detach() for part in loss)))
        total = Loss(*(torch.stack(parts).sum() for parts in zip(*losses or [nothing], strict=True)))
        _add_up(model, total)
        norm, rate = gradient_norm(model), schedule.rate(step)
        finite = torch.isfinite(norm) & torch.isfinite(total.smoothed)
        set_learning_rate(optimizer, rate)
        update_weights(optimizer, norm=norm, clip=clip, finite=finite)
        optimizer.zero_grad(set_to_none=True)
        yield Update(step, total, tokens, padding, positions, norm, rate, finite)


def too_large(sentences: int, source: int, target: int, step: int) -> str:
    """What is wrong, and what would do, where a batch of this shape needs more memory than there is."""
    return (
        f"step {step}: no memory left for a batch of {sentences} sentences, of up to {source} source and {target} "
        "target subwords: lower training.batch.size (training.accumulate makes up for it) or dataset.longest"
    )


def _counts(group: Sequence[Batch]) -> list[int]:
    """Target tokens, padding and positions of the group, all processes' batches together."""
    counts = [(batch.target_tokens, *padding_share(batch)) for batch in group]
    return distributed.all_reduce_sum([sum(parts) for parts in zip((0, 0, 0), *counts, strict=True)])


def _add_up(model: Model, total: Loss) -> None:
    """Makes gradients and loss the sums over all processes; one without a batch adds nothing."""
    if distributed.world_size() > 1:
        parameters = list(model.parameters())
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
        distributed.all_reduce_([*gradients, *total])
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
