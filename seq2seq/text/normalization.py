"""Unicode normalisation of text, so that composed and decomposed forms of a letter are the same code points."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from seq2seq.text.annotations import AnnotatedSplit
from seq2seq.text.corpus import Concatenated, Corpus, Pair, Split
from seq2seq.text.tokenizer import Tokenizer

NORMALIZATIONS: dict[str, Callable[[str], str]] = {
    "none": str,
    "nfc": partial(unicodedata.normalize, "NFC"),
    "nfkc": partial(unicodedata.normalize, "NFKC"),
}

ADVICE = "convert the text to {}, or train with dataset.normalization=nfc"


@dataclass(frozen=True)
class Normalized:
    """A split whose sides are normalised while they are read."""

    split: Split
    normalization: str

    @property
    def name(self) -> str:
        """The name of the split in messages."""
        return self.split.name

    def __iter__(self) -> Iterator[Pair]:
        normalize = NORMALIZATIONS[self.normalization]
        return (Pair(normalize(source), normalize(target)) for source, target in self.split)

    def fingerprint(self) -> str:
        """See `Split.fingerprint`."""
        return hashlib.sha256(f"{self.normalization} {self.split.fingerprint()}".encode()).hexdigest()


def normalized(corpus: Corpus, normalization: str) -> Corpus:
    """The corpus with each split normalised; with "none" its text is unchanged."""
    return replace(
        corpus,
        train=normalized_split(corpus.train, normalization),
        validation=normalized_split(corpus.validation, normalization),
        test=None if corpus.test is None else normalized_split(corpus.test, normalization),
        challenges=tuple(normalized_split(split, normalization) for split in corpus.challenges),
    )


def normalized_split(split: Split, normalization: str) -> Split:
    """The split with normalised text, its parts and annotations preserved."""
    if normalization == "none":
        return split
    if isinstance(split, Concatenated):
        return replace(split, splits=tuple(normalized_split(part, normalization) for part in split.splits))
    if isinstance(split, AnnotatedSplit):
        normalize = NORMALIZATIONS[normalization]
        return replace(
            split,
            pairs=[Pair(*map(normalize, pair)) for pair in split.pairs],
            gold=tuple(gold._replace(acceptable=tuple(map(normalize, gold.acceptable))) for gold in split.gold),
        )
    return Normalized(split, normalization)


def better_forms(texts: Sequence[str], tokenizer: Tokenizer) -> list[str | None]:
    """For each text the normal form, "NFC" or "NFD", in which the tokenizer knows more of it.

    In place of what is not in its training text a tokenizer has bytes or `<unk>`. So text has more of them if its
    normal form is not that of the training text. None where neither form would have fewer.
    """
    result: list[str | None] = [None] * len(texts)
    for i, count in enumerate(tokenizer.count_fallbacks(texts)):
        if count:
            forms = {form: unicodedata.normalize(form, texts[i]) for form in ("NFC", "NFD")}
            candidates = {form: text for form, text in forms.items() if text != texts[i]}
            counts = dict(zip(candidates, tokenizer.count_fallbacks(list(candidates.values())), strict=True))
            result[i] = next((form for form, remaining in counts.items() if remaining < count), None)
    return result


def describe_forms(pairs: Sequence[Pair], tokenizers: Sequence[Tokenizer], name: str) -> str | None:
    """A warning if some sides of the pairs are in another normal form than the training text, else None."""
    sides = [
        Counter(filter(None, better_forms(texts, tokenizer)))
        for texts, tokenizer in zip(zip(*pairs, strict=True), tokenizers, strict=True)
    ]
    if not (forms := sides[0] + sides[1]):
        return None
    form = forms.most_common(1)[0][0]
    fallback = " or ".join(dict.fromkeys(tokenizer.fallback for tokenizer in tokenizers))
    return (
        f"{name}: {sides[0].total():,} sources and {sides[1].total():,} targets of {len(pairs):,} are not in {form}, "
        f"the Unicode normalisation form of the training text, and are read as {fallback}; {ADVICE.format(form)}"
    )
