"""Properties of a frame: the tags of its grammatical phenomena, and what decides the challenge set it belongs to."""

from seq2seq.text.grammar.entries import Name, Noun
from seq2seq.text.grammar.frame import Adverbial, Clause, Gap, Phrase, Pronoun
from seq2seq.text.grammar.german_words import DETERMINERS

_TWO_WAY = ("in", "auf", "an", "unter", "neben", "hinter", "vor")  # prepositions with dative or accusative


Part = tuple[str, str, str]
"""A part that may be held out of training: ("compound", modifier, noun), ("pair", verb, noun) or ("name", name, "")."""
Clauses = list[tuple[Clause, list[Phrase]]]


def clauses(clause: Clause) -> Clauses:
    """The clause and all clauses inside it, each with its phrases."""
    phrases = _phrases(clause)
    pairs = [(clause, phrases)]
    for inner in (clause.complement, clause.adjunct, *[phrase.relative for phrase in phrases]):
        if inner is not None:
            pairs += clauses(inner)
    return pairs


def _phrases(clause: Clause) -> list[Phrase]:
    phrases = [] if clause.kind in ("infinitive", "imperative") else [clause.subject]
    phrases += clause.objects.values()
    phrases += [adverbial.phrase for adverbial in clause.adverbials if adverbial.phrase is not None]
    if clause.predicate is not None and clause.predicate.than is not None:
        phrases.append(clause.predicate.than)
    return phrases + [phrase.owner for phrase in phrases if phrase.owner is not None]


def depth(clause: Clause) -> int:
    """How many levels of clauses are nested inside this one."""
    inner = [entry for entry in (clause.complement, clause.adjunct) if entry is not None]
    inner += [phrase.relative for phrase in _phrases(clause) if phrase.relative is not None]
    return max((1 + depth(entry) for entry in inner), default=0)


def parts(clauses: Clauses) -> set[Part]:
    """The compounds, the verbs with their objects, and the names of a sentence."""
    result: set[Part] = set()
    for inner, phrases in clauses:
        for phrase in phrases:
            head = phrase.head
            if isinstance(head, Name):
                result.add(("name", head.text, ""))
            elif isinstance(head, Noun) and phrase.modifier is not None:
                result.add(("compound", phrase.modifier.german, head.german))
        patient = inner.subject if inner.passive else inner.objects.get("accusative")
        if patient is not None:
            head = patient.head
            if isinstance(head, Gap) and head.antecedent:
                head = head.antecedent.head
            if isinstance(head, Noun):
                result.add(("pair", inner.verb.name, head.german))
    return result


def tags(clauses: Clauses) -> tuple[str, ...]:
    """The phenomena of all clauses and phrases, sorted."""
    names: set[str] = set()
    for inner, phrases in clauses:
        names |= _clause_tags(inner)
        for phrase in phrases:
            names |= _phrase_tags(phrase)
    return tuple(sorted(names))


def _clause_tags(clause: Clause) -> set[str]:
    verb = clause.verb
    names: set[str] = {clause.tense, verb.pattern}
    if clause.kind in ("statement", "question", "imperative"):
        question = "wh-question" if clause.front else "yes-no"
        names.add({"statement": "statement", "imperative": "request"}.get(clause.kind, question))
    if clause.kind == "statement" and clause.front != "subject":
        objects = ("accusative", "dative")
        names.add("fronted-object" if clause.front in objects else f"fronted-{clause.front}")
    if clause.kind == "final":
        names.add("relative" if clause.conjunction == "" else "subordinate")
    if clause.kind == "infinitive":
        names.add("zu-infinitive")
    if clause.tense in ("perfect", "pluperfect"):
        names.add(f"perfect-{'sein' if clause.passive else verb.auxiliary}")
    if clause.modal is not None:
        names.add("modal")
    if clause.passive:
        names.add("passive")
    if clause.negation:
        names.add(clause.negation)
    if clause.subject.determiner == "no":
        names.add("kein")
    if verb.particle:
        names.add(f"separable-{_separable(clause)}")
    if clause.predicate is not None and clause.predicate.degree != "positive":
        names.add("comparative" if clause.predicate.degree == "comparative" else "equal")
    if isinstance(clause.subject.head, Pronoun) and clause.subject.head.german[0] == "sie":
        names.add("sie")
    for adverbial in clause.adverbials:
        names |= _adverbial_tags(adverbial)
    return names


def _separable(clause: Clause) -> str:
    """The form of a separable verb: split (macht auf), joined (aufmacht), zu (aufzumachen), participle (aufgemacht)."""
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
    head, names = phrase.head, set()
    if isinstance(head, Name):
        return {"name"}
    if not isinstance(head, Noun):
        return set()
    if head.weak:
        names.add("n-declension")
    if phrase.adjectives:
        names.add(f"adjective-{ending_kind(phrase.determiner)}")
    if phrase.modifier is not None:
        names.add("compound")
    if phrase.comparative:
        names.add("comparative")
    if phrase.number is not None:
        names.add("number")
    if phrase.owner is not None:
        names.add("genitive")
    return names


def ending_kind(determiner: str) -> str:
    """The declension of an adjective after the determiner: weak, mixed or strong."""
    kind = DETERMINERS[determiner][1]
    return {"article": "weak", "der": "weak", "ein": "mixed"}.get(kind, "strong")
