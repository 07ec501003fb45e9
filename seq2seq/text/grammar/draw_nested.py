"""Drawing clauses that contain clauses: complements, infinitives, adjuncts and relative clauses."""

from seq2seq.text.grammar.clause_properties import cannot_be_agent, is_unambiguous_in_front
from seq2seq.text.grammar.draw import Draw
from seq2seq.text.grammar.draw_clause import Clauses
from seq2seq.text.grammar.entries import Noun
from seq2seq.text.grammar.frame import PRONOUNS, Clause, Gap, Kind, Phrase, Pronoun, Role, Tense
from seq2seq.text.grammar.verb_groups import VerbGroups

# Conjunction, tense of the main clause, tense of the subordinate clause.
_ADJUNCTS: tuple[tuple[str, Tense, Tense], ...] = (
    ("because", "present", "present"), ("because", "preterite", "preterite"), ("because", "perfect", "perfect"),
    ("although", "present", "present"), ("although", "preterite", "preterite"), ("if", "future", "present"),
    ("when", "preterite", "preterite"), ("before", "preterite", "preterite"), ("after", "preterite", "pluperfect"),
    ("while", "preterite", "preterite"),
)  # fmt: skip
_COMPLEMENT_TENSES: dict[Tense, tuple[Tense, ...]] = {
    "present": ("present", "present", "preterite", "perfect", "future"), "preterite": ("preterite", "pluperfect"),
}  # fmt: skip
_NESTINGS = ("complement", "complement", "infinitive", "adjunct", "adjunct", "relative", "relative")


