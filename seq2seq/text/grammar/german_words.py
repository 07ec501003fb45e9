"""German inflection: every form of a word from the principal parts that a dictionary prints.

The column of an ending table is called a *slot*: a gender (`m`, `f`, `n`), or `p` for the plural, which has no gender.
"""

from functools import cache

from seq2seq.text.grammar.entries import Noun, Verb

CASES = ("nominative", "accusative", "dative", "genitive")
SLOTS = ("m", "f", "n", "p")

# Rows: nominative, accusative, dative, genitive. Columns: m, f, n, p.
_ARTICLE = (("der", "die", "das", "die"), ("den", "die", "das", "die"), ("dem", "der", "dem", "den"),
            ("des", "der", "des", "der"))  # fmt: skip
_DER = (("er", "e", "es", "e"), ("en", "e", "es", "e"), ("em", "er", "em", "en"), ("es", "er", "es", "er"))
_EIN = (("", "e", "", "e"), ("en", "e", "", "e"), ("em", "er", "em", "en"), ("es", "er", "es", "er"))
_WEAK = (("e", "e", "e", "en"), ("en", "e", "e", "en"), ("en", "en", "en", "en"), ("en", "en", "en", "en"))
_MIXED = (("er", "e", "es", "en"), ("en", "e", "es", "en"), ("en", "en", "en", "en"), ("en", "en", "en", "en"))
_STRONG = (("er", "e", "es", "e"), ("en", "e", "es", "e"), ("em", "er", "em", "en"), ("en", "er", "en", "er"))

# Stem and declension of each determiner; what follows `der` is weak, what follows `ein` is mixed, the rest is strong.
DETERMINERS = {
    "definite": ("d", "article"),
    "this": ("dies", "der"),
    "every": ("jed", "der"),
    "which": ("welch", "der"),
    "all": ("all", "der"),
    "indefinite": ("ein", "ein"),
    "negative": ("kein", "ein"),
    "no": ("kein", "ein"),
    "my": ("mein", "ein"),
    "your": ("dein", "ein"),
    "his": ("sein", "ein"),
    "her": ("ihr", "ein"),
    "our": ("unser", "ein"),
    "their": ("ihr", "ein"),
    "many": ("viel", "strong"),
    "some": ("einig", "strong"),
    "bare": ("", "none"),
    "number": ("", "none"),
}
POSSESSIVES = ("my", "your", "his", "her", "our", "their")

_CONTRACTED = {
    ("in", "dem"): "im", ("in", "das"): "ins", ("an", "dem"): "am", ("an", "das"): "ans", ("zu", "dem"): "zum",
    ("zu", "der"): "zur", ("von", "dem"): "vom", ("bei", "dem"): "beim",
}  # fmt: skip

_RELATIVE = (("der", "die", "das", "die"), ("den", "die", "das", "die"), ("dem", "der", "dem", "denen"))


@cache
def determiner(name: str, slot: str, case: str) -> str:
    """The form of the determiner; "" for `bare` and `number`."""
    stem, kind = DETERMINERS[name]
    row, column = CASES.index(case), SLOTS.index(slot)
    if kind == "article":
        return _ARTICLE[row][column]
    if kind == "none":
        return ""
    return stem + (_EIN if kind == "ein" else _DER)[row][column]


@cache
def adjective_ending(name: str, slot: str, case: str) -> str:
    """The ending of an adjective after the determiner `name`: weak, mixed or strong."""
    kind = DETERMINERS[name][1]
    table = {"article": _WEAK, "der": _WEAK, "ein": _MIXED, "strong": _STRONG, "none": _STRONG}[kind]
    return table[CASES.index(case)][SLOTS.index(slot)]


@cache
def inflected_adjective(stem: str, ending: str) -> str:
    """The adjective with its ending: teuer and dunkel lose an e (teures, dunkles), hoch loses its c (hohes)."""
    if stem.endswith("hoch"):
        return stem[:-2] + "h" + ending
    if stem.endswith("el") or stem.endswith(("auer", "euer")):
        return stem[:-2] + stem[-1] + ending
    return stem + ("" if stem.endswith("e") else ending[:1]) + ending[1:]


@cache
def noun_form(noun: Noun, plural: bool, case: str) -> str:
    """The form of the noun. A weak noun has the form of the genitive in all cases but the nominative: dem Studenten.

    A genitive in -ns (des Namens) loses its s there: dem Namen.
    """
    if plural:
        needs_n = case == "dative" and not noun.plural.endswith(("n", "s"))
        return noun.plural + ("n" if needs_n else "")
    if case == "nominative":
        return noun.german
    if noun.weak:
        return noun.genitive if case == "genitive" or not noun.genitive.endswith("ns") else noun.genitive[:-1]
    return noun.genitive if case == "genitive" else noun.german


