"""The kinds of tokenizers by name: trained on a text, and read from their bytes."""

from collections.abc import Iterable, Sequence
from itertools import chain

from seq2seq.runtime.errors import InputError
from seq2seq.text.corpus import Split
from seq2seq.text.tokenizer import SubwordTokenizer, Tokenizer, Tokenizers, train_tokenizer
from seq2seq.text.vocabulary import HEAD, UNITS, Vocabulary, train_vocabulary

SUBWORDS = ("unigram", "bpe")
KINDS = (*SUBWORDS, *UNITS)


def read_tokenizer(model: bytes) -> Tokenizer:
    """The tokenizer with this `model`, of any kind. Raises InputError where there is none."""
    return Vocabulary.read(model) if model.startswith(HEAD) else SubwordTokenizer(model)


def train_tokenizers(
    train: Split,
    *,
    vocabulary_size: int,
    kind: str,
    joint: bool,
    coverage: float = 1.0,
    symbols: Sequence[str] = (),
    min_frequency: int = 1,
) -> Tokenizers:
    """Trains a tokenizer for each side, or one on both sides if `joint`.

    `vocabulary_size` is exact for `SUBWORDS`, and the greatest size for words and characters. `coverage` is for
    `SUBWORDS`, `min_frequency` for words and characters.
    `train` must be the training split: a tokenizer must not see validation or test text.
    """

    def fit(lines: Iterable[str]) -> Tokenizer:
        if kind in SUBWORDS:
            return train_tokenizer(
                lines, vocabulary_size=vocabulary_size, kind=kind, coverage=coverage, symbols=symbols
            )
        return train_vocabulary(lines, largest=vocabulary_size, kind=kind, min_frequency=min_frequency, symbols=symbols)

    try:
        if joint:
            shared = fit(chain.from_iterable(train))
            return Tokenizers(shared, shared)
        return Tokenizers(fit(pair.source for pair in train), fit(pair.target for pair in train))
    except InputError:
        if not any(pair.has_both_sides for pair in train):
            raise InputError(f"no pair of {train.name} has text on both sides: there is nothing to train on") from None
        raise
