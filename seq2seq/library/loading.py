"""`seq2seq.load`: a checkpoint, ready to translate."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from seq2seq.config import near
from seq2seq.library.translator import Translator
from seq2seq.runtime.device import DEVICES, arithmetic_of_programs, device_of_kind
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.precision import PRECISIONS
from seq2seq.trained_model import checkpoint_folder, load_on_device

StrPath = str | os.PathLike[str]


def load(path: StrPath | Sequence[StrPath], *, device: str = "auto", precision: str = "auto") -> Translator:
    """Loads a checkpoint, `runs/NAME/checkpoints/best`, or the best one of a run folder, `runs/NAME`.

    A list of several is an ensemble: the mean of their probabilities.

    `device` is "auto" (a GPU if there is one), "cpu" or "cuda" (the current GPU). `precision` is "int8" for a search
    with 8-bit weights on a CPU; "auto" and "float32" do not round. No setting of the process changes.
    Raises InputError where there is no checkpoint or no such device or precision, where a checkpoint is damaged, and
    where models have different target vocabularies.
    """
    for name, value, choices in (("device", device, DEVICES), ("precision", precision, PRECISIONS)):
        if value not in choices:
            raise InputError(f"{name}: no such choice '{value}', {near(str(value), choices)}")
    if precision == "bfloat16":
        raise InputError("precision: bfloat16 is for training; choose auto, float32 or int8")
    folders = checkpoint_folders(path)
    torch_device = device_of_kind(device)
    if torch_device.type == "cuda":
        torch_device = torch.device("cuda", torch.cuda.current_device())  # each thread has its own current GPU
    with arithmetic_of_programs():
        return Translator(load_on_device(folders, torch_device, precision=precision), *folders)


def checkpoint_folders(paths: StrPath | Sequence[StrPath]) -> list[Path]:
    """The folder of each checkpoint; see `checkpoint_folder`."""
    several: Sequence[Any] = paths if isinstance(paths, list | tuple) else [paths]
    return [checkpoint_folder(path) for path in several]
