"""German: a frame becomes tokens with the ids of its units."""

from itertools import pairwise

from seq2seq.text.grammar import german_words as words
from seq2seq.text.grammar.alignment import COMMA, Token
from seq2seq.text.grammar.entries import Name, Noun, Preposition, Verb
from seq2seq.text.grammar.frame import Adverbial, Clause, Clock, Gap, Phrase, Pronoun
from seq2seq.text.grammar.german_words import CONJUNCTIONS, GAPS, QUESTIONS

_DEFINITE = {"definite", "this", "every", "all", "which", *words.POSSESSIVES}


def phrase_tokens(phrase: Phrase, case: str) -> list[Token]:
    """Determiner, number, adjectives, noun, genitive, relative clause; a name or pronoun is one token."""
    head, name = phrase.head, phrase.id
    if isinstance(head, Pronoun):
        return [Token(head.german[words.CASES.index(case)], (name + ".pronoun",))]
    if isinstance(head, Name):
        return [Token(head.text, (name + ".name",))]
    if isinstance(head, Gap):
        return [Token(_gap(head, case), (name + "." + head.word,))]
    slot, tokens = phrase.slot, []
    owner = phrase.owner
    if owner is not None and isinstance(owner.head, Name):
        tokens.append(Token(owner.head.text + "s", (owner.id + ".name",)))
    determiner = words.determiner(phrase.determiner, slot, case)
    if determiner:
        negation = (name + ".negation",) if phrase.determiner == "negative" else ()
        tokens.append(Token(determiner, (*negation, name + ".determiner")))
    if phrase.number is not None:
        tokens.append(Token(phrase.number[0], (name + ".number",)))
    ending = words.adjective_ending(phrase.determiner, slot, case)
    for k, adjective in enumerate(phrase.adjectives):
        text = (
            adjective.comparative + ending
            if phrase.comparative
            else words.inflected_adjective(adjective.german, ending)
        )
        tokens.append(Token(text, (f"{name}.adjective{k}",)))
    noun = words.noun_form(head, phrase.plural, case)
    if phrase.modifier is not None:
        tokens.append(Token(phrase.modifier.german + noun.lower(), (name + ".modifier", name + ".noun")))
    else:
        tokens.append(Token(noun, (name + ".noun",)))
    if owner is not None and not isinstance(owner.head, Name):
        tokens += phrase_tokens(owner, "genitive")
    if phrase.relative is not None:
        tokens += [COMMA, *clause_tokens(phrase.relative), COMMA]
    return tokens


def _gap(gap: Gap, case: str) -> str:
    if gap.word == "relative":
        assert gap.antecedent is not None
        return words.relative_pronoun(gap.antecedent.slot, case)
    return "was" if gap.word == "what" else GAPS["who"][case]


def _prepositional(preposition: Preposition, phrase: Phrase, unit: str) -> list[Token]:
    tokens = phrase_tokens(phrase, preposition.case)
    contracted = None
    if phrase.determiner == "definite":
        contracted = words.contracted(preposition.german, tokens[0].text)
    if contracted is not None:
        return [Token(contracted, (unit, *tokens[0].sure)), *tokens[1:]]
    return [Token(preposition.german, (unit,)), *tokens]


def _adverbial(adverbial: Adverbial) -> list[Token]:
    name = adverbial.id
    if adverbial.question:
        return [Token(QUESTIONS[adverbial.question], (name + ".question",))]
    if adverbial.adverb is not None:
        entry = adverbial.adverb
        return [
            Token(text, tuple([f"{name}.{k}" for k, link in enumerate(entry.links) if link[0] == i]))
            for i, text in enumerate(entry.german)
        ]
    if adverbial.clock is not None:
        return _clock(adverbial.clock, name)
    assert adverbial.preposition is not None
    assert adverbial.phrase is not None
    return _prepositional(adverbial.preposition, adverbial.phrase, name + ".preposition")


