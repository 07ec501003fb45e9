"""What must hold of a clause before more is drawn for it."""

from seq2seq.text.grammar.entries import Name, Noun, Verb
from seq2seq.text.grammar.frame import Clause, Gap, Phrase, Pronoun, Role, Tense

_UNKNOWN = ("indefinite", "every", "many", "some", "number")


def case_shows(clause: Clause, role: Role) -> bool:
    """Whether the object in front can be nothing but the object: by its own form, the subject's, or the verb's
    agreement.
    """
    phrase, subject = clause.objects[role], clause.subject
    if phrase.determiner in ("negative", "some", "many", "number", "indefinite") and role == "accusative":
        return False
    if isinstance(phrase.head, Name):
        return False
    if role == "dative" or isinstance(phrase.head, Pronoun):
        return phrase.determiner not in ("bare", "number") or isinstance(phrase.head, Pronoun)
    if phrase.slot == "m" and (phrase.determiner != "bare" or isinstance(phrase.head, Gap)):
        return True
    if subject.plural != phrase.plural and subject.person == 3:
        return True
    if isinstance(subject.head, Pronoun):
        return subject.head.german[0] != subject.head.german[1]
    return subject.slot == "m" and subject.determiner not in ("bare", "number") and isinstance(subject.head, Noun)


def cannot_act(verb: Verb, phrase: Phrase) -> bool:
    """Whether the verb's meaning tells that the thing is its object: soup does not eat."""
    head = phrase.head.antecedent.head if isinstance(phrase.head, Gap) and phrase.head.antecedent else phrase.head
    return isinstance(head, Noun) and not set(head.classes) & set(verb.subject)


def is_unknown(clause: Clause) -> bool:
    """Whether something new is spoken of, which neither language says never of."""
    return any(phrase.determiner in _UNKNOWN for phrase in (clause.subject, *clause.objects.values()))


def make_plain(verb: Verb, phrase: Phrase) -> None:
    """What is being made has no quality yet: not to cook hot soup."""
    if "plain" in verb.flags:
        phrase.adjectives, phrase.comparative = (), False


def has_tense(verb: Verb, tense: Tense) -> bool:
    if tense in ("perfect", "pluperfect"):
        return not {"simple", "no-perfect"} & set(verb.flags)
    return "simple" not in verb.flags or tense in ("present", "preterite")


def may_be_willed(clause: Clause) -> bool:
    return (
        clause.verb.pattern not in ("copula", "swapped", "clause", "position") and "unwilled" not in clause.verb.flags
    )


def progressive(clause: Clause) -> bool:
    """The present is progressive unless the verb is stative, something is habitual, asked for its time, or a
    condition.
    """
    if clause.tense != "present" or clause.modal is not None or clause.kind in ("imperative", "infinitive"):
        return False
    if "stative" in clause.verb.flags or clause.conjunction == "if":
        return False
    return not any(
        adverbial.slot in ("often", "never", "clock")
        or adverbial.question == "when"
        or (adverbial.adverb is not None and adverbial.adverb.kind == "habit")
        for adverbial in clause.adverbials
    )
