"""Unicode normalisation: of every text, in its fingerprint; a warning for text in another form."""

import unicodedata

import pytest

from seq2seq.text.alignment import Link
from seq2seq.text.annotations import AnnotatedSplit, Annotations, load_split
from seq2seq.text.corpus import Concatenated, Corpus, InMemory, Pair
from seq2seq.text.normalization import (
    NORMALIZATIONS,
    Normalized,
    better_forms,
    describe_forms,
    normalized,
    normalized_split,
)
from seq2seq.text.tokenizer import Tokenizer, train_tokenizer

COMPOSED = "Der M\u00fcller h\u00f6rt die \ufb01ne T\u00fcr"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)
WORDS = ["M\u00fcller", "h\u00f6rt", "T\u00fcr", "der", "die", "B\u00e4r"]


@pytest.mark.parametrize(
    ("normalization", "text"),
    [("none", DECOMPOSED), ("nfc", COMPOSED), ("nfkc", COMPOSED.replace("\ufb01", "fi"))],
)
def test_both_sides_of_every_split_are_normalised(normalization: str, text: str) -> None:
    assert NORMALIZATIONS[normalization](DECOMPOSED) == text
    parts = tuple(InMemory([Pair(DECOMPOSED, f"{i} {DECOMPOSED}")], f"part {i}") for i in range(2))
    gold = Annotations(frozenset({Link(0, 0)}), (DECOMPOSED,), ("tag",))
    annotated = AnnotatedSplit([Pair(DECOMPOSED, "x")], "test", (gold,))
    corpus = normalized(
        Corpus("de", "en", Concatenated(parts, "train"), parts[0], annotated, (parts[1],)), normalization
    )
    assert list(corpus.train) == [(text, f"0 {text}"), (text, f"1 {text}")]
    assert isinstance(corpus.train, Concatenated)
    assert corpus.train.counts() == "1 in part 0, 1 in part 1"
    assert (list(corpus.validation), corpus.validation.name) == ([(text, f"0 {text}")], "part 0")
    assert list(corpus.challenges[0]) == [(text, f"1 {text}")]
    loaded = load_split(corpus.test)
    assert loaded.pairs == [(text, "x")]
    assert loaded.gold == [Annotations(frozenset({Link(0, 0)}), (text,), ("tag",))]


def test_fingerprints_tell_normalizations_apart() -> None:
    plain = InMemory([Pair("a", "b")], "train")
    for split in (plain, Concatenated((plain, plain), "train")):
        fingerprints = {normalized_split(split, name).fingerprint() for name in NORMALIZATIONS}
        assert len(fingerprints) == len(NORMALIZATIONS)
        assert split.fingerprint() in fingerprints
    assert Normalized(plain, "nfc").fingerprint() == normalized_split(plain, "nfc").fingerprint()


def tokenizer(form: str) -> Tokenizer:
    lines = [unicodedata.normalize(form, f"{first} {second}") for first in WORDS for second in WORDS] * 5
    return train_tokenizer(lines, vocabulary_size=285, kind="bpe")


@pytest.mark.parametrize(("form", "other"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_another_form_is_seen_by_its_bytes(form: str, other: str) -> None:
    trained = tokenizer(form)
    texts = [
        unicodedata.normalize(form, "M\u00fcller h\u00f6rt"),
        unicodedata.normalize(other, "M\u00fcller h\u00f6rt"),
    ]
    texts += ["der", "", "\u732b", "q", unicodedata.normalize(other, "\u1ec7")]  # neither form of the last is known
    assert better_forms(texts, trained) == [None, form, None, None, None, None, *better_forms(texts[-1:], trained)]
    pairs = [Pair(texts[0], texts[1]), Pair(texts[1], "der"), Pair("der", "die"), Pair("x", texts[1])]
    warning = describe_forms(pairs, (trained, trained), "test")
    assert warning is not None
    assert warning.startswith(f"test: 1 sources and 2 targets of 4 are not in {form}, the Unicode normalisation form")
    assert describe_forms(pairs[2:3], (trained, trained), "test") is None


def test_a_tokenizer_of_both_forms_has_none_to_prefer() -> None:
    lines = [unicodedata.normalize(form, word) for word in WORDS for form in ("NFC", "NFD")] * 20
    trained = train_tokenizer(lines, vocabulary_size=290, kind="bpe")
    assert better_forms([COMPOSED, DECOMPOSED, "T\u00fcr"], trained) == [None, None, None]
