"""How good is it? Perplexity, BLEU, chrF and TER: sums and counts, divided once."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from seq2seq.nn.model import Model
from seq2seq.text.batches import Batch, batch_pairs
from seq2seq.text.corpus import Pair
from seq2seq.text.tokenizer import Tokenizers
from seq2seq.training import batch_loss
from seq2seq.translation import Translation, Translator

RESAMPLES = 1000


class Likelihood(NamedTuple):
    """A sum of negative log-likelihoods in nats, and the target tokens (EOS counted) it is over."""

    total: float
    tokens: int

    @property
    def loss(self) -> float:
        """Nats a token."""
        return self.total / self.tokens if self.tokens else math.nan

    @property
    def perplexity(self) -> float:
        """`exp(loss)`; infinity where that is more than a float can hold."""
        try:
            return math.exp(self.loss)
        except OverflowError:
            return math.inf


@torch.no_grad()
def likelihood(model: Model, batches: Sequence[Batch], device: torch.device) -> Likelihood:
    """How likely the references are, each word given the words before it. No label smoothing."""
    model.eval()
    total = 0.0
    for batch in batches:
        total += float(batch_loss(model, batch.to(device), smoothing=0.0).negative_log_likelihood)
    return Likelihood(total, sum(batch.target_tokens for batch in batches))


def encode(pairs: Sequence[Pair], tokenizers: Tokenizers, *, longest: int, size: int = 64) -> list[Batch]:
    """Batches of `size` sentence pairs of like length; sources of more than `longest` subwords are left out."""
    sources = tokenizers.source.encode_batch([pair.source for pair in pairs])
    targets = tokenizers.target.encode_batch([pair.target for pair in pairs])
    kept = sorted((i for i in range(len(pairs)) if len(sources[i]) <= longest), key=lambda i: len(targets[i]))
    return [
        batch_pairs([sources[i] for i in indices], [targets[i] for i in indices])
        for indices in (kept[start : start + size] for start in range(0, len(kept), size))
    ]


class Hypotheses(NamedTuple):
    """The best translation of each sentence (None where the source was too long), and their texts."""

    best: list[Translation | None]

    @property
    def texts(self) -> list[str]:
        """One line a sentence; empty where there is no translation."""
        return ["" if translation is None else translation.text for translation in self.best]

    @property
    def refused(self) -> int:
        """Sentences that were too long to translate."""
        return sum(translation is None for translation in self.best)


def translate(translator: Translator, sources: Sequence[str]) -> Hypotheses:
    """The best translation of each sentence."""
    return Hypotheses([found[0] if isinstance(found, list) else None for found in translator(sources)])


def quick_scores(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """BLEU and chrF, as in `scores`, without signatures and confidence: for validation during training."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    return {
        name: float(metric.corpus_score(hypotheses, [references]).score)
        for name, metric in (("bleu", BLEU()), ("chrf", CHRF()))
    }


def scores(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """sacreBLEU's BLEU, chrF and TER of detokenised text against raw references (Post 2018), from 0 to 100.

    With each its 95 % interval from bootstrap resampling (Koehn 2004) and its signature; `signature` is BLEU's.
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    found: dict[str, Any] = {}
    for name, metric in (("bleu", BLEU()), ("chrf", CHRF()), ("ter", TER())):
        # One sentence has no other samples to draw.
        score = metric.corpus_score(hypotheses, [references], n_bootstrap=RESAMPLES if len(hypotheses) > 1 else 1)
        found[name] = float(score.score)
        if len(hypotheses) > 1:
            found[f"{name}_interval"] = [float(score._mean - score._ci), float(score._mean + score._ci)]
        found["signature" if name == "bleu" else f"{name}_signature"] = metric.get_signature().format()
    return found


class Evaluation(NamedTuple):
    """Scores by name, and the translations that they are of."""

    scores: dict[str, Any]
    hypotheses: Hypotheses


def evaluate(
    model: Model, tokenizers: Tokenizers, translator: Translator, pairs: Sequence[Pair], device: torch.device
) -> Evaluation:
    """All scores of a model on a split: `scores`, `loss`, `perplexity`, `sentences`, `refused` (sources too long)."""
    hypotheses = translate(translator, [pair.source for pair in pairs])
    found = likelihood(model, encode(pairs, tokenizers, longest=translator.longest), device)
    return Evaluation(
        {
            **scores(hypotheses.texts, [pair.target for pair in pairs]),
            "loss": found.loss,
            "perplexity": found.perplexity,
            "sentences": len(pairs),
            "refused": hypotheses.refused,
        },
        hypotheses,
    )
