"""What a model computes for a server, for a batch at a time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from seq2seq.config.search import MOST_HYPOTHESES
from seq2seq.decoding.translator import TooLong, Translation
from seq2seq.library.translator import Translator
from seq2seq.runtime.device import flushed_denormals
from seq2seq.trained_model import TrainedModel
from seq2seq.web.attention import attend_answer
from seq2seq.web.batching import Sentence
from seq2seq.web.messages import AttendRequest, Hypothesis, Options, Translated, number


@runtime_checkable
class Inference(Protocol):
    """The two answers of a model. Threads may call them side by side."""

    def translate(self, options: Options, sentences: Sequence[Sentence]) -> list[Translated | TooLong]:
        """The translation of each sentence."""

    def attend(self, request: AttendRequest, options: Options) -> bytes:
        """One translation with all that is known of it, as JSON. Raises InputError where a text is too long."""


class ModelInference:
    """The inference of a model in this process."""

    def __init__(self, name: str, trained: TrainedModel, folder: Path) -> None:
        self._name, self._trained = name, trained
        self._translator = Translator(trained, folder)

    def translate(self, options: Options, sentences: Sequence[Sentence]) -> list[Translated | TooLong]:
        search = self._trained.search
        translator = self._trained.translator.with_options(
            size=options.beam_size,
            n_best=options.n_best,
            length_penalty=options.length_penalty,
            batch=min(search.batch, MOST_HYPOTHESES // options.beam_size),
            too_long=search.too_long,
        )
        texts, prefixes = zip(*sentences, strict=True)
        with flushed_denormals():
            results = translator(texts, prefixes)
        return [result if isinstance(result, TooLong) else _translated(*result) for result in results]

    def attend(self, request: AttendRequest, options: Options) -> bytes:
        return attend_answer(self._name, self._translator, request, options).model_dump_json().encode()


def _translated(best: Translation, *others: Translation) -> Translated:
    hypotheses = [
        Hypothesis(text=other.text, score=number(other.score), log_probability=number(other.log_probability))
        for other in (best, *others)
    ]
    return Translated(**hypotheses[0].model_dump(), alternatives=hypotheses[1:])
