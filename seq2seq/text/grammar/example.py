"""From a frame to an example: German first, for it decides whether the sentence is wanted, then English and links."""

from typing import NamedTuple

from seq2seq.text.alignment import Link
from seq2seq.text.grammar import german, tags
from seq2seq.text.grammar.alignment import Token, links, sentence, spelled
from seq2seq.text.grammar.english import translations
from seq2seq.text.grammar.frame import Clause


class Example(NamedTuple):
    """A pair of sentences. Links are between words, that is what spaces separate; `acceptable` holds other right
    translations.
    """

    source: str
    target: str
    links: tuple[Link, ...]
    tags: tuple[str, ...]
    acceptable: tuple[str, ...]


class Drawn(NamedTuple):
    """A frame with its German side, and what of it may be held out of training."""

    frame: Clause
    clauses: tags.Clauses
    parts: set[tags.Part]
    source: str
    german: list[Token]

    @property
    def distance(self) -> int:
        """Words between the main clause's verb and its particle, 0 where they are not apart."""
        if not self.frame.verb.particle:
            return 0
        after = [i for i, token in enumerate(self.german) if token.sure[:1] == ("main.particle",)]
        before = [i for i, token in enumerate(self.german) if token.possible == ("main.particle",)]
        return after[0] - before[0] - 1 if before and after else 0

    @property
    def words(self) -> list[str]:
        """What training must have shown: the German words in lower case, compounds and objects by their halves.

        A name need not be known.
        """
        words = [
            text.lower().rstrip(",") for text, sure, _ in self.german if not sure[0].endswith((".name", ".modifier"))
        ]
        halves = [part for part in self.parts if part[0] != "name"]
        return words + [f"{kind} {half}" for kind, first, second in halves for half in (first + "-", "-" + second)]


def realise(frame: Clause) -> Drawn:
    clauses = tags.clauses(frame)
    return Drawn(frame, clauses, tags.parts(clauses), *sentence(german.clause_tokens(frame), _mark(frame)))


def translate(drawn: Drawn) -> Example:
    """The whole example."""
    tokens, variants = translations(drawn.frame)
    target, english = sentence(tokens, _mark(drawn.frame))
    others = {spelled(variant, _mark(drawn.frame)) for variant in variants} - {target}
    return Example(drawn.source, target, links(drawn.german, english), tags.tags(drawn.clauses), tuple(sorted(others)))


def _mark(frame: Clause) -> str:
    return {"question": "?", "imperative": "!"}.get(frame.kind, ".")
