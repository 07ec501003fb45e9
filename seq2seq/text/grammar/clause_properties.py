"""Properties of clauses and verbs that restrict what else may be drawn for a clause."""

from seq2seq.text.grammar.entries import Name, Noun, Verb
from seq2seq.text.grammar.frame import Clause, Gap, Phrase, Pronoun, Role, Tense

_NEW_INFORMATION = ("indefinite", "every", "many", "some", "number")


def is_unambiguous_in_front(clause: Clause, role: Role) -> bool:
    """Whether the object, placed before the verb, cannot be read as the subject.

    Its own case form shows it, or the subject's case form, or the agreement of the verb.
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


def cannot_be_agent(verb: Verb, phrase: Phrase) -> bool:
    """Whether the phrase cannot be the verb's subject by its meaning: soup does not eat."""
    head = phrase.head.antecedent.head if isinstance(phrase.head, Gap) and phrase.head.antecedent else phrase.head
    return isinstance(head, Noun) and not set(head.classes) & set(verb.subject)


def has_new_information(clause: Clause) -> bool:
    """Whether the subject or an object is indefinite or quantified; "never" does not go with these."""
    return any(phrase.determiner in _NEW_INFORMATION for phrase in (clause.subject, *clause.objects.values()))


def remove_adjectives(verb: Verb, phrase: Phrase) -> None:
    """Remove the adjectives of the object if the verb has the flag `plain`: to cook soup, not to cook hot soup."""
    if "plain" in verb.flags:
        phrase.adjectives, phrase.comparative = (), False


def has_tense(verb: Verb, tense: Tense) -> bool:
    """Whether the verb's flags allow the tense."""
    if tense in ("perfect", "pluperfect"):
        return not {"simple", "no-perfect"} & set(verb.flags)
    return "simple" not in verb.flags or tense in ("present", "preterite")


def allows_modal(clause: Clause) -> bool:
    """Whether a modal verb can be added: the verb says something that one can, must or wants to do."""
    return (
        clause.verb.pattern not in ("copula", "swapped", "clause", "position") and "unwilled" not in clause.verb.flags
    )


def is_progressive(clause: Clause) -> bool:
    """Whether English uses the progressive form.

    The present does, except with a stative verb, with an adverb of frequency or habit, with a clock time, in a
    question with "when", and in a condition.
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
