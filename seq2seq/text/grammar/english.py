"""English: a frame becomes tokens with the ids of its units, in one or several correct variants."""

from itertools import combinations

from seq2seq.text.grammar import english_words as words
from seq2seq.text.grammar.alignment import COMMA, Token
from seq2seq.text.grammar.english_verbs import verb_group
from seq2seq.text.grammar.entries import Name, Noun
from seq2seq.text.grammar.frame import Adverbial, Clause, Clock, Gap, Phrase, Pronoun, Role

_DETERMINERS = {
    "definite": ("the", "the"), "this": ("this", "these"), "every": ("every", ""), "which": ("which", "which"),
    "all": ("", "all the"), "indefinite": ("a", ""), "negative": ("a", "any"), "no": ("no", "no"), "many": ("", "many"),
    "some": ("", "some"),
}  # fmt: skip
_MIDDLE = ("often", "never", "already")  # slots before the main verb
_SLOT_ORDER = (*_MIDDLE, "goal", "agent", "manner", "place", "clock", "time", "why")


class English:
    """Realises one frame in one style.

    A style is a set of options that differ from the default: `relative` (that for who, which for that), `time` (the
    adverb of time at the other end of the sentence), `particle` (after the object), `recipient` (to the woman, after
    the object), `that` (left out). `options` collects those that the frame offers.
    """

    def __init__(self, style: frozenset[str] = frozenset()) -> None:
        self.style = style
        self.options: set[str] = set()

    def _has_option(self, option: str) -> bool:
        """Whether the style has the option, which the frame offers here."""
        self.options.add(option)
        return option in self.style

    def phrase(self, phrase: Phrase, *, subject: bool = False) -> list[Token]:
        """A noun phrase, name or pronoun; with `subject` a pronoun has its subject form."""
        head, name = phrase.head, phrase.id
        if isinstance(head, Pronoun):
            return [Token(head.english[not subject], (name + ".pronoun",))]
        if isinstance(head, Name):
            return [Token(head.text, (name + ".name",))]
        if isinstance(head, Gap):
            return [Token(self._gap(head), (name + "." + head.word,))]
        tokens: list[Token] = []
        if phrase.number is not None:
            tokens.append(Token(phrase.number[1], (name + ".number",)))
        for k, adjective in enumerate(phrase.adjectives):
            texts = words.comparative(adjective) if phrase.comparative else (adjective.english,)
            tokens += [Token(text, (f"{name}.adjective{k}",)) for text in texts]
        if phrase.modifier is not None:
            tokens.append(Token(phrase.modifier.english, (name + ".modifier",)))
        unit = (name + ".noun",)
        tokens += [Token(text, unit) for text in words.noun_form(head, phrase.plural).split(" ")]
        tokens = [*self._determiner(phrase, head, tokens[0].text), *tokens]
        if phrase.owner is not None and not phrase.owner.human:
            tokens += [Token("of", (phrase.owner.id + ".determiner",)), *self.phrase(phrase.owner)]
        if phrase.relative is not None:
            tokens += self.clause(phrase.relative)
        return tokens

    def _gap(self, gap: Gap) -> str:
        if gap.word != "relative":
            return gap.word
        assert gap.antecedent is not None
        if gap.antecedent.human:
            return "that" if self._has_option("relative") else "who"
        return "which" if self._has_option("relative") else "that"

    def _determiner(self, phrase: Phrase, noun: Noun, following: str) -> list[Token]:
        name, unit = phrase.determiner, (phrase.id + ".determiner",)
        owner = phrase.owner
        if owner is not None and owner.human:
            *start, last = self.phrase(owner)
            ending = "'" if last.text.endswith("s") else "'s"
            return [*start, Token(last.text + ending, last.sure, unit)]
        if name in ("bare", "number"):
            return []
        if name not in _DETERMINERS:
            return [Token(name, unit)]
        text = _DETERMINERS[name][phrase.plural]
        if name == "negative" and noun.mass:
            text = "any"
        if text == "a":
            text = words.article(following)
        return [Token(part, unit) for part in text.split(" ")]

    def _adverbial(self, adverbial: Adverbial) -> list[Token]:
        name = adverbial.id
        if adverbial.question:
            return [Token(adverbial.question, (name + ".question",))]
        if adverbial.adverb is not None:
            entry = adverbial.adverb
            return [
                Token(text, tuple([f"{name}.{k}" for k, link in enumerate(entry.links) if link[1] == j]))
                for j, text in enumerate(entry.english)
            ]
        if adverbial.clock is not None:
            return _clock(adverbial.clock, name)
        assert adverbial.preposition is not None
        assert adverbial.phrase is not None
        preposition = [Token(text, (name + ".preposition",)) for text in adverbial.preposition.english]
        return [*preposition, *self.phrase(adverbial.phrase)]

    def clause(self, clause: Clause) -> list[Token]:
        """The whole clause with the clauses inside it.

        Of a `swapped` verb (gefallen: like) the dative object is the English subject and the subject the object.
        """
        swapped = clause.verb.pattern == "swapped"
        objects = {role: phrase for role, phrase in clause.objects.items() if not (swapped and role == "dative")}
        subject = clause.objects["dative"] if swapped else clause.subject
        if swapped:
            objects["accusative"] = clause.subject
        fronted = _fronted_part(clause, subject, objects)
        inverted = clause.kind == "question" and fronted != "subject"
        operator, verbs = verb_group(clause, subject, inverted=inverted)
        heavy = any(phrase.relative is not None for phrase in objects.values())
        early = heavy or any(each.slot == "goal" for each in clause.adverbials)
        before, after = self._adverbials(clause, heavy=heavy, early=early)
        start = [*self._opening(clause), *before]
        start += [token for role, phrase in objects.items() if role == fronted for token in self.phrase(phrase)]
        middle = [token for each in clause.adverbials if each.slot in _MIDDLE for token in self._adverbial(each)]
        if early:
            main = next(k for k, token in enumerate(verbs) if token.sure[:1] == (f"{clause.id}.verb",))
            verbs[main:main] = [
                token for each in clause.adverbials if each.slot == "manner" for token in self._adverbial(each)
            ]
        rest = [*middle, *verbs, *self._objects(clause, objects, fronted)]
        if clause.predicate is not None:
            rest += self._predicate(clause)
        rest += after
        if clause.complement is not None:
            rest += self.clause(clause.complement)
        if clause.adjunct is not None and clause.front != "adjunct":
            rest += self.clause(clause.adjunct)
        if clause.kind in ("imperative", "infinitive"):
            return [*start, *operator, *rest]
        subject_tokens = self.phrase(subject, subject=True)
        if inverted:
            negation = [token for token in operator if token.text == "not"]
            return [*start, *[token for token in operator if token.text != "not"], *subject_tokens, *negation, *rest]
        return [*start, *subject_tokens, *operator, *rest]

    def _opening(self, clause: Clause) -> list[Token]:
        if clause.kind == "imperative":
            return [Token("please", (f"{clause.id}.please",))]
        if clause.front == "adjunct":
            assert clause.adjunct is not None
            return [*self.clause(clause.adjunct), COMMA]
        if clause.conjunction in ("", "to") or (clause.conjunction == "that" and self._has_option("that")):
            return []
        return [Token(clause.conjunction, (f"{clause.id}.conjunction",))]

    def _adverbials(self, clause: Clause, *, heavy: bool, early: bool) -> tuple[list[Token], list[Token]]:
        """The adverbials before the subject and those at the end of the clause.

        After a `heavy` object, one with a relative clause, an adverb would seem to belong to that clause, so a time
        comes first. `early` adverbs of manner precede the verb (carefully put it on the table) and are left out here.
        English begins with the subject of a verb of position. The option `time` moves the time to the other end.
        """
        before: list[Token] = []
        after: list[Token] = []
        for adverbial in sorted(clause.adverbials, key=lambda adverbial: _SLOT_ORDER.index(adverbial.slot)):
            if adverbial.slot in _MIDDLE or (early and adverbial.slot == "manner"):
                continue
            if heavy and adverbial.slot in ("time", "clock"):
                before += self._adverbial(adverbial)
                continue
            first = clause.front == adverbial.slot and adverbial.slot not in ("manner", "goal")
            if adverbial.slot == "place" and clause.verb.pattern == "position" and not adverbial.question:
                first = False
            movable = clause.kind == "statement" and (first or adverbial.slot == "time")
            if movable and clause.adjunct is None and clause.complement is None and self._has_option("time"):
                first = not first
            (before if first else after).extend(self._adverbial(adverbial))
        return before, after

    def _objects(self, clause: Clause, objects: dict[Role, Phrase], fronted: str) -> list[Token]:
        """The objects after the verb, without the `fronted` one, and the particle, before or after the object."""
        verb, unit = clause.verb, clause.id
        tokens = {role: self.phrase(phrase) for role, phrase in objects.items() if role != fronted}
        direct, recipient = tokens.get("accusative", []), tokens.get("dative", [])
        if verb.pattern == "ditransitive" and not clause.passive and "dative" in tokens:
            light = isinstance(objects["accusative"].head, Pronoun) if "accusative" in objects else False
            heavy = objects["dative"].relative is not None or fronted == "accusative"
            if light or heavy or self._has_option("recipient"):
                recipient, direct = direct, [Token("to", (), (f"{objects['dative'].id}.determiner",)), *recipient]
        if verb.english_particle:
            particle = Token(verb.english_particle, (f"{unit}.particle",), (f"{unit}.verb",))
            pronoun = "accusative" in objects and isinstance(objects["accusative"].head, Pronoun)
            heavy = "accusative" in objects and objects["accusative"].relative is not None
            late = bool(direct) and (pronoun or (not heavy and self._has_option("particle")))
            direct = [*direct, particle] if late else [particle, *direct]
        result = [*recipient, *direct]
        if "prepositional" in objects:
            assert verb.preposition is not None
            result += [Token(text, (f"{unit}.preposition",)) for text in verb.preposition.english]
            result += tokens.get("prepositional", [])
        return result

    def _predicate(self, clause: Clause) -> list[Token]:
        predicate, name = clause.predicate, clause.id
        assert predicate is not None
        unit = (f"{name}.adjective",)
        adjective = predicate.adjective
        if predicate.degree == "positive":
            return [Token(adjective.english, unit)]
        assert predicate.than is not None
        than = self.phrase(predicate.than, subject=True)
        if isinstance(predicate.than.head, Pronoun):
            than = self.phrase(predicate.than)
        if predicate.degree == "comparative":
            texts = words.comparative(adjective)
            return [*[Token(text, unit) for text in texts], Token("than", (f"{name}.than",)), *than]
        return [
            Token("as", (f"{name}.so",)), Token(adjective.english, unit), Token("as", (f"{name}.than",)), *than
        ]  # fmt: skip


