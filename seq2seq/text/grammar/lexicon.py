"""The lexicon: tab-separated tables in data/lexicon, checked cell by cell.

The first line of a table names its columns, `-` is an empty cell, a list is separated by commas, and a line that starts with `#`
is a comment. A bad cell is an `InputError` that names file, line, column and what would do.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from seq2seq.errors import InputError

Entry = TypeVar("Entry")

PATTERNS = (
    "intransitive", "transitive", "dative", "swapped", "ditransitive", "motion", "position", "put", "prepositional", "clause",
    "infinitive", "copula",
)  # fmt: skip
ADVERB_KINDS = ("past", "now", "habit", "often", "never", "future", "already", "manner")
PREPOSITION_CASES = ("accusative", "dative")


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

    Of the English, `tail` stays behind the verb (look for), `english_particle` may stand before or after the object (tidy up).
    """

    infinitive: str
    particle: str
    present: str
    preterite: str
    participle: str
    auxiliary: str
    english: str
    tail: tuple[str, ...]
    english_particle: str
    past: str
    english_participle: str
    ing: str
    pattern: str
    subject: tuple[str, ...]
    object: tuple[str, ...]
    preposition: Preposition | None
    manner: tuple[str, ...]
    flags: tuple[str, ...]

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


class _Row:
    """One line of a table; every getter knows where it stands when it has to complain."""

    def __init__(self, path: Path, line: int, cells: dict[str, str]) -> None:
        self.path, self.line, self.cells = path, line, cells

    def error(self, column: str, what: str) -> InputError:
        return InputError(f"{self.path}, line {self.line}, column '{column}': found '{self.cells[column]}', {what}")

    def optional(self, column: str) -> str:
        cell = self.cells[column]
        return "" if cell == "-" else cell

    def text(self, column: str) -> str:
        cell = self.optional(column)
        if not cell:
            raise self.error(column, "this cell needs a word")
        return cell

    def choice(self, column: str, choices: Sequence[str]) -> str:
        cell = self.text(column)
        if cell not in choices:
            raise self.error(column, f"expected one of: {', '.join(choices)}")
        return cell

    def items(self, column: str, choices: Sequence[str] | None = None) -> tuple[str, ...]:
        cell = self.optional(column)
        items = tuple(cell.split(",")) if cell else ()
        for item in items:
            if not item or item != item.strip():
                raise self.error(column, "expected words separated by single commas without spaces, or '-'")
            if choices is not None and item not in choices:
                raise self.error(column, f"'{item}' is none of: {', '.join(choices)}")
        return items

    def preposition(self, column: str) -> Preposition | None:
        cell = self.optional(column)
        if not cell:
            return None
        german, _, rest = cell.partition("+")
        case, _, english = rest.partition("=")
        if not german or case not in PREPOSITION_CASES or not english:
            raise self.error(column, "expected for instance auf+accusative=for (accusative or dative), or '-'")
        return Preposition(german, case, tuple(english.split(" ")))


def _rows(path: Path, columns: Sequence[str]) -> Iterator[_Row]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; the lexicon needs this table") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8; save the table as UTF-8") from None
    if lines[0].split("\t") != list(columns):
        raise InputError(f"{path}, line 1: found '{lines[0]}', expected the tab-separated column names: {' '.join(columns)}")
    for number, line in enumerate(lines[1:], 2):
        if not line or line.startswith("#"):
            continue
        cells = line.split("\t")
        if len(cells) != len(columns):
            raise InputError(f"{path}, line {number}: found {len(cells)} tab-separated cells, expected {len(columns)}")
        for column, cell in zip(columns, cells, strict=True):
            if not cell or cell != cell.strip() or not cell.isprintable():
                raise InputError(
                    f"{path}, line {number}, column '{column}': found '{cell}', expected a word without space around it, or '-'"
                )
        yield _Row(path, number, dict(zip(columns, cells, strict=True)))


def _table(folder: Path, name: str, columns: str, read: Callable[[_Row], Entry]) -> list[Entry]:
    entries = [read(row) for row in _rows(folder / name, columns.split())]
    if not entries:
        raise InputError(f"{folder / name}: found no entry, expected at least one line below the column names")
    return entries


def _noun(row: _Row, groups: Sequence[str]) -> Noun:
    gender, genitive = row.choice("gender", ("m", "f", "n")), row.text("genitive")
    german, classes = row.text("german"), row.items("classes")
    if not german[0].isupper():
        raise row.error("german", "a German noun starts with a capital letter")
    if not classes:
        raise row.error("classes", "a noun needs at least one class, or no verb can take it")
    return Noun(
        german=german, gender=gender, genitive=genitive, plural=row.optional("plural"), english=row.text("english"),
        english_plural=row.optional("english_plural"), classes=classes, place=row.preposition("place"),
        goal=row.preposition("goal"), modifiers=row.items("modifiers", groups),
        weak=gender == "m" and genitive != german and genitive.endswith(("n", "ns")) and not german.endswith("n"),
        mass=row.optional("plural") == "", person="person" in classes,
    )  # fmt: skip


