"""Attention between words, as data for pictures and tables."""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Attention(NamedTuple):
    """Attention between words: `weights[target word, source word]`."""

    source: Sequence[str]
    target: Sequence[str]
    weights: Float[np.ndarray, "target source"]

    @property
    def is_right_to_left(self) -> bool:
        """Whether most letters of the source belong to a right-to-left script, such as Arabic or Hebrew."""
        directions = [unicodedata.bidirectional(letter) for word in self.source for letter in word]
        return sum(direction in ("R", "AL") for direction in directions) > directions.count("L")
