"""Drawing phrases and adverbials at random.

Every choice is `int(random() * n)`, so that each version of Python draws the same sentences.
"""

import random
from collections.abc import Sequence
from typing import TypeVar

from seq2seq.text.grammar.entries import Adverb, Lexicon, Name, Noun, Preposition
from seq2seq.text.grammar.frame import PRONOUNS, Adverbial, Clock, Gap, Phrase, Pronoun

Item = TypeVar("Item")
SPEAKER_POSSESSIVES = ("my", "your", "our")  # possessives that need no antecedent in the sentence
_BY = Preposition("von", "dative", ("by",))
_SUBJECT_PRONOUNS = tuple(PRONOUNS.values())
_OBJECT_PRONOUNS = {
    "accusative": tuple(PRONOUNS[name] for name in ("ich", "du", "er", "wir")),
    "dative": tuple(PRONOUNS.values()),
}


class Draw:
    """Draws entries of a lexicon, and phrases built from them, with one stream of random numbers."""

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
        self.place_nouns = [noun for noun in lexicon.nouns if noun.place]
        self.goal_nouns = [noun for noun in lexicon.nouns if noun.goal]
        self.spots = [
            (
                Preposition(spot.german, "dative", spot.english),
                Preposition(spot.german, "accusative", spot.goal),
                spot.classes,
            )
            for spot in lexicon.spots
        ]
        self.used_entries: list[object] = []  # entries that the current sentence already contains

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items, each equally likely."""
        return items[int(self.random() * len(items))]

    def chance(self, percent: int) -> bool:
        """True with a probability of `percent` %."""
        return int(self.random() * 100) < percent

    def nouns(self, classes: tuple[str, ...]) -> list[Noun]:
        """The nouns that belong to at least one of the classes."""
        if classes not in self._nouns:
            self._nouns[classes] = [noun for noun in self.lexicon.nouns if set(noun.classes) & set(classes)]
        return self._nouns[classes]

    def pick_unused(self, choices: Sequence[Item]) -> Item:
        """An entry that the sentence does not contain yet; after five draws without success, one that it contains."""
        for _ in range(5):
            item = choices[int(self.random() * len(choices))]
            if item not in self.used_entries:
                break
        self.used_entries.append(item)
        return item

    def phrase(self, name: str, choices: Sequence[Noun], *, subject: bool, possessives: tuple[str, ...]) -> Phrase:
        """A phrase with one of the nouns as its head: determiner, by chance number, modifier, adjective and owner."""
        noun = self.pick_unused(choices)
        plural = bool(noun.plural) and self.chance(22)
        phrase = Phrase(name, noun, plural)
        phrase.determiner = self._determiner(noun, plural, subject, possessives)
        if phrase.determiner == "number":
            phrase.number = self.pick(self.lexicon.numbers[1:10])
        if self.modifiers[noun] and self.chance(35):
            phrase.modifier = self.pick(self.modifiers[noun])
        if self.adjectives[noun] and self.chance(30):
            phrase.adjectives = (self.pick_unused(self.adjectives[noun]),)
            phrase.comparative = phrase.determiner in ("indefinite", "this") and self.chance(15)
        if (
            phrase.determiner == "definite"
            and not noun.person
            and {"own", "part"} & set(noun.classes)
            and self.chance(14)
        ):
            self._add_owner(phrase, noun)
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

    def _add_owner(self, phrase: Phrase, noun: Noun) -> None:
        """Add a genitive: Annas Buch, das Buch des Lehrers, die Tür des Hauses."""
        name = phrase.id + ".owner"
        if "part" in noun.classes:
            phrase.modifier = None
            phrase.owner = Phrase(
                name, self.pick_unused(self.nouns(("building", "room", "driven"))), determiner="definite"
            )
        elif self.chance(40):
            phrase.owner, phrase.determiner = Phrase(name, self.pick_unused(self.lexicon.names)), "bare"
        else:
            owner = self.pick_unused(self.nouns(("person",)))
            phrase.owner = Phrase(name, owner, self.chance(20), "definite")

    def pronoun(self, name: str, choices: Sequence[Pronoun]) -> Phrase:
        pronoun = self.pick(choices)
        return Phrase(name, pronoun, pronoun.plural)

    def subject(self, name: str, classes: tuple[str, ...]) -> Phrase:
        """A subject of one of the classes: a noun phrase; for a person also a pronoun or a name."""
        die = int(self.random() * 100)
        if "person" in classes and die < 22:
            return self.pronoun(name, _SUBJECT_PRONOUNS)
        if "person" in classes and die < 42:
            return Phrase(name, self.pick_unused(self.lexicon.names))
        return self.phrase(name, self.nouns(classes), subject=True, possessives=SPEAKER_POSSESSIVES)

    def object(
        self, name: str, case: str, classes: tuple[str, ...], subject: Phrase, possessives: tuple[str, ...]
    ) -> Phrase:
        """An object in `case`, of one of the classes; a pronoun differs from the subject in person."""
        die = int(self.random() * 100)
        if "person" in classes and die < 15:
            return self.pronoun(name, [entry for entry in _OBJECT_PRONOUNS[case] if entry.person != subject.person])
        if "person" in classes and die < 35:
            return Phrase(name, self.pick_unused(self.lexicon.names))
        return self.phrase(name, self.nouns(classes), subject=False, possessives=possessives)

    def fixed_adverb(self, name: str, slot: str, kind: str) -> Adverbial:
        """An adverb of the lexicon that has this kind."""
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

    def place_adverbial(self, name: str) -> Adverbial:
        """Where something happens, with the noun's own preposition: in der Küche."""
        noun = self.pick_unused(self.place_nouns)
        return Adverbial(name, "place", preposition=noun.place, phrase=self._short_phrase(name, noun))

    def goal_adverbial(self, name: str) -> Adverbial:
        """Where someone goes, with the noun's own preposition: in die Küche."""
        noun = self.pick_unused(self.goal_nouns)
        return Adverbial(name, "goal", preposition=noun.goal, phrase=self._short_phrase(name, noun))

    def spot_adverbial(self, name: str, classes: tuple[str, ...], *, goal: bool) -> Adverbial:
        """A position relative to a noun of these classes: auf dem Tisch; with `goal` a motion: auf den Tisch."""
        location, motion, noun_classes = self.pick(self._fitting_spots(classes))
        phrase = self._short_phrase(name, self.pick_unused(self.nouns(noun_classes)))
        return Adverbial(name, "goal" if goal else "place", preposition=motion if goal else location, phrase=phrase)

    def _fitting_spots(self, classes: tuple[str, ...]) -> list[tuple[Preposition, Preposition, tuple[str, ...]]]:
        """For each preposition that fits: its dative, its accusative, and those of `classes` that it fits."""
        if classes not in self._spots:
            spots = [
                (location, motion, tuple(name for name in names if name in classes and self.nouns((name,))))
                for location, motion, names in self.spots
            ]
            self._spots[classes] = [spot for spot in spots if spot[2]]
        return self._spots[classes]

    def agent(self, name: str, classes: tuple[str, ...]) -> Adverbial:
        """The agent of a passive clause: von dem Lehrer."""
        phrase = self.phrase(name, self.nouns(classes), subject=False, possessives=())
        return Adverbial(name, "agent", preposition=_BY, phrase=phrase)

    def _short_phrase(self, name: str, noun: Noun) -> Phrase:
        """A phrase for an adverbial: singular, with an article, by chance a modifier and an adjective."""
        phrase = Phrase(name, noun, determiner="definite" if self.chance(75) else "indefinite")
        if self.modifiers[noun] and self.chance(30):
            phrase.modifier = self.pick(self.modifiers[noun])
        if self.adjectives[noun] and self.chance(20):
            phrase.adjectives = (self.pick_unused(self.adjectives[noun]),)
        return phrase


def possible_possessives(subject: Phrase) -> tuple[str, ...]:
    """The possessives that an object may have. his, her and their must refer to the subject."""
    head = subject.head
    if isinstance(head, Pronoun):  # a request to several people (macht) would need euer, which is not in the tables
        return (head.possessive,) if head.plural == subject.plural else ()
    if isinstance(head, Name):
        return ("his" if head.gender == "m" else "her", "my")
    if isinstance(head, Gap):
        return () if head.antecedent is None else possible_possessives(head.antecedent)
    if not head.person:
        return ()
    if head.gender == "n" and not subject.plural:
        return ("my",)
    return ("their" if subject.plural else "his" if head.gender == "m" else "her", "my")
