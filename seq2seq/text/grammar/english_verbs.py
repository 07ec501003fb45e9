"""The English verb group: the operator (the first auxiliary), "not", and the verbs after it."""

from seq2seq.text.grammar import english_words as words
from seq2seq.text.grammar.alignment import Token
from seq2seq.text.grammar.entries import Verb
from seq2seq.text.grammar.frame import Clause, Phrase

Verbal = tuple[str, tuple[str, ...], tuple[str, ...], str]
"""A word of the group: base form, sure units, possible units, and the form that it requires of the next word."""

_INVARIANT = ("can", "will", "would")


def verb_group(clause: Clause, subject: Phrase, *, inverted: bool) -> tuple[list[Token], list[Token]]:
    """The operator with "not", and the other words of the verb group.

    The verbs form a chain in which each requires a form of the next: will + base, have + participle, be + ing, be +
    participle. The first is the operator if it is an auxiliary. Otherwise "do" is, where "not" or an inverted question
    needs an operator.
    """
    name = clause.id
    chain = _chain(clause)
    past = clause.tense in ("preterite", "pluperfect") or (clause.tense == "perfect" and clause.definite_past)
    negation = _negation(clause)
    form = "base" if clause.kind in ("imperative", "infinitive") else "past" if past else "present"
    start: list[Token] = []
    if clause.kind == "infinitive":
        start, negation = [*negation, Token("to", (f"{name}.to",))], []
    first, next_form = chain[0][0], chain[0][-1]
    auxiliary = (
        first in _INVARIANT or (first == "be" and form != "base") or (first == "have" and next_form == "participle")
    )
    operator: list[Token] = []
    if not auxiliary and (negation or inverted):
        text = "do" if form == "base" else _do(form, subject)
        operator = [Token(text, (), (f"{name}.verb",))]
        form = "base"
    tokens: list[Token] = []
    for word, sure, possible, next_form in chain:
        tokens.append(Token(_form(word, clause.verb, form, subject), sure, possible))
        form = next_form or form
    if auxiliary:
        operator, tokens = tokens[:1], tokens[1:]
        if negation and operator[0].text == "can" and not inverted:
            cannot = Token("cannot", operator[0].sure + negation[0].sure, operator[0].possible)
            operator, negation = [cannot], []
    return [*start, *operator, *negation], [*tokens, *_tail(clause)]


def _chain(clause: Clause) -> list[Verbal]:
    """The words of the group before inflection; the last is the main verb, which requires no form ("")."""
    name, possible = clause.id, (f"{clause.id}.verb",)
    chain: list[Verbal] = []
    if clause.tense in ("future", "would"):
        chain.append(("will" if clause.tense == "future" else "would", (f"{name}.{clause.tense}",), possible, "base"))
    if clause.modal is not None:
        chain += _modal(clause.modal, f"{name}.modal", past=clause.tense == "preterite")
    if clause.tense == "pluperfect" or (clause.tense == "perfect" and not clause.definite_past):
        chain.append(("have", (f"{name}.perfect",), possible, "participle"))
    if clause.progressive:
        sure = (f"{name}.passive",) if clause.passive else ()
        chain.append(("be", sure, possible, "ing"))
    if clause.passive:
        chain.append(("be", (f"{name}.passive",), possible, "participle"))
    particle = (f"{name}.particle",)
    chain.append((clause.verb.english, (f"{name}.verb",), particle if clause.verb.particle else (), ""))
    return chain


def _modal(modal: Verb, unit: str, *, past: bool) -> list[Verbal]:
    """can, have to, be allowed to: the first word is inflected, the others are fixed."""
    first, *rest = ((modal.past if past else "") or modal.english).split(" ")
    next_form = "base" if not rest or first in _INVARIANT else "fixed"
    chain: list[Verbal] = [(first, (unit,), (), next_form)]
    return chain + [(word, (unit,), (), "base" if word == "to" else "fixed") for word in rest]


def _negation(clause: Clause) -> list[Token]:
    if clause.negation == "nicht":
        return [Token("not", (f"{clause.id}.negation",))]
    if clause.negation == "kein":
        phrase = next(phrase for phrase in clause.objects.values() if phrase.determiner == "negative")
        return [Token("not", (f"{phrase.id}.negation",))]
    return []


def _tail(clause: Clause) -> list[Token]:
    """The words that stay after the verb: look for. With a separable German verb they translate its particle."""
    verb, name = clause.verb, clause.id
    units = (f"{name}.particle", f"{name}.verb")
    sure, possible = (units[:1], units[1:]) if verb.particle else (units[1:], ())
    return [Token(text, sure, possible) for text in verb.tail]


def _do(form: str, subject: Phrase) -> str:
    if form == "past":
        return "did"
    return "does" if subject.person == 3 and not subject.plural else "do"


def _form(word: str, verb: Verb, form: str, subject: Phrase) -> str:
    """The inflected word; "fixed" leaves a word of a phrase such as "be allowed to" as it is."""
    if word == "be":
        fixed = {"base": "be", "participle": "been", "ing": "being", "fixed": "be"}
        return fixed.get(form) or words.be(form, subject.person, subject.plural)
    if form in ("base", "fixed") or word in _INVARIANT:
        return word
    third = form == "present" and subject.person == 3 and not subject.plural
    if word == verb.english:
        if form == "present":
            return words.third_person(word) if third else word
        return {"past": words.past, "participle": words.participle, "ing": words.ing}[form](verb)
    if form == "present":
        return words.third_person(word) if third else word
    return {"have": "had", "want": "wanted"}[word]
