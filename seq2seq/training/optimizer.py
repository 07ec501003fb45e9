"""AdamW: gradient clipping, the update of the weights, and its tensors as a checkpoint holds them."""

import inspect
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from seq2seq.nn.model import Model
from seq2seq.runtime import distributed
from seq2seq.runtime.errors import InputError


class AdamW(torch.optim.AdamW):
    """PyTorch's AdamW without the decorators that import `torch._dynamo`, a second of each start and 70 MB."""

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)


def make_optimizer(model: Model, *, betas: tuple[float, float], weight_decay: float) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019); matrices decay, biases do not. The schedule sets the learning rate."""
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    biases = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": biases, "weight_decay": 0.0}]
    device = matrices[0].device
    if device.type == "cpu":
        return AdamW(groups, lr=0.0, betas=betas, fused=True)
    # CUDA graphs read the learning rate from memory, where `set_learning_rate` writes it.
    rate = torch.zeros((), device=device)
    return AdamW(groups, lr=rate, betas=betas, fused=True, capturable=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the rate of all parameters, in place where the optimiser reads it from a tensor."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def gradient_norm(model: Model) -> Tensor:
    """The Euclidean norm of all gradients together."""
    return get_total_norm(parameter.grad for parameter in model.parameters() if parameter.grad is not None)


def update_weights(optimizer: torch.optim.Optimizer, *, norm: Tensor, clip: float | None, finite: Tensor) -> None:
    """One optimiser step with gradients clipped to the norm `clip`; none where `finite` is False.

    The protocol is that of PyTorch's fused optimisers with `torch.amp.GradScaler`: a step does nothing where
    `found_inf` is 1, and divides gradients by `grad_scale`, which saves a pass over them. Nothing waits for the device.
    """
    optimizer.found_inf = 1.0 - finite.float()  # type: ignore[attr-defined]
    optimizer.grad_scale = (norm / clip).clamp(min=1.0).float() if clip is not None else None  # type: ignore[attr-defined]
    optimizer.step()


def tensors_to_resume(model: Model, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimiser and the random generators hold, by name, such as `optimizer.exp_avg.output.bias`.

    The optimiser is the same in all processes, and each has its own random numbers: a row of `random.cpu`.
    """
    device = next(model.parameters()).device
    found = {"random.cpu": distributed.gather_stacked(torch.get_rng_state())}
    if device.type == "cuda":
        found["random.cuda"] = distributed.gather_stacked(torch.cuda.get_rng_state(device))
    for name, parameter in model.named_parameters():
        for kind, tensor in optimizer.state[parameter].items():
            found[f"optimizer.{kind}.{name}"] = tensor
    return found


def load_tensors(model: Model, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Puts back what `tensors_to_resume` gave. Raises InputError where it is not for this model.

    A device that had no random generator there keeps its own.
    """
    device = next(model.parameters()).device
    tensors = {
        name: distributed.select_own(found) if name.startswith("random.") else found for name, found in tensors.items()
    }
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
