"""Drawing frames at random: a verb, what it takes, when, and in which order.

Every choice is `int(random() * n)`, so that each version of Python draws the same sentences.
"""

import random
from collections.abc import Sequence
from typing import TypeVar

from seq2seq.text.grammar.entries import Adverb, Lexicon, Name, Noun, Preposition
from seq2seq.text.grammar.frame import PRONOUNS, Adverbial, Clock, Gap, Phrase, Pronoun

Item = TypeVar("Item")
SPEAKERS = ("my", "your", "our")  # whose a thing may be when no one has been named
_BY = Preposition("von", "dative", ("by",))
_SUBJECT_PRONOUNS = tuple(PRONOUNS.values())
_OBJECT_PRONOUNS = {
    "accusative": tuple(PRONOUNS[name] for name in ("ich", "du", "er", "wir")),
    "dative": tuple(PRONOUNS.values()),
}


class Draw:
    """Draws from a lexicon with one stream of random numbers."""

    def __init__(self, lexicon: Lexicon, seed: str) -> None:
        self.lexicon = lexicon
        self.random = random.Random(seed).random
        self._spots: dict[tuple[str, ...], list[tuple[Preposition, Preposition, tuple[str, ...]]]] = {}
        self._nouns: dict[tuple[str, ...], list[Noun]] = {}
        self.modifiers = {
            noun: [modifier for modifier in lexicon.modifiers if modifier.group in noun.modifiers
                   and modifier.german.lower() != noun.german.lower()]
            for noun in lexicon.nouns
        }  # fmt: skip
        self.adjectives = {
            noun: [entry for entry in lexicon.adjectives if set(entry.classes) & set(noun.classes)]
            for noun in lexicon.nouns
        }
        self.adverbs = {kind: [entry for entry in lexicon.adverbs if entry.kind == kind] for kind in
                        ("past", "now", "habit", "often", "never", "future", "already")}  # fmt: skip
        self.manners = {
            verb: [entry for entry in lexicon.adverbs if set(entry.groups) & set(verb.manner)] for verb in lexicon.verbs
        }
        self.places = [noun for noun in lexicon.nouns if noun.place]
        self.goals = [noun for noun in lexicon.nouns if noun.goal]
        self.spots = [
            (
                Preposition(spot.german, "dative", spot.english),
                Preposition(spot.german, "accusative", spot.goal),
                spot.classes,
            )
            for spot in lexicon.spots
        ]
        self.used: list[object] = []  # the entries that the sentence has already

    def pick(self, items: Sequence[Item]) -> Item:
        return items[int(self.random() * len(items))]

    def chance(self, percent: int) -> bool:
        return int(self.random() * 100) < percent

    def nouns(self, classes: tuple[str, ...]) -> list[Noun]:
        """The nouns of any of the classes."""
        if classes not in self._nouns:
            self._nouns[classes] = [noun for noun in self.lexicon.nouns if set(noun.classes) & set(classes)]
        return self._nouns[classes]

    def fresh(self, choices: Sequence[Item]) -> Item:
        """One that the sentence does not have yet, as far as five draws find it."""
        for _ in range(5):
            item = choices[int(self.random() * len(choices))]
            if item not in self.used:
                break
        self.used.append(item)
        return item

    def phrase(self, name: str, choices: Sequence[Noun], *, subject: bool, possessives: tuple[str, ...]) -> Phrase:
        """A phrase around one of the nouns, with determiner, adjectives and perhaps a compound or an owner."""
        noun = self.fresh(choices)
        plural = bool(noun.plural) and self.chance(22)
        phrase = Phrase(name, noun, plural)
        phrase.determiner = self._determiner(noun, plural, subject, possessives)
        if phrase.determiner == "number":
            phrase.number = self.pick(self.lexicon.numbers[1:10])
        if self.modifiers[noun] and self.chance(35):
            phrase.modifier = self.pick(self.modifiers[noun])
        if self.adjectives[noun] and self.chance(30):
            phrase.adjectives = (self.fresh(self.adjectives[noun]),)
            phrase.comparative = phrase.determiner in ("indefinite", "this") and self.chance(15)
        if (
            phrase.determiner == "definite"
            and not noun.person
            and {"own", "part"} & set(noun.classes)
            and self.chance(14)
        ):
            self._own(phrase, noun)
        return phrase

    def _determiner(self, noun: Noun, plural: bool, subject: bool, possessives: tuple[str, ...]) -> str:
        die = int(self.random() * 100)
        if plural and "parent" in noun.classes:
            return "definite"
        if "own" in noun.classes and possessives and die < (85 if "kin" in noun.classes else 18):
            return self.pick(possessives)
        if noun.mass:
            return "definite" if die < 55 or subject else "bare"
        if "kin" in noun.classes:
            return "definite"
        if plural:
            return "definite" if die < 62 else "number" if die < 80 else self.pick(("some", "many", "all", "this"))
        if die < 62:
            return "definite"
        return "indefinite" if die < 88 else "this" if die < 97 or not subject else "every"

    def _own(self, phrase: Phrase, noun: Noun) -> None:
        """Give the phrase an owner: Annas Buch, das Buch des Lehrers, die Tür des Hauses."""
        name = phrase.id + ".owner"
        if "part" in noun.classes:
            phrase.modifier = None
            phrase.owner = Phrase(name, self.fresh(self.nouns(("building", "room", "driven"))), determiner="definite")
        elif self.chance(40):
            phrase.owner, phrase.determiner = Phrase(name, self.fresh(self.lexicon.names)), "bare"
        else:
            owner = self.fresh(self.nouns(("person",)))
            phrase.owner = Phrase(name, owner, self.chance(20), "definite")

    def pronoun(self, name: str, choices: Sequence[Pronoun]) -> Phrase:
        pronoun = self.pick(choices)
        return Phrase(name, pronoun, pronoun.plural)

    def subject(self, name: str, classes: tuple[str, ...]) -> Phrase:
        die = int(self.random() * 100)
        if "person" in classes and die < 22:
            return self.pronoun(name, _SUBJECT_PRONOUNS)
        if "person" in classes and die < 42:
            return Phrase(name, self.fresh(self.lexicon.names))
        return self.phrase(name, self.nouns(classes), subject=True, possessives=SPEAKERS)

    def object(
        self, name: str, case: str, classes: tuple[str, ...], subject: Phrase, possessives: tuple[str, ...]
    ) -> Phrase:
        die = int(self.random() * 100)
        if "person" in classes and die < 15:
            return self.pronoun(name, [entry for entry in _OBJECT_PRONOUNS[case] if entry.person != subject.person])
        if "person" in classes and die < 35:
            return Phrase(name, self.fresh(self.lexicon.names))
        return self.phrase(name, self.nouns(classes), subject=False, possessives=possessives)

    def adverb(self, name: str, slot: str, kind: str) -> Adverbial:
        return Adverbial(name, slot, adverb=self.pick(self.adverbs[kind]))

    def manner(self, name: str, choices: list[Adverb]) -> Adverbial:
        return Adverbial(name, "manner", adverb=self.pick(choices))

    def clock(self, name: str) -> Adverbial:
        numbers = self.lexicon.numbers[:12]
        hour = int(self.random() * 12)
        relation = self.pick(("o'clock", "half", "past", "to"))
        if relation == "half":
            clock = Clock("half", (numbers[hour][0], numbers[hour - 1][1]))
        elif relation == "o'clock":
            clock = Clock("o'clock", numbers[hour])
        else:
            clock = Clock("past" if relation == "past" else "to", numbers[hour],
                          self.pick((("Viertel", "quarter"), numbers[4], numbers[9])))  # fmt: skip
        return Adverbial(name, "clock", clock=clock)

    def place(self, name: str) -> Adverbial:
        noun = self.fresh(self.places)
        return Adverbial(name, "place", preposition=noun.place, phrase=self._thing(name, noun))

    def goal(self, name: str) -> Adverbial:
        noun = self.fresh(self.goals)
        return Adverbial(name, "goal", preposition=noun.goal, phrase=self._thing(name, noun))

    def spot(self, name: str, classes: tuple[str, ...], *, goal: bool) -> Adverbial:
        """On, under, behind something of these classes: dative of place, accusative of motion."""
        where, whither, common = self.pick(self._fitting_spots(classes))
        phrase = self._thing(name, self.fresh(self.nouns(common)))
        return Adverbial(name, "goal" if goal else "place", preposition=whither if goal else where, phrase=phrase)

    def _fitting_spots(self, classes: tuple[str, ...]) -> list[tuple[Preposition, Preposition, tuple[str, ...]]]:
        if classes not in self._spots:
            common = [
                (where, whither, tuple(name for name in names if name in classes and self.nouns((name,))))
                for where, whither, names in self.spots
            ]
            self._spots[classes] = [spot for spot in common if spot[2]]
        return self._spots[classes]

    def agent(self, name: str, classes: tuple[str, ...]) -> Adverbial:
        phrase = self.phrase(name, self.nouns(classes), subject=False, possessives=())
        return Adverbial(name, "agent", preposition=_BY, phrase=phrase)

    def _thing(self, name: str, noun: Noun) -> Phrase:
        phrase = Phrase(name, noun, determiner="definite" if self.chance(75) else "indefinite")
        if self.modifiers[noun] and self.chance(30):
            phrase.modifier = self.pick(self.modifiers[noun])
        if self.adjectives[noun] and self.chance(20):
            phrase.adjectives = (self.fresh(self.adjectives[noun]),)
        return phrase


def possessives(subject: Phrase) -> tuple[str, ...]:
    """Whose the object may be: the subject's own, for his, her and their can only mean the subject."""
    head = subject.head
    if isinstance(head, Pronoun):  # a request to several, macht, would need euer
        return (head.possessive,) if head.plural == subject.plural else ()
    if isinstance(head, Name):
        return ("his" if head.gender == "m" else "her", "my")
    if isinstance(head, Gap):
        return () if head.antecedent is None else possessives(head.antecedent)
    if not head.person:
        return ()
    if head.gender == "n" and not subject.plural:
        return ("my",)
    return ("their" if subject.plural else "his" if head.gender == "m" else "her", "my")
