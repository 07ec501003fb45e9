"""The corpus: drawn sentences are dealt to the splits and to the challenge sets."""

import gc
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from seq2seq.runtime.errors import InputError
from seq2seq.text.grammar import tags
from seq2seq.text.grammar.core import core
from seq2seq.text.grammar.draw import Draw
from seq2seq.text.grammar.draw_sentence import Sentences
from seq2seq.text.grammar.entries import Lexicon
from seq2seq.text.grammar.example import Drawn, Example, realise, translate
from seq2seq.text.grammar.lexicon import read_lexicon

VERSION = "2"  # part of the key: raise it when the same lexicon gives other sentences
LEXICON = Path(__file__).resolve().parents[3] / "data" / "lexicon"
LONGEST, DEEPEST, FARTHEST = 16, 2, 8  # of training: source words, nested clauses, words between verb and particle
HELD_OUT, HELD_OUT_NAMES = 10, 5  # one in so many compounds and verbs with their object, and names, is not in training


class Preset(NamedTuple):
    """How many examples, how often training must have shown each word of a held-out one, how much of the lexicon."""

    train: int
    held: int
    challenge: int
    known: int
    percent: int


PRESETS = {
    "tiny": Preset(2_000, 200, 25, 1, 30),
    "small": Preset(20_000, 1_000, 300, 3, 45),
    "full": Preset(100_000, 2_000, 300, 3, 100),
}


@dataclass(slots=True, eq=False)
class Grammar:
    """A generated corpus. `key` is the sha256 of what decides its content."""

    train: list[Example]
    validation: list[Example]
    test: list[Example]
    challenges: dict[str, list[Example]]
    key: str


