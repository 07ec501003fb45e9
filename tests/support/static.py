"""A small encoded corpus, and batches of it in the shapes that a GPU trains on."""

import numpy as np

from seq2seq.text.store import Filtered, Sequences, Store
from seq2seq.text.tokenizer import EOS
from seq2seq.training.static_step import HostBatch, collate_static
from tests.support.tiny import POSITIONS, SOURCE_VOCABULARY, TARGET_VOCABULARY


def sequences(vocabulary: int, lengths: list[int], seed: int) -> Sequences:
    random = np.random.default_rng(seed)
    ids = random.integers(EOS + 1, vocabulary, sum(lengths)).astype(np.int32)
    return Sequences(ids, np.concatenate([[0], np.cumsum(lengths)]))


def store(count: int = 30) -> Store:
    """Sentences of 0 to 14 ids: shorter than what the tiny model's location-based rules can score."""
    random = np.random.default_rng(5)
    lengths = random.integers(0, POSITIONS - 1, (2, count)).tolist()
    return Store(
        sequences(SOURCE_VOCABULARY, lengths[0], 1), sequences(TARGET_VOCABULARY, lengths[1], 2), Filtered(0, 0)
    )


def padded(indices: list[int]) -> HostBatch:
    return collate_static(store(), np.array(indices), size=100, unit="tokens", multiple=1, pin=False)


def linked_store(count: int = 30) -> Store:
    """`store` with links on the diagonal of each pair, without the last source position, which has no link."""
    plain = store(count)
    lengths = np.minimum(plain.source.lengths - 1, plain.target.lengths).clip(min=0)
    positions = [np.repeat(np.arange(length), 2) for length in lengths]
    offsets = np.concatenate([[0], np.cumsum(2 * lengths)])
    return plain._replace(links=Sequences(np.concatenate(positions).astype(np.uint16), offsets))