def _verb(row: _Row, classes: Sequence[str], manners: Sequence[str]) -> Verb:
    particle, _, infinitive = row.text("german").rpartition("|")
    if not infinitive.endswith("n"):
        raise row.error("german", "a German infinitive ends with n (a separable prefix is marked as in auf|räumen)")
    english, _, english_particle = row.text("english").partition("|")
    english, *tail = english.split(" ")
    pattern = row.choice("pattern", PATTERNS)
    verb = Verb(
        infinitive=infinitive, particle=particle, present=row.text("present"), preterite=row.text("preterite"),
        participle=row.text("participle"), auxiliary=row.choice("auxiliary", ("haben", "sein")), english=english, tail=tuple(tail),
        english_particle=english_particle, past=row.optional("past"),
        english_participle=row.optional("english_participle") or row.optional("past"), ing=row.optional("ing"),
        pattern=pattern, subject=row.items("subject", classes), object=row.items("object", classes),
        preposition=row.preposition("preposition"), manner=row.items("manner", manners),
        flags=row.items("flags", ("stative", "timeless", "place", "ob", "no-passive", "simple", "no-perfect", "unwilled")),
    )  # fmt: skip
    if not verb.subject:
        raise row.error("subject", f"a verb needs the classes of its subject, of: {', '.join(classes)}")
    if not verb.object and pattern in ("transitive", "ditransitive", "put", "prepositional"):
        raise row.error("object", f"a verb of pattern {pattern} needs the classes of its object")
    if verb.preposition is None and pattern == "prepositional":
        raise row.error("preposition", "a verb of pattern prepositional needs one, for instance auf+accusative=for")
    return verb


def _modal(row: _Row) -> Verb:
    """A modal as a verb: its English is a phrase such as `have to`, or `can` with the past `could`."""
    german = row.text("german")
    return Verb(
        infinitive=german, particle="", present=row.text("present"), preterite=row.optional("preterite"), participle="",
        auxiliary="haben", english=row.text("english_present"), tail=(), english_particle="", past=row.optional("english_past"),
        english_participle="", ing="", pattern="", subject=(), object=(), preposition=None, manner=(), flags=(),
    )  # fmt: skip


def _adjective(row: _Row, classes: Sequence[str]) -> Adjective:
    german = row.text("german")
    adjective = Adjective(
        german, row.optional("comparative") or german.removesuffix("e") + "er", row.text("english"),
        row.optional("english_comparative"), row.items("classes", classes),
    )  # fmt: skip
    if not adjective.classes:
        raise row.error("classes", f"an adjective needs the classes of its nouns, of: {', '.join(classes)}")
    return adjective


def _adverb(row: _Row) -> Adverb:
    german, english = tuple(row.text("german").split(" ")), tuple(row.text("english").split(" "))
    links = []
    for pair in row.text("links").split(" "):
        left, _, right = pair.partition("-")
        if not (left.isdecimal() and right.isdecimal() and int(left) < len(german) and int(right) < len(english)):
            raise row.error("links", f"'{pair}' is no pair of word numbers counted from 0, German-English, as in 0-0 1-1")
        links.append((int(left), int(right)))
    return Adverb(german, english, tuple(links), row.choice("kind", ADVERB_KINDS), row.items("groups"))


def read_lexicon(folder: Path) -> Lexicon:
    """Read every table of `folder`. Raises `InputError` for a bad cell."""
    modifiers = _table(
        folder, "modifiers.tsv", "german english group",
        lambda row: Modifier(row.text("german"), row.text("english"), row.text("group")),
    )  # fmt: skip
    groups = sorted({modifier.group for modifier in modifiers})
    nouns = _table(
        folder, "nouns.tsv", "german gender genitive plural english english_plural classes place goal modifiers",
        lambda row: _noun(row, groups),
    )  # fmt: skip
    classes = sorted({name for noun in nouns for name in noun.classes})
    adverbs = _table(folder, "adverbs.tsv", "german english links kind groups", _adverb)
    manners = sorted({group for adverb in adverbs for group in adverb.groups})
    verbs = _table(
        folder, "verbs.tsv",
        "german present preterite participle auxiliary english past english_participle ing pattern subject object preposition "
        "manner flags",
        lambda row: _verb(row, classes, manners),
    )  # fmt: skip
    tables = sorted(folder.glob("*.tsv"))
    return Lexicon(
        nouns=nouns, modifiers=modifiers, verbs=verbs, adverbs=adverbs,
        adjectives=_table(
            folder, "adjectives.tsv", "german comparative english english_comparative classes",
            lambda row: _adjective(row, classes),
        ),
        names=_table(folder, "names.tsv", "name gender", lambda row: Name(row.text("name"), row.choice("gender", ("m", "f")))),
        spots=_table(
            folder, "spots.tsv", "german english goal classes",
            lambda row: Spot(
                row.text("german"), tuple(row.text("english").split(" ")), tuple(row.text("goal").split(" ")),
                row.items("classes", classes),
            ),
        ),
        modals=_table(folder, "modals.tsv", "german present preterite english_present english_past", _modal),
        numbers=_table(folder, "numbers.tsv", "german english", lambda row: (row.text("german"), row.text("english"))),
        digest=hashlib.sha256(b"".join(table.name.encode() + b"\0" + table.read_bytes() + b"\0" for table in tables)).hexdigest(),
    )  # fmt: skip
