"""AdamW: making it, gradient clipping, the update of the weights, and its tensors in a checkpoint."""

import inspect
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.utils import get_total_norm

from seq2seq.nn.model import Model
from seq2seq.runtime import distributed
from seq2seq.runtime.errors import InputError
from seq2seq.training.freezing import trainable


class AdamW(torch.optim.AdamW):
    """PyTorch's AdamW without the decorators that import `torch._dynamo`, a second of each start and 70 MB."""

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)


def make_optimizer(model: Model, *, betas: tuple[float, float], weight_decay: float) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019) with weight decay for matrices, but not for biases and single numbers.

    It has the parameters that train. The learning rate is 0 until `set_learning_rate` sets it.
    """
    matrices = [parameter for parameter in trainable(model) if parameter.dim() > 1]
    biases = [parameter for parameter in trainable(model) if parameter.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": biases, "weight_decay": 0.0}]
    device = next(model.parameters()).device
    if device.type == "cpu":
        return AdamW(groups, lr=0.0, betas=betas, fused=True)
    # CUDA graphs read the learning rate from memory, where `set_learning_rate` writes it.
    rate = torch.zeros((), device=device)
    return AdamW(groups, lr=rate, betas=betas, fused=True, capturable=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate of all parameters. On a GPU it is a tensor, which is changed in place."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def gradient_norm(model: Model) -> Tensor:
    """The Euclidean norm of the gradients of all parameters that train, as one vector."""
    return get_total_norm(parameter.grad for parameter in model.parameters() if parameter.grad is not None)


def update_weights(optimizer: torch.optim.Optimizer, *, loss: Tensor, norm: Tensor, clip: float | None) -> Tensor:
    """One optimiser step. The gradients, whose norm is `norm`, are clipped to the norm `clip`.

    Returns whether loss and norm are finite. If one of them is not, no weight changes.

    Clipping multiplies gradients by `min(1, clip / norm)` (Pascanu et al. 2013). It uses the protocol between PyTorch's
    fused optimisers and `torch.amp.GradScaler`: a step divides gradients by `grad_scale`, which saves a pass over them,
    and has no effect if `found_inf` is 1. Python does not wait for the device.
    """
    finite = torch.isfinite(norm) & torch.isfinite(loss)
    optimizer.found_inf = 1.0 - finite.float()  # type: ignore[attr-defined]
    optimizer.grad_scale = (norm / clip).clamp(min=1.0).float() if clip is not None else None  # type: ignore[attr-defined]
    optimizer.step()
    return finite


def tensors_to_resume(model: Model, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of the optimiser and of the random generators by name, such as `optimizer.exp_avg.output.bias`.

    The state of the optimiser is the same in all processes. Each process has its own random generator, whose state is
    one row of `random.cpu`. All processes must call this function together.
    """
    device = next(model.parameters()).device
    tensors = {"random.cpu": distributed.gather_stacked(torch.get_rng_state())}
    if device.type == "cuda":
        tensors["random.cuda"] = distributed.gather_stacked(torch.cuda.get_rng_state(device))
    for name, parameter in _named_trainable(model):
        for kind, tensor in optimizer.state[parameter].items():
            tensors[f"optimizer.{kind}.{name}"] = tensor
    return tensors


def load_tensors(model: Model, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restores the state that `tensors_to_resume` returned. Raises InputError if it is not the state of this model.

    The GPU's random generator keeps its state if the checkpoint has none for it.
    """
    device = next(model.parameters()).device
    tensors = {
        name: distributed.select_own(tensor) if name.startswith("random.") else tensor
        for name, tensor in tensors.items()
    }
    expected: dict[str, tuple[torch.Size, torch.dtype]] = {"random.cpu": (torch.get_rng_state().shape, torch.uint8)}
    if "random.cuda" in tensors:
        expected["random.cuda"] = (torch.Size([16]), torch.uint8)
    for name, parameter in _named_trainable(model):
        if any(key.startswith("optimizer.") for key in tensors):  # the optimiser has no state before the first step
            shape_and_type = (parameter.shape, parameter.dtype)
            expected |= {f"optimizer.{kind}.{name}": shape_and_type for kind in ("exp_avg", "exp_avg_sq")}
            expected[f"optimizer.step.{name}"] = (torch.Size([]), torch.float32)
    shapes_and_types = {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
    if expected != shapes_and_types:
        names = expected.keys() | shapes_and_types.keys()
        name = min(name for name in names if expected.get(name) != shapes_and_types.get(name))
        raise InputError(
            f"{name} is {shapes_and_types.get(name, 'missing')} in the checkpoint, but training needs "
            f"{expected.get(name, 'none')}"
        )
    for name, parameter in _named_trainable(model):
        prefix = {kind: f"optimizer.{kind}.{name}" for kind in ("step", "exp_avg", "exp_avg_sq")}
        optimizer.state[parameter] = {kind: tensors[key].to(device) for kind, key in prefix.items() if key in tensors}
    try:
        torch.set_rng_state(tensors["random.cpu"])
    except RuntimeError as error:
        raise InputError(f"random.cpu is not the state of a random generator: {error}") from None
    if device.type == "cuda" and "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"], device)


def _named_trainable(model: Model) -> Iterator[tuple[str, Parameter]]:
    return ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)
