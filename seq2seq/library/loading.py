"""`seq2seq.load`: a checkpoint, ready to translate."""

import os

import torch

from seq2seq.config import near
from seq2seq.library.translator import Translator
from seq2seq.runtime.device import DEVICES, device_of_kind, flushed_denormals
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.precision import PRECISIONS
from seq2seq.trained_model import checkpoint_folder, load_on_device


def load(path: str | os.PathLike[str], *, device: str = "auto", precision: str = "auto") -> Translator:
    """Loads a checkpoint, `runs/NAME/checkpoints/best`, or the best one of a run folder, `runs/NAME`.

    `device` is "auto" (a GPU if there is one), "cpu" or "cuda" (the current GPU). `precision` is "int8" for a search
    with 8-bit weights on a CPU; "auto" and "float32" do not round. No setting of the process changes.
    Raises InputError where there is no checkpoint or no such device or precision, and where the checkpoint is damaged.
    """
    for name, value, choices in (("device", device, DEVICES), ("precision", precision, PRECISIONS)):
        if value not in choices:
            raise InputError(f"{name}: no such choice '{value}', {near(str(value), choices)}")
    folder = checkpoint_folder(path)
    torch_device = device_of_kind(device)
    if torch_device.type == "cuda":
        torch_device = torch.device("cuda", torch.cuda.current_device())  # each thread has its own current GPU
    with flushed_denormals():
        return Translator(load_on_device(folder, torch_device, precision=precision), folder)
