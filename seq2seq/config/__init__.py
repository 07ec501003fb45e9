"""The typed configuration of each program, read through one door: `load`."""

from seq2seq.config.messages import near
from seq2seq.config.schema import (
    DATASETS,
    Attention,
    Dataset,
    Device,
    Evaluate,
    Files,
    Grammar,
    Multi30k,
    Search,
    Section,
    Train,
    Training,
    Translate,
    Tsv,
    keys,
    load,
    search_as_given,
)

__all__ = [
    "DATASETS",
    "Attention",
    "Dataset",
    "Device",
    "Evaluate",
    "Files",
    "Grammar",
    "Multi30k",
    "Search",
    "Section",
    "Train",
    "Training",
    "Translate",
    "Tsv",
    "keys",
    "load",
    "near",
    "search_as_given",
]
