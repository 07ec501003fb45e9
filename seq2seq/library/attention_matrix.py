"""A person's own attention weights, as a matrix."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from seq2seq.attention.interventions import SMALLEST_REST, FromMatrix
from seq2seq.decoding.ensemble import Ensemble
from seq2seq.decoding.interventions import intervene
from seq2seq.decoding.translator import Translator
from seq2seq.library.inputs import describe, text_line
from seq2seq.runtime.errors import InputError

Matrix = Sequence[Sequence[float] | np.ndarray | Tensor | None] | np.ndarray | Tensor
"""A row for each target subword, from the first on, and a column for each source subword and EOS.

A row that is None stands for the weights of the model itself.
"""


def with_matrix(translator: Translator, source: object, matrix: object) -> Translator:
    """The translator with these weights for this source. Rows are normalised to a sum of 1; None keeps the model's.

    Raises InputError where the matrix does not fit the source or has a row that cannot be normalised.
    """
    if isinstance(translator.model, Ensemble) and not all(translator.model.shares_source):
        raise InputError("attention: the models of this ensemble split sources into different subwords")
    if not isinstance(source, str):
        raise TypeError(f"attention: a matrix is for one sentence; expected text, found {describe(source)}")
    pieces = translator.tokenizers.source.pieces(source_ids(translator, text_line(source, "the sentence")))
    weights = _weights(matrix, [*pieces, "</s>"]).to(translator.device)
    return translator.with_model(intervene(translator.model, FromMatrix(weights)))


def source_ids(translator: Translator, line: str) -> list[int]:
    """The subwords of the source that a matrix has columns for, in front of the one for EOS."""
    return translator.tokenizers.source.encode(translator.normalize(line))[: translator.longest]


def _array(value: object) -> object:
    """A tensor as an array; another value as it is."""
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else value


def _weights(matrix: object, columns: Sequence[str]) -> Float[Tensor, "steps source"]:
    """The normalised rows. A row that is None has zeros, by which `FromMatrix` keeps the weights of the model."""
    matrix = _array(matrix)
    entries = list(matrix) if isinstance(matrix, Sequence | np.ndarray) and not isinstance(matrix, str) else [matrix]
    if not entries:
        return torch.zeros(0, len(columns))
    try:
        rows = np.asarray([np.ones(len(columns)) if row is None else _array(row) for row in entries], dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"attention: expected rows of {len(columns)} numbers, or None for a row that the model makes, "
            f"found {describe(matrix)}"
        ) from None
    if rows.ndim != 2 or rows.shape[1] != len(columns):
        raise InputError(
            f"attention: expected a matrix with {len(columns)} columns, one for each source subword and EOS "
            f"({' '.join(columns)}), found the shape {rows.shape}"
        )
    sums = rows.sum(axis=1)
    usable = np.isfinite(sums) & (rows >= 0).all(axis=1) & (sums > SMALLEST_REST)
    if not usable.all():
        row = int(usable.argmin())
        raise InputError(f"attention: row {row} must have finite weights of at least 0 that are not all 0")
    rows /= sums[:, None]
    rows[[row is None for row in entries]] = 0
    return torch.from_numpy(rows.astype(np.float32))
