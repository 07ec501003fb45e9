"""`Translation`: a sentence pair with its log-probability and its attention, which draws itself in a notebook."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from seq2seq.evaluation.alignment_error import links
from seq2seq.library.inputs import describe, plain
from seq2seq.reporting.attention import Attention
from seq2seq.reporting.translation import translation_html
from seq2seq.reporting.unit_attention import merge_units
from seq2seq.runtime.errors import InputError

if TYPE_CHECKING:  # it takes a second to import, and only pictures need it
    from matplotlib.figure import Figure

_DRAWING = threading.Lock()
"""Matplotlib measures text with objects that all threads share."""


Candidates = tuple[tuple[tuple[str, float], ...], ...]
"""For each position, subwords with their log-probabilities."""


def _no_candidates(_: int) -> Candidates:
    raise InputError("a copied or pickled translation has no candidates, since it has no model: use the original")


@dataclass(frozen=True, eq=False, repr=False)
class Translation:
    """A source sentence and a target: one that a search found, or one that was given.

    `log_probability` is `log p(target | source)`, EOS (the end of the sentence) included. `score` is
    `log_probability / |y|^length_penalty`, where |y| is the number of target subwords, EOS included; `length_form` and
    `coverage_penalty` change it.
    `subword_attention` has a row for each target subword and for EOS, and a column for each source subword and for
    EOS. A search that reached the greatest length has no EOS and no row for it.
    `alternatives` are the other translations of an n-best list, best first. `languages` are those of source and target.
    """

    text: str
    score: float
    log_probability: float
    source_subwords: tuple[str, ...]
    target_subwords: tuple[str, ...]
    subword_attention: Float[np.ndarray, "target source"]
    languages: tuple[str, str]
    alternatives: tuple["Translation", ...] = ()
    _token_log_probabilities: Callable[[], Sequence[float]] = field(default=tuple, kw_only=True)
    _candidates: Callable[[int], Candidates] = field(default=_no_candidates, kw_only=True)

    @cached_property
    def token_log_probabilities(self) -> tuple[float, ...]:
        """The log-probability of each target subword and, at the end, of EOS. Their sum is `log_probability`.

        For a translation that a search found, the model reads the target once more, when this is first used.
        """
        return tuple(map(float, self._token_log_probabilities()))

    def candidates(self, n: int = 10) -> Candidates:
        """The `n` most probable subwords in place of each target subword and of EOS, as `(subword, log-probability)`.

        The best come first. All have the same subwords before them, those of this translation. EOS is "</s>".
        The model reads the target once more at each call. Raises InputError for a copied or pickled translation.
        """
        number = plain(n)
        if not isinstance(number, int) or isinstance(number, bool):
            raise TypeError(f"n: expected a whole number, found {describe(n)}")
        if number < 0:
            raise InputError(f"n: expected 0 or more candidates, found {number}")
        return self._candidates(number)

    @cached_property
    def _word_attention(self) -> Attention:
        return merge_units(self.source_subwords, self.target_subwords, self.subword_attention)

    @property
    def source_words(self) -> tuple[str, ...]:
        """The words of the source, as between spaces; in scripts without spaces its subwords."""
        return tuple(self._word_attention.source)

    @property
    def target_words(self) -> tuple[str, ...]:
        """The words of the target; see `source_words`."""
        return tuple(self._word_attention.target)

    @property
    def attention(self) -> Float[np.ndarray, "target_words source_words"]:
        """Attention between words: summed over the subwords of a source word, averaged over those of a target word.

        EOS is left out on both sides, so a row sums to 1 minus its weight on EOS.
        """
        return self._word_attention.weights

    @property
    def alignment(self) -> list[tuple[int, int]]:
        """Links `(source, target)` between words, counted from 0: of each target word, with its greatest weight."""
        return sorted(links(self.attention))

    def figure(self) -> "Figure":
        """The attention between words as a picture."""
        from seq2seq.reporting.heatmap import heatmap

        with _DRAWING:
            return heatmap(self._word_attention, title=self.text)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Translation({self.text!r}, score={self.score:.3f})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the text, its scores and its attention."""
        return translation_html(self.text, self.score, self.log_probability, self._word_attention, self.languages)

    def __getstate__(self) -> dict[str, Any]:
        """What pickle and copy store: all numbers, and not the model that computes some of them when they are used."""
        probabilities = self.token_log_probabilities
        return self.__dict__ | {
            "_token_log_probabilities": partial(tuple, probabilities),
            "_candidates": _no_candidates,
        }
