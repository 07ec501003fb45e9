"""Translates raw sentences to raw sentences: tokenizer, model and beam search in one call."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from seq2seq.decoding.beam_search import Candidates
from seq2seq.decoding.ensemble import Ensemble
from seq2seq.decoding.hypotheses import Hypothesis
from seq2seq.decoding.minimum_bayes_risk import expected_utilities, posterior
from seq2seq.decoding.options import SearchOptions
from seq2seq.decoding.printable import printable
from seq2seq.decoding.search import search
from seq2seq.decoding.search_model import for_search
from seq2seq.decoding.search_tree import SearchNode, search_nodes
from seq2seq.nn.model import Model
from seq2seq.runtime import distributed
from seq2seq.runtime.threads import map_in_threads
from seq2seq.text.normalization import NORMALIZATIONS
from seq2seq.text.tokenizer import EOS, Tokenizers


class Translation(NamedTuple):
    """One hypothesis as text, with its scores, its subwords and its attention.

    `weights` has a row for each target piece and for EOS (where it was reached), and a column for each source piece and
    for EOS.
    """

    text: str
    score: float
    log_probability: float
    source_pieces: list[str]
    target_pieces: list[str]
    weights: Float[np.ndarray, "target source"]


FEWEST = 16
"""Sentences that a batch has at least before others are computed beside it."""

POSITIONS = 3072
"""Source tokens of a batch on a CPU, so that its cache holds much of what a step reads."""

BLANK = Translation("", 0.0, 0.0, [], [], np.zeros((0, 0), dtype=np.float32))
"""The translation of a blank line."""


class TooLong(NamedTuple):
    """A source that was too long to translate: its length and the limit, in subwords."""

    length: int
    longest: int

    def __str__(self) -> str:
        return (
            f"{self.length} subwords, more than the {self.longest} that this model reads "
            "(search.too_long=truncate translates the beginning)"
        )


class PrefixTooLong(TooLong):
    """A prefix that is longer than any translation of its source: its length and the limit, in subwords."""

    def __str__(self) -> str:
        return f"a prefix of {self.length} subwords, more than the {self.longest} that a translation of it can have"


class Translator:
    """Translates lists of sentences. The translation of a sentence does not depend on the others, but for rounding.

    The weights are copied for search when the translator is made. After more training, make another translator.
    """

    def __init__(
        self,
        model: Model | Ensemble,
        tokenizers: Tokenizers,
        options: SearchOptions,
        *,
        device: torch.device,
        normalization: str = "none",
        int8: bool = False,
    ) -> None:
        """`normalization` is that of the training text."""
        copied = partial(for_search, int8=int8)
        self.model = model.with_models(copied) if isinstance(model, Ensemble) else copied(model)
        self.tokenizers = tokenizers
        self.options = options
        self.device = device
        self.normalize = NORMALIZATIONS[normalization]

    @property
    def longest(self) -> int:
        """The greatest length of a source, in subwords."""
        positions = self.model.longest_source
        longest = self.options.longest_source
        return longest if positions is None else min(longest, positions - 1)  # EOS takes one

    @property
    def truncate(self) -> bool:
        """Whether a longer source is cut."""
        return self.options.too_long == "truncate"

    def __call__(
        self, sentences: Sequence[str], prefixes: Sequence[Sequence[int]] | None = None
    ) -> list[list[Translation] | TooLong]:
        """The `n_best` translations of each sentence, best first. The only translation of a blank line is `BLANK`.

        `prefixes` has the target ids that each translation begins with. With one, a blank line is translated too.
        Raises TypeError for a single string.
        """
        if isinstance(sentences, str):
            raise TypeError(f"expected a list of texts, found the string {sentences[:40]!r}: put it into a list")
        starts = [()] * len(sentences) if prefixes is None else prefixes
        sources = self.tokenizers.source.encode_batch([self.normalize(sentence) for sentence in sentences])
        results: list[list[Translation] | TooLong] = [[BLANK] for _ in sources]
        todo, longest = [], self.longest
        for i, (sentence, source, prefix) in enumerate(zip(sentences, sources, starts, strict=True)):
            if sentence.strip() or prefix:
                if too_long := self._too_long(source, prefix, longest):
                    results[i] = too_long
                else:
                    todo.append(i)
        sources = [source[:longest] for source in sources]
        # Sentences of similar length share a batch. The longest come first, so that threads end at about the same time.
        todo.sort(key=lambda i: len(sources[i]), reverse=True)
        batches = self._batches(todo, [len(source) for source in sources])
        translated = distributed.map_across_ranks(
            lambda batch: self._translate([sources[i] for i in batch], [starts[i] for i in batch]),
            batches,
            own=map_in_threads if self.device.type == "cpu" else map,
        )
        for batch, batch_translations in zip(batches, translated, strict=True):
            for i, translations in zip(batch, batch_translations, strict=True):
                results[i] = translations
        return results

    def search_tree(
        self, sentence: str, prefix: Sequence[int] = ()
    ) -> tuple[list[Translation], tuple[SearchNode, ...]] | TooLong:
        """The translations of one sentence, as a call gives them, and the tree of the search that finds them.

        Nothing is searched for a blank sentence without a prefix: the tree is its root.
        """
        source = self.tokenizers.source.encode(self.normalize(sentence))
        steps: list[Candidates] = []
        hypotheses: list[Hypothesis] = []
        if sentence.strip() or prefix:
            if too_long := self._too_long(source, prefix, self.longest):
                return too_long
            source = source[: self.longest]
            (hypotheses,) = self._search([source], [prefix], observe=steps.append)
        nodes = search_nodes(steps, hypotheses, self.tokenizers.target)
        return self._translations(source, hypotheses), nodes

    def _too_long(self, source: Sequence[int], prefix: Sequence[int], longest: int) -> TooLong | None:
        """The reason why a source is not translated, if there is one. `longest` is that of the translator."""
        if len(source) > longest and not self.truncate:
            return TooLong(len(source), longest)
        limit = self._length_limit(min(len(source), longest))
        return PrefixTooLong(len(prefix), limit) if len(prefix) > limit else None

    def _length_limit(self, source: int) -> int:
        """The greatest length of a translation, EOS included, in subwords: far more than a language pair needs.

        A Chinese character may take four English ones.
        """
        ratio = 5 if self.tokenizers.target.unit == "characters" else 2
        return max(ratio * source + 10, self.options.min_length + 1)

    def _batches(self, todo: list[int], lengths: list[int]) -> list[list[int]]:
        """Batches of at most `batch` sentences; on a CPU also of few `POSITIONS`, and at least one for each thread."""
        most = self.options.batch
        if self.device.type != "cpu":
            return [todo[start : start + most] for start in range(0, len(todo), most)]
        most = min(most, max(-(-len(todo) // torch.get_num_threads()), FEWEST))
        batches, start = [], 0
        while start < len(todo):
            size = min(most, max(POSITIONS // (lengths[todo[start]] + 1), FEWEST))
            batches.append(todo[start : start + size])
            start += size
        return batches

    def with_options(self, **changes: Any) -> "Translator":
        """The same model and device with other options of the search (`SearchOptions`). The weights are shared."""
        other = copy.copy(self)
        other.options = replace(self.options, **changes)
        return other

    def with_model(self, model: Model | Ensemble) -> "Translator":
        """The same options with another model for search, which has the same tokenizers."""
        other = copy.copy(self)
        other.model = model
        return other

    def _translate(self, sources: list[list[int]], prefixes: list[Sequence[int]]) -> list[list[Translation]]:
        return [
            self._translations(source, hypotheses)
            for source, hypotheses in zip(sources, self._search(sources, prefixes), strict=True)
        ]

    def _search(
        self,
        sources: list[list[int]],
        prefixes: list[Sequence[int]],
        observe: Callable[[Candidates], object] | None = None,
    ) -> list[list[Hypothesis]]:
        limits = [self._length_limit(len(source)) for source in sources]
        return search(self.model, self.device, self.options, sources, prefixes, limits=limits, observe=observe)

    def _translations(self, source: list[int], hypotheses: list[Hypothesis]) -> list[Translation]:
        """A model with NaN weights, after training that diverged, has no hypothesis: its translation is `BLANK`."""
        translations = [self._translation(source, hypothesis) for hypothesis in hypotheses]
        return self._ranked(translations) or [BLANK]

    def _ranked(self, translations: list[Translation]) -> list[Translation]:
        """The `n_best` best translations. A search by score has ranked them already."""
        if self.options.rank_by == "score" or not translations:
            return translations
        is_sampled = self.options.method == "sample"
        weights = [1.0] * len(translations) if is_sampled else posterior([one.log_probability for one in translations])
        texts = [one.text for one in translations]
        if self.options.rank_by == "bleu":  # of subwords, since words are not separated in all languages
            texts = [" ".join(one.target_pieces) for one in translations]
        utilities = expected_utilities(texts, weights, self.options.rank_by)
        ranked = [one._replace(score=utility) for one, utility in zip(translations, utilities, strict=True)]
        return sorted(ranked, key=lambda one: one.score, reverse=True)[: self.options.n_best]

    def _translation(self, source: list[int], hypothesis: Hypothesis) -> Translation:
        target = [token for token in hypothesis.tokens if token != EOS]
        pieces = self.tokenizers.target.pieces(target)
        return Translation(
            text=printable(self.tokenizers.target.decode(target), pieces),
            score=hypothesis.score,
            log_probability=hypothesis.log_probability,
            source_pieces=self.tokenizers.source.pieces(source),
            target_pieces=pieces,
            weights=hypothesis.weights[:, : len(source) + 1],
        )
