"""Checkpoints: folders of plain data, written atomically, without code."""

from seq2seq.checkpoint.best import keep_best
from seq2seq.checkpoint.files import DESCRIPTION, SEAL, Checkpoint, Training, hash_weights, seal, write
from seq2seq.checkpoint.state import AVERAGE
from seq2seq.checkpoint.storage import exists, load, store

__all__ = [
    "AVERAGE",
    "DESCRIPTION",
    "SEAL",
    "Checkpoint",
    "Training",
    "exists",
    "hash_weights",
    "keep_best",
    "load",
    "seal",
    "store",
    "write",
]
