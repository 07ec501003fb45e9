"""All scores of a model on a split: sacreBLEU, perplexity, exact matches, alignment error."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from seq2seq.decoding.ensemble import Ensemble
from seq2seq.decoding.translator import Translation, Translator
from seq2seq.evaluation.alignment_error import AlignmentError
from seq2seq.evaluation.metrics import Metrics
from seq2seq.evaluation.teacher_forcing import References, TeacherForcingResult
from seq2seq.evaluation.word_recall import word_recall
from seq2seq.nn.model import Model
from seq2seq.text.annotations import Annotations, LoadedSplit, load_split
from seq2seq.text.corpus import Split
from seq2seq.text.units import segments


class Hypotheses(NamedTuple):
    """The best translation of each sentence (None: the source was too long), and the seconds that translating took."""

    best: list[Translation | None]
    seconds: float

    @property
    def texts(self) -> list[str]:
        """One text for each sentence; empty where there is no translation."""
        return ["" if translation is None else translation.text for translation in self.best]

    def lines(self) -> str:
        """The content of a file with one text in each line."""
        return "".join(f"{text}\n" for text in self.texts)

    @property
    def refused(self) -> int:
        """The number of sentences that were too long to translate."""
        return sum(translation is None for translation in self.best)

    def speed(self) -> dict[str, int | float]:
        """`sentences`, `seconds` and `sentences_per_second`; the time includes tokenization."""
        sentences = len(self.best)
        return {"sentences": sentences, "seconds": self.seconds, "sentences_per_second": sentences / self.seconds}


def translate(translator: Translator, sources: Sequence[str]) -> Hypotheses:
    """The best translation of each sentence, with the time it took."""
    started = time.perf_counter()
    results = translator(sources)
    seconds = time.perf_counter() - started
    return Hypotheses([result[0] if isinstance(result, list) else None for result in results], seconds)


class Evaluation(NamedTuple):
    """Scores by name, and the translations that they score."""

    scores: dict[str, Any]
    hypotheses: Hypotheses


@dataclass(frozen=True)
class Evaluator:
    """Scores `model` on splits. `translator` must have the same weights; its tokenizers and its device are used.

    `language` is that of the translations.
    """

    model: Model | Ensemble
    translator: Translator
    metrics: Metrics
    language: str

    def evaluate(self, split: LoadedSplit) -> Evaluation:
        """All scores of a split.

        - those of `Metrics.scores`
        - `loss` and `perplexity` of the references
        - `exact`: the share of sentences whose translation is the reference or another right answer
        - `word_recall`: see `word_recall`; empty for a language without a list of function words
        - `attention`: see `Diagnostics.means`
        - `sentences`; `refused`: sources too long to translate
        - `unread`: pairs too long for teacher forcing (see `References`); `loss`, `perplexity`, `attention` and `aer`
          leave them out
        - `aer`, where the split has gold alignments
        - `by_tag` and `by_length`, where it has tags: `exact`, `bleu` and `aer` by tag and by source length
        """
        hypotheses, forced, results = self._outcomes(split)
        references = [pair.target for pair in split.pairs]
        scores = {
            **self.metrics.scores(hypotheses.texts, references),
            "loss": forced.likelihood.loss,
            "perplexity": forced.likelihood.perplexity,
            **shares(results),
            "word_recall": word_recall(hypotheses.texts, references, self.language),
            "attention": forced.diagnostics.means(),
            "sentences": len(split.pairs),
            "refused": hypotheses.refused,
            "unread": forced.links.count(None),
        }
        if split.gold is not None and any(gold.tags for gold in split.gold):
            tags = sorted({tag for gold in split.gold for tag in gold.tags})
            scores["by_tag"] = {
                tag: group_scores([outcome for outcome in results if tag in outcome.tags], self.metrics) for tag in tags
            }
            scores["by_length"] = _by_length(results, self.metrics)
        return Evaluation(scores, hypotheses)

    def challenge(self, split: LoadedSplit) -> dict[str, Any]:
        """`sentences`, `refused`, `bleu`, `exact` and `aer` of a challenge set, and scores by source length."""
        hypotheses, _, results = self._outcomes(split)
        by_length = _by_length(results, self.metrics)
        return {**group_scores(results, self.metrics), "refused": hypotheses.refused, "by_length": by_length}

    def challenges(self, splits: Iterable[Split]) -> dict[str, dict[str, Any]]:
        """The scores of each challenge set, by its name."""
        return {split.name: self.challenge(load_split(split)) for split in splits}

    def _outcomes(self, split: LoadedSplit) -> tuple[Hypotheses, TeacherForcingResult, list["Outcome"]]:
        """Translates the sources, reads the references under teacher forcing, and judges each sentence."""
        hypotheses = translate(self.translator, [pair.source for pair in split.pairs])
        references = References(split, self.translator.tokenizers, longest=self.translator.longest)
        forced = references.read(self.model, self.translator.device)
        return hypotheses, forced, outcomes(split, hypotheses.texts, forced, self.metrics)


LENGTHS = ((1, 4), (5, 8), (9, 12), (13, 16), (17, 10**9))
"""Ranges of source length in words (see `segments`), for scores by length."""


class Outcome(NamedTuple):
    """How one sentence was translated. `statistics` come from `Metrics.sentence_statistics`; `length` is the source's.

    `alignment` is None where the sentence has no gold links or was not read.
    """

    statistics: list[int]
    exact: bool
    alignment: AlignmentError | None
    tags: tuple[str, ...]
    length: int


def outcomes(split: LoadedSplit, texts: Sequence[str], forced: TeacherForcingResult, metrics: Metrics) -> list[Outcome]:
    """The outcome of each sentence, in order. `texts` are the translations."""
    # n-grams are counted once, although a sentence is in a dozen groups.
    statistics = metrics.sentence_statistics(texts, [pair.target for pair in split.pairs])
    results = []
    for i, (pair, text) in enumerate(zip(split.pairs, texts, strict=True)):
        gold = split.gold[i] if split.gold is not None else Annotations(links=None)
        links = forced.links[i]
        alignment = None if links is None or gold.links is None else AlignmentError.of(links, gold.links)
        exact = text == pair.target or text in gold.acceptable
        results.append(Outcome(statistics[i], exact, alignment, gold.tags, len(segments(pair.source))))
    return results


def shares(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """`exact`, and `aer` where there are gold links."""
    shares = {"exact": sum(outcome.exact for outcome in outcomes) / len(outcomes)}
    if alignments := [outcome.alignment for outcome in outcomes if outcome.alignment is not None]:
        shares["aer"] = sum(alignments, AlignmentError()).rate
    return shares


def _by_length(outcomes: Sequence[Outcome], metrics: Metrics) -> dict[str, dict[str, int | float]]:
    return {
        f"{low}-{high}" if high < 1000 else f"{low}+": group_scores(group, metrics)
        for low, high in LENGTHS
        if (group := [outcome for outcome in outcomes if low <= outcome.length <= high])
    }


def group_scores(outcomes: Sequence[Outcome], metrics: Metrics) -> dict[str, int | float]:
    """`sentences`, `bleu`, `exact` and `aer` of a group of sentences."""
    bleu = metrics.bleu([outcome.statistics for outcome in outcomes])
    return {"sentences": len(outcomes), "bleu": bleu, **shares(outcomes)}
