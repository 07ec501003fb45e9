"""The log-probability, the score and the attention of translations that are given, with their sources, as raw text."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from seq2seq.decoding.forced_decoding import LONGEST_TARGET, force_targets
from seq2seq.decoding.translator import TooLong, Translation, Translator


class SourceTooLong(TooLong):
    """A source that is too long to read: its length and the limit, in subwords."""

    def __str__(self) -> str:
        return f"a source of {super().__str__()}"


class TargetTooLong(TooLong):
    """A target that is too long to read: its length and the limit, in subwords."""

    def __str__(self) -> str:
        return f"a target of {self.length} subwords, more than the limit of {self.longest}"


class ScoredPair(NamedTuple):
    """A given translation, and the log-probabilities of its subwords and of EOS."""

    translation: Translation
    log_probabilities: Float[np.ndarray, "target"]


def score_pairs(
    translator: Translator, sources: Sequence[str], targets: Sequence[str]
) -> list[ScoredPair | SourceTooLong | TargetTooLong]:
    """The model reads each target under teacher forcing: `log p(y | x) = sum_i log p(y_i | y_<i, x)`, EOS included.

    A source that is too long is cut if the translator cuts such sources. The result of a pair does not depend on the
    others.
    """
    normalized = [[translator.normalize(text) for text in texts] for texts in (sources, targets)]
    tokenizers = translator.tokenizers
    source_ids, target_ids = map(
        lambda tokenizer, texts: tokenizer.encode_batch(texts), (tokenizers.source, tokenizers.target), normalized
    )
    results: dict[int, ScoredPair | SourceTooLong | TargetTooLong] = {}
    todo = []
    for i, (source, target) in enumerate(zip(source_ids, target_ids, strict=True)):
        if len(source) > translator.longest and not translator.truncate:
            results[i] = SourceTooLong(len(source), translator.longest)
        elif len(target) > LONGEST_TARGET:
            results[i] = TargetTooLong(len(target), LONGEST_TARGET)
        else:
            todo.append(i)
    read = [source_ids[i][: translator.longest] for i in todo]
    forced_targets = force_targets(translator.model, translator.device, read, [target_ids[i] for i in todo])
    for i, source, forced in zip(todo, read, forced_targets, strict=True):
        total = float(forced.log_probabilities.sum(dtype=np.float64))
        translation = Translation(
            text=normalized[1][i],
            score=translator.options.penalties.score(total, forced.weights),
            log_probability=total,
            source_pieces=tokenizers.source.pieces(source),
            target_pieces=tokenizers.target.pieces(target_ids[i]),
            weights=forced.weights,
        )
        results[i] = ScoredPair(translation, forced.log_probabilities)
    return [results[i] for i in range(len(results))]
