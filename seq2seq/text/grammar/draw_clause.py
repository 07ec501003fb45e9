"""Drawing one clause: its verb and arguments, tense and time, polarity, order."""

from collections.abc import Sequence

from seq2seq.text.grammar import german_words
from seq2seq.text.grammar.clause_properties import (
    case_shows,
    has_tense,
    is_unknown,
    make_plain,
    may_be_willed,
    progressive,
)
from seq2seq.text.grammar.draw import SPEAKERS, Draw, possessives
from seq2seq.text.grammar.entries import Noun, Verb
from seq2seq.text.grammar.frame import Clause, Gap, Kind, Phrase, Predicate, Role, Tense

_ROLES: dict[str, tuple[Role, ...]] = {
    "transitive": ("accusative",),
    "dative": ("dative",),
    "swapped": ("dative",),
    "ditransitive": ("dative", "accusative"),
    "put": ("accusative",),
    "prepositional": ("prepositional",),
}
_PUT_AT = ("surface", "container", "furniture", "under")
_KNOWN = ("definite", "this", *german_words.POSSESSIVES)


class Clauses:
    """Draws clauses of one finite verb."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.of_people = [entry for entry in draw.lexicon.adjectives if "person" in entry.classes]

    def clause(
        self, name: str, verbs: Sequence[Verb], tense: Tense, *, kind: Kind = "statement", conjunction: str = "",
        subject: Phrase | None = None, active: bool = False, timed: bool = True, plain: bool = False,
    ) -> Clause:  # fmt: skip
        """A clause around one of the verbs; `timed` allows adverbs that say when, `plain` forbids modals and
        negation.
        """
        draw = self.draw
        verb = draw.fresh(verbs)
        while not has_tense(verb, tense) and any(has_tense(other, tense) for other in verbs):
            verb = draw.fresh(verbs)
        if not has_tense(verb, tense):
            tense = "preterite" if tense in ("perfect", "pluperfect") else "present"
        passive = verb.pattern == "transitive" and "no-passive" not in verb.flags and tense != "would"
        passive = (
            passive
            and not (tense == "present" and "stative" in verb.flags)
            and subject is None
            and not active
            and draw.chance(18)
        )
        if passive:
            subject = draw.phrase(f"{name}.subject", draw.nouns(verb.object), subject=True, possessives=SPEAKERS)
        elif subject is None:
            subject = draw.subject(f"{name}.subject", verb.subject)
            while verb.pattern == "copula" and isinstance(subject.head, Noun) and not draw.adjectives[subject.head]:
                subject = draw.subject(f"{name}.subject", verb.subject)
        clause = Clause(name, verb, subject, tense, kind=kind, conjunction=conjunction, passive=passive)
        clause.front = "subject" if kind in ("statement", "question") else ""
        if passive:
            make_plain(verb, subject)
        else:
            for role in _ROLES.get(verb.pattern, ()):
                clause.objects[role] = self._object(clause, role)
        if verb.pattern == "copula":
            clause.predicate = self._predicate(clause)
        if tense in ("present", "preterite") and not plain and conjunction != "if" and may_be_willed(clause):
            self._modal(clause)
        self._where(clause)
        if timed and "timeless" not in verb.flags:
            self._when(clause)
        if not plain and draw.chance(17):
            self._negate(clause)
        clause.progressive = progressive(clause)
        return clause

    def _object(self, clause: Clause, role: Role) -> Phrase:
        verb, name = clause.verb, f"{clause.id}.{role}"
        recipient = role == "dative" and verb.pattern == "ditransitive"
        case = verb.preposition.case if role == "prepositional" and verb.preposition else role
        # In "Sein Vater fehlt dem Jungen" German and English would look for the owner at different ends.
        owners = SPEAKERS if verb.pattern == "swapped" else possessives(clause.subject)
        phrase = self.draw.object(name, case, ("person",) if recipient else verb.object, clause.subject, owners)
        make_plain(verb, phrase)
        return phrase

    def _predicate(self, clause: Clause) -> Predicate:
        draw, subject = self.draw, clause.subject
        head = subject.head
        noun = head.antecedent.head if isinstance(head, Gap) and head.antecedent is not None else head
        adjective = draw.fresh(draw.adjectives[noun] if isinstance(noun, Noun) else self.of_people)
        named = head.antecedent if isinstance(head, Gap) and head.antecedent is not None else subject
        if adjective in named.adjectives:  # not: the lazy dog is lazy
            named.adjectives, named.comparative = (), False
        if draw.chance(60) and not isinstance(head, Gap) and subject.determiner in (*_KNOWN, "bare"):
            other = draw.nouns(noun.classes[:1] if isinstance(noun, Noun) else ("person",))
            fitting = [
                entry for entry in other if adjective in draw.adjectives[entry] and not entry.mass and entry is not noun
            ]
            if fitting:
                than = Phrase(f"{clause.id}.than", draw.fresh(fitting), determiner="definite")
                return Predicate(adjective, "comparative" if draw.chance(55) else "equal", than)
        return Predicate(adjective)

    def _modal(self, clause: Clause) -> None:
        draw = self.draw
        if draw.chance(24):
            modals = draw.lexicon.modals
            if clause.passive:
                modals = [modal for modal in modals if modal.infinitive in ("können", "müssen", "sollen")]
            modal = draw.pick(modals)
            if clause.tense == "present" or modal.preterite:
                clause.modal = modal

    def _where(self, clause: Clause) -> None:
        """Agent, manner, place and goal, as the verb takes them."""
        draw, verb, name = self.draw, clause.verb, clause.id
        if clause.passive and draw.chance(35):
            clause.adverbials.append(draw.agent(f"{name}.agent", verb.subject))
        manners = draw.manners[verb]
        if clause.modal is not None:  # nobody has to dance badly
            manners = [entry for entry in manners if "well" not in entry.groups]
        if manners and not clause.adverbials and clause.kind != "imperative" and draw.chance(22):
            clause.adverbials.append(draw.manner(f"{name}.manner", manners))
        if verb.pattern == "position":
            clause.adverbials.append(draw.spot(f"{name}.place", verb.object, goal=False))
        elif verb.pattern == "put":
            clause.adverbials.append(draw.spot(f"{name}.goal", _PUT_AT, goal=True))
        elif "place" in verb.flags and draw.chance(28):
            clause.adverbials.append(draw.place(f"{name}.place"))
        elif verb.pattern == "motion":
            clause.adverbials.append(draw.goal(f"{name}.goal"))

    def _when(self, clause: Clause) -> None:
        draw, name, tense = self.draw, f"{clause.id}.time", clause.tense
        die = int(draw.random() * 100)
        free = clause.modal is None and "stative" not in clause.verb.flags
        slots = {adverbial.slot for adverbial in clause.adverbials}
        repeats = free and "manner" not in slots and clause.verb.pattern != "position"
        add = clause.adverbials.append
        if tense == "future" or (clause.modal is not None and tense == "present"):
            if die < 35:
                add(draw.adverb(name, "time", "future"))
        elif tense in ("preterite", "perfect") and die < 36:
            add(draw.adverb(name, "time", "past"))
        elif (
            tense == "perfect" and die < 52 and not (clause.subject.determiner == "every" or draw.manners[clause.verb])
        ):
            add(draw.adverb(name, "already", "already"))
        elif tense == "present" and free and die < 22:
            add(draw.adverb(name, "time", "now"))
        elif tense == "present" and repeats and die < 34:
            add(draw.adverb(name, "time", "habit"))
        elif tense in ("present", "preterite") and repeats and die < 48:
            add(draw.adverb(name, "often", "often"))
        elif tense in ("present", "preterite") and repeats and die < 54 and not is_unknown(clause):
            add(draw.adverb(name, "never", "never"))
        if (
            draw.chance(10)
            and "stative" not in clause.verb.flags
            and clause.verb.pattern != "position"
            and tense in ("present", "preterite", "perfect", "future")
            and (
                all(
                    adverbial.slot not in ("already", "never", "often")
                    and (adverbial.slot != "time" or adverbial.adverb is None or "day" in adverbial.adverb.groups)
                    for adverbial in clause.adverbials
                )
            )
        ):
            add(draw.clock(f"{clause.id}.clock"))

    def _negate(self, clause: Clause) -> None:
        """kein for a new object, nicht where everything is known, neither where the scope would be unclear."""
        if any(
            adverbial.slot in ("often", "never", "already", "manner", "clock")
            or (adverbial.adverb and (adverbial.adverb.kind == "habit" or "soon" in adverbial.adverb.groups))
            for adverbial in clause.adverbials
        ):
            return
        phrases = list(clause.objects.values())
        new = [
            phrase
            for phrase in phrases
            if isinstance(phrase.head, Noun) and phrase.determiner not in _KNOWN and not phrase.owner
        ]
        if clause.subject.determiner == "indefinite" and not new and not clause.subject.plural:
            clause.subject.determiner = "no"
        if clause.subject.determiner in ("every", "all", "many", "some", "indefinite", "number", "no"):
            return
        if any(adverbial.phrase and adverbial.phrase.determiner == "indefinite" for adverbial in clause.adverbials):
            return
        if not new:
            clause.negation = "nicht"
        elif new == [clause.objects.get("accusative")] and new[0].determiner in ("indefinite", "bare"):
            clause.negation, new[0].determiner = "kein", "negative"

    def order(self, clause: Clause) -> None:
        """What German puts first: mostly the subject, else a time, a place, or an object whose case or agreement
        shows.
        """
        draw = self.draw
        slots = {adverbial.slot for adverbial in clause.adverbials}
        if clause.verb.pattern == "swapped":
            if case_shows(clause, "dative") and draw.chance(60):
                clause.front = "dative"
            return
        if draw.chance(45):
            objects: tuple[Role, ...] = ("accusative", "dative")
            choices: list[str] = [slot for slot in ("time", "clock", "place") if slot in slots]
            choices += [role for role in objects if role in clause.objects and case_shows(clause, role)]
            if choices:
                clause.front = draw.pick(choices)
