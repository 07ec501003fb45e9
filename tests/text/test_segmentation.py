"""Random segmentations: the same text, the distribution of the formula, equal draws in every process."""

import subprocess
import sys
from collections import Counter
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.text.segmentation import BPESegmenter, Pieces, Segmenter, UnigramSegmenter
from seq2seq.text.tokenizer import EOS, SubwordTokenizer, train_tokenizer
from tests.support.lines import made_up_text
from tests.support.unchecked import unchecked

SYMBOLS = ("{0}", "gem", "<b>", "<b")
OTHER_TEXT = [
    "我们在学校",
    "نحن في المدرسة",
    "a",
    " ",
    "",
    "😀 é",
    "q\u2585r\0",
    "  two  spaces ",
    "<s> <0x41>",
    "{0}{0}gem",
]
SEGMENTERS = {"unigram": UnigramSegmenter, "bpe": BPESegmenter}


@pytest.fixture(scope="module", params=list(SEGMENTERS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def tokenizer(kind: str) -> SubwordTokenizer:
    return train_tokenizer(made_up_text(800), vocabulary_size=500, kind=kind, symbols=SYMBOLS)


def segmenter(kind: str, tokenizer: SubwordTokenizer, strength: float) -> Segmenter:
    return SEGMENTERS[kind](Pieces(tokenizer, SYMBOLS), strength)


def draws(segmenter: Segmenter, texts: list[str], seed: int = 1) -> list[list[int]]:
    ids, lengths = segmenter.draw(texts, np.random.default_rng(seed))
    assert len(lengths) == len(texts)
    assert lengths.sum() == len(ids)
    return [part.tolist() for part in np.split(ids, np.cumsum(lengths)[:-1])]


@pytest.mark.slow
@pytest.mark.parametrize("strength", [1e-3, 0.1, 1.0])
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\u2581")))
@unchecked()
def test_a_draw_is_the_same_text(kind: str, tokenizer: SubwordTokenizer, strength: float, text: str) -> None:
    texts = [text, *made_up_text(3), *OTHER_TEXT, text]
    sentences = draws(segmenter(kind, tokenizer, strength), texts)
    assert [tokenizer.decode(ids) for ids in sentences] == texts
    assert all(EOS < index < len(tokenizer) for ids in sentences for index in ids)


def test_what_utf8_cannot_encode_is_replaced(kind: str, tokenizer: SubwordTokenizer) -> None:
    sentences = draws(segmenter(kind, tokenizer, 0.1), ["a\ud800b", "a\u2581b"])
    assert [tokenizer.decode(ids) for ids in sentences] == ["a\ufffdb", "a b"]


def test_no_text_has_no_subwords(kind: str, tokenizer: SubwordTokenizer) -> None:
    for texts in ([], [""], ["", ""]):
        ids, lengths = segmenter(kind, tokenizer, 0.1).draw(texts, np.random.default_rng(1))
        assert (len(ids), lengths.tolist()) == (0, [0] * len(texts))


def test_the_greatest_random_number_stays_within_a_word() -> None:
    """The sum of a node and a number just below 1 may round to the next node."""

    class Greatest(np.random.Generator):
        def random(self, size: int) -> np.ndarray:  # type: ignore[override]
            return np.full(size, np.nextafter(1.0, 0.0))

    tokenizer = train_tokenizer(made_up_text(800), vocabulary_size=500, kind="unigram", symbols=SYMBOLS)
    texts = made_up_text(200)
    ids, lengths = segmenter("unigram", tokenizer, 0.2).draw(texts, Greatest(np.random.PCG64(1)))
    parts = np.split(ids, np.cumsum(lengths)[:-1])
    assert [tokenizer.decode(part.tolist()) for part in parts] == texts


def test_without_chance_it_is_the_usual_segmentation(kind: str, tokenizer: SubwordTokenizer) -> None:
    """A high exponent leaves the most probable segmentation, a dropout of 0 all merges."""
    texts = [*made_up_text(300), *OTHER_TEXT]
    sharp = segmenter(kind, tokenizer, 1e4 if kind == "unigram" else 0.0)
    assert draws(sharp, texts) == tokenizer.encode_batch(texts)


@pytest.mark.slow
def test_a_draw_depends_on_the_generator_only(kind: str, tokenizer: SubwordTokenizer) -> None:
    """Not on earlier draws, nor on the process."""
    texts = made_up_text(40)
    one = segmenter(kind, tokenizer, 0.1)
    first = draws(one, texts)
    assert draws(one, texts, seed=2) != first
    assert draws(one, texts) == draws(segmenter(kind, tokenizer, 0.1), texts) == first != tokenizer.encode_batch(texts)
    program = (
        "import sys; from seq2seq.text.tokenizer import SubwordTokenizer; from tests.text.test_segmentation import *;"
        f"print(draws(segmenter('{kind}', SubwordTokenizer(sys.stdin.buffer.read()), 0.1), made_up_text(40)))"
    )
    command = [sys.executable, "-c", program]
    other = subprocess.run(command, input=tokenizer.model, capture_output=True, cwd=Path(__file__).parents[2])
    assert other.stdout.decode().strip() == str(first), other.stderr.decode()


def segmentations(text: str, pieces: dict[str, int]) -> list[tuple[int, ...]]:
    """All segmentations of a text, by trying each end of its first piece."""
    if not text:
        return [()]
    return [
        (pieces[text[:end]], *rest)
        for end in range(1, len(text) + 1)
        if text[:end] in pieces
        for rest in segmentations(text[end:], pieces)
    ]


@pytest.mark.parametrize("alpha", [0.05, 0.3, 1.0])
def test_probabilities_are_those_of_the_formula(alpha: float) -> None:
    """`P(x)^alpha / sum P(x')^alpha` over all segmentations x of a word, which a search by hand lists."""
    tokenizer = train_tokenizer(["abab"] * 9 + ["ab aba"] * 5 + ["bab"] * 3, vocabulary_size=266, kind="unigram")
    pieces = Pieces(tokenizer, ())
    possible = segmentations("\u2581abab", pieces.ids)
    assert len(possible) > 4
    weights = np.exp([alpha * sum(pieces.scores[index] for index in ids) for ids in possible])
    count = 20_000
    counts = Counter(map(tuple, draws(UnigramSegmenter(pieces, alpha), ["abab"] * count)))
    assert counts.keys() <= set(possible)
    shares = np.array([counts[ids] / count for ids in possible])
    assert np.abs(shares - weights / weights.sum()).max() < 4 * np.sqrt(0.25 / count)


def dropped(text: list[str], merges: dict[str, float], dropout: float, random: np.random.Generator) -> tuple[str, ...]:
    """Algorithm 1 of Provilkov et al. 2020, line by line."""
    while True:
        candidates = [
            (-merges[left + right], index)
            for index, (left, right) in enumerate(pairwise(text))
            if left + right in merges and random.random() >= dropout
        ]
        if not candidates:
            return tuple(text)
        _, index = min(candidates)
        text = [*text[:index], text[index] + text[index + 1], *text[index + 2 :]]


@pytest.mark.parametrize("dropout", [0.1, 0.4])
def test_merges_are_dropped_as_in_the_algorithm(dropout: float) -> None:
    tokenizer = train_tokenizer(made_up_text(800), vocabulary_size=400, kind="bpe")
    pieces = Pieces(tokenizer, ())
    merges = {text: pieces.scores[index] for text, index in pieces.ids.items() if len(text) > 1}
    word = max(made_up_text(40), key=lambda line: len(line.split()[0])).split()[0]
    count, random = 5_000, np.random.default_rng(3)
    ours = Counter(tuple(tokenizer.pieces(ids)) for ids in draws(BPESegmenter(pieces, dropout), [word] * count))
    theirs = Counter(dropped(["\u2581", *word], merges, dropout, random) for _ in range(count))
    assert len(theirs) > 3
    for pieces_of_word in ours | theirs:
        assert abs(ours[pieces_of_word] - theirs[pieces_of_word]) < 5 * np.sqrt(0.5 * count)


def test_dropping_all_merges_leaves_characters_and_symbols() -> None:
    tokenizer = train_tokenizer(made_up_text(800), vocabulary_size=500, kind="bpe", symbols=("gem",))
    (ids,) = draws(BPESegmenter(Pieces(tokenizer, ("gem",)), 1.0), ["agem sole"])
    assert tokenizer.pieces(ids) == ["\u2581", "a", "gem", *"\u2581sole"]


def test_symbols_stay_whole(kind: str, tokenizer: SubwordTokenizer) -> None:
    """Where symbols overlap, the leftmost and longest; no piece reaches into a symbol."""
    texts = ["xgemgem<b>{0}", "gemx <b ge", *[f"a{symbol}le" for symbol in SYMBOLS]]
    wanted = [["gem", "gem", "<b>", "{0}"], ["gem", "<b"], *[[symbol] for symbol in SYMBOLS]]
    for strength, _ in product([1e-3, 0.5], range(9)):
        sentences = draws(segmenter(kind, tokenizer, strength), texts)
        assert [[piece for piece in tokenizer.pieces(ids) if piece in SYMBOLS] for ids in sentences] == wanted
