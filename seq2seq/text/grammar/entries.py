"""What the lexicon holds: entries as a dictionary prints them."""

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Preposition:
    """A German preposition with its case and the English words for it."""

    german: str
    case: str
    english: tuple[str, ...]


@dataclass(slots=True, eq=False)
class Noun:
    """Principal parts as in a dictionary: nominative, genitive, plural ("" where there is none)."""

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
    """First half of a compound, its linking element included: Küchen + Tisch, kitchen table."""

    german: str
    english: str
    group: str


@dataclass(slots=True, eq=False)
class Verb:
    """Principal parts, valency, and the English verb; `particle` is the separable prefix.

    Of the English, `tail` stays behind the verb (look for), `english_particle` may stand before or after the object
    (tidy up). A modal has an English phrase such as `have to`, or `can` with the past `be able to`; an auxiliary none.
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
    """A fixed expression of one or more words and the word links inside it."""

    german: tuple[str, ...]
    english: tuple[str, ...]
    links: tuple[tuple[int, int], ...]
    kind: str
    groups: tuple[str, ...]


@dataclass(slots=True, eq=False)
class Spot:
    """A place relative to a thing: auf dem Tisch, on the table; auf den Tisch, onto the table."""

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
