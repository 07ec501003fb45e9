"""The exponential moving average of the weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from seq2seq.checkpoint import AVERAGE
from seq2seq.nn.model import Model
from seq2seq.runtime.errors import InputError


class WeightAverage:
    """The average of the weights over the steps, with weights that fall exponentially into the past.

    After step t it is the mean of the weights `w_1, ..., w_t` with the factors `d^(t-i) (1-d) / (1-d^t)`, where d is
    the decay. The denominator is the bias correction of Kingma and Ba 2015, section 3: the factors add up to 1, and the
    weights before the first step have none. As an update,

        a_t = a_{t-1} + c_t (w_t - a_{t-1}),    c_t = (1-d) / (1-d^t).

    A step that was skipped counts, with the weights that it left. Frozen weights are their own average.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.decay = decay
        self.weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self.averages = {name: weight.detach().clone() for name, weight in self.weights.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Adds the weights after this step, counted from 1. Python does not wait for the device."""
        share = (1 - self.decay) / (1 - self.decay**step)
        torch._foreach_lerp_(list(self.averages.values()), list(self.weights.values()), share)

    @contextmanager
    def in_model(self) -> Iterator[None]:
        """The model has the averages in place of its weights, which it gets back at the end, to the bit."""
        own = {name: weight.detach().clone() for name, weight in self.weights.items()}
        self._set(self.averages)
        try:
            yield
        finally:
            self._set(own)

    @torch.no_grad()
    def _set(self, values: Mapping[str, Tensor]) -> None:
        for name, weight in self.weights.items():
            weight.copy_(values[name])

    def tensors(self) -> dict[str, Tensor]:
        """The averages by name, such as `average.output.bias`, for a checkpoint."""
        return {f"{AVERAGE}{name}": average for name, average in self.averages.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Takes the averages from the tensors of a checkpoint, and returns the others.

        Raises InputError where one is missing or has another shape or type.
        """
        rest = dict(tensors)
        for name, average in self.tensors().items():
            value = rest.pop(name, None)
            if value is None or (value.shape, value.dtype) != (average.shape, average.dtype):
                found = "missing" if value is None else (value.shape, value.dtype)
                raise InputError(
                    f"{name} is {found} in the checkpoint, but training needs {average.shape, average.dtype}"
                )
            average.copy_(value)
        return rest
