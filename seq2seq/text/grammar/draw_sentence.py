"""Drawing whole sentences: statements, questions and requests."""

from seq2seq.text.grammar.clause_properties import cannot_be_agent, is_progressive, is_unambiguous_in_front
from seq2seq.text.grammar.draw import Draw
from seq2seq.text.grammar.draw_clause import Clauses
from seq2seq.text.grammar.draw_nested import NestedClauses, replace_by_gap
from seq2seq.text.grammar.entries import Noun
from seq2seq.text.grammar.frame import PRONOUNS, Adverbial, Clause, Gap, Phrase, Role, Tense
from seq2seq.text.grammar.verb_groups import VerbGroups

_QUESTION_TENSES: tuple[Tense, ...] = (
    *("present", "present", "present"), *("preterite", "preterite", "preterite"), *("perfect", "perfect", "perfect"),
    "future",
)  # fmt: skip
_TENSES: tuple[Tense, ...] = (*_QUESTION_TENSES, "would")
# What a question asks for; "" is a question that yes or no answers.
_QUESTIONS = ("", "", "", "", "who", "object", "object", "which", "where", "when", "why")


class Sentences:
    """Draws sentences from a lexicon."""

    def __init__(self, draw: Draw) -> None:
        self.draw, self.clauses, self.verbs = draw, Clauses(draw), VerbGroups(draw.lexicon)
        self.nested = NestedClauses(draw, self.clauses, self.verbs)

    def sentence(self, *, nested: int = 0, separable: str = "") -> Clause:
        """The main clause of a sentence.

        `nested` is the number of clauses inside one another; with 0, chance decides between none, one and two.
        `separable` "2-4", "5-8" or "9" asks for a separable verb; with "9" a relative clause stands between the verb
        and its particle, where one is possible.
        """
        draw = self.draw
        draw.used_entries = []
        if separable in ("2-4", "5-8", "9"):
            tense: Tense = draw.pick(("present", "preterite"))
            clause = self.clauses.clause("main", self.verbs.separable, tense, active=True)
            if separable == "9":
                self.nested.add_relative(clause, 1, clause.tense)
            self.clauses.choose_front(clause)
            return clause
        die = int(draw.random() * 100)
        if nested or die < 27:
            clause = self.nested.tree("main", nested or 1 + draw.chance(15), draw.pick(_TENSES))
        elif die < 41:
            return self._question()
        elif die < 45:
            return self._request()
        else:
            clause = self.clauses.clause("main", self.verbs.simple, draw.pick(_TENSES))
        if clause.front == "subject":
            self.clauses.choose_front(clause)
        return clause

    def _question(self) -> Clause:
        tense = self.draw.pick(_QUESTION_TENSES)
        question = self.draw.pick(_QUESTIONS)
        if question == "who":
            gap = Phrase("main.subject", Gap("who"))
            return self.clauses.clause("main", self.verbs.personal, tense, kind="question", subject=gap)
        if question in ("object", "which"):
            return self._object_question(tense, which=question == "which")
        verbs = {"where": self.verbs.with_place, "when": self.verbs.dynamic}.get(question, self.verbs.simple)
        clause = self.clauses.clause(
            "main", verbs, tense, kind="question", timed=question != "when", plain=bool(question)
        )
        clause.front = ""
        if question:
            slot = {"where": "place", "when": "time", "why": "why"}[question]
            clause.adverbials = [entry for entry in clause.adverbials if entry.slot not in (slot, "already")]
            clause.adverbials.append(Adverbial(f"main.{slot}", slot, question=question))
            clause.front, clause.progressive = slot, is_progressive(clause)
        return clause

    def _object_question(self, tense: Tense, *, which: bool) -> Clause:
        """A question for an object: wen, wem, was, or welchen Hund; a yes-no question where it would be ambiguous."""
        clause = self.clauses.clause("main", self.verbs.with_object, tense, kind="question", active=True, plain=True)
        role: Role = "accusative" if "accusative" in clause.objects else next(iter(clause.objects))
        phrase = clause.objects[role]
        if which and isinstance(phrase.head, Noun):
            phrase.determiner, phrase.owner, phrase.number, phrase.comparative = "which", None, None, False
            unambiguous = is_unambiguous_in_front(clause, role) or cannot_be_agent(clause.verb, phrase)
            if role == "accusative" and not unambiguous:
                phrase.determiner, clause.front = "this", ""
                return clause
        else:
            if role != "accusative" and not phrase.human:  # German has no dative of was
                clause.front = ""
                return clause
            replace_by_gap(clause, role, Phrase(phrase.id, Gap("who" if phrase.human else "what")))
        clause.front = role
        return clause

    def _request(self) -> Clause:
        subject = Phrase("main.subject", PRONOUNS["du"], plural=self.draw.chance(40))
        clause = self.clauses.clause(
            "main", self.verbs.volitional, "present", kind="imperative", subject=subject, timed=False, plain=True
        )
        clause.front = ""
        return clause
