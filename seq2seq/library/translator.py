"""`Translator`: translates sentences and scores given translations, from any number of threads."""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Unpack, overload

from seq2seq.config.intervention import intervention_name
from seq2seq.decoding import translator as decoding
from seq2seq.decoding.forced_decoding import best_tokens, force_targets
from seq2seq.decoding.pair_scores import ScoredPair, score_pairs
from seq2seq.library import inputs
from seq2seq.library.attention_matrix import Matrix, with_matrix
from seq2seq.library.inputs import SCORE_OPTIONS, SEARCH_OPTIONS, Pair, Prefix, ScoreOptions, SearchOptions
from seq2seq.library.search_tree import SearchTree, check_has_tree
from seq2seq.library.translation import Candidates, Translation
from seq2seq.runtime.device import arithmetic_of_programs
from seq2seq.runtime.errors import InputError
from seq2seq.trained_model import TrainedModel, intervened


class Translator:
    """A trained model that translates: see `seq2seq.load`. Several threads may use it at the same time.

    `checkpoint` is its folder, `step` the training step of its weights, `languages` are those of source and target.
    An ensemble has several `checkpoints` and `steps`, the first of which are `checkpoint` and `step`.
    `interventions` are the changes that `intervene` made.
    """

    def __init__(self, trained: TrainedModel, *folders: Path) -> None:
        dataset = trained.configuration.dataset
        self.checkpoints, self.steps, self.languages = folders, trained.steps, (dataset.source, dataset.target)
        self.checkpoint, self.step = folders[0], trained.step
        self.interventions: tuple[str, ...] = ()
        self._trained = trained
        self._device, self._search, self._translator = trained.device, trained.search, trained.translator

    def __repr__(self) -> str:
        source, target = self.languages
        paths = ", ".join(repr(str(path)) for path in self.checkpoints)
        steps = ", ".join(map(str, self.steps))
        changes = "".join(f", attention {each}" for each in self.interventions)
        return f"Translator({paths}, {source} to {target}, step {steps}, on {self._device}{changes})"

    @overload
    def translate(  # type: ignore[overload-overlap]
        self,
        text: str,
        *,
        prefix: Prefix | None = None,
        attention: Matrix | None = None,
        **options: Unpack[SearchOptions],
    ) -> Translation: ...
    @overload
    def translate(  # type: ignore[overload-overlap]
        self,
        text: list[str] | tuple[str, ...],
        *,
        prefix: Sequence[Prefix | None] | None = None,
        **options: Unpack[SearchOptions],
    ) -> list[Translation]: ...
    @overload
    def translate(self, text: Iterable[str], **options: Unpack[SearchOptions]) -> Iterator[Translation]: ...

    def translate(
        self,
        text: str | Iterable[str],
        *,
        prefix: Prefix | Sequence[Prefix | None] | None = None,
        attention: Matrix | None = None,
        **options: Unpack[SearchOptions],
    ) -> Translation | list[Translation] | Iterator[Translation]:
        """Translates one text to a `Translation`, and a list or tuple of texts to a list.

        Another iterable, such as a generator or an open file, gives an iterator; some hundred texts are read at a time.
        The line end after a text is left out. A blank text has an empty translation.

        `prefix` is the start of the translation: a text, or a list of target subwords. The search goes on from there;
        score, log-probability and attention include the prefix. For a list of texts it is a list with a prefix or None
        for each. A text as prefix should end with a whole word; spaces at its end are left out.

        `attention` replaces weights: a row, to be normalised, for each target subword from the first on, a column for
        each source subword and EOS. Where a row is None, and after the last row, the model attends by itself.
        The options are those of `search` in the programs: `beam_size` is `search.size`, and None is as trained.
        Raises InputError where a value is not possible, where a prefix is longer than a translation can be, and where a
        text is too long, unless `too_long="truncate"`. Raises TypeError for anything but text.
        """
        changed = self if attention is None else self._with_matrix(text, attention)
        translator = changed._with_options(options)
        if isinstance(text, str):
            (translation,) = changed._translate(translator, iter([prefix]), [text], lambda _: "the sentence")
            return translation
        groups = inputs.in_groups(
            text, partial(self._translate, translator, inputs.prefix_of_each(text, prefix)), "sentence"
        )
        return list(groups) if isinstance(text, list | tuple) else groups

    def search_tree(
        self,
        text: str,
        *,
        prefix: Prefix | None = None,
        attention: Matrix | None = None,
        **options: Unpack[SearchOptions],
    ) -> SearchTree:
        """The search behind `translate(text, ...)`: the candidates of each step, and what became of them."""
        changed = self if attention is None else self._with_matrix(text, attention)
        translator = changed._with_options(options)
        check_has_tree(translator.options)
        line = inputs.text_line(text, "the sentence")
        with arithmetic_of_programs():
            result = translator.search_tree(line, inputs.ids_of_prefix(translator, prefix, "the sentence"))
        if isinstance(result, decoding.TooLong):
            raise inputs.in_python(InputError(f"the sentence has {result}"))
        hypotheses, nodes = result
        return SearchTree(nodes, changed._searched(*hypotheses))

    @overload
    def score(self, pairs: list[Pair] | tuple[Pair, ...], **options: Unpack[ScoreOptions]) -> list[Translation]: ...  # type: ignore[overload-overlap]
    @overload
    def score(self, pairs: Iterable[Pair], **options: Unpack[ScoreOptions]) -> Iterator[Translation]: ...

    def score(
        self, pairs: Iterable[Pair], **options: Unpack[ScoreOptions]
    ) -> list[Translation] | Iterator[Translation]:
        """The log-probability and the attention of translations that are given, as pairs `(source, target)`.

        A list or tuple gives a list, another iterable an iterator. Options and errors are those of `translate`.
        """
        translator = self._with_options(options, SCORE_OPTIONS)
        groups = inputs.in_groups(pairs, partial(self._score, translator), "pair")
        return list(groups) if isinstance(pairs, list | tuple) else groups

    def attend(
        self, source: str, target: str, *, attention: Matrix | None = None, **options: Unpack[ScoreOptions]
    ) -> Translation:
        """The log-probability and the attention of one given translation: see `score`, for `attention` `translate`."""
        changed = self if attention is None else self._with_matrix(source, attention)
        translator = changed._with_options(options, SCORE_OPTIONS)
        (translation,) = changed._score(translator, [(source, target)], lambda _: "the pair")
        return translation

    def intervene(self, name: str, **values: Any) -> "Translator":
        """The same model with an intervention in its attention, such as "permute" (`docs/interventions.md`).

        `values` are `seed`, `shift`, `head`, `temperature` or `checkpoint`, as far as it uses them. Raises InputError.
        """
        options = inputs.intervention(name, values)
        changed = Translator(intervened(self._trained, name, options), *self.checkpoints)
        changed.interventions = (*self.interventions, intervention_name(name, options))
        return changed

    def _with_matrix(self, source: object, matrix: Matrix) -> "Translator":
        changed = copy.copy(self)
        changed._translator = with_matrix(self._translator, source, matrix)
        return changed

    def _with_options(
        self, options: Mapping[str, Any], names: Mapping[str, str] = SEARCH_OPTIONS
    ) -> decoding.Translator:
        values = inputs.search_values(options, names)
        if not values:
            return self._translator
        search = inputs.search_of(values, self._search)
        return self._translator.with_options(**search.model_dump())

    def _translate(
        self,
        translator: decoding.Translator,
        prefixes: Iterator[Any],
        texts: Sequence[str],
        name: Callable[[int], str],
    ) -> Iterator[Translation]:
        """The translation of each text; `name` describes the text with an index."""
        lines = [inputs.text_line(text, name(i)) for i, text in enumerate(texts)]
        starts = [inputs.ids_of_prefix(translator, next(prefixes), name(i)) for i in range(len(lines))]
        with arithmetic_of_programs():
            results = translator(lines, starts)
        for i, result in enumerate(results):
            if isinstance(result, decoding.TooLong):
                raise inputs.in_python(InputError(f"{name(i)} has {result}"))
            yield self._searched(*result)

    def _searched(self, best: decoding.Translation, *others: decoding.Translation) -> Translation:
        """A translation that a search found, with its alternatives."""
        return self._translation(best, partial(self._token_log_probabilities, best), tuple(map(self._searched, others)))

    def _token_log_probabilities(self, hypothesis: decoding.Translation) -> Sequence[float]:
        if len(hypothesis.weights) == 0:  # of a blank text
            return ()
        source, target = self._ids(hypothesis)
        with arithmetic_of_programs():
            (forced,) = force_targets(self._translator.model, self._device, [source], [target])
        return tuple(forced.log_probabilities[: len(hypothesis.weights)].tolist())

    def _candidates(self, hypothesis: decoding.Translation, number: int) -> Candidates:
        if len(hypothesis.weights) == 0:  # of a blank text
            return ()
        pieces = self._translator.tokenizers.target.pieces
        with arithmetic_of_programs():
            best = best_tokens(self._translator.model, self._device, *self._ids(hypothesis), number)
        rows = zip(best.tokens.tolist(), best.log_probabilities.tolist(), strict=True)
        candidates = tuple(tuple(zip(pieces(tokens), values, strict=True)) for tokens, values in rows)
        return candidates[: len(hypothesis.weights)]

    def _ids(self, hypothesis: decoding.Translation) -> tuple[list[int], list[int]]:
        source, target = self._translator.tokenizers
        return source.ids(hypothesis.source_pieces), target.ids(hypothesis.target_pieces)

    def _score(
        self, translator: decoding.Translator, pairs: Sequence[Pair], name: Callable[[int], str]
    ) -> Iterator[Translation]:
        """The given translation of each pair; `name` describes the pair with an index."""
        for i, pair in enumerate(pairs):
            if not (isinstance(pair, tuple | list) and len(pair) == 2):
                raise TypeError(
                    f"{name(i)}: expected a source and a target, (TEXT, TEXT), found {inputs.describe(pair)}"
                )
        sources, targets = (
            [inputs.text_line(pair[side], f"{name(i)}, {title}") for i, pair in enumerate(pairs)]
            for side, title in enumerate(("source", "target"))
        )
        with arithmetic_of_programs():
            results = score_pairs(translator, sources, targets)
        for i, result in enumerate(results):
            if not isinstance(result, ScoredPair):
                raise inputs.in_python(InputError(f"{name(i)} has {result}"))
            yield self._translation(result.translation, partial(tuple, result.log_probabilities.tolist()))

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
            _candidates=partial(self._candidates, hypothesis),
        )
