"""Drawing one clause: its verb and arguments, tense and time, negation, word order."""

from collections.abc import Sequence

from seq2seq.text.grammar import german_words
from seq2seq.text.grammar.clause_properties import (
    allows_modal,
    has_new_information,
    has_tense,
    is_progressive,
    is_unambiguous_in_front,
    remove_adjectives,
)
from seq2seq.text.grammar.draw import SPEAKER_POSSESSIVES, Draw, possible_possessives
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
_PUT_GOALS = ("surface", "container", "furniture", "under")  # classes of the noun that something is put on, in, under
_KNOWN = ("definite", "this", *german_words.POSSESSIVES)  # determiners of what the listener can identify


class Clauses:
    """Draws clauses with one finite verb."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.person_adjectives = [entry for entry in draw.lexicon.adjectives if "person" in entry.classes]

    def clause(
        self, name: str, verbs: Sequence[Verb], tense: Tense, *, kind: Kind = "statement", conjunction: str = "",
        subject: Phrase | None = None, active: bool = False, timed: bool = True, plain: bool = False,
    ) -> Clause:  # fmt: skip
        """A clause with one of the verbs.

        `tense` is replaced where none of the verbs has it. `active` forbids the passive, `timed` allows adverbs of
        time, `plain` forbids modals and negation.
        """
        draw = self.draw
        verb = draw.pick_unused(verbs)
        while not has_tense(verb, tense) and any(has_tense(other, tense) for other in verbs):
            verb = draw.pick_unused(verbs)
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
            subject = draw.phrase(
                f"{name}.subject", draw.nouns(verb.object), subject=True, possessives=SPEAKER_POSSESSIVES
            )
        elif subject is None:
            subject = draw.subject(f"{name}.subject", verb.subject)
            while verb.pattern == "copula" and isinstance(subject.head, Noun) and not draw.adjectives[subject.head]:
                subject = draw.subject(f"{name}.subject", verb.subject)
        clause = Clause(name, verb, subject, tense, kind=kind, conjunction=conjunction, passive=passive)
        clause.front = "subject" if kind in ("statement", "question") else ""
        if passive:
            remove_adjectives(verb, subject)
        else:
            for role in _ROLES.get(verb.pattern, ()):
                clause.objects[role] = self._object(clause, role)
        if verb.pattern == "copula":
            clause.predicate = self._predicate(clause)
        if tense in ("present", "preterite") and not plain and conjunction != "if" and allows_modal(clause):
            self._add_modal(clause)
        self._add_agent_manner_place(clause)
        if timed and "timeless" not in verb.flags:
            self._add_time(clause)
        if not plain and draw.chance(17):
            self._negate(clause)
        clause.progressive = is_progressive(clause)
        return clause

    def _object(self, clause: Clause, role: Role) -> Phrase:
        verb, name = clause.verb, f"{clause.id}.{role}"
        recipient = role == "dative" and verb.pattern == "ditransitive"
        case = verb.preposition.case if role == "prepositional" and verb.preposition else role
        # "Sein Vater fehlt dem Jungen": his father is the subject in German, but the object in English, so the
        # possessive would have its antecedent on different sides.
        possessives = SPEAKER_POSSESSIVES if verb.pattern == "swapped" else possible_possessives(clause.subject)
        phrase = self.draw.object(name, case, ("person",) if recipient else verb.object, clause.subject, possessives)
        remove_adjectives(verb, phrase)
        return phrase

    def _predicate(self, clause: Clause) -> Predicate:
        """An adjective for the subject, by chance compared with another noun of the same class."""
        draw, subject = self.draw, clause.subject
        head = subject.head
        noun = head.antecedent.head if isinstance(head, Gap) and head.antecedent is not None else head
        adjective = draw.pick_unused(draw.adjectives[noun] if isinstance(noun, Noun) else self.person_adjectives)
        referent = head.antecedent if isinstance(head, Gap) and head.antecedent is not None else subject
        if adjective in referent.adjectives:  # not: the lazy dog is lazy
            referent.adjectives, referent.comparative = (), False
        if draw.chance(60) and not isinstance(head, Gap) and subject.determiner in (*_KNOWN, "bare"):
            nouns = draw.nouns(noun.classes[:1] if isinstance(noun, Noun) else ("person",))
            nouns = [
                entry for entry in nouns if adjective in draw.adjectives[entry] and not entry.mass and entry is not noun
            ]
            if nouns:
                than = Phrase(f"{clause.id}.than", draw.pick_unused(nouns), determiner="definite")
                return Predicate(adjective, "comparative" if draw.chance(55) else "equal", than)
        return Predicate(adjective)

    def _add_modal(self, clause: Clause) -> None:
        """Add a modal verb with a probability of 24 %, if the modal that is drawn has the clause's tense."""
        draw = self.draw
        if draw.chance(24):
            modals = draw.lexicon.modals
            if clause.passive:
                modals = [modal for modal in modals if modal.infinitive in ("können", "müssen", "sollen")]
            modal = draw.pick(modals)
            if clause.tense == "present" or modal.preterite:
                clause.modal = modal

    def _add_agent_manner_place(self, clause: Clause) -> None:
        """Add the adverbials of agent, manner, place and goal that the verb takes."""
        draw, verb, name = self.draw, clause.verb, clause.id
        if clause.passive and draw.chance(35):
            clause.adverbials.append(draw.agent(f"{name}.agent", verb.subject))
        manners = draw.manners[verb]
        if clause.modal is not None:  # not: she must dance badly
            manners = [entry for entry in manners if "well" not in entry.groups]
        if manners and not clause.adverbials and clause.kind != "imperative" and draw.chance(22):
            clause.adverbials.append(draw.manner(f"{name}.manner", manners))
        if verb.pattern == "position":
            clause.adverbials.append(draw.spot_adverbial(f"{name}.place", verb.object, goal=False))
        elif verb.pattern == "put":
            clause.adverbials.append(draw.spot_adverbial(f"{name}.goal", _PUT_GOALS, goal=True))
        elif "place" in verb.flags and draw.chance(28):
            clause.adverbials.append(draw.place_adverbial(f"{name}.place"))
        elif verb.pattern == "motion":
            clause.adverbials.append(draw.goal_adverbial(f"{name}.goal"))

    def _add_time(self, clause: Clause) -> None:
        """Add at most one adverb of time or frequency that fits the tense, and by chance a clock time."""
        draw, name, tense = self.draw, f"{clause.id}.time", clause.tense
        die = int(draw.random() * 100)
        dynamic = clause.modal is None and "stative" not in clause.verb.flags
        slots = {adverbial.slot for adverbial in clause.adverbials}
        repeatable = dynamic and "manner" not in slots and clause.verb.pattern != "position"
        add = clause.adverbials.append
        if tense == "future" or (clause.modal is not None and tense == "present"):
            if die < 35:
                add(draw.fixed_adverb(name, "time", "future"))
        elif tense in ("preterite", "perfect") and die < 36:
            add(draw.fixed_adverb(name, "time", "past"))
        elif (
            tense == "perfect" and die < 52 and not (clause.subject.determiner == "every" or draw.manners[clause.verb])
        ):
            add(draw.fixed_adverb(name, "already", "already"))
        elif tense == "present" and dynamic and die < 22:
            add(draw.fixed_adverb(name, "time", "now"))
        elif tense == "present" and repeatable and die < 34:
            add(draw.fixed_adverb(name, "time", "habit"))
        elif tense in ("present", "preterite") and repeatable and die < 48:
            add(draw.fixed_adverb(name, "often", "often"))
        elif tense in ("present", "preterite") and repeatable and die < 54 and not has_new_information(clause):
            add(draw.fixed_adverb(name, "never", "never"))
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
        """Negate the clause: kein with an indefinite object, nicht where every object is definite.

        The clause stays as it is where the scope of the negation would be unclear, as with "often" or "every".
        """
        if any(
            adverbial.slot in ("often", "never", "already", "manner", "clock")
            or (adverbial.adverb and (adverbial.adverb.kind == "habit" or "soon" in adverbial.adverb.groups))
            for adverbial in clause.adverbials
        ):
            return
        indefinite = [
            phrase
            for phrase in clause.objects.values()
            if isinstance(phrase.head, Noun) and phrase.determiner not in _KNOWN and not phrase.owner
        ]
        if clause.subject.determiner == "indefinite" and not indefinite and not clause.subject.plural:
            clause.subject.determiner = "no"
        if clause.subject.determiner in ("every", "all", "many", "some", "indefinite", "number", "no"):
            return
        if any(adverbial.phrase and adverbial.phrase.determiner == "indefinite" for adverbial in clause.adverbials):
            return
        if not indefinite:
            clause.negation = "nicht"
        elif indefinite == [clause.objects.get("accusative")] and indefinite[0].determiner in ("indefinite", "bare"):
            clause.negation, indefinite[0].determiner = "kein", "negative"

    def choose_front(self, clause: Clause) -> None:
        """Choose what German puts first: the subject, by chance a time, a place, or an unambiguous object."""
        draw = self.draw
        slots = {adverbial.slot for adverbial in clause.adverbials}
        if clause.verb.pattern == "swapped":
            if is_unambiguous_in_front(clause, "dative") and draw.chance(60):
                clause.front = "dative"
            return
        if draw.chance(45):
            objects: tuple[Role, ...] = ("accusative", "dative")
            choices: list[str] = [slot for slot in ("time", "clock", "place") if slot in slots]
            choices += [role for role in objects if role in clause.objects and is_unambiguous_in_front(clause, role)]
            if choices:
                clause.front = draw.pick(choices)
