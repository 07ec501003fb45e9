"""English inflection: regular by rule, irregular from the lexicon."""

from functools import cache

from seq2seq.text.grammar.entries import Adjective, Noun, Verb

_VOWELS = "aeiou"
_BE = {"present": ("am", "are", "is", "are", "are", "are"), "past": ("was", "were", "was", "were", "were", "were")}


def _vowel_groups(word: str) -> int:
    return sum(letter in _VOWELS and (i == 0 or word[i - 1] not in _VOWELS) for i, letter in enumerate(word))


def _with_s(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh")) or (word.endswith("o") and word[-2] not in _VOWELS):
        return word + "es"
    if word.endswith("y") and word[-2] not in _VOWELS:
        return word[:-1] + "ies"
    return word + "s"


def _doubles(word: str) -> bool:
    """Whether the last consonant doubles before a vowel: run, sit, big; not open, show, fix."""
    return (
        len(word) > 2 and _vowel_groups(word) == 1 and word[-1] not in _VOWELS + "wxy"
        and word[-2] in _VOWELS and word[-3] not in _VOWELS
    )  # fmt: skip


@cache
def noun_form(noun: Noun, plural: bool) -> str:
    return (noun.english_plural or _with_s(noun.english)) if plural else noun.english


def article(following: str) -> str:
    """`a` or `an`, by the sound of the next word."""
    vowel = following[0].lower() in _VOWELS and not following.startswith(("uni", "use", "one", "Euro"))
    return "an" if vowel or following.startswith(("hour", "honest")) else "a"


def be(tense: str, person: int, plural: bool) -> str:
    return _BE[tense][person - 1 + 3 * plural]


@cache
def third_person(verb: str) -> str:
    return {"have": "has", "do": "does", "be": "is"}.get(verb) or _with_s(verb)


@cache
def past(verb: Verb) -> str:
    return verb.past or _regular_past(verb.english)


@cache
def participle(verb: Verb) -> str:
    return verb.english_participle or _regular_past(verb.english)


def _regular_past(word: str) -> str:
    if word.endswith("e"):
        return word + "d"
    if word.endswith("y") and word[-2] not in _VOWELS:
        return word[:-1] + "ied"
    return word + (word[-1] if _doubles(word) else "") + "ed"


@cache
def ing(verb: Verb) -> str:
    if verb.ing:
        return verb.ing
    word = verb.english
    if word.endswith("ie"):
        return word[:-2] + "ying"
    if word.endswith("e") and not word.endswith(("ee", "be")):
        return word[:-1] + "ing"
    return word + (word[-1] if _doubles(word) else "") + "ing"


@cache
def comparative(adjective: Adjective) -> tuple[str, ...]:
    """One word (bigger) or two (more famous)."""
    word = adjective.english
    if adjective.english_comparative:
        return tuple(adjective.english_comparative.split(" "))
    if word.endswith("y"):
        return (word[:-1] + "ier",)
    if _vowel_groups(word.removesuffix("e")) > 1:
        return ("more", word)
    return (word + "r" if word.endswith("e") else word + (word[-1] if _doubles(word) else "") + "er",)
