"""Frames written by hand, and the sentences and links that a reader expects of them."""

import pytest

from seq2seq.text.grammar.corpus import LEXICON
from seq2seq.text.grammar.entries import Adjective, Lexicon, Noun, Preposition, Verb
from seq2seq.text.grammar.example import Example, realise, translate
from seq2seq.text.grammar.frame import PRONOUNS, Adverbial, Clause, Clock, Gap, Phrase, Predicate
from seq2seq.text.grammar.lexicon import read_lexicon

LEXICON_ENTRIES: Lexicon = read_lexicon(LEXICON)


def noun(german: str) -> Noun:
    return next(entry for entry in LEXICON_ENTRIES.nouns if entry.german == german)


def verb(name: str) -> Verb:
    return next(entry for entry in (*LEXICON_ENTRIES.verbs, *LEXICON_ENTRIES.modals) if entry.name == name)


def the(role: str, german: str, **more: object) -> Phrase:
    return Phrase(f"main.{role}", noun(german), determiner="definite", **more)  # type: ignore[arg-type]


def adjective(german: str) -> Adjective:
    return next(entry for entry in LEXICON_ENTRIES.adjectives if entry.german == german)


def adverb(german: str, slot: str) -> Adverbial:
    entry = next(entry for entry in LEXICON_ENTRIES.adverbs if " ".join(entry.german) == german)
    return Adverbial("main.time", slot, adverb=entry)


def pronoun(role: str, name: str) -> Phrase:
    return Phrase(f"main.{role}", PRONOUNS[name], PRONOUNS[name].plural)


def example(clause: Clause) -> Example:
    return translate(realise(clause))


def links(pair: Example) -> str:
    return " ".join(f"{link.source}{'-' if link.sure else 'p'}{link.target}" for link in pair.links)


def test_a_separable_verb_in_a_main_clause() -> None:
    pair = example(
        Clause(
            "main",
            verb("aufräumen"),
            the("subject", "Junge"),
            "preterite",
            objects={"accusative": the("accusative", "Zimmer")},
        )
    )
    assert pair.source == "Der Junge räumte das Zimmer auf."
    assert pair.target == "The boy tidied up the room."
    assert pair.acceptable == ("The boy tidied the room up.",)
    # der-the, Junge-boy, räumte-tidied (possibly up), das-the, Zimmer-room, auf-up (possibly tidied)
    assert links(pair) == "0-0 1-1 2-2 2p3 3-4 4-5 5p2 5-3"


def test_one_english_word_for_both_halves() -> None:
    pair = example(
        Clause(
            "main",
            verb("aufmachen"),
            pronoun("subject", "er"),
            "present",
            progressive=True,
            objects={"accusative": the("accusative", "Tür")},
        )
    )
    assert (pair.source, pair.target) == ("Er macht die Tür auf.", "He is opening the door.")
    assert links(pair) == "0-0 1p1 1-2 2-3 3-4 4p1 4-2"


def test_swapped_arguments() -> None:
    pair = example(
        Clause(
            "main",
            verb("gefallen"),
            the("subject", "Film"),
            "present",
            front="dative",
            objects={"dative": the("dative", "Kind", plural=True)},
        )
    )
    assert (pair.source, pair.target) == ("Den Kindern gefällt der Film.", "The children like the film.")
    assert links(pair) == "0-0 1-1 2-2 3-3 4-4"


def test_a_fronted_object_crosses() -> None:
    pair = example(
        Clause(
            "main",
            verb("fragen"),
            the("subject", "Frau"),
            "preterite",
            front="accusative",
            objects={"accusative": the("accusative", "Student")},
        )
    )
    assert (pair.source, pair.target) == ("Den Studenten fragte die Frau.", "The woman asked the student.")
    assert links(pair) == "0-3 1-4 2-2 3-0 4-1"


@pytest.mark.parametrize(
    ("name", "german", "english"),
    [("she", "Sie lacht.", "She is laughing."), ("they", "Sie lachen.", "They are laughing.")],
)
def test_agreement_tells_she_from_they(name: str, german: str, english: str) -> None:
    pair = example(Clause("main", verb("lachen"), pronoun("subject", name), "present", progressive=True))
    assert (pair.source, pair.target) == (german, english)


@pytest.mark.parametrize(
    ("german", "slot", "source", "target"),
    [
        ("gestern", "time", "Wir haben gestern die Suppe gegessen.", "We ate the soup yesterday."),
        ("schon", "already", "Wir haben die Suppe schon gegessen.", "We have already eaten the soup."),
    ],
)
def test_the_perfect_is_past_with_a_time_of_the_past(german: str, slot: str, source: str, target: str) -> None:
    pair = example(
        Clause(
            "main",
            verb("essen"),
            pronoun("subject", "wir"),
            "perfect",
            objects={"accusative": the("accusative", "Suppe")},
            adverbials=[adverb(german, slot)],
        )
    )
    assert (pair.source, pair.target) == (source, target)


