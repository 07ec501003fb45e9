"""German inflection against rules that are written here a second time, from a school grammar's point of view."""

from itertools import product

import pytest

from seq2seq.text.grammar import german_words as words
from seq2seq.text.grammar.corpus import LEXICON
from seq2seq.text.grammar.entries import Lexicon, Noun, Verb
from seq2seq.text.grammar.frame import Phrase
from seq2seq.text.grammar.german import phrase_tokens
from seq2seq.text.grammar.lexicon import read_lexicon

# The definite article, and the last letters that mark gender and case on whatever word must show them.
ARTICLES = {
    "nominative": "der die das die",
    "accusative": "den die das die",
    "dative": "dem der dem den",
    "genitive": "des der des der",
}
MARKS = {"der": "er", "die": "e", "das": "es", "den": "en", "dem": "em", "des": "es"}


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return read_lexicon(LEXICON)


def article(case: str, slot: str) -> str:
    return ARTICLES[case].split()["mfnp".index(slot)]


@pytest.mark.parametrize("case", words.CASES)
@pytest.mark.parametrize("slot", words.SLOTS)
def test_each_determiner_shows_the_articles_mark_or_leaves_it_to_the_adjective(case: str, slot: str) -> None:
    the, mark = article(case, slot), MARKS[article(case, slot)]
    assert words.determiner("definite", slot, case) == the
    for name, (stem, kind) in words.DETERMINERS.items():
        form, ending = words.determiner(name, slot, case), words.adjective_ending(name, slot, case)
        if kind in ("article", "none"):
            assert form == ("" if kind == "none" else the)
        marked = form not in ("", stem)
        if kind in ("der", "strong", "ein") and marked:
            assert form == stem + mark
        # kein has a bare form exactly in the masculine nominative and the neuter nominative and accusative
        bare = kind == "ein" and (slot, case) in {("m", "nominative"), ("n", "nominative"), ("n", "accusative")}
        assert marked != (bare or kind == "none") or kind == "article"
        # what shows no mark leaves it to the adjective; the genitive -s of the noun makes -en enough
        if bare or (kind in ("none", "strong") and not (case == "genitive" and slot in "mn")):
            assert ending == mark
        elif kind == "none" or kind == "strong":
            assert ending == "en"
        # behind a mark: -e in the five weak forms, else -en
        else:
            weak_e = slot != "p" and (case == "nominative" or (case == "accusative" and slot in "fn"))
            assert ending == ("e" if weak_e else "en")


def test_every_noun_in_every_case(lexicon: Lexicon) -> None:
    for noun in lexicon.nouns:
        forms = {case: words.noun_form(noun, False, case) for case in words.CASES}
        assert forms["nominative"] == noun.german
        assert forms["genitive"] == noun.genitive
        assert forms["accusative"] == forms["dative"]
        if noun.gender == "f":
            assert set(forms.values()) == {noun.german}
        elif noun.weak:
            assert noun.gender == "m"
            assert forms["dative"] != noun.german
            assert forms["dative"].endswith("n")
            assert forms["genitive"] in (forms["dative"], forms["dative"] + "s")
        else:
            assert forms["dative"] == noun.german
            assert forms["genitive"] in (noun.german + "s", noun.german + "es", noun.german + "ses")
        if noun.plural:
            plural = {case: words.noun_form(noun, True, case) for case in words.CASES}
            assert plural["nominative"] == plural["accusative"] == plural["genitive"] == noun.plural
            assert plural["dative"][-1] in "ns"
            assert plural["dative"] in (noun.plural, noun.plural + "n")


@pytest.mark.parametrize(
    ("german", "dative", "genitive"),
    [("Junge", "Jungen", "Jungen"), ("Student", "Studenten", "Studenten"), ("Name", "Namen", "Namens"),
     ("Gedanke", "Gedanken", "Gedankens"), ("Nachbar", "Nachbarn", "Nachbarn"), ("Garten", "Garten", "Gartens"),
     ("Sohn", "Sohn", "Sohnes")],
)  # fmt: skip
def test_the_n_declension_by_hand(lexicon: Lexicon, german: str, dative: str, genitive: str) -> None:
    noun = next(entry for entry in lexicon.nouns if entry.german == german)
    assert words.noun_form(noun, False, "dative") == dative
    assert words.noun_form(noun, False, "genitive") == genitive


