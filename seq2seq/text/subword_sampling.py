"""Subword regularisation: the training text is segmented anew in each epoch (Kudo 2018)."""

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from seq2seq.text.corpus import Pair, Split
from seq2seq.text.segmentation import SEGMENTERS, Pieces, Segmenter
from seq2seq.text.store import CHUNK, Prepared, Sequences, Store
from seq2seq.text.tokenizer import SubwordTokenizer, Tokenizer


class SideOptions(NamedTuple):
    """`strength` is alpha or dropout of the segmenter, None for the usual subwords; `longest` is in subwords."""

    strength: float | None
    longest: int


class SubwordSampler:
    """Draws the subwords of a training split for an epoch. A draw depends on the seed, the epoch and the text only."""

    def __init__(
        self,
        train: Split,
        prepared: Prepared,
        *,
        source: SideOptions,
        target: SideOptions,
        kind: str,
        symbols: Sequence[str],
        seed: int,
    ) -> None:
        """`prepared` is the split with its usual subwords, at most `longest` on each side.

        `kind` and `symbols` are those of `train_tokenizer`.
        """
        self.train, self.store, self.seed = train, prepared.store, seed
        self.source, self.target = (
            _Side(tokenizer, usual, options, _segmenter(tokenizer, options.strength, kind=kind, symbols=symbols))
            for tokenizer, usual, options in zip(prepared.tokenizers, prepared.store[:2], (source, target), strict=True)
        )

    def __call__(self, epoch: int) -> Store:
        """The pairs of the prepared text, in the same order, with the subwords of this epoch. Reads the text."""
        pairs = (pair for pair in self.train if pair.has_both_sides)
        source: list[Sequences] = []
        target: list[Sequences] = []
        first = 0
        while chunk := list(islice(pairs, CHUNK)):
            stored = self._stored(chunk)
            seeds = np.random.SeedSequence([self.seed, epoch, first]).spawn(2)
            for side, parts, texts, seed in (
                (self.source, source, [pair.source for pair in stored], seeds[0]),
                (self.target, target, [pair.target for pair in stored], seeds[1]),
            ):
                parts.append(side.draw(texts, first=first, random=np.random.default_rng(seed)))
            first += len(stored)
        assert first == len(self.store.source), (first, len(self.store.source))
        return Store(_concatenate(source), _concatenate(target), self.store.filtered)

    def _stored(self, pairs: list[Pair]) -> list[Pair]:
        """The pairs that the prepared text has: those whose usual subwords are not too many."""
        if not self.store.filtered.too_long:
            return pairs
        source = self.source.fits([pair.source for pair in pairs])
        target = self.target.fits([pair.target for pair in pairs])
        return [pair for pair, *fits in zip(pairs, source, target, strict=True) if all(fits)]


class _Side:
    """The source or the target of the text."""

    def __init__(
        self, tokenizer: Tokenizer, usual: Sequences, options: SideOptions, segmenter: Segmenter | None
    ) -> None:
        self.tokenizer, self.usual, self.longest, self.segmenter = tokenizer, usual, options.longest, segmenter

    def fits(self, texts: list[str]) -> list[bool]:
        return [len(ids) <= self.longest for ids in self.tokenizer.encode_batch(texts)]

    def draw(self, texts: list[str], *, first: int, random: np.random.Generator) -> Sequences:
        """The subwords of the texts, which are those of the prepared text from number `first` on.

        A draw that is too long is replaced by the usual subwords.
        """
        if self.segmenter is None:
            return _join([self.usual[first + index] for index in range(len(texts))], like=self.usual)
        draw = self.segmenter.draw(texts, random)
        sentences = Sequences(draw.ids.astype(self.usual.ids.dtype), np.concatenate(([0], np.cumsum(draw.lengths))))
        if (draw.lengths <= self.longest).all():
            return sentences
        fits = (draw.lengths <= self.longest).tolist()
        return _join([sentences[i] if fit else self.usual[first + i] for i, fit in enumerate(fits)], like=self.usual)


def _segmenter(tokenizer: Tokenizer, strength: float | None, *, kind: str, symbols: Sequence[str]) -> Segmenter | None:
    if strength is None:
        return None
    assert isinstance(tokenizer, SubwordTokenizer), kind
    return SEGMENTERS[kind](Pieces(tokenizer, symbols), strength)


def _join(sentences: list[np.ndarray], *, like: Sequences) -> Sequences:
    ids = np.concatenate([np.empty(0, dtype=like.ids.dtype), *sentences])
    return Sequences(ids, np.cumsum([0, *map(len, sentences)]))


def _concatenate(parts: list[Sequences]) -> Sequences:
    ends = np.cumsum([0, *(len(part.ids) for part in parts)])
    offsets = [part.offsets[1:] + end for part, end in zip(parts, ends, strict=False)]
    return Sequences(np.concatenate([part.ids for part in parts]), np.concatenate([[0], *offsets]))
