"""A smaller lexicon for a small corpus, so that training shows each word often."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from seq2seq.text.grammar.entries import Lexicon

Entry = TypeVar("Entry")


def core(lexicon: Lexicon, percent: int) -> Lexicon:
    """The lexicon with the first `percent` of each group of nouns, verbs and adjectives.

    A group is the nouns or adjectives with the same first class, or the verbs with the same pattern, with or without a
    particle. The tables list common words first. Verbs, adjectives and spots that fit no remaining noun are removed.
    All names stay, since a model has to copy names, not to learn them.
    """
    nouns = _first_of_groups(lexicon.nouns, percent, lambda noun: noun.classes[0])
    classes = {name for noun in nouns for name in noun.classes}
    verbs = _first_of_groups(lexicon.verbs, percent, lambda verb: f"{verb.pattern} {bool(verb.particle)}", minimum=3)
    return replace(
        lexicon,
        nouns=nouns,
        verbs=[verb for verb in verbs if classes.issuperset(verb.subject[:1] + verb.object[:1])],
        adjectives=[
            entry
            for entry in _first_of_groups(lexicon.adjectives, percent, lambda entry: entry.classes[0])
            if classes.intersection(entry.classes)
        ],
        spots=[spot for spot in lexicon.spots if classes.intersection(spot.classes)],
    )


def _first_of_groups(
    entries: Sequence[Entry], percent: int, group: Callable[[Entry], str], *, minimum: int = 1
) -> list[Entry]:
    """The first `percent` of each group, rounded up, and at least `minimum` entries, in the order of `entries`."""
    sizes = Counter(map(group, entries))
    ranks: Counter[str] = Counter()
    selection = []
    for entry in entries:
        name = group(entry)
        ranks[name] += 1
        if ranks[name] <= minimum or ranks[name] * 100 <= sizes[name] * percent + 99:
            selection.append(entry)
    return selection