def test_every_adjective_with_every_ending(lexicon: Lexicon) -> None:
    for adjective in lexicon.adjectives:
        for ending in ("e", "en", "er", "es", "em"):
            form = words.inflected_adjective(adjective.german, ending)
            assert form.endswith(ending)
            assert ("ee" in form) == ("ee" in adjective.german)
            stem = form[: -len(ending)]
            assert stem in (adjective.german, adjective.german[:-1]) or len(stem) == len(adjective.german) - 1
        assert adjective.comparative.endswith("er")


@pytest.mark.parametrize(
    ("stem", "form"),
    [
        ("teuer", "teures"),
        ("dunkel", "dunkles"),
        ("hoch", "hohes"),
        ("müde", "müdes"),
        ("neu", "neues"),
        ("leer", "leeres"),
    ],
)
def test_stems_that_change(stem: str, form: str) -> None:
    assert words.inflected_adjective(stem, "es") == form


def test_every_noun_with_every_determiner_and_an_adjective(lexicon: Lexicon) -> None:
    """Determiner or adjective shows the article's mark, but the genitive of Vaters is shown by the noun."""
    singular_only, plural_only = ("indefinite", "every"), ("all", "many", "some", "number")
    count = 0
    for noun in lexicon.nouns:
        for plural, case, name in product((False, True) if noun.plural else (False,), words.CASES, words.DETERMINERS):
            if name in (singular_only if plural else plural_only):
                continue
            adjective = lexicon.adjectives[count % len(lexicon.adjectives)]
            count += 1
            phrase = Phrase("x", noun, plural, name, (adjective,))
            *marked, last = [token.text for token in phrase_tokens(phrase, case)]
            mark = MARKS[article(case, phrase.slot)]
            assert last == words.noun_form(noun, plural, case)
            assert len(marked) == 1 + (name not in ("bare", "number"))
            if name == "definite":
                assert marked[0] == article(case, phrase.slot)
            elif len(marked) == 1 and case == "genitive" and phrase.slot in "mn":
                assert marked[0].endswith("en")
            else:
                assert any(text.endswith(mark) for text in marked), (marked, last)
    assert count > 10_000


def persons(verb: Verb, tense: str) -> list[str]:
    return [words.finite(verb, tense, person, plural) for plural in (False, True) for person in (1, 2, 3)]


def test_every_verb_in_every_person(lexicon: Lexicon) -> None:
    for verb in (*lexicon.verbs, *lexicon.modals, *words.AUXILIARIES.values()):
        if verb.infinitive == "sein":
            assert persons(verb, "present") == ["bin", "bist", "ist", "sind", "seid", "sind"]
            continue
        present = persons(verb, "present")
        assert present[3] == present[5] == verb.infinitive
        assert present[2] == verb.present
        assert present[1].endswith("st") or present[1][-2:] in ("ßt", "zt")
        assert present[4].endswith("t")
        assert not present[4].endswith(("dt", "tt"))
        modal = verb in lexicon.modals or verb.infinitive == "wissen"
        assert (present[0] == present[2]) == modal
        assert modal or present[0].endswith("e")
        if not verb.preterite:
            continue
        preterite = persons(verb, "preterite")
        assert preterite[0] == preterite[2] == verb.preterite
        assert preterite[3] == preterite[5]
        weak = verb.preterite.endswith("e")
        assert preterite[3] == verb.preterite + ("n" if weak else "en")
        assert preterite[1].endswith("st")
        assert preterite[4].endswith("t")
        if weak and verb in lexicon.verbs and verb.infinitive != "backen":
            assert verb.participle.endswith("t")
        if not weak and verb in lexicon.verbs:
            assert verb.participle.endswith("n")


