"""The corpus: sentences are drawn and assigned to the splits and to the challenge sets."""

import gc
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from seq2seq.runtime.errors import InputError
from seq2seq.runtime.resources import resource_folder
from seq2seq.text.grammar import tags
from seq2seq.text.grammar.core import core
from seq2seq.text.grammar.draw import Draw
from seq2seq.text.grammar.draw_sentence import Sentences
from seq2seq.text.grammar.entries import Lexicon
from seq2seq.text.grammar.example import Drawn, Example, realise, translate
from seq2seq.text.grammar.invented_names import InventedNames
from seq2seq.text.grammar.lexicon import read_lexicon

VERSION = "2"  # part of the key; raise it when the same lexicon gives different sentences
LEXICON = resource_folder("lexicon")
# The limits of training sentences: source words, nested clauses, words between a verb and its particle.
LONGEST, DEEPEST, FARTHEST = 16, 2, 8
# Of the compounds and verb-object pairs one in 10 is held out of training, of the names one in 5.
HELD_OUT, HELD_OUT_NAMES = 10, 5


class Preset(NamedTuple):
    """The size of a corpus: the number of examples in a split, and `percent` of the lexicon.

    Each word of a held-out example occurs at least `min_count` times in training.
    """

    train: int
    held_out: int
    challenge: int
    min_count: int
    percent: int


PRESETS = {
    "tiny": Preset(2_000, 200, 25, 1, 30),
    "small": Preset(20_000, 1_000, 300, 3, 45),
    "full": Preset(100_000, 2_000, 300, 3, 100),
}


@dataclass(slots=True, eq=False)
class Grammar:
    """A generated corpus. `key` is the SHA-256 of what decides its content: version, preset, seed and lexicon."""

    train: list[Example]
    validation: list[Example]
    test: list[Example]
    challenges: dict[str, list[Example]]
    key: str


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Pause the garbage collector: with millions of live objects it would take a third of the time and free nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@without_garbage_collection()
def generate(preset: str, *, seed: int, invented_names: float = 0.0, lexicon: Path = LEXICON) -> Grammar:
    """The corpus of that size. Raises `InputError` for an unknown preset or a bad lexicon.

    `invented_names` is the share of the names of training that are replaced by invented ones. All else stays the same.
    """
    dealer, size = _dealer(preset, seed, lexicon, invented_names)
    train = [example for _, example in dealer.training(size.train)]
    validation, test = dealer.held_out(size.held_out, ""), dealer.held_out(size.held_out, "")
    return Grammar(
        train, validation, test, {name: dealer.held_out(size.challenge, name) for name in CHALLENGES}, dealer.key
    )


def training_frame(
    number: int, preset: str, *, seed: int, invented_names: float = 0.0, lexicon: Path = LEXICON
) -> Drawn:
    """The frame and the German side of the training example with that number, counted from 0."""
    dealer, size = _dealer(preset, seed, lexicon, invented_names)
    if not 0 <= number < size.train:
        raise InputError(f"grammar: found example {number}, expected 0 to {size.train - 1} for preset '{preset}'")
    return list(dealer.training(number + 1))[-1][0]


def _dealer(preset: str, seed: int, lexicon: Path, invented_names: float = 0.0) -> tuple["_Dealer", Preset]:
    if preset not in PRESETS:
        raise InputError(f"grammar: found preset '{preset}', expected one of: {', '.join(PRESETS)}")
    tables, size = read_lexicon(lexicon), PRESETS[preset]
    identity = f"{VERSION} {preset} {seed} {tables.digest}"
    seed_of_draw = key = hashlib.sha256(identity.encode()).hexdigest()  # the same sentences with any names
    names = None
    if invented_names:
        key = hashlib.sha256(f"{identity} {invented_names}".encode()).hexdigest()
        names = InventedNames(tables.names, invented_names, seed=f"{seed_of_draw} names")
    draw = Draw(core(tables, size.percent), seed_of_draw)
    return _Dealer(draw, key=key, min_count=size.min_count, names=names), size


def _only(challenge: str) -> Callable[[Drawn, set[str]], bool]:
    return lambda _, novelties: novelties == {challenge}


def _at_distance(low: int, high: int) -> Callable[[Drawn, set[str]], bool]:
    return lambda drawn, novelties: low <= drawn.distance <= high and not novelties


_HELD_OUT_KINDS = ("compounds", "pairs", "names")
# Whether a sentence belongs to a challenge set, from the sentence and its novelties: the ways in which it goes beyond
# training. A challenge set has one novelty; "separable-2-4" and "separable-5-8" have none and only select a distance.
CHALLENGES: dict[str, Callable[[Drawn, set[str]], bool]] = {
    "separable-2-4": _at_distance(2, 4),
    "separable-5-8": _at_distance(5, 8),
    **{name: _only(name) for name in ("separable-9", *_HELD_OUT_KINDS, "deeper", "longer")},
}


