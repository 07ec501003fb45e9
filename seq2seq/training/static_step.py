"""Optimiser steps for a GPU: the arithmetic of `training/step.py` with static shapes and CUDA graphs.

A batch is padded to one of a few shapes, its bucket. The forward and backward pass of each bucket is one CUDA graph,
and the update of the weights is another. So Python starts two graphs for a step instead of thousands of kernels, and
does not wait for the device. Gradients stay in the same memory. Between the graphs they are summed over the batches of
a step and over processes.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from seq2seq.nn.model import Model
from seq2seq.runtime import distributed
from seq2seq.runtime.cuda_graphs import CudaGraphs
from seq2seq.runtime.memory import memory_or
from seq2seq.runtime.precision import products
from seq2seq.runtime.static_shapes import static_shapes
from seq2seq.text.batches import LENGTH_MULTIPLE, round_up, set_links, shift_right
from seq2seq.text.store import Store
from seq2seq.text.tokenizer import EOS, PAD
from seq2seq.training.freezing import trainable
from seq2seq.training.learning_rate import Schedule
from seq2seq.training.objective import Objective, StepLoss, batch_loss
from seq2seq.training.optimizer import gradient_norm, set_learning_rate, update_weights
from seq2seq.training.step import Update, column_sums, too_large


class Bucket(NamedTuple):
    """The shape of a batch: `rows` sentences, with both sides padded to `length` tokens, EOS counted."""

    rows: int
    length: int


class StaticBatch(NamedTuple):
    """A batch on the device, in the shape of its bucket. Rows without a sentence are padding.

    `target_input` is `target_output` shifted by one, and begins with BOS.
    """

    source: Int[Tensor, "rows length"]
    source_mask: Bool[Tensor, "rows length"]
    target_input: Int[Tensor, "rows length"]
    target_output: Int[Tensor, "rows length"]
    target_mask: Bool[Tensor, "rows length"]
    links: Bool[Tensor, "rows length length"] | None = None

    @classmethod
    def from_ids(
        cls, ids: Int[Tensor, "2 rows length"], links: Bool[Tensor, "rows length length"] | None = None
    ) -> "StaticBatch":
        """From the ids of source and target, with EOS and PAD. No text encodes to PAD: masks are `ids != PAD`."""
        source, target = ids.unbind(0)
        mask = target != PAD
        return cls(source, source != PAD, shift_right(target, mask), target, mask, links)


class HostBatch(NamedTuple):
    """A batch in the CPU's memory: the ids of source and target, with EOS and PAD, and the number of their tokens.

    `links` and `linked_tokens` are those of `seq2seq.text.batches.Batch`.
    """

    ids: Int[Tensor, "2 rows length"]
    source_tokens: int
    target_tokens: int
    links: Bool[Tensor, "rows length length"] | None = None
    linked_tokens: int = 0

    @property
    def bucket(self) -> Bucket:
        """The shape of the batch."""
        return Bucket(*self.ids.shape[1:])


def bucket(longest: int, *, size: int, unit: str, multiple: int) -> Bucket:
    """The bucket of a batch whose longest sentence has `longest` tokens, EOS counted.

    `size`, `unit` and `multiple` are those of `seq2seq.text.batches.plan`. All batches of the same `length` share a
    bucket. It has as many rows as the largest batch that `plan` can make of that length.
    """
    length = round_up(longest, LENGTH_MULTIPLE)
    if unit == "sentences":
        return Bucket(size, length)
    shortest = round_up(length - LENGTH_MULTIPLE + 1, multiple)
    return Bucket(max(1, size // shortest), length)


def collate_static(store: Store, indices: np.ndarray, *, size: int, unit: str, multiple: int, pin: bool) -> HostBatch:
    """The batch of the sentences with these indices, in the shape of its bucket.

    `size`, `unit` and `multiple` are those of `bucket`. With `pin` the batch is in pinned memory, so Python does not
    wait for the copy to the device.
    """
    sides = [side.take(indices) for side in (store.source, store.target)]
    lengths = np.array([side_lengths for _, side_lengths in sides])
    rows, length = bucket(int(lengths.max()) + 1, size=size, unit=unit, multiple=multiple)
    ids = torch.full((2, rows, length), PAD, pin_memory=pin)
    values, position = ids.numpy()[:, : len(indices)], np.arange(length)
    values[position < lengths[..., None]] = np.concatenate([side_ids for side_ids, _ in sides])
    values[position == lengths[..., None]] = EOS
    source_tokens, target_tokens = (lengths.sum(axis=1) + len(indices)).tolist()
    batch = HostBatch(ids, source_tokens, target_tokens)
    if store.links is None:
        return batch
    links = torch.zeros(rows, length, length, dtype=torch.bool, pin_memory=pin)
    return batch._replace(links=links, linked_tokens=set_links(links, store.links, indices))


class StaticStep:
    """One optimiser step in fixed memory: call `add_gradient` for each batch of the step, then `update`."""

    def __init__(
        self,
        model: Model,
        optimizer: torch.optim.Optimizer,
        *,
        objective: Objective,
        clip: float | None,
        precision: str,
        graphs: bool,
    ) -> None:
        """With `graphs`, operations are recorded as CUDA graphs. The other options are those of `updates`."""
        self.model, self.optimizer = model, optimizer
        self.objective, self.clip, self.precision = objective, clip, precision
        self.graphs = CudaGraphs(enabled=graphs)
        self.parameters = trainable(model)
        self.device = self.parameters[0].device
        self.gradients = [torch.zeros_like(parameter) for parameter in self.parameters]
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient
        self.inputs: dict[tuple[Bucket, bool], tuple[Tensor, Tensor | None]] = {}
        self.tokens, self.gold_share = torch.ones(2, device=self.device).unbind()
        self.losses = torch.zeros(3, device=self.device)
        self.results = torch.zeros(5, device=self.device)

    def add_gradient(self, batch: HostBatch, tokens: int) -> None:
        """Adds the loss of the batch, and its gradient divided by `tokens`, the target tokens of the whole step.

        A batch with links guides the attention.
        """
        key = (batch.bucket, batch.links is not None)
        if key not in self.inputs:
            links = None if batch.links is None else torch.empty_like(batch.links, device=self.device)
            self.inputs[key] = torch.empty_like(batch.ids, device=self.device), links
        ids, links = self.inputs[key]
        ids.copy_(batch.ids, non_blocking=True)
        if links is not None and batch.links is not None:
            links.copy_(batch.links, non_blocking=True)
        self.tokens.fill_(tokens)
        self.graphs.run(key, partial(self._add_gradient, ids, links))

    def _add_gradient(self, ids: Tensor, links: Tensor | None) -> None:
        with static_shapes(), products(self.precision, self.device):
            objective = self.objective._replace(gold_share=self.gold_share)
            loss = batch_loss(self.model, StaticBatch.from_ids(ids, links), objective)
            gradients = torch.autograd.grad(loss.smoothed / self.tokens, self.parameters, allow_unused=True)
        used = [pair for pair in zip(self.gradients, gradients, strict=True) if pair[1] is not None]
        torch._foreach_add_(*map(list, zip(*used, strict=True)))  # one kernel; `backward` has one for each parameter
        self.losses += torch.stack([value.detach() for value in loss])

    def update(self, learning_rate: float) -> tuple[StepLoss, Tensor, Tensor]:
        """Updates the weights and resets gradients and loss to 0.

        Returns the loss of the step, the norm of its gradient before clipping, and whether both were finite.
        """
        set_learning_rate(self.optimizer, learning_rate)
        self.graphs.run("update", self._update)
        *losses, norm, finite = self.results.clone().unbind()
        return StepLoss(*losses), norm, finite > 0

    def _update(self) -> None:
        norm = gradient_norm(self.model)
        finite = update_weights(self.optimizer, loss=self.losses[0], norm=norm, clip=self.clip)
        self.results.copy_(torch.cat((self.losses, torch.stack((norm, finite.to(norm.dtype))))))
        self.losses.zero_()
        torch._foreach_zero_(self.gradients)


def static_updates(
    step: StaticStep, groups: Iterable[Sequence[HostBatch]], *, schedule: Schedule, start: int = 0
) -> Iterator[Update]:
    """Makes one optimiser step for each group of batches, like `seq2seq.training.step.updates`."""
    for number, group in enumerate(groups, start=start + 1):
        if not step.model.training:  # visiting all modules takes as long as the rest of what Python does here
            step.model.train()
        objective = step.objective.at(number)
        step.gold_share.fill_(objective.gold_share)
        guided = objective.guide is not None
        batches = group if guided else [batch._replace(links=None, linked_tokens=0) for batch in group]
        counts = [
            (batch.source_tokens, batch.target_tokens, batch.ids.numel(), batch.linked_tokens) for batch in batches
        ]
        source_tokens, target_tokens, positions, linked = distributed.all_reduce_sum(column_sums(counts, 4))
        for batch in batches:
            with memory_or(too_large(batch.bucket.rows, batch.bucket.length, batch.bucket.length, number)):
                step.add_gradient(batch, target_tokens)
        if distributed.world_size() > 1:
            distributed.all_reduce_([*step.gradients, step.losses])
        rate = schedule.rate(number)
        loss, norm, finite = step.update(rate)
        padding = positions - source_tokens - target_tokens
        yield Update(number, loss, target_tokens, linked, padding, positions, norm, rate, finite)
