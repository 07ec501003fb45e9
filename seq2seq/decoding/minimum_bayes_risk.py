"""Minimum Bayes risk: of several hypotheses, the one that is most like all others."""

from collections.abc import Callable, Sequence

import numpy as np

UTILITIES = ("chrf", "bleu")


def expected_utilities(texts: Sequence[str], weights: Sequence[float], utility: str) -> list[float]:
    """The expected utility of each hypothesis, between 0 and 100: `sum_r w_r u(h, r)`, r over all hypotheses.

    The best hypothesis has the greatest expected utility. With equal weights for independent samples this is the
    estimate of Eikema and Aziz 2022, "Sampling-Based Approximations to Minimum Bayes Risk Decoding for Neural Machine
    Translation"; with the probabilities of an n-best list it is that of Kumar and Byrne 2004, "Minimum Bayes-Risk
    Decoding for Statistical Machine Translation". The weights are normalised. `utility` is "chrf" or "bleu", sentence
    by sentence as sacreBLEU computes it; tokens of BLEU are separated by spaces. Equal texts have a utility of 100.
    """
    measure = _measure(utility)
    different = list(dict.fromkeys(texts))
    totals = dict.fromkeys(different, 0.0)
    for text, weight in zip(texts, weights, strict=True):
        totals[text] += weight
    expected = {
        hypothesis: sum(
            totals[other] * (100.0 if other == hypothesis else measure(hypothesis, other)) for other in different
        )
        / sum(weights)
        for hypothesis in different
    }
    return [expected[text] for text in texts]


def posterior(log_probabilities: Sequence[float]) -> list[float]:
    """The probabilities of hypotheses, normalised to a sum of 1."""
    values = np.exp(np.array(log_probabilities) - max(log_probabilities))
    probabilities: list[float] = (values / values.sum()).tolist()
    return probabilities


def _measure(utility: str) -> Callable[[str, str], float]:
    from sacrebleu.metrics.bleu import BLEU  # it takes a while to import, and few searches need it
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF() if utility == "chrf" else BLEU(tokenize="none", effective_order=True)
    return lambda hypothesis, reference: float(metric.sentence_score(hypothesis, [reference]).score)