def relative_pronoun(slot: str, case: str) -> str:
    """The relative pronoun (der, den, denen ...) in any case but the genitive."""
    return _RELATIVE[CASES.index(case)][SLOTS.index(slot)]


def contracted(preposition: str, article: str) -> str | None:
    """The contraction of a preposition and an article (in dem: im), or None where there is none."""
    return _CONTRACTED.get((preposition, article))


def _needs_e(stem: str) -> bool:
    """Whether -st and -t take an e before them: arbeitet, findet, öffnet, but lernt, filmt."""
    return stem.endswith(("t", "d")) or (stem[-1] in "nm" and stem[-2] not in "aeiouäöürlhmn")


_IRREGULAR = {
    ("sein", "present"): ("bin", "bist", "ist", "sind", "seid", "sind"),
    ("werden", "present"): ("werde", "wirst", "wird", "werden", "werdet", "werden"),
}


@cache
def finite(verb: Verb, tense: str, person: int, plural: bool) -> str:
    """The finite form without its particle; `tense` is present or preterite."""
    index = person - 1 + 3 * plural
    if (verb.infinitive, tense) in _IRREGULAR:
        return _IRREGULAR[verb.infinitive, tense][index]
    return (_present(verb) if tense == "present" else _preterite(verb.preterite))[index]


def _present(verb: Verb) -> tuple[str, ...]:
    infinitive, third = verb.infinitive, verb.present
    stem = infinitive[: -2 if infinitive.endswith("en") else -1]
    plural = stem + ("et" if _needs_e(stem) else "t")
    if not third.endswith("t"):  # the modals and wissen: ich kann, er kann
        second = third + ("t" if third[-1] in "sßzx" else "st")
        return third, second, third, infinitive, plural, infinitive
    if stem.endswith("t") and not third.endswith("et"):  # hält, tritt: the final t of the stem replaces the ending
        second = third + "st"
    else:
        base = third[:-1]
        second = base + ("t" if base[-1] in "sßzx" else "st")
    first = stem[:-2] + "le" if stem.endswith("el") else stem + "e"
    return first, second, third, infinitive, plural, infinitive


def _preterite(third: str) -> tuple[str, ...]:
    if third.endswith("e"):
        return third, third + "st", third, third + "n", third + "t", third + "n"
    second = third + ("est" if third[-1] in "sßztd" else "st")
    return third, second, third, third + "en", third + ("et" if third[-1] in "td" else "t"), third + "en"


def imperative(verb: Verb, plural: bool) -> str:
    """The form for du (plural: ihr) without its particle: mach, lies, warte."""
    if verb.infinitive == "sein":
        return "seid" if plural else "sei"
    if plural:
        return finite(verb, "present", 2, True)
    stem = verb.infinitive[: -2 if verb.infinitive.endswith("en") else -1]
    changed = verb.present[:-1]
    if "e" in stem and "i" in changed and "i" not in stem.replace("ei", ""):  # liest: lies, gibt: gib
        return changed
    return stem + ("e" if _needs_e(stem) or stem.endswith(("ig", "er", "el")) else "")


def infinitive(verb: Verb, *, with_zu: bool = False) -> str:
    """The infinitive with its particle: aufräumen; `with_zu`: aufzuräumen. Without a particle zu is not added."""
    if with_zu and verb.particle:
        return verb.particle + "zu" + verb.infinitive
    return verb.particle + verb.infinitive


AUXILIARIES = {
    verb.infinitive: verb
    for verb in (
        Verb("haben", "hat", "hatte", "gehabt"),
        Verb("sein", "ist", "war", "gewesen", "sein"),
        Verb("werden", "wird", "wurde", "worden", "sein"),
    )
}
WOULD = ("würde", "würdest", "würde", "würden", "würdet", "würden")


GAPS = {"who": {"nominative": "wer", "accusative": "wen", "dative": "wem"}}
QUESTIONS = {"where": "wo", "when": "wann", "why": "warum"}
CONJUNCTIONS = {
    "that": "dass",
    "whether": "ob",
    "because": "weil",
    "although": "obwohl",
    "if": "wenn",
    "when": "als",
    "before": "bevor",
    "after": "nachdem",
    "while": "während",
}