def test_a_passive_with_a_modal_and_nicht() -> None:
    pair = example(
        Clause(
            "main",
            verb("reparieren"),
            the("subject", "Auto", plural=True),
            "preterite",
            modal=verb("müssen"),
            passive=True,
            negation="nicht",
        )
    )
    assert pair.source == "Die Autos mussten nicht repariert werden."
    assert pair.target == "The cars did not have to be repaired."
    # mussten-have to (possibly did), nicht-not, repariert-repaired (possibly did, be), werden-be
    assert "2-4" in links(pair).split()
    assert "3-3" in links(pair).split()
    assert "4-7" in links(pair).split()
    assert "5-6" in links(pair).split()


@pytest.mark.parametrize(
    ("clock", "german", "english"),
    [
        (Clock("half", ("drei", "two")), "um halb drei", "at half past two"),
        (Clock("half", ("eins", "twelve")), "um halb eins", "at half past twelve"),
        (Clock("o'clock", ("eins", "one")), "um ein Uhr", "at one o'clock"),
        (Clock("to", ("vier", "four"), ("Viertel", "quarter")), "um Viertel vor vier", "at quarter to four"),
        (Clock("past", ("acht", "eight"), ("zehn", "ten")), "um zehn nach acht", "at ten past eight"),
    ],
)
def test_clock_times(clock: Clock, german: str, english: str) -> None:
    pair = example(
        Clause(
            "main",
            verb("ankommen"),
            the("subject", "Zug"),
            "preterite",
            adverbials=[Adverbial("main.clock", "clock", clock=clock)],
        )
    )
    assert pair.source == f"Der Zug kam {german} an."
    assert pair.target == f"The train arrived {english}."
    assert all(any(link.sure for link in pair.links if link.source == i) for i in range(len(pair.source.split(" "))))


def test_kein_is_not_a() -> None:
    pair = example(
        Clause("main", verb("kaufen"), pronoun("subject", "ich"), "preterite", negation="kein",
               objects={"accusative": Phrase("main.accusative", noun("Apfel"), determiner="negative")})
    )  # fmt: skip
    assert (pair.source, pair.target) == ("Ich kaufte keinen Apfel.", "I did not buy an apple.")
    assert links(pair) == "0-0 1p1 1-3 2-2 2-4 3-5"


def test_a_compound_is_two_english_words_and_im_is_in_the() -> None:
    modifier = next(entry for entry in LEXICON_ENTRIES.modifiers if entry.german == "Blumen")
    garden = Adverbial(
        "main.place",
        "place",
        preposition=Preposition("in", "dative", ("in",)),
        phrase=the("place", "Garten", modifier=modifier),
    )
    pair = example(Clause("main", verb("schlafen"), pronoun("subject", "du"), "preterite", adverbials=[garden]))
    assert (pair.source, pair.target) == ("Du schliefst im Blumengarten.", "You slept in the flower garden.")
    assert links(pair) == "0-0 1-1 2-2 2-3 3-4 3-5"


def test_a_relative_clause_and_n_declension() -> None:
    boy = the("accusative", "Junge")
    gap = Phrase("main.accusative.relative.subject", Gap("relative", boy))
    boy.relative = Clause("main.accusative.relative", verb("weinen"), gap, "present", kind="final", progressive=True)
    pair = example(Clause("main", verb("kennen"), pronoun("subject", "she"), "present", objects={"accusative": boy}))
    assert (pair.source, pair.target) == ("Sie kennt den Jungen, der weint.", "She knows the boy who is crying.")
    assert pair.acceptable == ("She knows the boy that is crying.",)


def test_zu_in_the_middle_of_a_word() -> None:
    subject = pronoun("subject", "er")
    to = Clause("main.to", verb("aufstehen"), subject, "present", kind="infinitive", front="", conjunction="to")
    pair = example(Clause("main", verb("versuchen"), subject, "perfect", complement=to))
    assert (pair.source, pair.target) == ("Er hat versucht, aufzustehen.", "He has tried to get up.")


@pytest.mark.parametrize(
    ("degree", "german", "english"),
    [
        ("comparative", "älter als der Park", "older than the park"),
        ("equal", "so alt wie der Park", "as old as the park"),
    ],
)
def test_comparisons(degree: str, german: str, english: str) -> None:
    predicate = Predicate(adjective("alt"), degree, the("than", "Park"))  # type: ignore[arg-type]
    pair = example(Clause("main", verb("sein"), the("subject", "Haus"), "present", predicate=predicate))
    assert (pair.source, pair.target) == (f"Das Haus ist {german}.", f"The house is {english}.")


def test_an_adjective_compared_before_its_noun() -> None:
    car = Phrase(
        "main.accusative", noun("Auto"), determiner="indefinite", adjectives=(adjective("neu"),), comparative=True
    )
    pair = example(Clause("main", verb("kaufen"), pronoun("subject", "wir"), "future", objects={"accusative": car}))
    assert (pair.source, pair.target) == ("Wir werden ein neueres Auto kaufen.", "We will buy a newer car.")


