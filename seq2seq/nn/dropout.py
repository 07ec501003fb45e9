"""Dropout of entries, with cheaper random numbers on a CPU, and of whole words."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.runtime.static_shapes import has_static_shapes


class Dropout(nn.Module):
    """`nn.Dropout` (Srivastava et al. 2014); on a CPU the probability is rounded to a multiple of 1/65,536.

    On a CPU PyTorch draws one random number for each entry, which took 6 to 8 % of a training step. Here one 64-bit
    number from the same generator serves four entries.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        assert 0 <= probability < 1, probability
        self.probability = probability

    def forward(self, inputs: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training or self.probability == 0:
            return inputs
        if has_static_shapes(inputs):
            return nn.functional.dropout(inputs, self.probability)
        return _Dropout.apply(inputs, min(round(self.probability * 2**16), 2**16 - 1))  # type: ignore[no-untyped-call]


class WordDropout(nn.Module):
    """Dropout of whole embedded words: all entries of a word are 0, or all are scaled by `1 / (1 - p)`.

    Each occurrence is drawn by itself (Sennrich and Zhang 2019, section 3.1). In Gal and Ghahramani 2016, section 4.2,
    all occurrences of a word in a sentence share their fate; sentences seldom repeat a subword.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.dropout = Dropout(probability)

    def forward(self, embedded: Float[Tensor, "batch words embedding"]) -> Float[Tensor, "batch words embedding"]:
        if not self.training or self.dropout.probability == 0:
            return embedded
        return embedded * self.dropout(embedded.new_ones(*embedded.shape[:2], 1))


class RecurrentDropout(nn.Module):
    """The mask of a recurrent state, the same for all steps of a sentence (Gal and Ghahramani 2016, section 4)."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.dropout = Dropout(probability)

    def forward(self, state: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"] | None:
        """Factors of 0 or `1 / (1 - p)` for each entry of the state; None where nothing is dropped."""
        if not self.training or self.dropout.probability == 0:
            return None
        return self.dropout(torch.ones_like(state))


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, dropped: int) -> Tensor:
        """`dropped` of 65,536 equally likely 16-bit numbers drop an entry; the others scale it by `1 / (1 - p)`."""
        numbers = torch.empty(inputs.numel() // 4 + 1, dtype=torch.int64).random_(-(2**63), None)
        keep_mask = numbers.view(torch.int16)[: inputs.numel()].view(inputs.shape) >= dropped - 2**15
        ctx.scale = 1 / (1 - dropped / 2**16)
        ctx.save_for_backward(keep_mask)
        contiguous = torch.empty_like(
            inputs, memory_format=torch.contiguous_format
        )  # else each matrix product would copy it
        return torch.mul(inputs, keep_mask, out=contiguous).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (keep_mask,) = ctx.saved_tensors
        return (gradient * keep_mask).mul_(ctx.scale), None
