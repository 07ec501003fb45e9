"""The loss, the learning rate, and a generator of optimiser steps."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils import get_total_norm

from seq2seq import distributed
from seq2seq.errors import InputError
from seq2seq.nn.cross_entropy import Loss, linear_cross_entropy
from seq2seq.nn.model import Model
from seq2seq.precision import products
from seq2seq.text.batches import Batch, padding_share


class Schedule(NamedTuple):
    """Linear warm-up to `peak`, then `decay`: constant, linear or cosine to 0 at `total`, or inverse_sqrt.

    Steps are optimiser steps, counted from 1; `inverse_sqrt` is `peak * sqrt(warmup / step)` (Vaswani et al. 2017).
    """

    peak: float
    warmup: int
    total: int
    decay: str

    def rate(self, step: int) -> float:
        """The learning rate of the given step."""
        if step <= self.warmup:
            return self.peak * step / self.warmup
        # The step after the last would have rate 0, so that the last one still moves.
        left = (self.total + 1 - step) / (self.total + 1 - self.warmup)
        return (
            self.peak
            * {
                "constant": 1.0,
                "linear": left,
                "cosine": (1 + math.cos(math.pi * (1 - left))) / 2,
                "inverse_sqrt": math.sqrt(max(self.warmup, 1) / step),
            }[self.decay]
        )


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


def output_loss(model: Model, outputs: Float[Tensor, "batch target width"], batch: Batch, *, smoothing: float) -> Loss:
    """The loss of decoder outputs as sums over the batch's target tokens (EOS counted, padding not)."""
    tokens = batch.target_mask
    return linear_cross_entropy(model.output, outputs[tokens], batch.target_output[tokens], smoothing=smoothing)


def batch_loss(model: Model, batch: Batch, *, smoothing: float) -> Loss:
    """The loss of a batch under teacher forcing."""
    outputs, weights = model(batch.source, batch.source_mask, batch.target_input)
    loss = output_loss(model, outputs, batch, smoothing=smoothing)
    if model.training and model.decoder.attention.distribution.rewarded:
        loss = loss._replace(smoothed=loss.smoothed + _reinforcement(model, outputs, weights, batch))
    return loss


def _reinforcement(model: Model, outputs: Tensor, weights: Tensor, batch: Batch) -> Tensor:
    """0, with the gradient of `-sum_i (r_i - mean r) log p(choice_i)` (Williams 1992): what choices learn from.

    The reward r is the log-likelihood of the choice's own word; what it does to later words through the decoder's
    state (there is none in `luong`) is left out. The mean over the batch is the baseline.
    """
    tokens = batch.target_mask
    with torch.no_grad():
        loss = cross_entropy(model.output(outputs[tokens]), batch.target_output[tokens], reduction="none")
    # Each is 1, and has the slope of the choice's log-probability (the sum over heads, of which weights are the mean).
    choices = weights.sum(dim=2)[tokens]
    return model.decoder.attention.score.heads * ((loss - loss.mean()) * (choices - choices.detach())).sum()


def make_optimizer(model: Model, *, betas: tuple[float, float], weight_decay: float) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019); matrices decay, biases do not. The schedule sets the learning rate."""
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    biases = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": biases, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, betas=betas, fused=True)


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
            with memory_or(_too_large(batch, step)), products(precision, batch.source.device):
                loss = batch_loss(model, batch, smoothing=smoothing)
                (loss.smoothed / tokens).backward()
            losses.append(Loss(*(part.detach() for part in loss)))
        total = Loss(*(torch.stack(parts).sum() for parts in zip(*losses or [nothing], strict=True)))
        _add_up(model, total)
        norm = get_total_norm(parameter.grad for parameter in model.parameters() if parameter.grad is not None)
        rate = schedule.rate(step)
        finite = torch.isfinite(norm) & torch.isfinite(total.smoothed)
        for parameters in optimizer.param_groups:
            parameters["lr"] = rate
        # A fused AdamW does nothing where found_inf is 1, and divides gradients by grad_scale, which saves a pass.
        optimizer.found_inf = 1.0 - finite.float()  # type: ignore[attr-defined]
        optimizer.grad_scale = (norm / clip).clamp(min=1.0).float() if clip is not None else None  # type: ignore[attr-defined]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield Update(step, total, tokens, padding, positions, norm, rate, finite)


@contextmanager
def memory_or(sentence: str) -> Iterator[None]:
    """Raises InputError with the sentence where there is no memory, on a CPU or a GPU."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        known = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not known and "allocate memory" not in str(error):  # what a CPU's allocator says
            raise
        raise InputError(sentence) from error


