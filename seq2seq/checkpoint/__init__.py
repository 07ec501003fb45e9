"""A trained model on disk: a folder of plain data, never half written, and nothing in it is a program."""

from seq2seq.checkpoint.best import keep_best
from seq2seq.checkpoint.files import DESCRIPTION, SEAL, Checkpoint, Training, seal, write
from seq2seq.checkpoint.storage import exists, load, store

__all__ = [
    "DESCRIPTION",
    "SEAL",
    "Checkpoint",
    "Training",
    "exists",
    "keep_best",
    "load",
    "seal",
    "store",
    "write",
]
