"""How good is it? BLEU, chrF, TER, perplexity, exact matches, alignment error: sums and counts, divided once."""

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch

from seq2seq.forcing import Reading, References
from seq2seq.nn.model import Model
from seq2seq.text.alignment import AlignmentError
from seq2seq.text.gold import Gold, Held
from seq2seq.text.tokenizer import Tokenizers
from seq2seq.translation import Translation, Translator

RESAMPLES = 1000


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


def quick_scores(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """BLEU and chrF, as in `scores`, without signatures and confidence: for validation during training."""
    return {
        name: float(metric.corpus_score(hypotheses, None).score)
        for name, metric in zip(("bleu", "chrf"), _with_references(tuple(references)), strict=True)
    }


@lru_cache(maxsize=2)
def _with_references(references: tuple[str, ...]) -> tuple[Any, Any]:
    """sacreBLEU's BLEU and chrF, which count the n-grams of these references once."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    return BLEU(references=[references]), CHRF(references=[references])


def scores(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """sacreBLEU's BLEU, chrF and TER of detokenised text against raw references (Post 2018), from 0 to 100.

    With each its 95 % interval from bootstrap resampling (Koehn 2004) and its signature; `signature` is BLEU's.
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    found: dict[str, Any] = {}
    for name, metric in (("bleu", _in_doubles(BLEU())), ("chrf", _in_doubles(CHRF())), ("ter", _in_doubles(TER()))):
        # One sentence has no other samples to draw.
        score = metric.corpus_score(hypotheses, [references], n_bootstrap=RESAMPLES if len(hypotheses) > 1 else 1)
        found[name] = float(score.score)
        if len(hypotheses) > 1:
            found[f"{name}_interval"] = [float(score._mean - score._ci), float(score._mean + score._ci)]
        found["signature" if name == "bleu" else f"{name}_signature"] = metric.get_signature().format()
    return found


def paired_bootstrap(baseline: Sequence[str], hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """sacreBLEU's paired bootstrap test (Koehn 2004): the p-value of two systems' difference in BLEU being chance.

    1 for the same hypotheses, of which sacreBLEU's strict comparison would say 1 / (resamples + 1).
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.significance import PairedTest

    if list(baseline) == list(hypotheses):
        return 1.0
    systems = [("baseline", baseline), ("system", hypotheses)]
    test = PairedTest(systems, {"BLEU": _in_doubles(BLEU())}, [references], test_type="bs", n_samples=RESAMPLES)
    result: Any = test()[1]["BLEU"][1]
    return float(result.p_value)


def _in_doubles(metric: Any) -> Any:
    """The metric, which by itself resamples in single precision, and fails where one sample's score is a plain 0."""
    compute = metric._compute_score_from_stats
    metric._compute_score_from_stats = lambda counts: compute([float(count) for count in counts])
    return metric


class Evaluation(NamedTuple):
    """Scores by name, and the translations that they are of."""

    scores: dict[str, Any]
    hypotheses: Hypotheses


def evaluate(
    model: Model, tokenizers: Tokenizers, translator: Translator, split: Held, device: torch.device
) -> Evaluation:
    """All scores of a model on a split.

    Those of `scores`, and `loss`, `perplexity`, `exact` (the share of sentences translated as the reference or as
    another right answer), `attention` (see `Diagnostics.means`), `sentences`, `refused` (sources too long), `unread`
    (pairs too long for perplexity, `attention` and `aer`, which leave them out: see `References`); where the split has
    gold alignments, `aer`; where it has tags, `exact`, `bleu` and `aer` again by tag and by source length.
    """
    hypotheses, reading, results = _examine(model, tokenizers, translator, split, device)
    found = {
        **scores(hypotheses.texts, [pair.target for pair in split.pairs]),
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
        found["by_tag"] = {tag: _group([outcome for outcome in results if tag in outcome.tags]) for tag in tags}
        found["by_length"] = _by_length(results)
    return Evaluation(found, hypotheses)


def challenge(
    model: Model, tokenizers: Tokenizers, translator: Translator, split: Held, device: torch.device
) -> dict[str, Any]:
    """`sentences`, `refused`, `bleu`, `exact` and `aer` of a challenge set, and the scores again by source length."""
    hypotheses, _, results = _examine(model, tokenizers, translator, split, device)
    return {**_group(results), "refused": hypotheses.refused, "by_length": _by_length(results)}


def _examine(
    model: Model, tokenizers: Tokenizers, translator: Translator, split: Held, device: torch.device
) -> tuple[Hypotheses, Reading, list["Outcome"]]:
    """Translates a split, reads its references, and says what became of each sentence."""
    hypotheses = translate(translator, [pair.source for pair in split.pairs])
    reading = References(split.pairs, tokenizers, longest=translator.longest).read(model, device)
    return hypotheses, reading, outcomes(split, hypotheses.texts, reading)


LENGTHS = ((1, 4), (5, 8), (9, 12), (13, 16), (17, 10**9))
"""Source words, for scores by length."""


class Outcome(NamedTuple):
    """What became of one sentence. `counts` are the n-grams and lengths that BLEU is made of."""

    counts: list[int]
    exact: bool
    alignment: AlignmentError | None
    tags: tuple[str, ...]
    length: int


def outcomes(split: Held, texts: Sequence[str], reading: Reading) -> list[Outcome]:
    """Each sentence's, in order."""
    # Counted once: a sentence is in a dozen groups.
    bleu, _ = _with_references(tuple(pair.target for pair in split.pairs))
    counts = bleu._extract_corpus_statistics(texts, None)
    results = []
    for i, (pair, text) in enumerate(zip(split.pairs, texts, strict=True)):
        gold = split.gold[i] if split.gold is not None else Gold(links=None)
        links = reading.links[i]
        alignment = None if links is None or gold.links is None else AlignmentError.of(links, gold.links)
        right = text == pair.target or text in gold.acceptable
        results.append(Outcome(counts[i], right, alignment, gold.tags, len(pair.source.split())))
    return results


def shares(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """`exact`, and `aer` where there is gold."""
    shares = {"exact": sum(outcome.exact for outcome in outcomes) / len(outcomes)}
    if alignments := [outcome.alignment for outcome in outcomes if outcome.alignment is not None]:
        shares["aer"] = sum(alignments, AlignmentError()).rate
    return shares


def _by_length(outcomes: Sequence[Outcome]) -> dict[str, dict[str, int | float]]:
    return {
        f"{low}-{high}" if high < 1000 else f"{low}+": _group(group)
        for low, high in LENGTHS
        if (group := [outcome for outcome in outcomes if low <= outcome.length <= high])
    }


def _group(outcomes: Sequence[Outcome]) -> dict[str, int | float]:
    from sacrebleu.metrics.bleu import BLEU

    bleu = BLEU()._aggregate_and_compute([outcome.counts for outcome in outcomes])
    return {"sentences": len(outcomes), "bleu": float(bleu.score), **shares(outcomes)}
