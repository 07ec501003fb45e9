"""The entries of the lexicon, with the forms that a dictionary prints."""

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Preposition:
    """A German preposition with its case and the English words for it."""

    german: str
    case: str
    english: tuple[str, ...]


@dataclass(slots=True, eq=False)
class Noun:
    """A noun by its principal parts: nominative, genitive, plural ("" where there is none).

    `weak`: of the n-declension. `mass`: a mass noun, without a plural. `place` and `goal` are its prepositions of
    location and motion; `modifiers` are the groups of modifiers that make compounds with it.
    """

    german: str
    gender: str
    genitive: str
    plural: str
    english: str
    english_plural: str
    classes: tuple[str, ...]
    place: Preposition | None
    goal: Preposition | None
    modifiers: tuple[str, ...]
    weak: bool
    mass: bool
    person: bool


@dataclass(slots=True, eq=False)
class Modifier:
    """The first half of a compound, with its linking element: Küchen + Tisch, kitchen table."""

    german: str
    english: str
    group: str


@dataclass(slots=True, eq=False)
class Verb:
    """Principal parts, valency, and the English verb; `particle` is the separable prefix.

    Of the English verb, `tail` always follows directly (look for), and `english_particle` may stand before or after the
    object (tidy up). The English of a modal may be a phrase (have to); an auxiliary has no English.
    """

    infinitive: str
    present: str
    preterite: str
    participle: str = ""
    auxiliary: str = "haben"
    particle: str = ""
    english: str = ""
    tail: tuple[str, ...] = ()
    english_particle: str = ""
    past: str = ""
    english_participle: str = ""
    ing: str = ""
    pattern: str = ""
    subject: tuple[str, ...] = ()
    object: tuple[str, ...] = ()
    preposition: Preposition | None = None
    manner: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.particle + self.infinitive


@dataclass(slots=True, eq=False)
class Adjective:
    german: str
    comparative: str
    english: str
    english_comparative: str
    classes: tuple[str, ...]


@dataclass(slots=True, eq=False)
class Name:
    text: str
    gender: str


@dataclass(slots=True, eq=False)
class Adverb:
    """A fixed adverbial expression in both languages, with its word links: pairs of German and English positions."""

    german: tuple[str, ...]
    english: tuple[str, ...]
    links: tuple[tuple[int, int], ...]
    kind: str
    groups: tuple[str, ...]


@dataclass(slots=True, eq=False)
class Spot:
    """A preposition of location (auf dem Tisch: on the table) and motion (auf den Tisch: onto the table).

    `english` is for location, `goal` for motion; `classes` are those of its nouns.
    """

    german: str
    english: tuple[str, ...]
    goal: tuple[str, ...]
    classes: tuple[str, ...]


@dataclass(slots=True, eq=False)
class Lexicon:
    nouns: list[Noun]
    modifiers: list[Modifier]
    verbs: list[Verb]
    adjectives: list[Adjective]
    names: list[Name]
    adverbs: list[Adverb]
    spots: list[Spot]
    modals: list[Verb]
    numbers: list[tuple[str, str]]
    digest: str
