"""`model.embeddings`: pretrained vectors in place of the initial weights of embeddings."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seq2seq import config
from seq2seq.nn.model import Model
from seq2seq.runtime.errors import InputError
from seq2seq.text.store import Prepared, Sequences
from seq2seq.text.tokenizer import Tokenizer
from seq2seq.text.vectors import Vectors, read_vectors


def load_vectors(model: Model, configuration: config.Train, prepared: Prepared) -> Iterator[str]:
    """Sets the embeddings of pieces that have pretrained vectors, and yields a remark for each file.

    All vectors of a file are multiplied by one number, so that the mean square of theirs is that of the other rows,
    `1 / width` (see `initialize`). Raises InputError for what is wrong with a file.
    """
    options = configuration.model.embeddings
    files: dict[str, Path | None] = {"source": options.source, "target": options.target}
    if model.source_embedding is model.target_embedding and options.source == options.target:
        del files["target"]
    for side, path in files.items():
        if path is None:
            continue
        matrix: Tensor = getattr(model, f"{side}_embedding").weight
        tokenizer: Tokenizer = getattr(prepared.tokenizers, side)
        text: Sequences = getattr(prepared.store, side)
        try:
            vectors = read_vectors(path, tokenizer, width=matrix.shape[1])
        except InputError as error:
            raise InputError(f"model.embeddings.{side}: {error}") from None
        scale = _fill(matrix, vectors)
        share = float(np.isin(text.ids, vectors.ids).mean())
        yield (
            f"model.embeddings.{side}: {len(vectors.ids):,} of {len(tokenizer):,} pieces have vectors from {path}, "
            f"times {scale:.3g}; they are {share:.1%} of the {side} side of training{_remarks(vectors)}"
        )


@torch.no_grad()
def _fill(matrix: Tensor, vectors: Vectors) -> float:
    """Copies the vectors into their rows, and returns the number that they are multiplied by."""
    square = float(np.mean(np.square(vectors.values, dtype=np.float64)))
    scale = (matrix.shape[1] * square) ** -0.5 if square else 1.0
    rows = torch.from_numpy(vectors.values * np.float64(scale)).to(matrix)
    matrix[torch.from_numpy(vectors.ids).to(matrix.device)] = rows
    return scale


def _remarks(vectors: Vectors) -> str:
    remarks = ""
    if vectors.repeated:
        remarks += f"; left out, since their word has one already: {vectors.repeated:,}"
    if vectors.announced not in (None, vectors.words):
        remarks += f"; the file has {vectors.words:,} words, and its first line says {vectors.announced:,}"
    return remarks