def _clock(clock: Clock, name: str) -> list[Token]:
    at, hour = Token("um", (name + ".at",)), Token(clock.hour[0], (name + ".hour",))
    if clock.relation == "o'clock":
        return [at, Token("ein", hour.sure) if hour.text == "eins" else hour, Token("Uhr", (name + ".relation",))]
    if clock.relation == "half":
        return [at, Token("halb", (name + ".relation",)), hour]
    relation = Token("nach" if clock.relation == "past" else "vor", (name + ".relation",))
    return [at, Token(clock.minutes[0], (name + ".minutes",)), relation, hour]


def clause_tokens(clause: Clause) -> list[Token]:
    """The whole clause with the clauses inside it."""
    finite, rest = _bracket(clause)
    fields = _fields(clause)
    after: list[Token] = []
    for inner in (clause.complement, clause.adjunct if clause.front != "adjunct" else None):
        if inner is not None:
            after += [COMMA, *clause_tokens(inner)]
    front: list[Token] = []
    if clause.front == "adjunct":
        assert clause.adjunct is not None
        front = [*clause_tokens(clause.adjunct), COMMA]
    elif clause.front:
        front = fields.pop(clause.front)
    middle = [token for tokens in fields.values() for token in tokens]
    if clause.kind in ("final", "infinitive"):
        if clause.conjunction in CONJUNCTIONS:
            front = [Token(CONJUNCTIONS[clause.conjunction], (f"{clause.id}.conjunction",))]
        return [*front, *middle, *rest, *finite, *after]
    return [*front, *finite, *middle, *rest, *after]


def _fields(clause: Clause) -> dict[str, list[Token]]:
    """The middle field by role or slot, in order: pronouns, time, definite objects, frequency, nicht, others, place."""
    fields: dict[str, list[Token]] = {}
    late: list[Token] = []
    objects, adverbials = clause.objects, {adverbial.slot: adverbial for adverbial in clause.adverbials}
    if clause.kind not in ("imperative", "infinitive"):
        fields["subject"] = phrase_tokens(clause.subject, "nominative")
    for role in ("accusative", "dative"):
        if role in objects and isinstance(objects[role].head, Pronoun):
            fields[role] = phrase_tokens(objects[role], role)
    if not _is_definite(clause.subject) and "subject" in fields:
        fields["subject"] = fields.pop("subject")  # after the pronouns: gestern sah mich ein Hund
    if clause.kind == "imperative":
        fields["please"] = [Token("bitte", (f"{clause.id}.please",))]
    roles = [role for role in ("dative", "accusative") if role in objects and role not in fields]
    definite = [role for role in roles if _is_definite(objects[role])]
    indefinite = [role for role in roles if role not in definite]
    for slot in ("time", "clock"):
        if slot in adverbials:
            fields[slot] = _adverbial(adverbials[slot])
    if clause.front not in ("subject", "") and not objects and not _is_definite(clause.subject) and "subject" in fields:
        late = fields.pop("subject")  # an indefinite subject comes later: gestern schlief oft ein Hund
    for role in definite:
        fields[role] = phrase_tokens(objects[role], role)
    for slot in ("often", "never", "already"):
        if slot in adverbials:
            fields[slot] = _adverbial(adverbials[slot])
    if late:
        fields["subject"] = late
    if clause.negation == "nicht":
        fields["negation"] = [Token("nicht", (f"{clause.id}.negation",))]
    for role in indefinite:
        fields[role] = phrase_tokens(objects[role], role)
    for slot in ("agent", "manner", "place", "why"):
        if slot in adverbials:
            fields[slot] = _adverbial(adverbials[slot])
    if "prepositional" in objects:
        assert clause.verb.preposition is not None
        fields["prepositional"] = _prepositional(
            clause.verb.preposition, objects["prepositional"], f"{clause.id}.preposition"
        )
    if "goal" in adverbials:
        fields["goal"] = _adverbial(adverbials["goal"])
    if clause.predicate is not None:
        fields["predicate"] = _predicate(clause)
    return fields


