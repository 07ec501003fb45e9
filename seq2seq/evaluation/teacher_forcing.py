"""A split under teacher forcing: how likely its references are, and where the model looks while it reads them."""

import math
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import torch

from seq2seq.evaluation.alignment import Diagnostics, links
from seq2seq.nn.model import Model
from seq2seq.runtime import distributed
from seq2seq.text.annotations import LoadedSplit
from seq2seq.text.batches import Batch, batch_pairs
from seq2seq.text.tokenizer import Tokenizers
from seq2seq.text.units import merge, merge_segments, words


class Likelihood(NamedTuple):
    """A sum of negative log-likelihoods in nats, and the target tokens (EOS counted) it is over."""

    total: float
    tokens: int

    @property
    def loss(self) -> float:
        """Nats a token."""
        return self.total / self.tokens if self.tokens else math.nan

    @property
    def perplexity(self) -> float:
        """`exp(loss)`; infinity where that is more than a float can hold."""
        try:
            return math.exp(self.loss)
        except OverflowError:
            return math.inf


def format_perplexity(value: float) -> str:
    """Two decimals, or a power of ten where the number would be longer than what it says: `12.34`, `1.2e+250`."""
    return f"{value:.2f}" if value < 1e6 else f"{value:.1e}"


class TeacherForcingResult(NamedTuple):
    """What came of a split: sums over it, and for each pair the word links of attention (None: left out)."""

    likelihood: Likelihood
    diagnostics: Diagnostics
    links: list[set[tuple[int, int]] | None]


LONGEST = 4000
"""Subwords of a reference: four times what a source may have by default. 64 longer ones might not fit into memory."""

UNITS: dict[str, tuple[Callable[[list[str]], list[Any]], Callable[..., np.ndarray]]] = {
    "words": (words, merge),
    "characters": (list, merge_segments),
}
"""How a sentence's pieces are grouped once, and how attention between them becomes attention between units."""


class References:
    """A split encoded once, in batches of like length.

    Pairs with a source of more than `longest` subwords or a target of more than `LONGEST` are left out. Links are
    between what the split's gold counts.
    """

    def __init__(self, split: LoadedSplit, tokenizers: Tokenizers, *, longest: int, size: int = 64) -> None:
        sources = tokenizers.source.encode_batch([pair.source for pair in split.pairs])
        targets = tokenizers.target.encode_batch([pair.target for pair in split.pairs])
        self.count = len(split.pairs)
        self.lengths = [(len(source), len(target)) for source, target in zip(sources, targets, strict=True)]
        group, self.merge = UNITS[split.units]
        self.source_units = [group(tokenizers.source.pieces(ids)) for ids in sources]
        self.target_units = [group(tokenizers.target.pieces(ids)) for ids in targets]
        fits = [len(one) <= longest and len(other) <= LONGEST for one, other in zip(sources, targets, strict=True)]
        kept = sorted(compress(range(self.count), fits), key=lambda i: len(targets[i]))
        self.batches = [
            (indices, batch_pairs([sources[i] for i in indices], [targets[i] for i in indices]))
            for indices in (kept[start : start + size] for start in range(0, len(kept), size))
        ]

    def read(self, model: Model, device: torch.device) -> TeacherForcingResult:
        """Each reference word given the words before it; no label smoothing, no dropout."""
        model.eval()
        total, tokens, diagnostics = 0.0, 0, Diagnostics()
        found: list[set[tuple[int, int]] | None] = [None] * self.count
        read = distributed.map_across_ranks(lambda batch: self._read(model, device, *batch), self.batches)
        for (indices, batch), (loss, sentences) in zip(self.batches, read, strict=True):
            total += loss
            tokens += batch.target_tokens
            for i, (seen, linked) in zip(indices, sentences, strict=True):
                diagnostics += seen
                found[i] = linked
        return TeacherForcingResult(Likelihood(total, tokens), diagnostics, found)

    @torch.no_grad()
    def _read(
        self, model: Model, device: torch.device, indices: Sequence[int], batch: Batch
    ) -> tuple[float, list[tuple[Diagnostics, set[tuple[int, int]]]]]:
        """A batch's negative log-likelihood, and what attention does in each of its sentences."""
        moved = batch.to(device)
        outputs, (weights, _) = model(moved.source, moved.source_mask, moved.target_input)
        found = []
        for i, sentence in zip(indices, weights.float().cpu().numpy(), strict=True):
            source_length, target_length = self.lengths[i]
            attended = sentence[:target_length, : source_length + 1]  # EOS is no target word, but a place to look at
            source, target = self.source_units[i], self.target_units[i]
            linked = links(self.merge(attended, source, target)) if source and target else set()
            found.append((Diagnostics.of(attended), linked))
        loss = model.loss(outputs, moved.target_output, moved.target_mask, smoothing=0.0)
        return float(loss.negative_log_likelihood), found
