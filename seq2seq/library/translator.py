"""`Translator`: translates sentences and scores given translations, from any number of threads."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypedDict, Unpack, overload

import numpy as np

from seq2seq import config
from seq2seq.decoding import translator as decoding
from seq2seq.decoding.forced_decoding import ForcedTarget, force_targets
from seq2seq.evaluation.teacher_forcing import LONGEST
from seq2seq.library.inputs import describe, in_groups, plain, text_line
from seq2seq.library.translation import Translation
from seq2seq.runtime.device import flushed_denormals
from seq2seq.runtime.errors import InputError
from seq2seq.trained_model import TrainedModel

Pair = tuple[str, str]


class SearchOptions(TypedDict, total=False):
    """The keyword arguments of `Translator.translate`."""

    beam_size: int
    n_best: int
    length_penalty: float
    too_long: str
    batch: int


class ScoreOptions(TypedDict, total=False):
    """The keyword arguments of `Translator.score` and `Translator.attend`."""

    length_penalty: float
    too_long: str


class Translator:
    """A trained model that translates: see `seq2seq.load`. Several threads may use it at the same time.

    `checkpoint` is its folder, `step` the training step of its weights, `languages` are those of source and target.
    """

    def __init__(self, trained: TrainedModel, folder: Path) -> None:
        dataset = trained.configuration.dataset
        self.checkpoint, self.step, self.languages = folder, trained.step, (dataset.source, dataset.target)
        self._device, self._search, self._translator = trained.device, trained.search, trained.translator

    def __repr__(self) -> str:
        source, target = self.languages
        return f"Translator({str(self.checkpoint)!r}, {source} to {target}, step {self.step}, on {self._device})"

    @overload
    def translate(self, text: str, **options: Unpack[SearchOptions]) -> Translation: ...  # type: ignore[overload-overlap]
    @overload
    def translate(  # type: ignore[overload-overlap]
        self, text: list[str] | tuple[str, ...], **options: Unpack[SearchOptions]
    ) -> list[Translation]: ...
    @overload
    def translate(self, text: Iterable[str], **options: Unpack[SearchOptions]) -> Iterator[Translation]: ...

    def translate(
        self,
        text: str | Iterable[str],
        *,
        beam_size: int | None = None,
        n_best: int | None = None,
        length_penalty: float | None = None,
        too_long: str | None = None,
        batch: int | None = None,
    ) -> Translation | list[Translation] | Iterator[Translation]:
        """Translates one text to a `Translation`, and a list or tuple of texts to a list.

        Another iterable, such as a generator or an open file, gives an iterator; some hundred texts are read at a time.
        The line end after a text is left out. A blank text has an empty translation.

        The options are those of `search` in the programs: `beam_size` is `search.size`, and None is as trained.
        Raises InputError where a value is not possible, and where a text is too long, unless `too_long="truncate"`.
        Raises TypeError for anything but text.
        """
        translator = self._with_options(beam_size, n_best, length_penalty, too_long, batch)
        if isinstance(text, str):
            (translation,) = self._translate(translator, [text], lambda _: "the sentence")
            return translation
        groups = in_groups(text, partial(self._translate, translator), "sentence")
        return list(groups) if isinstance(text, list | tuple) else groups

    @overload
    def score(self, pairs: list[Pair] | tuple[Pair, ...], **options: Unpack[ScoreOptions]) -> list[Translation]: ...  # type: ignore[overload-overlap]
    @overload
    def score(self, pairs: Iterable[Pair], **options: Unpack[ScoreOptions]) -> Iterator[Translation]: ...

    def score(
        self, pairs: Iterable[Pair], *, length_penalty: float | None = None, too_long: str | None = None
    ) -> list[Translation] | Iterator[Translation]:
        """The log-probability and the attention of translations that are given, as pairs `(source, target)`.

        A list or tuple gives a list, another iterable an iterator. Options and errors are those of `translate`.
        """
        translator = self._with_options(None, None, length_penalty, too_long, None)
        groups = in_groups(pairs, partial(self._score, translator), "pair")
        return list(groups) if isinstance(pairs, list | tuple) else groups

    def attend(
        self, source: str, target: str, *, length_penalty: float | None = None, too_long: str | None = None
    ) -> Translation:
        """The log-probability and the attention of one translation that is given; see `score`."""
        translator = self._with_options(None, None, length_penalty, too_long, None)
        (translation,) = self._score(translator, [(source, target)], lambda _: "the pair")
        return translation

    def _with_options(
        self,
        beam_size: int | None,
        n_best: int | None,
        length_penalty: float | None,
        too_long: str | None,
        batch: int | None,
    ) -> decoding.Translator:
        values = {
            "size": beam_size,
            "n_best": n_best,
            "length_penalty": length_penalty,
            "too_long": too_long,
            "batch": batch,
        }
        options = {key: plain(value) for key, value in values.items() if value is not None}
        if not options:
            return self._translator
        search = config.search_as_given(options, self._search)
        return self._translator.with_options(**{key: getattr(search, key) for key in values})

    def _translate(
        self, translator: decoding.Translator, texts: Sequence[str], name: Callable[[int], str]
    ) -> Iterator[Translation]:
        """The translation of each text; `name` describes the text with an index."""
        lines = [text_line(text, name(i)) for i, text in enumerate(texts)]
        with flushed_denormals():
            results = translator(lines)
        for i, result in enumerate(results):
            if isinstance(result, decoding.TooLong):
                raise InputError(f"{name(i)} has {result}")
            best, *others = result
            yield self._searched(best, tuple(map(self._searched, others)))

    def _searched(self, hypothesis: decoding.Translation, alternatives: tuple[Translation, ...] = ()) -> Translation:
        """A translation that a search found."""
        return self._translation(hypothesis, partial(self._token_log_probabilities, hypothesis), alternatives)

    def _token_log_probabilities(self, hypothesis: decoding.Translation) -> Sequence[float]:
        if len(hypothesis.weights) == 0:  # of a blank text
            return ()
        tokenizers = self._translator.tokenizers
        source, target = (
            tokenizers.source.ids(hypothesis.source_pieces),
            tokenizers.target.ids(hypothesis.target_pieces),
        )
        (forced,) = self._force([source], [target])
        probabilities: list[float] = forced.log_probabilities[: len(hypothesis.weights)].tolist()
        return probabilities

    def _force(self, sources: Sequence[list[int]], targets: Sequence[list[int]]) -> list[ForcedTarget]:
        with flushed_denormals():
            return force_targets(self._translator.model, self._device, sources, targets)

    def _score(
        self, translator: decoding.Translator, pairs: Sequence[Pair], name: Callable[[int], str]
    ) -> Iterator[Translation]:
        """The given translation of each pair; `name` describes the pair with an index."""
        for i, pair in enumerate(pairs):
            if not (isinstance(pair, tuple | list) and len(pair) == 2):
                raise TypeError(f"{name(i)}: expected a source and a target, (TEXT, TEXT), found {describe(pair)}")
        texts = [
            [translator.normalize(text_line(pair[side], f"{name(i)}, {title}")) for i, pair in enumerate(pairs)]
            for side, title in enumerate(("source", "target"))
        ]
        tokenizers = translator.tokenizers
        sources, targets = tokenizers.source.encode_batch(texts[0]), tokenizers.target.encode_batch(texts[1])
        for i, (source, target) in enumerate(zip(sources, targets, strict=True)):
            if len(source) > translator.longest and not translator.truncate:
                raise InputError(f"{name(i)} has a source of {decoding.TooLong(len(source), translator.longest)}")
            if len(target) > LONGEST:
                raise InputError(f"{name(i)} has a target of {len(target)} subwords, more than the limit of {LONGEST}")
        sources = [source[: translator.longest] for source in sources]
        for text, source, target, forced in zip(texts[1], sources, targets, self._force(sources, targets), strict=True):
            total = float(forced.log_probabilities.sum(dtype=np.float64))
            hypothesis = decoding.Translation(
                text=text,
                score=total / (len(target) + 1) ** translator.length_penalty,
                log_probability=total,
                source_pieces=tokenizers.source.pieces(source),
                target_pieces=tokenizers.target.pieces(target),
                weights=forced.weights,
            )
            yield self._translation(hypothesis, partial(tuple, forced.log_probabilities.tolist()))

    def _translation(
        self,
        hypothesis: decoding.Translation,
        token_log_probabilities: Callable[[], Sequence[float]],
        alternatives: tuple[Translation, ...] = (),
    ) -> Translation:
        return Translation(
            text=hypothesis.text,
            score=hypothesis.score,
            log_probability=hypothesis.log_probability,
            source_subwords=tuple(hypothesis.source_pieces),
            target_subwords=tuple(hypothesis.target_pieces),
            subword_attention=hypothesis.weights,
            languages=self.languages,
            alternatives=alternatives,
            _token_log_probabilities=token_log_probabilities,
        )
