"""A model that answers requests: its queue, and its answers."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from seq2seq.config.schema import MOST_HYPOTHESES
from seq2seq.decoding.translator import TooLong
from seq2seq.library.translation import Translation
from seq2seq.library.translator import Translator
from seq2seq.text.tokenizer import EOS
from seq2seq.text.units import Word, units
from seq2seq.trained_model import TrainedModel
from seq2seq.web.batching import Batcher, Sentence
from seq2seq.web.messages import (
    AttendAnswer,
    AttendRequest,
    Hypothesis,
    ModelInfo,
    Request,
    TranslateAnswer,
    Translated,
    TranslateRequest,
    number,
)
from seq2seq.web.refusal import Refusal, refused

BATCH_CHARACTERS = 20_000
"""Of a batch with several sentences. It bounds how long a request waits for one that came before it."""


class ServedModel:
    """A model that answers requests. Its translator is used in the thread of its queue only."""

    def __init__(self, name: str, trained: TrainedModel, folder: Path) -> None:
        self.name = name
        self._trained, self._search = trained, trained.search
        self._translator = Translator(trained, folder)
        tokenizers = trained.tokenizers
        (self._end,) = tokenizers.target.pieces([EOS])
        self._batcher = Batcher(sentences=trained.search.batch, characters=BATCH_CHARACTERS)

    def info(self) -> ModelInfo:
        """The model in numbers and names."""
        options = self._trained.configuration
        return ModelInfo(
            name=self.name,
            source=options.dataset.source,
            target=options.dataset.target,
            attention=options.attention.score,
            distribution=options.attention.distribution,
            decoder=options.decoder.place,
            encoder="gru" if options.encoder.attention is None else "self_attention",
            step=self._trained.step,
            parameters=sum(parameter.numel() for parameter in self._trained.model.parameters()),
            beam_size=self._search.size,
            length_penalty=self._search.length_penalty,
            longest_source=self._trained.translator.longest,
        )

    async def translate(self, request: TranslateRequest) -> TranslateAnswer:
        """The translations of the texts, in batches with those of other requests that have the same options."""
        prefixes = request.prefixes or [None] * len(request.texts)
        if len(prefixes) != len(request.texts):
            message = f"prefixes: found {len(prefixes)} for {len(request.texts)} texts; give one or null for each text"
            raise Refusal(422, message, field="prefixes")
        options = self._options(request)
        for i, (text, prefix) in enumerate(zip(request.texts, prefixes, strict=True)):
            self._check(text, f"texts.{i}")
            if prefix:
                raise Refusal(501, "prefixes are not there yet", field=f"prefixes.{i}")
        sentences = [Sentence(text) for text in request.texts]
        key = (options["size"], options["n_best"], options["length_penalty"])
        translations = await self._batcher.submit(key, partial(self._translate, options), sentences)
        return TranslateAnswer(model=self.name, translations=translations)

    async def attend(self, request: AttendRequest) -> AttendAnswer:
        """One translation, with all that is known of it."""
        self._check(request.source, "source")
        options = self._options(request)
        if request.target is not None and (request.prefix or request.tree):
            field = "tree" if request.tree else "prefix"
            raise Refusal(422, f"{field}: a target is given, so there is no search; leave out one of them", field=field)
        if request.prefix or request.tree:
            raise Refusal(501, "prefix and tree are not there yet", field="prefix")
        work = partial(self._attend, request, options)
        (answer,) = await self._batcher.submit(None, work, [Sentence(request.source)])
        return answer

    def _options(self, request: Request) -> dict[str, int | float]:
        """The options of the search, by their names in the configuration."""
        size = request.beam_size or self._search.size
        n_best = request.n_best or min(self._search.n_best, size)
        if n_best > size:
            raise Refusal(422, f"n_best: found {n_best}, more than the beam size of {size}", field="n_best")
        penalty = self._search.length_penalty if request.length_penalty is None else request.length_penalty
        return {"size": size, "n_best": n_best, "length_penalty": penalty}

    def _check(self, text: str, field: str) -> None:
        """Raises Refusal where the text is too long for the model, before it shares a batch with others."""
        translator = self._trained.translator
        length = len(translator.tokenizers.source.encode(translator.normalize(text)))
        if text.strip() and length > translator.longest and not translator.truncate:
            raise Refusal(422, f"{field}: {TooLong(length, translator.longest)}", field=field)

    # --- in the thread of the queue -----------------------------------------------------------------------------------

    def _translate(self, options: dict[str, int | float], sentences: list[Sentence]) -> list[Translated]:
        texts = [sentence.text for sentence in sentences]
        return [_translated(translation) for translation in self._search_texts(texts, options)]

    def _search_texts(self, texts: list[str], options: dict[str, int | float]) -> list[Translation]:
        return self._translator.translate(
            texts,
            beam_size=int(options["size"]),
            n_best=int(options["n_best"]),
            length_penalty=options["length_penalty"],
            batch=min(self._search.batch, MOST_HYPOTHESES // int(options["size"])),
        )

    def _attend(
        self, request: AttendRequest, options: dict[str, int | float], sentences: list[Sentence]
    ) -> list[AttendAnswer]:
        ((source, _),) = sentences
        if request.target is not None:
            with refused("target"):
                translation = self._translator.attend(source, request.target, length_penalty=options["length_penalty"])
        else:
            (translation,) = self._search_texts([source], options)
        rows, columns = translation.subword_attention.shape
        return [
            AttendAnswer(
                model=self.name,
                text=translation.text,
                score=number(translation.score),
                log_probability=number(translation.log_probability),
                source_words=list(translation.source_words),
                target_words=list(translation.target_words),
                attention=_rows(translation.attention.tolist()),
                alignment=translation.alignment,
                source_subwords=self._with_end(translation.source_subwords, columns),
                target_subwords=self._with_end(translation.target_subwords, rows),
                subword_attention=_rows(translation.subword_attention.tolist()),
                source_word_of_subword=_word_of_subword(units(translation.source_subwords), columns),
                target_word_of_subword=_word_of_subword(units(translation.target_subwords), rows),
                token_log_probabilities=[number(value) for value in translation.token_log_probabilities],
                candidates=[],
                alternatives=[_hypothesis(other) for other in translation.alternatives],
                tree=None,
            )
        ]

    def _with_end(self, subwords: Sequence[str], size: int) -> list[str]:
        """The subwords, and the end of the sentence where attention has a row or column for it."""
        return [*subwords, *[self._end] * (size - len(subwords))]


def _hypothesis(translation: Translation) -> Hypothesis:
    return Hypothesis(
        text=translation.text, score=number(translation.score), log_probability=number(translation.log_probability)
    )


def _translated(translation: Translation) -> Translated:
    best = _hypothesis(translation)
    alternatives = [_hypothesis(other) for other in translation.alternatives]
    return Translated(**best.model_dump(), alternatives=alternatives)


def _rows(weights: list[list[float]]) -> list[list[float]]:
    return [[number(weight) for weight in row] for row in weights]


def _word_of_subword(words: Sequence[Word], size: int) -> list[int | None]:
    """The index of each subword's word; None for the end of the sentence."""
    indices: list[int | None] = [i for i, word in enumerate(words) for _ in range(word.start, word.end)]
    return [*indices, *[None] * (size - len(indices))]