def _is_definite(phrase: Phrase) -> bool:
    return not isinstance(phrase.head, Noun) or phrase.determiner in _DEFINITE or phrase.owner is not None


def _predicate(clause: Clause) -> list[Token]:
    predicate, name = clause.predicate, clause.id
    assert predicate is not None
    unit = (f"{name}.adjective",)
    if predicate.degree == "positive":
        return [Token(predicate.adjective.german, unit)]
    assert predicate.than is not None
    than = phrase_tokens(predicate.than, "nominative")
    if predicate.degree == "comparative":
        return [Token(predicate.adjective.comparative, unit), Token("als", (f"{name}.than",)), *than]
    return [
        Token("so", (f"{name}.so",)), Token(predicate.adjective.german, unit), Token("wie", (f"{name}.than",)), *than
    ]  # fmt: skip


def _bracket(clause: Clause) -> tuple[list[Token], list[Token]]:
    """The two parts of the verbal bracket: the finite verb, and the verbs and particle at the end of the clause.

    The verbs form a chain from the main verb to the finite one. Each requires a form of the one before it, and the
    chain stands in this order at the end of the clause: repariert werden muss.
    """
    name, verb = clause.id, clause.verb
    chain: list[tuple[Verb, str]] = [(verb, "verb")]
    if clause.passive:
        chain.append((words.AUXILIARIES["werden"], "passive"))
    if clause.tense in ("perfect", "pluperfect"):
        chain.append((words.AUXILIARIES["sein" if clause.passive else verb.auxiliary], "perfect"))
    if clause.modal is not None:
        chain.append((clause.modal, "modal"))
    if clause.tense in ("future", "would"):
        chain.append((words.AUXILIARIES["werden"], clause.tense))
    tokens: list[Token] = []
    for (inner, unit), (_, outer) in pairwise(chain):
        participle = outer in ("perfect", "passive")
        text = inner.particle * (not participle) + (inner.participle if participle else inner.infinitive)
        tokens.append(_verb_token(text, name, unit, inner))
    outermost, unit = chain[-1]
    if clause.kind == "infinitive":
        return [], [*tokens, *_zu(outermost, name, unit)]
    form = _finite(clause, outermost)
    if clause.kind == "final" or not outermost.particle:
        return [_verb_token(outermost.particle * (clause.kind == "final") + form, name, unit, outermost)], tokens
    units = (f"{name}.particle",) if verb.english_particle or verb.tail else (f"{name}.particle", f"{name}.verb")
    return [Token(form, (f"{name}.verb",), (f"{name}.particle",))], [
        *tokens,
        Token(verb.particle, units, (f"{name}.verb",)),
    ]


def _finite(clause: Clause, verb: Verb) -> str:
    subject = clause.subject
    if clause.kind == "imperative":
        return words.imperative(verb, subject.plural)
    if clause.tense == "would":
        return words.WOULD[subject.person - 1 + 3 * subject.plural]
    tense = "preterite" if clause.tense in ("preterite", "pluperfect") else "present"
    return words.finite(verb, tense, subject.person, subject.plural)


def _verb_token(text: str, name: str, unit: str, verb: Verb) -> Token:
    """The token of a verb. A separable verb in one word expresses the units of stem and particle.

    An auxiliary or modal expresses its own unit, and possibly that of the main verb.
    """
    if unit == "verb":
        return Token(text, (f"{name}.verb", f"{name}.particle") if verb.particle else (f"{name}.verb",))
    return Token(text, (f"{name}.{unit}",), (f"{name}.verb",))


def _zu(verb: Verb, name: str, unit: str) -> list[Token]:
    """The infinitive with zu: zu lesen, or aufzuräumen in one word."""
    last = _verb_token(words.infinitive(verb, with_zu=True), name, unit, verb)
    if verb.particle:
        return [Token(last.text, (*last.sure, f"{name}.to"), last.possible)]
    return [Token("zu", (f"{name}.to",)), last]
