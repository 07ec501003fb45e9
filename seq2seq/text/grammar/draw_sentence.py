"""Drawing whole sentences: statements, questions, requests, and clauses inside clauses."""

from seq2seq.text.grammar.clause_properties import cannot_act, case_shows, progressive
from seq2seq.text.grammar.draw import Draw
from seq2seq.text.grammar.draw_clause import Clauses
from seq2seq.text.grammar.entries import Noun
from seq2seq.text.grammar.frame import PRONOUNS, Adverbial, Clause, Gap, Kind, Phrase, Pronoun, Role, Tense

_TENSES: tuple[Tense, ...] = (
    "present",
    "present",
    "present",
    "preterite",
    "preterite",
    "preterite",
    "perfect",
    "perfect",
    "perfect",
    "future",
    "would",
)
# Conjunction, tense of the main clause, tense of the other.
_ADJUNCTS: tuple[tuple[str, Tense, Tense], ...] = (
    ("because", "present", "present"), ("because", "preterite", "preterite"), ("because", "perfect", "perfect"),
    ("although", "present", "present"), ("although", "preterite", "preterite"), ("if", "future", "present"),
    ("when", "preterite", "preterite"), ("before", "preterite", "preterite"), ("after", "preterite", "pluperfect"),
    ("while", "preterite", "preterite"),
)  # fmt: skip
_REPORTED: dict[Tense, tuple[Tense, ...]] = {
    "present": ("present", "present", "preterite", "perfect", "future"), "preterite": ("preterite", "pluperfect"),
}  # fmt: skip
_ASKABLE = ("transitive", "dative", "ditransitive", "prepositional")
# How often each verb of a pattern stands in the urn: patterns of few verbs are drawn more, those with a clause by
# other means.
_WEIGHTS = {"clause": 0, "infinitive": 0, "copula": 12, "swapped": 2, "position": 2, "put": 2, "motion": 2}
_MADE_OF = ("complement", "complement", "infinitive", "adjunct", "adjunct", "relative", "relative")


