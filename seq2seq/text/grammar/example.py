"""From a frame to an example: the German side first, since it decides whether the sentence is used."""

from typing import NamedTuple

from seq2seq.text.alignment import Link
from seq2seq.text.grammar import german, tags
from seq2seq.text.grammar.alignment import Token, links, sentence, spell
from seq2seq.text.grammar.english import translations
from seq2seq.text.grammar.frame import Clause


class Example(NamedTuple):
    """A pair of sentences with the links between their words. `acceptable` are other correct translations.

    Words are separated by spaces; punctuation belongs to the word before it.
    """

    source: str
    target: str
    links: tuple[Link, ...]
    tags: tuple[str, ...]
    acceptable: tuple[str, ...]


class Drawn(NamedTuple):
    """A frame with its German side. `parts` are the parts that may be held out of training."""

    frame: Clause
    clauses: tags.Clauses
    parts: set[tags.Part]
    source: str
    german: list[Token]

    @property
    def distance(self) -> int:
        """The number of words between the main clause's verb and its particle; 0 where they are not separated."""
        if not self.frame.verb.particle:
            return 0
        after = [i for i, token in enumerate(self.german) if token.sure[:1] == ("main.particle",)]
        before = [i for i, token in enumerate(self.german) if token.possible == ("main.particle",)]
        return after[0] - before[0] - 1 if before and after else 0

    @property
    def words(self) -> list[str]:
        """What training must contain before the sentence may be held out.

        The German words in lower case, except names and compounds; of compounds and verb-object pairs each half.
        """
        words = [
            text.lower().rstrip(",") for text, sure, _ in self.german if not sure[0].endswith((".name", ".modifier"))
        ]
        halves = [part for part in self.parts if part[0] != "name"]
        return words + [f"{kind} {half}" for kind, first, second in halves for half in (first + "-", "-" + second)]


def realise(frame: Clause) -> Drawn:
    """The frame with its German sentence."""
    clauses = tags.clauses(frame)
    return Drawn(frame, clauses, tags.parts(clauses), *sentence(german.clause_tokens(frame), _mark(frame)))


def translate(drawn: Drawn) -> Example:
    """The example: the English side, other correct translations, links and tags."""
    tokens, variants = translations(drawn.frame)
    target, english = sentence(tokens, _mark(drawn.frame))
    acceptable = sorted({spell(variant, _mark(drawn.frame)) for variant in variants} - {target})
    return Example(drawn.source, target, links(drawn.german, english), tags.tags(drawn.clauses), tuple(acceptable))


def _mark(frame: Clause) -> str:
    return {"question": "?", "imperative": "!"}.get(frame.kind, ".")
