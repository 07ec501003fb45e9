"""A translation's attention between words, for alignments and heat maps."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from seq2seq.decoding.printable import CONTROL
from seq2seq.decoding.translator import Translation
from seq2seq.reporting.attention import Attention
from seq2seq.text.units import merge, units


def unit_attention(translation: Translation) -> Attention:
    """A translation's attention between words (pieces, in scripts without spaces), without EOS on both sides."""
    return merge_units(translation.source_pieces, translation.target_pieces, translation.weights)


def merge_units(
    source_pieces: Sequence[str], target_pieces: Sequence[str], piece_weights: Float[np.ndarray, "target source"]
) -> Attention:
    """Attention between pieces, merged as in `unit_attention`."""
    source, target = units(source_pieces), units(target_pieces)
    weights = merge(piece_weights, source, target)
    rows, columns = ([CONTROL.sub("\ufffd", unit.text) for unit in side] for side in (target, source))
    return Attention(columns, rows, weights)
