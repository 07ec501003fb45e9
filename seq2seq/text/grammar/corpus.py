"""The corpus: frames become examples, and examples are dealt to the splits and the challenge sets."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from seq2seq.errors import InputError
from seq2seq.text.grammar import german, tags
from seq2seq.text.grammar.alignment import Link, Token, links, sentence
from seq2seq.text.grammar.draw import Draw
from seq2seq.text.grammar.draw_sentence import Sentences
from seq2seq.text.grammar.english import translations
from seq2seq.text.grammar.frame import Clause
from seq2seq.text.grammar.lexicon import Lexicon, read_lexicon

VERSION = "1"
LEXICON = Path(__file__).resolve().parents[3] / "data" / "lexicon"
LONGEST = 16  # words of a source sentence, challenge sets for longer ones excepted
DEEPEST = 2
FARTHEST = 8  # words between a separable verb and its particle


class Example(NamedTuple):
    """A pair of sentences. Links are between words, that is what spaces separate; `acceptable` holds other right translations."""

    source: str
    target: str
    links: tuple[Link, ...]
    tags: tuple[str, ...]
    acceptable: tuple[str, ...]


class Preset(NamedTuple):
    train: int
    held: int
    challenge: int
    known: int


PRESETS = {"tiny": Preset(2_000, 200, 40, 1), "small": Preset(20_000, 1_000, 300, 3), "full": Preset(100_000, 2_000, 300, 3)}


@dataclass(slots=True, eq=False)
class Grammar:
    """A generated corpus. `key` is the sha256 of what decides its content."""

    train: list[Example]
    validation: list[Example]
    test: list[Example]
    challenges: dict[str, list[Example]]
    key: str


class Drawn(NamedTuple):
    """A frame with its German side, and what of it may be held out."""

    frame: Clause
    parts: set[tuple[str, str, str]]
    source: str
    german: list[Token]

    @property
    def distance(self) -> int:
        """Words between the main clause's verb and its particle, 0 where they are not apart."""
        unit = ("main.particle",)
        after = [i for i, token in enumerate(self.german) if token.sure[:1] == unit]
        before = [i for i, token in enumerate(self.german) if token.possible == unit]
        return after[0] - before[0] - 1 if before and after else 0


def realise(frame: Clause) -> Drawn:
    return Drawn(frame, tags.parts(frame), *sentence(german.sentence_tokens(frame), _mark(frame)))


def translate(drawn: Drawn) -> Example:
    mark = _mark(drawn.frame)
    tokens, variants = translations(drawn.frame)
    target, english = sentence(tokens, mark)
    others = {sentence(variant, mark)[0] for variant in variants} - {target}
    return Example(
        drawn.source, target, links(drawn.german, english), tags.tags(drawn.frame), tuple(sorted(others))
    )


def _mark(frame: Clause) -> str:
    return {"question": "?", "imperative": "!"}.get(frame.kind, ".")


def held_out(lexicon: Lexicon, draw: Draw) -> set[tuple[str, str, str]]:
    """What training never sees: every eighth compound, verb with object, and name, by lot."""
    compounds = [("compound", modifier.german, noun.german) for noun in lexicon.nouns for modifier in draw.modifiers[noun]]
    pairs = [
        ("pair", verb.name, noun.german)
        for verb in lexicon.verbs if verb.pattern in ("transitive", "ditransitive", "put")
        for noun in draw.nouns(verb.object)
    ]  # fmt: skip
    names = [("name", name.text, "") for name in lexicon.names]
    return {part for part in (*compounds, *pairs, *names) if draw.chance(12)}


