"""The typed configuration of each program; `load` is the only way to read it."""

from seq2seq.config.dataset import (
    DATASETS,
    Dataset,
    Files,
    Gettext,
    Grammar,
    HuggingFace,
    JsonLines,
    Multi30k,
    OwnText,
    Tmx,
    Tsv,
)
from seq2seq.config.intervention import Intervention, InterventionValues
from seq2seq.config.loading import keys, load, search_as_given
from seq2seq.config.model import Attention
from seq2seq.config.programs import Evaluate, Score, Translate
from seq2seq.config.schema import Device, Train
from seq2seq.config.search import Search
from seq2seq.config.serve import Limits, Serve
from seq2seq.config.suggestions import near
from seq2seq.config.training import GOLD, Guide, Init, Training
from seq2seq.config.types import Section

__all__ = [
    "DATASETS",
    "GOLD",
    "Attention",
    "Dataset",
    "Device",
    "Evaluate",
    "Files",
    "Gettext",
    "Grammar",
    "Guide",
    "HuggingFace",
    "Init",
    "Intervention",
    "InterventionValues",
    "JsonLines",
    "Limits",
    "Multi30k",
    "OwnText",
    "Score",
    "Search",
    "Section",
    "Serve",
    "Tmx",
    "Train",
    "Training",
    "Translate",
    "Tsv",
    "keys",
    "load",
    "near",
    "search_as_given",
]
