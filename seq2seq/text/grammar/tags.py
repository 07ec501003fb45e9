"""What a frame shows: the names of its phenomena, and the measures that the challenge sets are cut by."""

from seq2seq.text.grammar.entries import Name, Noun
from seq2seq.text.grammar.frame import Adverbial, Clause, Gap, Phrase, Pronoun
from seq2seq.text.grammar.german_words import DETERMINERS

_TWO_WAY = ("in", "auf", "an", "unter", "neben", "hinter", "vor")


Part = tuple[str, str, str]
Clauses = list[tuple[Clause, list[Phrase]]]


def clauses(clause: Clause) -> Clauses:
    """The clause and all inside it, each with its phrases."""
    phrases = _phrases(clause)
    found = [(clause, phrases)]
    inside = [clause.complement, clause.adjunct, *[phrase.relative for phrase in phrases]]
    for inner in inside:
        if inner is not None:
            found += clauses(inner)
    return found


def _phrases(clause: Clause) -> list[Phrase]:
    phrases = [] if clause.kind in ("infinitive", "imperative") else [clause.subject]
    phrases += clause.objects.values()
    phrases += [adverbial.phrase for adverbial in clause.adverbials if adverbial.phrase is not None]
    if clause.predicate is not None and clause.predicate.than is not None:
        phrases.append(clause.predicate.than)
    return phrases + [phrase.owner for phrase in phrases if phrase.owner is not None]


def depth(clause: Clause) -> int:
    """How many clauses stand one inside the other below this one."""
    inner = [entry for entry in (clause.complement, clause.adjunct) if entry is not None]
    inner += [phrase.relative for phrase in _phrases(clause) if phrase.relative is not None]
    return max((1 + depth(entry) for entry in inner), default=0)


def parts(clauses: Clauses) -> set[Part]:
    """What the sentence is made of that may be held out: compounds, verbs with their objects, names."""
    found = set()
    for inner, phrases in clauses:
        for phrase in phrases:
            head = phrase.head
            if isinstance(head, Name):
                found.add(("name", head.text, ""))
            elif isinstance(head, Noun) and phrase.modifier is not None:
                found.add(("compound", phrase.modifier.german, head.german))
        thing = inner.subject if inner.passive else inner.objects.get("accusative")
        if thing is not None:
            head = thing.head.antecedent.head if isinstance(thing.head, Gap) and thing.head.antecedent else thing.head
            if isinstance(head, Noun):
                found.add(("pair", inner.verb.name, head.german))
    return found


def tags(clauses: Clauses) -> tuple[str, ...]:
    found: set[str] = set()
    for inner, phrases in clauses:
        found |= _clause_tags(inner)
        for phrase in phrases:
            found |= _phrase_tags(phrase)
    return tuple(sorted(found))


def _clause_tags(clause: Clause) -> set[str]:
    verb = clause.verb
    found: set[str] = {clause.tense, verb.pattern}
    if clause.kind in ("statement", "question", "imperative"):
        question = "wh-question" if clause.front else "yes-no"
        found.add({"statement": "statement", "imperative": "request"}.get(clause.kind, question))
    if clause.kind == "statement" and clause.front != "subject":
        objects = ("accusative", "dative")
        found.add("fronted-object" if clause.front in objects else f"fronted-{clause.front}")
    if clause.kind == "final":
        found.add("relative" if clause.conjunction == "" else "subordinate")
    if clause.kind == "infinitive":
        found.add("zu-infinitive")
    if clause.tense in ("perfect", "pluperfect"):
        found.add(f"perfect-{'sein' if clause.passive else verb.auxiliary}")
    if clause.modal is not None:
        found.add("modal")
    if clause.passive:
        found.add("passive")
    if clause.negation:
        found.add(clause.negation)
    if clause.subject.determiner == "no":
        found.add("kein")
    if verb.particle:
        found.add(f"separable-{_separable(clause)}")
    if clause.predicate is not None and clause.predicate.degree != "positive":
        found.add("comparative" if clause.predicate.degree == "comparative" else "equal")
    if isinstance(clause.subject.head, Pronoun) and clause.subject.head.german[0] == "sie":
        found.add("sie")
    for adverbial in clause.adverbials:
        found |= _adverbial_tags(adverbial)
    return found


def _separable(clause: Clause) -> str:
    """The shape of a separable verb: split, joined, zu (aufzumachen) or participle."""
    if clause.tense in ("perfect", "pluperfect") or clause.passive:
        return "participle"
    if clause.kind == "infinitive":
        return "zu"
    joined = clause.kind == "final" or clause.modal is not None or clause.tense in ("future", "would")
    return "joined" if joined else "split"


def _adverbial_tags(adverbial: Adverbial) -> set[str]:
    if adverbial.clock is not None:
        return {"clock"}
    if adverbial.preposition is not None and adverbial.preposition.german in _TWO_WAY:
        return {"two-way-place" if adverbial.preposition.case == "dative" else "two-way-motion"}
    return set()


def _phrase_tags(phrase: Phrase) -> set[str]:
    head, found = phrase.head, set()
    if isinstance(head, Name):
        return {"name"}
    if not isinstance(head, Noun):
        return set()
    if head.weak:
        found.add("n-declension")
    if phrase.adjectives:
        found.add(f"adjective-{ending_kind(phrase.determiner)}")
    if phrase.modifier is not None:
        found.add("compound")
    if phrase.comparative:
        found.add("comparative")
    if phrase.number is not None:
        found.add("number")
    if phrase.owner is not None:
        found.add("genitive")
    return found


def ending_kind(determiner: str) -> str:
    """weak, mixed or strong."""
    kind = DETERMINERS[determiner][1]
    return {"article": "weak", "der": "weak", "ein": "mixed"}.get(kind, "strong")