def _too_large(batch: Batch, step: int) -> str:
    (sentences, source), target = batch.source.shape, batch.target_input.shape[1]
    return (
        f"step {step}: no memory left for a batch of {sentences} sentences, of up to {source} source and {target} "
        "target subwords: lower training.batch.size (training.accumulate makes up for it) or dataset.longest"
    )


def _counts(group: Sequence[Batch]) -> list[int]:
    """Target tokens, padding and positions of the group, all processes' batches together."""
    counts = [(batch.target_tokens, *padding_share(batch)) for batch in group]
    return distributed.summed([sum(parts) for parts in zip((0, 0, 0), *counts, strict=True)])


def _add_up(model: Model, total: Loss) -> None:
    """Makes gradients and loss the sums over all processes; one without a batch adds nothing."""
    if distributed.processes() > 1:
        parameters = list(model.parameters())
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
        distributed.add_up([*gradients, *total])
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient


def tensors_to_resume(model: Model, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimiser and the random generators hold, by name, such as `optimizer.exp_avg.output.bias`.

    The optimiser is the same in all processes, and each has its own random numbers: a row of `random.cpu`.
    """
    device = next(model.parameters()).device
    found = {"random.cpu": distributed.stacked(torch.get_rng_state())}
    if device.type == "cuda":
        found["random.cuda"] = distributed.stacked(torch.cuda.get_rng_state(device))
    for name, parameter in model.named_parameters():
        for kind, tensor in optimizer.state[parameter].items():
            found[f"optimizer.{kind}.{name}"] = tensor
    return found


def resume(model: Model, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Puts back what `tensors_to_resume` gave. Raises InputError where it is not for this model.

    A device that had no random generator there keeps its own.
    """
    device = next(model.parameters()).device
    tensors = {name: distributed.own(found) if name.startswith("random.") else found for name, found in tensors.items()}
    wanted: dict[str, tuple[torch.Size, torch.dtype]] = {"random.cpu": (torch.get_rng_state().shape, torch.uint8)}
    if "random.cuda" in tensors:
        wanted["random.cuda"] = (torch.Size([16]), torch.uint8)
    for name, parameter in model.named_parameters():
        if any(found.startswith("optimizer.") for found in tensors):  # none before the first step
            alike = (parameter.shape, parameter.dtype)
            wanted |= {f"optimizer.{kind}.{name}": alike for kind in ("exp_avg", "exp_avg_sq")}
            wanted[f"optimizer.step.{name}"] = (torch.Size([]), torch.float32)
    found = {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
    if wanted != found:
        name = min(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        raise InputError(f"{name} is {found.get(name)} where training has {wanted.get(name)}")
    for name, parameter in model.named_parameters():
        prefix = {kind: f"optimizer.{kind}.{name}" for kind in ("step", "exp_avg", "exp_avg_sq")}
        optimizer.state[parameter] = {kind: tensors[key].to(device) for kind, key in prefix.items() if key in tensors}
    try:
        torch.set_rng_state(tensors["random.cpu"])
    except RuntimeError as error:
        raise InputError(f"random.cpu is no state of random numbers: {error}") from None
    if device.type == "cuda" and "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"], device)
