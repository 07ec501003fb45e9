"""A split under teacher forcing: the likelihood of its references, and the attention on the way."""

import math
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import torch

from seq2seq.decoding.ensemble import Ensemble
from seq2seq.decoding.forced_decoding import LONGEST_TARGET
from seq2seq.evaluation.alignment_error import Diagnostics, links
from seq2seq.nn.model import Model
from seq2seq.runtime import distributed
from seq2seq.text.annotations import LoadedSplit
from seq2seq.text.batches import Batch, batch_pairs
from seq2seq.text.tokenizer import Tokenizers
from seq2seq.text.units import merge, merge_segments, words


class Likelihood(NamedTuple):
    """A sum of negative log-likelihoods in nats, and the number of target tokens, including EOS."""

    total: float
    tokens: int

    @property
    def loss(self) -> float:
        """Nats per token; NaN without tokens."""
        return self.total / self.tokens if self.tokens else math.nan

    @property
    def perplexity(self) -> float:
        """`exp(loss)`; infinity where a float cannot hold it."""
        try:
            return math.exp(self.loss)
        except OverflowError:
            return math.inf


def format_perplexity(value: float) -> str:
    """Two decimals, or from a million on scientific notation: `12.34`, `1.2e+250`."""
    return f"{value:.2f}" if value < 1e6 else f"{value:.1e}"


class TeacherForcingResult(NamedTuple):
    """Sums over a split, and for each pair the word links of attention (None: the pair was left out)."""

    likelihood: Likelihood
    diagnostics: Diagnostics
    links: list[set[tuple[int, int]] | None]


UNITS: dict[str, tuple[Callable[[list[str]], list[Any]], Callable[..., np.ndarray]]] = {
    "words": (words, merge),
    "characters": (list, merge_segments),
}
"""For each kind of unit: the function that groups pieces into units, and the one that merges attention weights."""


class References:
    """A split, encoded once, in batches of `size` pairs of similar length.

    Leaves out pairs with a source of more than `longest` or a target of more than `LONGEST_TARGET` subwords.
    Links are between the split's `units`.
    """

    def __init__(self, split: LoadedSplit, tokenizers: Tokenizers, *, longest: int, size: int = 64) -> None:
        sources = tokenizers.source.encode_batch([pair.source for pair in split.pairs])
        targets = tokenizers.target.encode_batch([pair.target for pair in split.pairs])
        self.count = len(split.pairs)
        self.lengths = [(len(source), len(target)) for source, target in zip(sources, targets, strict=True)]
        group, self.merge = UNITS[split.units]
        self.source_units = [group(tokenizers.source.pieces(ids)) for ids in sources]
        self.target_units = [group(tokenizers.target.pieces(ids)) for ids in targets]
        fits = [source <= longest and target <= LONGEST_TARGET for source, target in self.lengths]
        by_length = sorted(compress(range(self.count), fits), key=lambda i: len(targets[i]))
        self.batches = [
            (indices, batch_pairs([sources[i] for i in indices], [targets[i] for i in indices]))
            for indices in (by_length[start : start + size] for start in range(0, len(by_length), size))
        ]

    def read(self, model: Model | Ensemble, device: torch.device) -> TeacherForcingResult:
        """Predicts each reference token from the tokens before it, without label smoothing and dropout."""
        model.eval()
        total, tokens, diagnostics = 0.0, 0, Diagnostics()
        all_links: list[set[tuple[int, int]] | None] = [None] * self.count
        results = distributed.map_across_ranks(lambda batch: self._read(model, device, *batch), self.batches)
        for (indices, batch), (loss, sentences) in zip(self.batches, results, strict=True):
            total += loss
            tokens += batch.target_tokens
            for i, (sentence_diagnostics, sentence_links) in zip(indices, sentences, strict=True):
                diagnostics += sentence_diagnostics
                all_links[i] = sentence_links
        return TeacherForcingResult(Likelihood(total, tokens), diagnostics, all_links)

    @torch.no_grad()
    def _read(
        self, model: Model | Ensemble, device: torch.device, indices: Sequence[int], batch: Batch
    ) -> tuple[float, list[tuple[Diagnostics, set[tuple[int, int]]]]]:
        """The negative log-likelihood of a batch, and the diagnostics and links of each of its sentences."""
        batch = batch.to(device)
        outputs, (weights, _) = model(batch.source, batch.source_mask, batch.target_input)
        sentences = []
        for i, padded in zip(indices, weights.float().cpu().numpy(), strict=True):
            source_length, target_length = self.lengths[i]
            attention = padded[:target_length, : source_length + 1]  # without the row of EOS, with its column
            source, target = self.source_units[i], self.target_units[i]
            word_links = links(self.merge(attention, source, target)) if source and target else set()
            sentences.append((Diagnostics.of(attention), word_links))
        loss = model.loss(outputs, batch.target_output, batch.target_mask, smoothing=0.0)
        return float(loss.negative_log_likelihood), sentences