def test_a_question_strands_the_preposition() -> None:
    gap = Phrase("main.prepositional", Gap("who"))
    pair = example(
        Clause(
            "main",
            verb("warten"),
            the("subject", "Kunde"),
            "present",
            kind="question",
            front="prepositional",
            progressive=True,
            objects={"prepositional": gap},
        )
    )
    assert (pair.source, pair.target) == ("Auf wen wartet der Kunde?", "Who is the customer waiting for?")


def test_a_request() -> None:
    pair = example(
        Clause(
            "main",
            verb("anziehen"),
            Phrase("main.subject", PRONOUNS["du"], True),
            "present",
            kind="imperative",
            front="",
            objects={"accusative": the("accusative", "Mantel", plural=True)},
        )
    )
    assert (pair.source, pair.target) == ("Zieht bitte die Mäntel an!", "Please put on the coats!")


def test_no_adverb_stands_behind_a_relative_clause() -> None:
    door = the("accusative", "Tür")
    gap = Phrase("main.accusative.relative.accusative", Gap("relative", door))
    me = Phrase("main.accusative.relative.subject", PRONOUNS["ich"])
    door.relative = Clause(
        "main.accusative.relative",
        verb("putzen"),
        me,
        "preterite",
        kind="final",
        front="accusative",
        objects={"accusative": gap},
    )
    carefully = Adverbial("main.manner", "manner", adverb=adverb("vorsichtig", "manner").adverb)
    pair = example(
        Clause("main", verb("zumachen"), pronoun("subject", "er"), "preterite", objects={"accusative": door},
               adverbials=[carefully, adverb("gestern", "time")])
    )  # fmt: skip
    assert pair.source == "Er machte gestern die Tür, die ich putzte, vorsichtig zu."
    assert pair.target == "Yesterday he carefully closed the door that I cleaned."


def spot(german: str, english: str, noun_name: str) -> Adverbial:
    return Adverbial("main.place", "place", preposition=Preposition(german, "dative", (english,)),
                     phrase=the("place", noun_name))  # fmt: skip


def test_what_lies_somewhere_comes_first_in_english() -> None:
    pair = example(
        Clause("main", verb("liegen"), the("subject", "Schlüssel"), "preterite", front="place",
               adverbials=[spot("auf", "on", "Tisch")])
    )  # fmt: skip
    assert (pair.source, pair.target) == ("Auf dem Tisch lag der Schlüssel.", "The key lay on the table.")


def test_a_pronoun_waits_for_nothing() -> None:
    where = Adverbial("main.place", "place", question="where")
    pair = example(
        Clause("main", verb("sitzen"), pronoun("subject", "ich"), "perfect", kind="question", front="place",
               adverbials=[where, adverb("gestern", "time")])
    )  # fmt: skip
    assert (pair.source, pair.target) == ("Wo habe ich gestern gesessen?", "Where did I sit yesterday?")


def test_cannot_is_one_word_unless_the_subject_parts_it() -> None:
    statement = Clause("main", verb("schlafen"), pronoun("subject", "er"), "present", modal=verb("können"))
    statement.negation = "nicht"
    pair = example(statement)
    assert (pair.source, pair.target) == ("Er kann nicht schlafen.", "He cannot sleep.")
    assert links(pair) == "0-0 1-1 1p2 2-1 3-2"
    statement.kind, statement.front = "question", ""
    assert example(statement).target == "Can he not sleep?"


def test_how_one_puts_a_thing_stands_before_the_verb() -> None:
    goal = Adverbial("main.goal", "goal", preposition=Preposition("auf", "accusative", ("on",)),
                     phrase=the("goal", "Tisch"))  # fmt: skip
    carefully = Adverbial("main.manner", "manner", adverb=adverb("vorsichtig", "manner").adverb)
    pair = example(
        Clause("main", verb("stellen"), pronoun("subject", "she"), "future",
               objects={"accusative": the("accusative", "Vase")}, adverbials=[carefully, goal])
    )  # fmt: skip
    assert pair.source == "Sie wird die Vase vorsichtig auf den Tisch stellen."
    assert pair.target == "She will carefully put the vase on the table."


@pytest.mark.parametrize(
    ("determiner", "german"), [("definite", "Gestern sah der Hund mich."), ("indefinite", "Gestern sah mich ein Hund.")]
)
def test_a_new_subject_waits_for_a_pronoun(determiner: str, german: str) -> None:
    dog = Phrase("main.subject", noun("Hund"), determiner=determiner)
    pair = example(
        Clause("main", verb("sehen"), dog, "preterite", front="time",
               objects={"accusative": pronoun("accusative", "ich")}, adverbials=[adverb("gestern", "time")])
    )  # fmt: skip
    assert pair.source == german
