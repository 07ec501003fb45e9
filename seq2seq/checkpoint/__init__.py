"""Checkpoints: folders of plain data, written atomically, without code."""

from seq2seq.checkpoint.best import keep_best
from seq2seq.checkpoint.files import DESCRIPTION, SEAL, Checkpoint, Training, hash_weights, seal, write
from seq2seq.checkpoint.state import AVERAGE
from seq2seq.checkpoint.storage import exists, load, store
from seq2seq.checkpoint.weights import check_weights, load_weights

__all__ = [
    "AVERAGE",
    "DESCRIPTION",
    "SEAL",
    "Checkpoint",
    "Training",
    "check_weights",
    "exists",
    "hash_weights",
    "keep_best",
    "load",
    "load_weights",
    "seal",
    "store",
    "write",
]
