"""From a frame to an example: German first, for it decides whether the sentence is wanted, then English and links."""

from typing import NamedTuple

from seq2seq.text.grammar import german, tags
from seq2seq.text.grammar.alignment import Link, Token, links, sentence
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
    parts: set[tags.Part]
    source: str
    german: list[Token]

    @property
    def distance(self) -> int:
        """Words between the main clause's verb and its particle, 0 where they are not apart."""
        after = [i for i, token in enumerate(self.german) if token.sure[:1] == ("main.particle",)]
        before = [i for i, token in enumerate(self.german) if token.possible == ("main.particle",)]
        return after[0] - before[0] - 1 if before and after else 0

    @property
    def words(self) -> list[str]:
        """What training must have shown: the German words in lower case, compounds and objects by their halves.

        A name need not be known.
        """
        words = [
            token.text.lower() for token in self.german
            if not any([unit.endswith((".name", ".modifier")) for unit in token.sure])
        ]  # fmt: skip
        halves = [part for part in self.parts if part[0] != "name"]
        return words + [f"{kind} {half}" for kind, first, second in halves for half in (first + "-", "-" + second)]


def realise(frame: Clause) -> Drawn:
    return Drawn(frame, tags.parts(frame), *sentence(german.clause_tokens(frame), _mark(frame)))


def translate(drawn: Drawn) -> Example:
    """The whole example."""
    tokens, variants = translations(drawn.frame)
    target, english = sentence(tokens, _mark(drawn.frame))
    others = {sentence(variant, _mark(drawn.frame))[0] for variant in variants} - {target}
    return Example(drawn.source, target, links(drawn.german, english), tags.tags(drawn.frame), tuple(sorted(others)))


def _mark(frame: Clause) -> str:
    return {"question": "?", "imperative": "!"}.get(frame.kind, ".")
