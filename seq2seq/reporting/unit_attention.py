"""A translation's attention between words, for alignments and heat maps."""

from seq2seq.decoding.translator import CONTROL, Translation
from seq2seq.reporting.heatmap import Attention
from seq2seq.text.units import merge, units


def unit_attention(translation: Translation) -> Attention:
    """A translation's attention between words (pieces, in scripts without spaces), without EOS on both sides."""
    source, target = units(translation.source_pieces), units(translation.target_pieces)
    weights = merge(translation.weights, source, target)
    rows, columns = ([CONTROL.sub("\ufffd", unit.text) for unit in side] for side in (target, source))
    return Attention(columns, rows, weights)