class _Dealer:
    """Draws sentences, knows what has been dealt, and tells in what a sentence goes beyond training."""

    def __init__(self, lexicon: Lexicon, seed: str, known: int) -> None:
        draw = Draw(lexicon, seed)
        self.sentences, self.held, self.known = Sentences(draw), held_out(lexicon, draw), known
        self.sources: set[str] = set()
        self.targets: set[str] = set()
        self.words: Counter[str] = Counter()

    def beyond(self, drawn: Drawn) -> set[str]:
        """The challenge sets whose defining property the sentence has; empty for what training may see."""
        found = {f"unseen-{part[0]}s" for part in drawn.parts & self.held}
        if len(drawn.german) > LONGEST:
            found.add("longer")
        if tags.depth(drawn.frame) > DEEPEST:
            found.add("deeper")
        if drawn.distance > FARTHEST:
            found.add("separable-9")
        return found

    def new(self, wish: str) -> Drawn:
        """A sentence that has not been dealt, drawn with a wish: a challenge set that ordinary sentences seldom fill."""
        while True:
            drawn = realise(self.sentences.sentence(nested=3 if wish == "deeper" else 0, far=wish == "separable-9"))
            if drawn.source not in self.sources:
                return drawn

    def training(self, size: int) -> list[Example]:
        examples = []
        while len(examples) < size:
            drawn = self.new("")
            if not self.beyond(drawn):
                examples.append(translate(drawn))
                self.sources.add(drawn.source)
                self.targets.add(examples[-1].target)
                self.words.update(_words(drawn))
        return examples

    def held_out(self, size: int, fits: Callable[[Drawn], bool], wish: str = "") -> list[Example]:
        """Sentences of which neither side has been dealt, and all words of which training knows (names and compounds apart)."""
        examples: list[Example] = []
        while len(examples) < size:
            drawn = self.new(wish)
            if fits(drawn) and all(self.words[word] >= self.known for word in _words(drawn)):
                example = translate(drawn)
                if example.target not in self.targets:
                    examples.append(example)
                    self.sources.add(example.source)
                    self.targets.add(example.target)
        return examples


def _words(drawn: Drawn) -> list[str]:
    """The German words of a sentence; a name or compound counts by its parts, which no inflection hides."""
    return [
        token.text.lower().rstrip(",") for token in drawn.german
        if not any(unit.endswith((".name", ".modifier")) for unit in token.sure)
    ] + ["/".join(part) for kind in drawn.parts for part in _known_parts(kind)]  # fmt: skip


def _known_parts(part: tuple[str, str, str]) -> list[tuple[str, str]]:
    kind, first, second = part
    return [("modifier", first), ("head", second)] if kind == "compound" else []


def generate(preset: str, *, seed: int, lexicon: Path = LEXICON) -> Grammar:
    """The corpus of that size. Raises `InputError` for an unknown preset or a bad lexicon."""
    if preset not in PRESETS:
        raise InputError(f"grammar: found preset '{preset}', expected one of: {', '.join(PRESETS)}")
    size, tables = PRESETS[preset], read_lexicon(lexicon)
    key = hashlib.sha256(f"{VERSION} {preset} {seed} {tables.digest}".encode()).hexdigest()
    dealer = _Dealer(tables, key, size.known)
    train = dealer.training(size.train)
    validation, test = (dealer.held_out(size.held, lambda drawn: not dealer.beyond(drawn)) for _ in range(2))
    challenges = {
        name: dealer.held_out(size.challenge, fits, name) for name, fits in _challenges(dealer).items()
    }
    return Grammar(train, validation, test, challenges, key)


def _challenges(dealer: _Dealer) -> dict[str, Callable[[Drawn], bool]]:
    """Each challenge set goes beyond training in one thing only; near separable verbs are no more than sorted out."""

    def only(name: str) -> Callable[[Drawn], bool]:
        return lambda drawn: dealer.beyond(drawn) == {name}

    def near(low: int, high: int) -> Callable[[Drawn], bool]:
        return lambda drawn: low <= drawn.distance <= high and not dealer.beyond(drawn)

    names = ("unseen-compounds", "unseen-pairs", "unseen-names", "separable-9", "deeper", "longer")
    return {"separable-2-4": near(2, 4), "separable-5-8": near(5, 8), **{name: only(name) for name in names}}
