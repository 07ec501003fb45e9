"""English inflection: every entry has a form, and the regular ones follow the spelling rules."""

import pytest

from seq2seq.text.grammar import english_words as words
from seq2seq.text.grammar.corpus import LEXICON
from seq2seq.text.grammar.entries import Lexicon
from seq2seq.text.grammar.lexicon import read_lexicon


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return read_lexicon(LEXICON)


@pytest.mark.parametrize(
    ("base", "third", "past", "ing"),
    [
        ("carry", "carries", "carried", "carrying"),
        ("plan", "plans", "planned", "planning"),
        ("open", "opens", "opened", "opening"),
        ("wash", "washes", "washed", "washing"),
        ("dance", "dances", "danced", "dancing"),
        ("play", "plays", "played", "playing"),
        ("lie", "lies", "lay", "lying"),
        ("see", "sees", "saw", "seeing"),
        ("put", "puts", "put", "putting"),
        ("get", "gets", "got", "getting"),
        ("answer", "answers", "answered", "answering"),
        ("show", "shows", "showed", "showing"),
        ("wake", "wakes", "woke", "waking"),
        ("swim", "swims", "swam", "swimming"),
        ("cook", "cooks", "cooked", "cooking"),
    ],
)
def test_verbs_by_hand(lexicon: Lexicon, base: str, third: str, past: str, ing: str) -> None:
    verb = next(entry for entry in lexicon.verbs if entry.english == base)
    assert (words.third_person(base), words.past(verb), words.ing(verb)) == (third, past, ing)


def test_every_verb_has_every_form(lexicon: Lexicon) -> None:
    for verb in lexicon.verbs:
        assert words.third_person(verb.english).endswith("s")
        assert words.ing(verb).endswith("ing") or verb.english == "be"
        assert not words.ing(verb).endswith("eing") or verb.english in ("see", "be")
        regular = not verb.past
        assert not regular or (words.past(verb).endswith("ed") and words.past(verb) != verb.english)
        assert not regular or verb.english_participle or words.participle(verb) == words.past(verb)
        assert words.participle(verb)


def test_every_noun_has_a_plural(lexicon: Lexicon) -> None:
    for noun in lexicon.nouns:
        plural = words.noun_form(noun, True)
        assert words.noun_form(noun, False) == noun.english
        assert plural != noun.english or noun.mass
        assert plural.endswith("s") or plural[-3:] in ("men", "ren")
        if not noun.english_plural and noun.english[-1] == "y" and noun.english[-2] not in "aeiou":
            assert plural.endswith("ies")


def test_one_english_noun_for_each_german_one(lexicon: Lexicon) -> None:
    english = [noun.english for noun in lexicon.nouns]
    assert len(set(english)) == len(english)


@pytest.mark.parametrize(
    ("adjective", "comparative"),
    [
        ("big", "bigger"),
        ("happy", "happier"),
        ("famous", "more famous"),
        ("nice", "nicer"),
        ("cheap", "cheaper"),
        ("hot", "hotter"),
        ("new", "newer"),
        ("beautiful", "more beautiful"),
        ("clever", "cleverer"),
        ("sad", "sadder"),
        ("tired", "more tired"),
    ],
)
def test_comparatives_by_hand(lexicon: Lexicon, adjective: str, comparative: str) -> None:
    entry = next(entry for entry in lexicon.adjectives if entry.english == adjective)
    assert " ".join(words.comparative(entry)) == comparative


@pytest.mark.parametrize(
    ("following", "article"),
    [
        ("apple", "an"),
        ("honest", "an"),
        ("hour", "an"),
        ("useful", "a"),
        ("university", "a"),
        ("umbrella", "an"),
        ("house", "a"),
        ("old", "an"),
    ],
)
def test_a_or_an(following: str, article: str) -> None:
    assert words.article(following) == article


@pytest.mark.parametrize(
    ("person", "plural", "present", "past"),
    [(1, False, "am", "was"), (2, False, "are", "were"), (3, False, "is", "was"), (3, True, "are", "were")],
)
def test_be(person: int, plural: bool, present: str, past: str) -> None:
    assert words.be("present", person, plural) == present
    assert words.be("past", person, plural) == past
