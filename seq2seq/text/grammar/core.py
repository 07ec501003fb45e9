"""The core of a lexicon: fewer words, so that a small corpus shows each of them often."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from seq2seq.text.grammar.entries import Lexicon

Entry = TypeVar("Entry")


def core(lexicon: Lexicon, percent: int) -> Lexicon:
    """The first `percent` of each group: of nouns and adjectives with one first class, of verbs with one pattern ...

    The order of the tables decides, so what is common stands first. Verbs and adjectives left without a noun go. The
    names stay all, for names are to be copied, not to be learnt.
    """
    nouns = _first(lexicon.nouns, percent, lambda noun: noun.classes[0])
    classes = {name for noun in nouns for name in noun.classes}
    verbs = _first(lexicon.verbs, percent, lambda verb: f"{verb.pattern} {bool(verb.particle)}", least=3)
    return replace(
        lexicon,
        nouns=nouns,
        verbs=[verb for verb in verbs if classes.issuperset(verb.subject[:1] + verb.object[:1])],
        adjectives=[
            entry
            for entry in _first(lexicon.adjectives, percent, lambda entry: entry.classes[0])
            if classes.intersection(entry.classes)
        ],
        spots=[spot for spot in lexicon.spots if classes.intersection(spot.classes)],
    )


def _first(entries: Sequence[Entry], percent: int, group: Callable[[Entry], str], *, least: int = 1) -> list[Entry]:
    sizes: dict[str, int] = {}
    for entry in entries:
        sizes[group(entry)] = sizes.get(group(entry), 0) + 1
    taken: dict[str, int] = {}
    first = []
    for entry in entries:
        name = group(entry)
        taken[name] = taken.get(name, 0) + 1
        if taken[name] <= least or taken[name] * 100 <= sizes[name] * percent + 99:
            first.append(entry)
    return first
