"""The weights of a checkpoint, checked and copied into a model."""

from pathlib import Path

import torch
from torch import Tensor, nn

from seq2seq.checkpoint.files import Checkpoint
from seq2seq.runtime.errors import InputError


@torch.no_grad()
def load_weights(model: nn.Module, loaded: Checkpoint, folder: Path) -> None:
    """Copies a checkpoint's weights into the model. Raises InputError where they do not fit."""
    check_weights(model, loaded, folder)
    for name, parameter in model.named_parameters():
        parameter.copy_(loaded.weights[name])


def check_weights(model: nn.Module, loaded: Checkpoint, folder: Path) -> None:
    """Raises InputError where a name, shape or type of a weight differs from the model's, or a number is not finite."""
    expected = {name: _describe(parameter) for name, parameter in model.named_parameters()}
    actual = {name: _describe(weight) for name, weight in loaded.weights.items()}
    if expected != actual:
        name = min(name for name in expected.keys() | actual.keys() if expected.get(name) != actual.get(name))
        raise InputError(
            f"checkpoint {folder} does not fit its own configuration: {name} is {actual.get(name)} "
            f"where the model has {expected.get(name)}"
        )
    if not all(weight.isfinite().all() for weight in loaded.weights.values()):
        raise InputError(f"checkpoint {folder} is damaged: a weight is not a finite number")


def _describe(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