@pytest.mark.parametrize(
    ("infinitive", "present", "preterite"),
    [
        (
            "arbeiten",
            "arbeite arbeitest arbeitet arbeiten arbeitet arbeiten",
            "arbeitete arbeitetest arbeitete arbeiteten arbeitetet arbeiteten",
        ),
        ("lesen", "lese liest liest lesen lest lesen", "las last las lasen last lasen"),
        ("laden", "lade lädst lädt laden ladet laden", "lud ludest lud luden ludet luden"),
        ("essen", "esse isst isst essen esst essen", "aß aßest aß aßen aßt aßen"),
        (
            "lächeln",
            "lächle lächelst lächelt lächeln lächelt lächeln",
            "lächelte lächeltest lächelte lächelten lächeltet lächelten",
        ),
        ("wissen", "weiß weißt weiß wissen wisst wissen", "wusste wusstest wusste wussten wusstet wussten"),
        ("finden", "finde findest findet finden findet finden", "fand fandest fand fanden fandet fanden"),
    ],
)
def test_verbs_by_hand(lexicon: Lexicon, infinitive: str, present: str, preterite: str) -> None:
    verb = next(entry for entry in lexicon.verbs if entry.infinitive == infinitive)
    assert " ".join(persons(verb, "present")) == present
    if infinitive != "lesen":  # du lasest, in speech last
        assert " ".join(persons(verb, "preterite")) == preterite


@pytest.mark.parametrize(
    ("infinitive", "form"),
    [
        ("lesen", "lies"),
        ("geben", "gib"),
        ("essen", "iss"),
        ("helfen", "hilf"),
        ("fahren", "fahr"),
        ("warten", "warte"),
        ("machen", "mach"),
        ("laden", "lade"),
        ("sehen", "sieh"),
        ("liegen", "lieg"),
        ("vergessen", "vergiss"),
        ("schreiben", "schreib"),
    ],
)
def test_requests_by_hand(lexicon: Lexicon, infinitive: str, form: str) -> None:
    verb = next(entry for entry in lexicon.verbs if entry.infinitive == infinitive)
    assert words.imperative(verb, False) == form
    assert words.imperative(verb, True) == words.finite(verb, "present", 2, True)


def test_every_request(lexicon: Lexicon) -> None:
    """To one: the stem, with -e or not, or the changed stem of du liest; to several: the form of ihr."""
    for verb in lexicon.verbs:
        one, several = words.imperative(verb, False), words.imperative(verb, True)
        if verb.infinitive == "sein":
            assert (one, several) == ("sei", "seid")
            continue
        assert several == words.finite(verb, "present", 2, True)
        stem = verb.infinitive.removesuffix("n").removesuffix("e")
        assert one in (stem, stem + "e", words.finite(verb, "present", 3, False).removesuffix("t"))
        assert "ä" not in one or "ä" in stem  # du fährst, but fahr!


def test_would_is_the_preterite_of_become_with_an_umlaut() -> None:
    preterite = persons(words.AUXILIARIES["werden"], "preterite")
    assert [form.replace("u", "ü", 1) for form in preterite] == list(words.WOULD)


def test_a_separable_verb_in_one_word(lexicon: Lexicon) -> None:
    verb = next(entry for entry in lexicon.verbs if entry.name == "aufräumen")
    assert words.infinitive(verb) == "aufräumen"
    assert words.infinitive(verb, with_zu=True) == "aufzuräumen"
    for verb in lexicon.verbs:
        assert verb.participle.startswith(verb.particle)
        if verb.particle and verb.infinitive != "bereiten":
            assert verb.participle.startswith(verb.particle + "ge")


def test_genders_follow_the_endings_that_tell_them(lexicon: Lexicon) -> None:
    def noun(german: str) -> Noun | None:
        return next((entry for entry in lexicon.nouns if entry.german == german), None)

    for entry in lexicon.nouns:
        if entry.german.endswith(("in", "ung", "heit", "keit")) and len(entry.german) > 4 and noun(entry.german):
            assert entry.gender == "f", entry.german
        if entry.german.endswith(("chen", "lein")) and entry.german != "Kuchen":
            assert entry.gender == "n", entry.german
