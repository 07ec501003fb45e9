"""Remarks on words and characters that a vocabulary does not have. Subword tokenizers have none."""

from collections.abc import Iterable

import numpy as np

from seq2seq.text.annotations import LoadedSplit
from seq2seq.text.store import Store
from seq2seq.text.tokenizer import Tokenizers
from seq2seq.text.vocabulary import Vocabulary


def training_unknown(store: Store, tokenizers: Tokenizers, scored: Iterable[LoadedSplit]) -> str | None:
    """The shares of `<unk>` in the training text.

    A warning where there is none, but in the text that is scored: then the model has not learned what `<unk>` is.
    """
    shares = [
        float(np.isin(side.ids, sorted(tokenizer.unknown_ids)).mean())
        for side, tokenizer in zip(store[:2], tokenizers, strict=True)
        if isinstance(tokenizer, Vocabulary)
    ]
    if any(shares):
        return _sentence("training", shares, tokenizers)
    if any(scored_unknown(split, tokenizers) for split in scored):
        return (
            "warning: everything in the training text is in the vocabulary, so the model does not learn what <unk> "
            "stands for: set dataset.min_frequency=2, or a smaller dataset.vocabulary"
        )
    return None


def scored_unknown(split: LoadedSplit, tokenizers: Tokenizers) -> str | None:
    """The shares of `<unk>` in a split, or None without any."""
    shares = []
    for texts, tokenizer in zip(zip(*split.pairs, strict=True), tokenizers, strict=True):
        if isinstance(tokenizer, Vocabulary):
            tokens = sum(map(len, tokenizer.encode_batch(texts)))
            shares.append(sum(tokenizer.count_fallbacks(texts)) / max(1, tokens))
    return _sentence(split.name, shares, tokenizers) if any(shares) else None


def _sentence(name: str, shares: list[float], tokenizers: Tokenizers) -> str:
    (source, target), unit = shares, tokenizers.source.unit
    return f"{name}: {source:.2%} of the source {unit} and {target:.2%} of the target {unit} are <unk>"