class _Dealer:
    """Draws sentences and deals each to one split. A novelty is the name of the challenge set that it defines."""

    def __init__(self, draw: Draw, *, key: str, min_count: int, names: InventedNames | None) -> None:
        self.sentences, self.held_out_parts = Sentences(draw), choose_held_out_parts(draw.lexicon, draw)
        self.min_count, self.key, self.names = min_count, key, names
        self.sources: set[str] = set()
        self.targets: set[str] = set()
        self.words: Counter[str] = Counter()
        self.rejected: dict[str, list[Drawn]] = {}  # drawn for training and rejected for one novelty, by novelty

    def training(self, size: int) -> Iterator[tuple[Drawn, Example]]:
        """Distinct sentences without novelties; with one, a sentence is stored in `rejected`."""
        while len(self.sources) < size:
            drawn = realise(self.sentences.sentence())
            if drawn.source in self.sources:
                continue
            novelties = self._novelties(drawn)
            if not novelties:
                self.words.update(drawn.words)
                example = self._deal(translate(drawn))
                renamed = drawn if self.names is None else self.names.rename(drawn)
                yield renamed, example if renamed is drawn else translate(renamed)
            elif len(novelties) == 1:
                rejected = self.rejected.setdefault(novelties.pop(), [])
                if len(rejected) < 1_000:  # more than a challenge set needs
                    rejected.append(drawn)

    def held_out(self, size: int, challenge: str) -> list[Example]:
        """Examples with known words, neither of whose sides was dealt before.

        They fit the challenge set of that name; with "" they have no novelties, as in training.
        """
        examples: list[Example] = []
        for drawn, novelties in self._candidates(challenge):
            fits = CHALLENGES[challenge](drawn, novelties) if challenge else not novelties
            if not fits or drawn.source in self.sources or not self._knows_words(drawn):
                continue
            example = translate(drawn)
            if example.target not in self.targets:
                examples.append(self._deal(example))
                if len(examples) == size:
                    break
        return examples

    def _candidates(self, challenge: str) -> Iterator[tuple[Drawn, set[str]]]:
        """Sentences that may fit the challenge set, with their novelties: the rejected ones first, then new ones."""
        yield from [(drawn, {challenge}) for drawn in self.rejected.get(challenge, [])]
        nested, separable = {"deeper": 3, "longer": 2}.get(challenge, 0), challenge.removeprefix("separable-")
        while True:
            frame = self.sentences.sentence(nested=nested, separable=separable)
            # Most frames lack the novelty; the frame shows it before the words are made, which takes longer.
            if challenge == "deeper" and tags.depth(frame) <= DEEPEST:
                continue
            if challenge in _HELD_OUT_KINDS and not any(
                part[0] + "s" == challenge for part in self.held_out_parts & tags.parts(tags.clauses(frame))
            ):
                continue
            drawn = realise(frame)
            yield drawn, self._novelties(drawn)

    def _knows_words(self, drawn: Drawn) -> bool:
        return all(self.words[word] >= self.min_count for word in drawn.words)

    def _deal(self, example: Example) -> Example:
        self.sources.add(example.source)
        self.targets.add(example.target)
        return example

    def _novelties(self, drawn: Drawn) -> set[str]:
        """The challenge sets whose defining property the sentence has; none for a training sentence."""
        novelties = {part[0] + "s" for part in drawn.parts & self.held_out_parts}
        if len(drawn.german) > LONGEST:
            novelties.add("longer")
        if tags.depth(drawn.frame) > DEEPEST:
            novelties.add("deeper")
        if drawn.distance > FARTHEST:
            novelties.add("separable-9")
        return novelties


def choose_held_out_parts(lexicon: Lexicon, draw: Draw) -> set[tags.Part]:
    """The parts that training never contains: compounds, verb-object pairs and names, drawn at random."""
    compounds = [
        ("compound", modifier.german, noun.german)
        # A noun with one modifier would never be the second half of a compound in training.
        for noun in lexicon.nouns if len(draw.modifiers[noun]) > 1
        for modifier in draw.modifiers[noun]
    ]  # fmt: skip
    pairs = [
        ("pair", verb.name, noun.german)
        for verb in lexicon.verbs if verb.pattern in ("transitive", "ditransitive", "put")
        for noun in draw.nouns(verb.object)
    ]  # fmt: skip
    names = [[("name", name.text, "") for name in lexicon.names if name.gender == gender] for gender in ("f", "m")]
    samples = [_sample(parts, 1 + len(parts) // HELD_OUT, draw) for parts in (compounds, pairs)]
    samples += [_sample(parts, 1 + len(parts) // HELD_OUT_NAMES, draw) for parts in names]
    return {part for sample in samples for part in sample}


def _sample(parts: list[tags.Part], count: int, draw: Draw) -> list[tags.Part]:
    """`count` different parts, each equally likely."""
    remaining = list(parts)
    return [remaining.pop(int(draw.random() * len(remaining))) for _ in range(count)]
