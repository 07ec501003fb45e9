"""Invented names, so that training shows more names than a model can learn by heart: it has to copy them."""

import random
from typing import TypeVar

from seq2seq.text.grammar.entries import Name
from seq2seq.text.grammar.example import Drawn, realise

Item = TypeVar("Item")
ONSETS = [*"bdfghjklmnprstvwz" * 3, *["br", "dr", "fr", "gr", "kl", "kr", "pf", "sch", "st", "tr", "th", "ph", "ch"]]
VOWELS = [*"aeiou" * 3, *["ie", "au", "ei", "eu", "ai", "ä", "ö", "ü", "y"]]
CODAS = [*[""] * 12, *["n", "r", "l", "m", "t", "k", "n", "r", "l", "nd", "rt", "ck", "nn", "ll", "ng"]]
WITHOUT_GENITIVE_S = tuple("sxzßc")
LENGTHS = range(3, 11)


class InventedNames:
    """Gives names of sentences other names, of one to three random syllables, which are in no lexicon."""

    def __init__(self, lexicon: list[Name], share: float, seed: str) -> None:
        """`share` is the probability that a name is replaced."""
        self.known, self.share = {name.text for name in lexicon}, share
        self.random = random.Random(seed).random

    def rename(self, drawn: Drawn) -> Drawn:
        """The sentence with other names. The gender of a name stays, so all pronouns are right."""
        renamed = False
        for _, phrases in drawn.clauses:
            for phrase in phrases:
                if isinstance(phrase.head, Name) and self.random() < self.share:
                    phrase.head, renamed = Name(self._invent(), phrase.head.gender), True
        return realise(drawn.frame) if renamed else drawn

    def _invent(self) -> str:
        while True:
            syllables = self._pick([1, 2, 2, 2, 3])
            parts = [self._pick(kind) for _ in range(syllables) for kind in (ONSETS, VOWELS, CODAS)]
            name = "".join(parts).capitalize()
            if len(name) in LENGTHS and name not in self.known and not name.endswith(WITHOUT_GENITIVE_S):
                return name

    def _pick(self, items: list[Item]) -> Item:
        return items[int(self.random() * len(items))]