class NestedClauses:
    """Draws a clause with other clauses inside it."""

    def __init__(self, draw: Draw, clauses: Clauses, verbs: VerbGroups) -> None:
        self.draw, self.clauses, self.verbs = draw, clauses, verbs

    def tree(
        self, name: str, depth: int, tense: Tense, *, kind: Kind = "statement", conjunction: str = "",
        subject: Phrase | None = None, timed: bool = True,
    ) -> Clause:  # fmt: skip
        """A clause that contains `depth` more, each inside the one before.

        `timed` allows an adverb of time; it applies to `depth` 0 only.
        """
        if not depth:
            return self.clauses.clause(
                name, self.verbs.simple, tense, kind=kind, conjunction=conjunction, subject=subject, timed=timed
            )
        builders = {
            "complement": self._with_complement,
            "infinitive": self._with_infinitive,
            "adjunct": self._with_adjunct,
            "relative": self._with_relative,
        }
        nesting = self.draw.pick(_NESTINGS if kind == "statement" else ("complement", "infinitive", "relative"))
        clause = builders[nesting](name, depth, tense, subject)
        clause.kind, clause.conjunction = kind, conjunction
        if kind != "statement":
            clause.front = ""
        if conjunction == "if":
            clause.progressive = False
        return clause

    def _with_complement(self, name: str, depth: int, tense: Tense, subject: Phrase | None) -> Clause:
        """A verb with a clause as its object: er weiß, dass ...; er weiß nicht, ob ..."""
        tense = "present" if tense == "present" else "preterite"
        clause = self.clauses.clause(name, self.verbs.with_clause, tense, subject=subject, timed=False, plain=True)
        conjunction = "that"
        if "ob" in clause.verb.flags and self.draw.chance(50):
            clause.negation, conjunction = "nicht", "whether"
        inner = self.draw.pick(_COMPLEMENT_TENSES[tense])
        clause.complement = self.tree(f"{name}.{conjunction}", depth - 1, inner, kind="final", conjunction=conjunction)
        return clause

    def _with_infinitive(self, name: str, depth: int, tense: Tense, subject: Phrase | None) -> Clause:
        """A verb with an infinitive clause: er versucht, ... zu ...; both clauses share the subject."""
        clause = self.clauses.clause(name, self.verbs.with_infinitive, tense, subject=subject, timed=False, plain=True)
        clause.complement = self.clauses.clause(
            f"{name}.to", self.verbs.volitional, "present", kind="infinitive", subject=clause.subject, timed=False,
            plain=True,
        )  # fmt: skip
        if depth > 1:
            self.add_relative(clause.complement, depth - 1, tense)
        return clause

    def _with_adjunct(self, name: str, depth: int, tense: Tense, subject: Phrase | None) -> Clause:
        """A main clause and an adverbial clause with weil, während, nachdem ...

        With 60 % chance the adverbial clause repeats the subject as a pronoun, where one is possible.
        """
        draw = self.draw
        choices = [entry for entry in _ADJUNCTS[:5] if entry[1] != "perfect"] if depth > 1 else _ADJUNCTS
        conjunction, outer, inner = draw.pick([entry for entry in choices if entry[1] == tense] or choices)
        temporal = conjunction not in ("because", "although")
        # An adverb of the past in one of two perfect clauses would give them different tenses in English.
        timed = not temporal and outer != "perfect"
        clause = self.clauses.clause(
            name, self.verbs.dynamic if temporal else self.verbs.simple, outer, timed=timed, plain=temporal,
            subject=subject,
        )  # fmt: skip
        inside = f"{name}.{conjunction}"
        subject = _coreferent_pronoun(clause.subject, f"{inside}.subject") if draw.chance(60) else None
        if temporal:
            clause.adjunct = self.clauses.clause(
                inside, self.verbs.dynamic, inner, kind="final", conjunction=conjunction, subject=subject, timed=False,
                plain=True,
            )  # fmt: skip
        else:
            clause.adjunct = self.tree(
                inside, depth - 1, inner, kind="final", conjunction=conjunction, subject=subject,
                timed=timed and not clause.has_time,
            )  # fmt: skip
        if draw.chance(35):
            clause.front = "adjunct"
        return clause

    def _with_relative(self, name: str, depth: int, tense: Tense, subject: Phrase | None) -> Clause:
        clause = self.clauses.clause(name, self.verbs.simple, tense, subject=subject)
        self.add_relative(clause, depth, tense)
        return clause

    def add_relative(self, clause: Clause, depth: int, tense: Tense) -> None:
        """Add a relative clause, `depth` levels deep, to the subject or an object of `clause`.

        Adds nothing where no phrase of the clause can take one, or where the relative clause would be ambiguous.
        """
        draw = self.draw
        phrases = [clause.subject] if clause.kind != "infinitive" else []
        phrases += clause.objects.values()
        phrases = [
            phrase for phrase in phrases
            if isinstance(phrase.head, Noun)
            and any(self.verbs.by_noun[phrase.head].values())
            and phrase.determiner in ("definite", "indefinite")
            and not phrase.owner
        ]  # fmt: skip
        if not phrases:
            return
        phrase = draw.pick(phrases)
        noun = phrase.head
        assert isinstance(noun, Noun)
        roles: tuple[Role, ...] = ("subject", "subject", "accusative", "dative")
        role = draw.pick([role for role in roles if self.verbs.by_noun[noun][role]])
        name = f"{phrase.id}.relative"
        gap = Phrase(f"{name}.{role}", Gap("relative", phrase), phrase.plural)
        inner: Tense = "present" if tense in ("present", "future", "would") else "preterite"
        if tense == "perfect" and not clause.definite_past:
            inner = draw.pick(("preterite", "perfect"))
        relative = self.clauses.clause(
            name, self.verbs.by_noun[noun][role], inner, kind="final", subject=gap if role == "subject" else None,
            active=True, timed=not clause.has_time,
        )  # fmt: skip
        relative.front = role
        if role != "subject":
            replace_by_gap(relative, role, gap)
            if not (is_unambiguous_in_front(relative, role) or cannot_be_agent(relative.verb, gap)):
                return  # die Frau, die das Kind sieht: either can be the subject
        if phrase is not clause.subject:  # "well" after a long object would seem to modify the relative clause
            clause.adverbials = [
                entry for entry in clause.adverbials if not (entry.adverb and "well" in entry.adverb.groups)
            ]
        if depth > 1:
            self.add_relative(relative, depth - 1, tense)
        phrase.relative = relative


def replace_by_gap(clause: Clause, role: Role, gap: Phrase) -> None:
    """Replace an object by a gap. A negation that was expressed by the object (kein) disappears with it."""
    if clause.objects[role].determiner == "negative":
        clause.negation = ""
    clause.objects[role] = gap


def _coreferent_pronoun(subject: Phrase, name: str) -> Phrase | None:
    """The pronoun for a person who has been mentioned; None where the subject is no person or has no clear pronoun."""
    head = subject.head
    if isinstance(head, Pronoun):
        return Phrase(name, head, subject.plural)
    if isinstance(head, Gap) or not subject.human or subject.determiner in ("every", "no"):
        return None
    if head.gender == "n" and not subject.plural:  # das Kind: German "es" does not say whether English needs he or she
        return None
    pronoun = PRONOUNS["they" if subject.plural else "er" if head.gender == "m" else "she"]
    return Phrase(name, pronoun, pronoun.plural)
