"""A model on a split: sacreBLEU's scores, perplexity, exact matches, alignment error; sums and counts, divided once."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from seq2seq.decoding.translator import Translation, Translator
from seq2seq.evaluation.alignment import AlignmentError
from seq2seq.evaluation.metrics import Metrics
from seq2seq.evaluation.teacher_forcing import References, TeacherForcingResult
from seq2seq.nn.model import Model
from seq2seq.text.annotations import Annotations, LoadedSplit
from seq2seq.text.tokenizer import Tokenizers
from seq2seq.text.units import segments


class Hypotheses(NamedTuple):
    """The best translation of each sentence (None where the source was too long), and the time that took."""

    best: list[Translation | None]
    seconds: float

    @property
    def texts(self) -> list[str]:
        """One line a sentence; empty where there is no translation."""
        return ["" if translation is None else translation.text for translation in self.best]

    def lines(self) -> str:
        """The texts as a file holds them."""
        return "".join(f"{text}\n" for text in self.texts)

    @property
    def refused(self) -> int:
        """Sentences that were too long to translate."""
        return sum(translation is None for translation in self.best)

    def speed(self) -> dict[str, int | float]:
        """`sentences`, `seconds` and `sentences_per_second` of translating, tokenizing included."""
        sentences = len(self.best)
        return {"sentences": sentences, "seconds": self.seconds, "sentences_per_second": sentences / self.seconds}


def translate(translator: Translator, sources: Sequence[str]) -> Hypotheses:
    """The best translation of each sentence."""
    started = time.perf_counter()
    found = translator(sources)
    seconds = time.perf_counter() - started
    return Hypotheses([best[0] if isinstance(best, list) else None for best in found], seconds)


class Evaluation(NamedTuple):
    """Scores by name, and the translations that they are of."""

    scores: dict[str, Any]
    hypotheses: Hypotheses


def evaluate(
    model: Model,
    tokenizers: Tokenizers,
    translator: Translator,
    split: LoadedSplit,
    metrics: Metrics,
    device: torch.device,
) -> Evaluation:
    """All scores of a model on a split.

    Those of `Metrics.scores`, `loss`, `perplexity`, `exact` (the share of sentences translated as the reference or as
    another right answer), `attention` (see `Diagnostics.means`), `sentences`, `refused` (sources too long), `unread`
    (pairs too long for perplexity, `attention` and `aer`, which leave them out: see `References`); where the split has
    gold alignments, `aer`; where it has tags, `exact`, `bleu` and `aer` again by tag and by source length.
    """
    hypotheses, reading, results = _examine(model, tokenizers, translator, split, metrics, device)
    found = {
        **metrics.scores(hypotheses.texts, [pair.target for pair in split.pairs]),
        "loss": reading.likelihood.loss,
        "perplexity": reading.likelihood.perplexity,
        **shares(results),
        "attention": reading.diagnostics.means(),
        "sentences": len(split.pairs),
        "refused": hypotheses.refused,
        "unread": reading.links.count(None),
    }
    if split.gold is not None and any(gold.tags for gold in split.gold):
        tags = sorted({tag for gold in split.gold for tag in gold.tags})
        found["by_tag"] = {
            tag: _group([outcome for outcome in results if tag in outcome.tags], metrics) for tag in tags
        }
        found["by_length"] = _by_length(results, metrics)
    return Evaluation(found, hypotheses)


def challenge(
    model: Model,
    tokenizers: Tokenizers,
    translator: Translator,
    split: LoadedSplit,
    metrics: Metrics,
    device: torch.device,
) -> dict[str, Any]:
    """`sentences`, `refused`, `bleu`, `exact` and `aer` of a challenge set, and the scores again by source length."""
    hypotheses, _, results = _examine(model, tokenizers, translator, split, metrics, device)
    return {**_group(results, metrics), "refused": hypotheses.refused, "by_length": _by_length(results, metrics)}


def _examine(
    model: Model,
    tokenizers: Tokenizers,
    translator: Translator,
    split: LoadedSplit,
    metrics: Metrics,
    device: torch.device,
) -> tuple[Hypotheses, TeacherForcingResult, list["Outcome"]]:
    """Translates a split, reads its references, and says what became of each sentence."""
    hypotheses = translate(translator, [pair.source for pair in split.pairs])
    reading = References(split, tokenizers, longest=translator.longest).read(model, device)
    return hypotheses, reading, outcomes(split, hypotheses.texts, reading, metrics)


LENGTHS = ((1, 4), (5, 8), (9, 12), (13, 16), (17, 10**9))
"""Source words (`segments`), for scores by length."""


class Outcome(NamedTuple):
    """What became of one sentence. `statistics` are those of `Metrics.sentence_statistics`."""

    statistics: list[int]
    exact: bool
    alignment: AlignmentError | None
    tags: tuple[str, ...]
    length: int


def outcomes(
    split: LoadedSplit, texts: Sequence[str], reading: TeacherForcingResult, metrics: Metrics
) -> list[Outcome]:
    """Each sentence's, in order."""
    # Counted once: a sentence is in a dozen groups.
    statistics = metrics.sentence_statistics(texts, [pair.target for pair in split.pairs])
    results = []
    for i, (pair, text) in enumerate(zip(split.pairs, texts, strict=True)):
        gold = split.gold[i] if split.gold is not None else Annotations(links=None)
        links = reading.links[i]
        alignment = None if links is None or gold.links is None else AlignmentError.of(links, gold.links)
        right = text == pair.target or text in gold.acceptable
        results.append(Outcome(statistics[i], right, alignment, gold.tags, len(segments(pair.source))))
    return results


def shares(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """`exact`, and `aer` where there is gold."""
    shares = {"exact": sum(outcome.exact for outcome in outcomes) / len(outcomes)}
    if alignments := [outcome.alignment for outcome in outcomes if outcome.alignment is not None]:
        shares["aer"] = sum(alignments, AlignmentError()).rate
    return shares


def _by_length(outcomes: Sequence[Outcome], metrics: Metrics) -> dict[str, dict[str, int | float]]:
    return {
        f"{low}-{high}" if high < 1000 else f"{low}+": _group(group, metrics)
        for low, high in LENGTHS
        if (group := [outcome for outcome in outcomes if low <= outcome.length <= high])
    }


def _group(outcomes: Sequence[Outcome], metrics: Metrics) -> dict[str, int | float]:
    bleu = metrics.bleu([outcome.statistics for outcome in outcomes])
    return {"sentences": len(outcomes), "bleu": bleu, **shares(outcomes)}
