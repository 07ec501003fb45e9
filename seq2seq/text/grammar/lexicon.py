"""Reads the lexicon: the tab-separated tables in data/lexicon, whose columns data/README.md explains.

The first line of a table names its columns. A `-` is an empty cell, commas separate the items of a list, and a line
that starts with `#` is a comment. A bad cell raises an `InputError` that names file, line, column and what is expected.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from seq2seq.runtime.errors import InputError
from seq2seq.text.grammar.entries import Adjective, Adverb, Lexicon, Modifier, Name, Noun, Spot, Verb
from seq2seq.text.grammar.table import Row, read_table

PATTERNS = (
    "intransitive",
    "transitive",
    "dative",
    "swapped",
    "ditransitive",
    "motion",
    "position",
    "put",
    "prepositional",
    "clause",
    "infinitive",
    "copula",
)
ADVERB_KINDS = ("past", "now", "habit", "often", "never", "future", "already", "manner")


def _noun(row: Row, groups: Sequence[str]) -> Noun:
    gender, genitive = row.choice("gender", ("m", "f", "n")), row.text("genitive")
    german, classes = row.text("german"), row.items("classes")
    if not german[0].isupper():
        raise row.error("german", "expected a capital letter at the start of a German noun")
    if not classes:
        raise row.error("classes", "expected at least one class: verbs choose their nouns by class")
    return Noun(
        german=german,
        gender=gender,
        genitive=genitive,
        plural=row.optional("plural"),
        english=row.text("english"),
        english_plural=row.optional("english_plural"),
        classes=classes,
        place=row.preposition("place"),
        goal=row.preposition("goal"),
        modifiers=row.items("modifiers", groups),
        weak=gender == "m" and genitive != german and genitive.endswith(("n", "ns")) and not german.endswith("n"),
        mass=row.optional("plural") == "",
        person="person" in classes,
    )


def _verb(row: Row, classes: Sequence[str], manners: Sequence[str]) -> Verb:
    particle, _, infinitive = row.text("german").rpartition("|")
    if not infinitive.endswith("n"):
        raise row.error("german", "expected a German infinitive, which ends with n (separable prefix: auf|räumen)")
    english, _, english_particle = row.text("english").partition("|")
    english, *tail = english.split(" ")
    pattern = row.choice("pattern", PATTERNS)
    verb = Verb(
        infinitive=infinitive,
        particle=particle,
        present=row.text("present"),
        preterite=row.text("preterite"),
        participle=row.text("participle"),
        auxiliary=row.choice("auxiliary", ("haben", "sein")),
        english=english,
        tail=tuple(tail),
        english_particle=english_particle,
        past=row.optional("past"),
        english_participle=row.optional("english_participle") or row.optional("past"),
        ing=row.optional("ing"),
        pattern=pattern,
        subject=row.items("subject", classes),
        object=row.items("object", classes),
        preposition=row.preposition("preposition"),
        manner=row.items("manner", manners),
        flags=row.items(
            "flags", ("stative", "timeless", "place", "ob", "no-passive", "simple", "no-perfect", "unwilled", "plain")
        ),
    )
    if not verb.subject:
        raise row.error("subject", f"expected the classes of the verb's subject, one or more of: {', '.join(classes)}")
    if not verb.object and pattern in ("transitive", "ditransitive", "put", "prepositional"):
        raise row.error("object", f"expected the classes of the object, which a verb of pattern {pattern} has")
    if verb.preposition is None and pattern == "prepositional":
        raise row.error("preposition", "expected a preposition for pattern prepositional, such as auf+accusative=for")
    return verb


def _modal(row: Row) -> Verb:
    return Verb(
        infinitive=row.text("german"),
        present=row.text("present"),
        preterite=row.optional("preterite"),
        english=row.text("english_present"),
        past=row.optional("english_past"),
    )


def _adjective(row: Row, classes: Sequence[str]) -> Adjective:
    german = row.text("german")
    adjective = Adjective(
        german,
        row.optional("comparative") or german.removesuffix("e") + "er",
        row.text("english"),
        row.optional("english_comparative"),
        row.items("classes", classes),
    )
    if not adjective.classes:
        raise row.error("classes", f"expected the classes of the adjective's nouns, of: {', '.join(classes)}")
    return adjective


def _adverb(row: Row) -> Adverb:
    german, english = tuple(row.text("german").split(" ")), tuple(row.text("english").split(" "))
    links = []
    for pair in row.text("links").split(" "):
        i, _, j = pair.partition("-")
        if not (i.isdecimal() and j.isdecimal() and int(i) < len(german) and int(j) < len(english)):
            raise row.error(
                "links", f"where '{pair}' is not a pair of word positions counted from 0, German-English, as in 0-0 1-1"
            )
        links.append((int(i), int(j)))
    return Adverb(german, english, tuple(links), row.choice("kind", ADVERB_KINDS), row.items("groups"))


def _check_complete(path: Path, column: str, required: Sequence[str], names: Sequence[str]) -> None:
    """Raises `InputError` where a required name is missing: the grammar draws from the entries of each."""
    missing = [name for name in required if name not in names]
    if missing:
        raise InputError(f"{path}: found no entry of {column} {missing[0]}, expected at least one")


def read_lexicon(folder: Path) -> Lexicon:
    """Reads every table of `folder`. Raises `InputError` for a missing table or a bad cell."""
    modifiers = read_table(
        folder, "modifiers.tsv", "german english group",
        lambda row: Modifier(row.text("german"), row.text("english"), row.text("group")),
    )  # fmt: skip
    groups = sorted({modifier.group for modifier in modifiers})
    nouns = read_table(
        folder, "nouns.tsv", "german gender genitive plural english english_plural classes place goal modifiers",
        lambda row: _noun(row, groups),
    )  # fmt: skip
    classes = sorted({name for noun in nouns for name in noun.classes})
    adverbs = read_table(folder, "adverbs.tsv", "german english links kind groups", _adverb)
    manners = sorted({group for adverb in adverbs for group in adverb.groups})
    verbs = read_table(
        folder,
        "verbs.tsv",
        "german present preterite participle auxiliary english past english_participle ing pattern subject object "
        "preposition manner flags",
        lambda row: _verb(row, classes, manners),
    )
    _check_complete(folder / "nouns.tsv", "class", ("person",), classes)
    _check_complete(folder / "verbs.tsv", "pattern", PATTERNS, [verb.pattern for verb in verbs])
    _check_complete(folder / "adverbs.tsv", "kind", ADVERB_KINDS, [adverb.kind for adverb in adverbs])
    tables = sorted(folder.glob("*.tsv"))
    return Lexicon(
        nouns=nouns,
        modifiers=modifiers,
        verbs=verbs,
        adverbs=adverbs,
        adjectives=read_table(
            folder,
            "adjectives.tsv",
            "german comparative english english_comparative classes",
            lambda row: _adjective(row, classes),
        ),
        names=read_table(
            folder, "names.tsv", "name gender", lambda row: Name(row.text("name"), row.choice("gender", ("m", "f")))
        ),
        spots=read_table(
            folder,
            "spots.tsv",
            "german english goal classes",
            lambda row: Spot(
                row.text("german"),
                tuple(row.text("english").split(" ")),
                tuple(row.text("goal").split(" ")),
                row.items("classes", classes),
            ),
        ),
        modals=read_table(folder, "modals.tsv", "german present preterite english_present english_past", _modal),
        numbers=read_table(
            folder, "numbers.tsv", "german english", lambda row: (row.text("german"), row.text("english"))
        ),
        digest=hashlib.sha256(
            b"".join(table.name.encode() + b"\0" + table.read_bytes() + b"\0" for table in tables)
        ).hexdigest(),
    )
