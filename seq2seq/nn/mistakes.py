"""Classic mistakes of translation models, made on purpose, so that a lesson can measure what each costs.

A mistake changes the masks that a part of the model gets. The code of the model does not know of it.
"""

from collections.abc import Collection
from typing import Any

import torch
from torch import nn

from seq2seq.nn.model import Model

MISTAKES = {
    "attention_sees_padding": "attention gives weight to padding",
    "encoder_reads_padding": "the encoder reads padding as if it were words, so its final state depends on the batch",
    "loss_counts_padding": "the training loss counts padding as words to predict",
}
"""The mistakes by name, and what each does. `loss_counts_padding` is made by `seq2seq.training.objective`."""


def remarks(mistakes: Collection[str]) -> list[str]:
    """What a person who reads the results has to know."""
    return [f"mistake={name}, on purpose: {MISTAKES[name]}" for name in mistakes]


def make_mistakes(model: Model, mistakes: Collection[str]) -> None:
    """Makes the mistakes of these names in a model, in place: in training, in validation and in search."""
    if "attention_sees_padding" in mistakes:
        model.decoder.attention.distribution.register_forward_pre_hook(_without_mask)
    if "encoder_reads_padding" in mistakes:
        model.encoder.register_forward_pre_hook(_without_mask)


def _without_mask(_: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of an encoder or a distribution, whose second is the mask, with a mask that is True everywhere."""
    first, mask, *rest = arguments
    return first, torch.ones_like(mask), *rest
