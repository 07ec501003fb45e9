"""The frame: the meaning of a sentence, from which both languages are realised.

The id of a part is a path (`main.subject`, `main.because.subject`); the id of a unit of meaning extends it
(`main.subject.noun`). Both realisers label their words with these units; words that share a unit are linked.
"""

from dataclasses import dataclass, field
from typing import Literal

from seq2seq.text.grammar.entries import Adjective, Adverb, Modifier, Name, Noun, Preposition, Verb

Tense = Literal["present", "preterite", "perfect", "pluperfect", "future", "would"]
Kind = Literal["statement", "question", "imperative", "final", "infinitive"]
Role = Literal["subject", "accusative", "dative", "prepositional"]


@dataclass(slots=True, eq=False)
class Pronoun:
    """A personal pronoun: its forms in German (nominative, accusative, dative) and in English (subject, object)."""

    german: tuple[str, str, str]
    english: tuple[str, str]
    person: int
    plural: bool
    possessive: str


PRONOUNS = {
    "ich": Pronoun(("ich", "mich", "mir"), ("I", "me"), 1, False, "my"),
    "du": Pronoun(("du", "dich", "dir"), ("you", "you"), 2, False, "your"),
    "er": Pronoun(("er", "ihn", "ihm"), ("he", "him"), 3, False, "his"),
    "she": Pronoun(("sie", "sie", "ihr"), ("she", "her"), 3, False, "her"),
    "wir": Pronoun(("wir", "uns", "uns"), ("we", "us"), 1, True, "our"),
    "they": Pronoun(("sie", "sie", "ihnen"), ("they", "them"), 3, True, "their"),
}


@dataclass(slots=True, eq=False)
class Gap:
    """The part that a question asks for (`who`, `what`) or that a relative pronoun stands for (its `antecedent`)."""

    word: Literal["who", "what", "relative"]
    antecedent: "Phrase | None" = None


@dataclass(slots=True, eq=False)
class Phrase:
    """A noun phrase. `determiner` is a key of `german_words.DETERMINERS`."""

    id: str
    head: Noun | Name | Pronoun | Gap
    plural: bool = False
    determiner: str = "bare"
    adjectives: tuple[Adjective, ...] = ()
    comparative: bool = False
    modifier: Modifier | None = None
    number: tuple[str, str] | None = None
    owner: "Phrase | None" = None
    relative: "Clause | None" = None

    @property
    def person(self) -> int:
        """The grammatical person: 1, 2 or 3."""
        return self.head.person if isinstance(self.head, Pronoun) else 3

    @property
    def slot(self) -> str:
        """The column of German ending tables: m, f, n, or p for the plural."""
        if self.plural:
            return "p"
        if isinstance(self.head, Gap) and self.head.antecedent is not None:
            return self.head.antecedent.slot
        return self.head.gender if isinstance(self.head, Noun | Name) else "m"

    @property
    def human(self) -> bool:
        """Whether English says who and not which."""
        return not isinstance(self.head, Noun) or self.head.person


@dataclass(slots=True, eq=False)
class Clock:
    """A time of day. Hours and minutes are a German and an English word.

    With `half` the German hour is the next one: halb vier is half past three.
    """

    relation: Literal["o'clock", "half", "past", "to"]
    hour: tuple[str, str]
    minutes: tuple[str, str] = ("", "")


@dataclass(slots=True, eq=False)
class Adverbial:
    """A fixed adverb, a preposition with its phrase, a clock time, or a question word (where, when, why).

    `slot` decides its position in the clause: time, clock, often, never, already, manner, place, goal, why, agent.
    """

    id: str
    slot: str
    adverb: Adverb | None = None
    preposition: Preposition | None = None
    phrase: Phrase | None = None
    clock: Clock | None = None
    question: str = ""


@dataclass(slots=True, eq=False)
class Predicate:
    """The adjective after `sein`: müde, größer als der Hund, so groß wie der Hund."""

    adjective: Adjective
    degree: Literal["positive", "comparative", "equal"] = "positive"
    than: Phrase | None = None


@dataclass(slots=True, eq=False)
class Clause:
    """One clause.

    `front` is the part that German puts first: "subject", a role, a slot, "adjunct", or "" for none. `conjunction` is
    the English conjunction that joins the clause to the one that contains it. A clause of the kind `final` has its
    finite verb at the end.
    """

    id: str
    verb: Verb
    subject: Phrase
    tense: Tense
    kind: Kind = "statement"
    front: str = "subject"
    objects: dict[Role, Phrase] = field(default_factory=dict)
    adverbials: list[Adverbial] = field(default_factory=list)
    predicate: Predicate | None = None
    modal: Verb | None = None
    passive: bool = False
    negation: Literal["", "nicht", "kein"] = ""
    progressive: bool = False
    conjunction: str = ""
    complement: "Clause | None" = None
    adjunct: "Clause | None" = None

    @property
    def has_time(self) -> bool:
        """Whether the clause has an adverb of time or a clock time."""
        return any(adverbial.slot in ("time", "clock") for adverbial in self.adverbials)

    @property
    def definite_past(self) -> bool:
        """Whether the German perfect becomes the English simple past (hat gestern gelesen: read yesterday).

        It does with a clock time, with an adverb of the past, and in a question with "when" or "where".
        """
        return any(
            adverbial.clock is not None
            or adverbial.question in ("when", "where")
            or (adverbial.adverb is not None and adverbial.adverb.kind == "past")
            for adverbial in self.adverbials
        )