def _fronted_part(clause: Clause, subject: Phrase, objects: dict[Role, Phrase]) -> str:
    """The part that holds the question word or relative pronoun: "adverbial", "subject", a role, or "" for none."""
    if any(adverbial.question for adverbial in clause.adverbials):
        return "adverbial"
    if _is_fronted(subject):
        return "subject"
    return next((role for role, phrase in objects.items() if _is_fronted(phrase)), "")


def _is_fronted(phrase: Phrase) -> bool:
    return isinstance(phrase.head, Gap) or phrase.determiner == "which"


def _clock(clock: Clock, name: str) -> list[Token]:
    at, hour, relation = Token("at", (name + ".at",)), Token(clock.hour[1], (name + ".hour",)), (name + ".relation",)
    if clock.relation == "o'clock":
        return [at, hour, Token("o'clock", relation)]
    if clock.relation == "half":
        return [at, Token("half", relation), Token("past", relation), hour]
    return [at, Token(clock.minutes[1], (name + ".minutes",)), Token(clock.relation, relation), hour]


def translations(clause: Clause) -> tuple[list[Token], list[list[Token]]]:
    """The English sentence of a frame in the default style, and in every other style that the frame offers."""
    english = English()
    tokens = english.clause(clause)
    options = sorted(english.options)
    styles = [frozenset(style) for size in range(1, len(options) + 1) for style in combinations(options, size)]
    return tokens, [English(style).clause(clause) for style in styles]