class Sentences:
    def __init__(self, draw: Draw) -> None:
        self.draw, self.clauses = draw, Clauses(draw)
        verbs = draw.lexicon.verbs
        self.reporting = [verb for verb in verbs if verb.pattern == "clause"]
        self.intending = [verb for verb in verbs if verb.pattern == "infinitive"]
        self.simple = [verb for verb in verbs for _ in range(_WEIGHTS.get(verb.pattern, 1))]
        self.personal = [verb for verb in self.simple if "person" in verb.subject and verb.pattern != "swapped"]
        self.action = [verb for verb in self.personal if "stative" not in verb.flags]
        self.willed = [verb for verb in self.personal if "unwilled" not in verb.flags]
        self.placed = [
            verb
            for verb in self.personal
            if ("place" in verb.flags and verb.pattern != "motion") or verb.pattern == "position"
        ]
        self.separable = [verb for verb in self.personal if verb.particle and verb.pattern in ("transitive", "dative")]
        self.transitive = [verb for verb in self.personal if verb.object and verb.pattern in _ASKABLE]
        self.taking = {
            noun: {
                "subject": [
                    verb
                    for verb in self.simple
                    if set(verb.subject) & set(noun.classes) and (verb.pattern != "copula" or noun.person)
                ],
                "accusative": [
                    verb
                    for verb in self.simple
                    if verb.pattern in ("transitive", "ditransitive") and set(verb.object) & set(noun.classes)
                ],
                "dative": [
                    verb for verb in self.simple if verb.pattern == "dative" and set(verb.object) & set(noun.classes)
                ],
            }
            for noun in draw.lexicon.nouns
        }

    def sentence(self, *, nested: int = 0, separable: str = "") -> Clause:
        """A sentence; `nested` clauses inside one another, or by chance one or two where it is 0.

        `separable` asks for a separable verb, "9" with a relative clause between it and its particle.
        """
        draw = self.draw
        draw.used = []
        if separable in ("2-4", "5-8", "9"):
            clause = self.clauses.clause("main", self.separable, draw.pick(("present", "preterite")), active=True)
            if separable == "9":
                self._add_relative(clause, 1, clause.tense)
            self.clauses.order(clause)
            return clause
        die = int(draw.random() * 100)
        if nested or die < 27:
            clause = self._tree("main", nested or 1 + draw.chance(15), draw.pick(_TENSES))
        elif die < 41:
            return self._question()
        elif die < 45:
            return self._request()
        else:
            clause = self.clauses.clause("main", self.simple, draw.pick(_TENSES))
        if clause.front == "subject":
            self.clauses.order(clause)
        return clause

    def _tree(
        self, name: str, depth: int, tense: Tense, *, kind: Kind = "statement", conjunction: str = "",
        subject: Phrase | None = None, timed: bool = True,
    ) -> Clause:  # fmt: skip
        """A clause with `depth` more, each inside the one before; `timed` is for one with none."""
        if not depth:
            return self.clauses.clause(
                name, self.simple, tense, kind=kind, conjunction=conjunction, subject=subject, timed=timed
            )
        how = {
            "complement": self._report,
            "infinitive": self._intend,
            "adjunct": self._adjoin,
            "relative": self._relate,
        }
        made_of = self.draw.pick(_MADE_OF if kind == "statement" else ("complement", "infinitive", "relative"))
        clause = how[made_of](name, depth, tense, subject)
        clause.kind, clause.conjunction = kind, conjunction
        if kind != "statement":
            clause.front = ""
        if conjunction == "if":
            clause.progressive = False
        return clause

    def _report(self, name: str, depth: int, tense: Tense, subject: Phrase | None) -> Clause:
        """Someone knows that, or does not know whether."""
        tense = "present" if tense == "present" else "preterite"
        clause = self.clauses.clause(name, self.reporting, tense, subject=subject, timed=False, plain=True)
        conjunction = "that"
        if "ob" in clause.verb.flags and self.draw.chance(50):
            clause.negation, conjunction = "nicht", "whether"
        inner = self.draw.pick(_REPORTED[tense])
        clause.complement = self._tree(f"{name}.{conjunction}", depth - 1, inner, kind="final", conjunction=conjunction)
        return clause

    def _intend(self, name: str, depth: int, tense: Tense, subject: Phrase | None) -> Clause:
        """Someone tries to; both clauses have one subject."""
        clause = self.clauses.clause(name, self.intending, tense, subject=subject, timed=False, plain=True)
        clause.complement = self.clauses.clause(
            f"{name}.to", self.willed, "present", kind="infinitive", subject=clause.subject, timed=False, plain=True
        )
        if depth > 1:
            self._add_relative(clause.complement, depth - 1, tense)
        return clause

    def _adjoin(self, name: str, depth: int, tense: Tense, subject: Phrase | None) -> Clause:
        """Two clauses and because, while, after ...; half of the time both are about one person."""
        draw = self.draw
        choices = [entry for entry in _ADJUNCTS[:5] if entry[1] != "perfect"] if depth > 1 else _ADJUNCTS
        conjunction, outer, inner = draw.pick([entry for entry in choices if entry[1] == tense] or choices)
        temporal = conjunction not in ("because", "although")
        # Two perfects, one with a time of the past, would be two tenses in English.
        timed = not temporal and outer != "perfect"
        clause = self.clauses.clause(
            name, self.action if temporal else self.simple, outer, timed=timed, plain=temporal, subject=subject
        )
        subject = _again(clause.subject, f"{name}.{conjunction}.subject") if draw.chance(60) else None
        inside = f"{name}.{conjunction}"
        if temporal:
            clause.adjunct = self.clauses.clause(
                inside,
                self.action,
                inner,
                kind="final",
                conjunction=conjunction,
                subject=subject,
                timed=False,
                plain=True,
            )
        else:
            clause.adjunct = self._tree(
                inside,
                depth - 1,
                inner,
                kind="final",
                conjunction=conjunction,
                subject=subject,
                timed=timed and not clause.says_when,
            )
        if draw.chance(35):
            clause.front = "adjunct"
        return clause

    def _relate(self, name: str, depth: int, tense: Tense, subject: Phrase | None) -> Clause:
        clause = self.clauses.clause(name, self.simple, tense, subject=subject)
        self._add_relative(clause, depth, tense)
        return clause

    def _add_relative(self, clause: Clause, depth: int, tense: Tense) -> None:
        """Say more of one thing in the clause, where there is one that can bear it."""
        draw = self.draw
        phrases = [clause.subject] if clause.kind != "infinitive" else []
        phrases += clause.objects.values()
        phrases = [
            phrase for phrase in phrases
            if isinstance(phrase.head, Noun)
            and any(self.taking[phrase.head].values())
            and phrase.determiner in ("definite", "indefinite")
            and not phrase.owner
        ]  # fmt: skip
        if not phrases:
            return
        phrase = draw.pick(phrases)
        noun = phrase.head
        assert isinstance(noun, Noun)
        role: Role = draw.pick(
            [role for role in ("subject", "subject", "accusative", "dative") if self.taking[noun][role]]
        )
        name = f"{phrase.id}.relative"
        gap = Phrase(f"{name}.{role}", Gap("relative", phrase), phrase.plural)
        inner: Tense = "present" if tense in ("present", "future", "would") else "preterite"
        if tense == "perfect" and not clause.definite_past:
            inner = draw.pick(("preterite", "perfect"))
        verbs = self.taking[noun][role]
        relative = self.clauses.clause(
            name, verbs, inner, kind="final", subject=gap if role == "subject" else None, active=True,
            timed=not clause.says_when,
        )  # fmt: skip
        relative.front = role
        if role != "subject":
            self._ask(relative, role, gap)
            if not (case_shows(relative, role) or cannot_act(relative.verb, gap)):
                return  # die Frau, die das Kind sieht: who sees whom?
        if phrase is not clause.subject:  # behind so long an object nobody would know what was done well
            clause.adverbials = [
                entry for entry in clause.adverbials if not (entry.adverb and "well" in entry.adverb.groups)
            ]
        if depth > 1:
            self._add_relative(relative, depth - 1, tense)
        phrase.relative = relative

    def _ask(self, clause: Clause, role: Role, gap: Phrase) -> None:
        """Put a gap where the object was; what was denied of the object is denied no more."""
        if clause.objects[role].determiner == "negative":
            clause.negation = ""
        clause.objects[role] = gap

    def _question(self) -> Clause:
        draw, name = self.draw, "main"
        tense = draw.pick(_TENSES[:-1])
        asked = draw.pick(("", "", "", "", "who", "object", "object", "which", "where", "when", "why"))
        if asked == "who":
            gap = Phrase("main.subject", Gap("who"))
            return self.clauses.clause(name, self.personal, tense, kind="question", subject=gap)
        if asked in ("object", "which"):
            clause = self.clauses.clause(name, self.transitive, tense, kind="question", active=True, plain=True)
            role: Role = "accusative" if "accusative" in clause.objects else next(iter(clause.objects))
            phrase = clause.objects[role]
            if asked == "which" and isinstance(phrase.head, Noun):
                phrase.determiner, phrase.owner, phrase.number, phrase.comparative = "which", None, None, False
                if role == "accusative" and not (case_shows(clause, role) or cannot_act(clause.verb, phrase)):
                    phrase.determiner, clause.front = "this", ""
                    return clause
            else:
                human = phrase.human
                if role != "accusative" and not human:
                    clause.front = ""
                    return clause
                self._ask(clause, role, Phrase(phrase.id, Gap("who" if human else "what")))
            clause.front = role
            return clause
        clause = self.clauses.clause(
            name, {"where": self.placed, "when": self.action}.get(asked, self.simple), tense, kind="question",
            timed=asked != "when", plain=bool(asked),
        )  # fmt: skip
        clause.front = ""
        if asked:
            slot = {"where": "place", "when": "time", "why": "why"}[asked]
            clause.adverbials = [entry for entry in clause.adverbials if entry.slot not in (slot, "already")]
            clause.adverbials.append(Adverbial(f"main.{slot}", slot, question=asked))
            clause.front, clause.progressive = slot, progressive(clause)
        return clause

    def _request(self) -> Clause:
        subject = Phrase("main.subject", PRONOUNS["du"], plural=self.draw.chance(40))
        clause = self.clauses.clause(
            "main", self.willed, "present", kind="imperative", subject=subject, timed=False, plain=True
        )  # fmt: skip
        clause.front = ""
        return clause


def _again(subject: Phrase, name: str) -> Phrase | None:
    """The pronoun for a person who has been named, None where it is no person."""
    head = subject.head
    if isinstance(head, Pronoun):
        return Phrase(name, head, subject.plural)
    if isinstance(head, Gap) or not subject.human or subject.determiner in ("every", "no"):
        return None
    if head.gender == "n" and not subject.plural:  # das Kind: sein, es; English would have to know more
        return None
    pronoun = PRONOUNS["they" if subject.plural else "er" if head.gender == "m" else "she"]
    return Phrase(name, pronoun, pronoun.plural)