@contextmanager
def all_kept() -> Iterator[None]:
    """No search for garbage while millions of objects are made: there is none, and it takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@all_kept()
def generate(preset: str, *, seed: int, lexicon: Path = LEXICON) -> Grammar:
    """The corpus of that size. Raises `InputError` for an unknown preset or a bad lexicon."""
    dealer, size = _dealer(preset, seed, lexicon)
    train = [example for _, example in dealer.training(size.train)]
    validation, test = dealer.held_out(size.held, ""), dealer.held_out(size.held, "")
    return Grammar(
        train, validation, test, {name: dealer.held_out(size.challenge, name) for name in CHALLENGES}, dealer.key
    )


def training_frame(number: int, preset: str, *, seed: int, lexicon: Path = LEXICON) -> Drawn:
    """How the training example of that number (from 0) was drawn."""
    dealer, size = _dealer(preset, seed, lexicon)
    if not 0 <= number < size.train:
        raise InputError(f"grammar: found example {number}, expected 0 to {size.train - 1} for preset '{preset}'")
    return list(dealer.training(number + 1))[-1][0]


def _dealer(preset: str, seed: int, lexicon: Path) -> tuple["_Dealer", Preset]:
    if preset not in PRESETS:
        raise InputError(f"grammar: found preset '{preset}', expected one of: {', '.join(PRESETS)}")
    tables, size = read_lexicon(lexicon), PRESETS[preset]
    key = hashlib.sha256(f"{VERSION} {preset} {seed} {tables.digest}".encode()).hexdigest()
    return _Dealer(core(tables, size.percent), key, size.known), size


def _beyond(name: str) -> Callable[[Drawn, set[str]], bool]:
    return lambda _, beyond: beyond == {name}


def _apart(low: int, high: int) -> Callable[[Drawn, set[str]], bool]:
    return lambda drawn, beyond: low <= drawn.distance <= high and not beyond


_HELD = ("compounds", "pairs", "names")
# A challenge goes beyond training in one thing only; the near separable verbs are no more than sorted out.
CHALLENGES: dict[str, Callable[[Drawn, set[str]], bool]] = {
    "separable-2-4": _apart(2, 4),
    "separable-5-8": _apart(5, 8),
    **{name: _beyond(name) for name in ("separable-9", *_HELD, "deeper", "longer")},
}


class _Dealer:
    """Draws sentences, knows what has been dealt, and tells in what a sentence goes beyond training."""

    def __init__(self, lexicon: Lexicon, key: str, known: int) -> None:
        draw = Draw(lexicon, key)
        self.sentences, self.held, self.known, self.key = Sentences(draw), held_parts(lexicon, draw), known, key
        self.sources: set[str] = set()
        self.targets: set[str] = set()
        self.words: Counter[str] = Counter()
        self.left: dict[str, list[Drawn]] = {}  # drawn for training, but in that one thing beyond it

    def training(self, size: int) -> Iterator[tuple[Drawn, Example]]:
        while len(self.sources) < size:
            drawn = realise(self.sentences.sentence())
            if drawn.source in self.sources:
                continue
            beyond = self._beyond(drawn)
            if not beyond:
                self.words.update(drawn.words)
                yield drawn, self._deal(translate(drawn))
            elif len(beyond) == 1:
                left = self.left.setdefault(beyond.pop(), [])
                if len(left) < 1_000:  # more than a challenge set takes
                    left.append(drawn)

    def held_out(self, size: int, name: str) -> list[Example]:
        """Sentences of which training knows all words, and neither side.

        `name` is a challenge set; "" asks for what training might see.
        """
        examples: list[Example] = []
        for drawn, beyond in self._candidates(name):
            fits = CHALLENGES[name](drawn, beyond) if name else not beyond
            if not fits or drawn.source in self.sources or any(self.words[word] < self.known for word in drawn.words):
                continue
            example = translate(drawn)
            if example.target not in self.targets:
                examples.append(self._deal(example))
                if len(examples) == size:
                    break
        return examples

    def _candidates(self, name: str) -> Iterator[tuple[Drawn, set[str]]]:
        yield from [(drawn, {name}) for drawn in self.left.get(name, [])]
        nested, separable = {"deeper": 3, "longer": 2}.get(name, 0), name.removeprefix("separable-")
        while True:
            frame = self.sentences.sentence(nested=nested, separable=separable)
            # Most are not beyond training in that thing: they are not worth their words.
            if name == "deeper" and tags.depth(frame) <= DEEPEST:
                continue
            if name in _HELD and not any(part[0] + "s" == name for part in self.held & tags.parts(tags.clauses(frame))):
                continue
            drawn = realise(frame)
            yield drawn, self._beyond(drawn)

    def _deal(self, example: Example) -> Example:
        self.sources.add(example.source)
        self.targets.add(example.target)
        return example

    def _beyond(self, drawn: Drawn) -> set[str]:
        """The challenge sets whose defining property the sentence has; none for what training may see."""
        found = {part[0] + "s" for part in drawn.parts & self.held}
        if len(drawn.german) > LONGEST:
            found.add("longer")
        if tags.depth(drawn.frame) > DEEPEST:
            found.add("deeper")
        if drawn.distance > FARTHEST:
            found.add("separable-9")
        return found


def held_parts(lexicon: Lexicon, draw: Draw) -> set[tags.Part]:
    """What training never sees: by lot, some compounds, verbs with their object, and names."""
    compounds = [
        ("compound", modifier.german, noun.german)
        for noun in lexicon.nouns if len(draw.modifiers[noun]) > 1  # else training would not know it as a second half
        for modifier in draw.modifiers[noun]
    ]  # fmt: skip
    pairs = [
        ("pair", verb.name, noun.german)
        for verb in lexicon.verbs if verb.pattern in ("transitive", "ditransitive", "put")
        for noun in draw.nouns(verb.object)
    ]  # fmt: skip
    names = [[("name", name.text, "") for name in lexicon.names if name.gender == gender] for gender in ("f", "m")]
    held = [_by_lot(parts, 1 + len(parts) // HELD_OUT, draw) for parts in (compounds, pairs)]
    held += [_by_lot(parts, 1 + len(parts) // HELD_OUT_NAMES, draw) for parts in names]
    return {part for parts in held for part in parts}


def _by_lot(parts: list[tags.Part], count: int, draw: Draw) -> list[tags.Part]:
    left = list(parts)
    return [left.pop(int(draw.random() * len(left))) for _ in range(count)]
