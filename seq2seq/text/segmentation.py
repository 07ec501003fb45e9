"""Random segmentations of text into subwords, by the pieces and scores of a SentencePiece model.

SentencePiece can draw them itself, but not the same ones in another process: version 0.2.3 mixes its seed with a value
of the process. Here a draw depends on the arguments only. No piece reaches across a space, so each word is segmented
by itself, and numpy draws for all words at once.
"""

import math
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from seq2seq.text.lines import encodable
from seq2seq.text.tokenizer import SubwordTokenizer
from seq2seq.text.units import META_SPACE


class Draw(NamedTuple):
    """The ids of several texts, one after the other, and the number of ids of each text."""

    ids: np.ndarray
    lengths: np.ndarray


class Unit(NamedTuple):
    """A part of a word that no segmentation divides.

    `ids` are those of a symbol, or of the bytes of a character without a piece. No piece has such a unit as a part.
    For any other character they are empty.
    """

    text: str
    ids: tuple[int, ...] = ()


class Pieces:
    """The pieces that text is segmented into. `symbols` are pieces that stay whole."""

    def __init__(self, tokenizer: SubwordTokenizer, symbols: Sequence[str]) -> None:
        text_ids = tokenizer.text_ids()
        texts = zip(tokenizer.pieces(text_ids), text_ids, strict=True)
        self.ids = {text: index for text, index in texts if text not in symbols}
        self.scores = tokenizer.scores()
        self.bytes = tokenizer.ids([f"<0x{value:02X}>" for value in range(256)])
        self.symbols = dict(zip(symbols, tokenizer.ids(symbols), strict=True))
        longest_first = sorted(map(re.escape, symbols), key=len, reverse=True)
        self.pattern = re.compile("|".join(longest_first)) if symbols else None

    def units(self, word: str) -> list[Unit]:
        """The symbols of a word, the leftmost and longest first, and its other characters."""
        units: list[Unit] = []
        start = 0
        for match in self.pattern.finditer(word) if self.pattern else ():
            units += map(self._character, word[start : match.start()])
            units.append(Unit(match[0], (self.symbols[match[0]],)))
            start = match.end()
        return units + list(map(self._character, word[start:]))

    def _character(self, character: str) -> Unit:
        return Unit(character, () if character in self.ids else tuple(self.bytes[byte] for byte in character.encode()))


def words(text: str) -> list[str]:
    """The words of a text, each after its space; the first word of a text has one, too."""
    return [META_SPACE + word for word in f" {text}".replace(META_SPACE, " ").split(" ")[1:]] if text else []


class UnigramSegmenter:
    """Draws segmentations x with the probability `P(x)^alpha / sum P(x')^alpha` (Kudo 2018, section 3.3).

    `P(x)` is the product of the probabilities of the pieces, and the sum is over all segmentations of the word. Forward
    filtering and backward sampling draw from it exactly: with `Z_j` the sum over the first j characters, the last piece
    of these is that of characters i + 1 to j with the probability `Z_i p(piece)^alpha / Z_j`.
    """

    def __init__(self, pieces: Pieces, alpha: float) -> None:
        self.pieces, self.alpha = pieces, alpha
        self.longest = max(map(len, pieces.ids), default=1)
        self.ends: dict[str, int] = {}  # the node of the end of each word
        self.edges: list[tuple[int, int]] = []  # piece and node before it, in the order of the nodes that edges end at
        self.cumulative: list[float] = []  # for an edge to node k: k plus the cumulative probability
        self.nodes = 0

    def draw(self, texts: Sequence[str], random: np.random.Generator) -> Draw:
        """A segmentation of each text. Equal texts and an equal state of the generator give equal ones."""
        words_of_texts = [words(encodable(text)) for text in texts]
        for word in dict.fromkeys(chain.from_iterable(words_of_texts)):
            if word not in self.ends:
                self.ends[word] = self._add(word)
        edges = np.array(self.edges, dtype=np.int64).reshape(-1, 2)
        cumulative = np.array(self.cumulative)
        node = np.array([self.ends[word] for word in chain.from_iterable(words_of_texts)], dtype=np.int64)
        open_words, steps = np.arange(len(node)), []
        while len(open_words):
            threshold = np.minimum(node + random.random(len(node)), np.nextafter(node + 1.0, 0))  # a sum may round up
            chosen = np.searchsorted(cumulative, threshold, side="right")
            steps.append((open_words, edges[chosen, 0]))
            node = edges[chosen, 1]
            open_words, node = open_words[node >= 0], node[node >= 0]
        lengths = np.zeros(sum(map(len, words_of_texts)), dtype=np.int64)
        for step, (indices, _) in enumerate(steps):
            lengths[indices] = step + 1
        ends = np.cumsum(lengths)
        ids = np.empty(lengths.sum(), dtype=np.int64)
        for step, (indices, drawn) in enumerate(steps):  # the last piece of a word is drawn first
            ids[ends[indices] - step - 1] = drawn
        return Draw(ids, _lengths_of_texts(lengths, words_of_texts))

    def _add(self, word: str) -> int:
        """Adds a node for each end of a piece in the word, and returns that of its last. The start has the node -1."""
        units = self.pieces.units(word)
        nodes, log_sums = [-1], [0.0]
        for end in range(1, len(units) + 1):
            unit = units[end - 1]
            edges = [(nodes[-1], log_sums[-1], index) for index in unit.ids[:1]] or [
                (nodes[start], log_sums[start] + self.alpha * self.pieces.scores[index], index)
                for start, index in self._pieces_that_end(units, end)
            ]
            largest = max(weight for _, weight, _ in edges)
            exponentials = [math.exp(weight - largest) for _, weight, _ in edges]
            log_sums.append(largest + math.log(sum(exponentials)))
            nodes.append(self._add_node([(index, node) for node, _, index in edges], exponentials))
            for index in unit.ids[1:]:
                nodes[-1] = self._add_node([(index, nodes[-1])], [1.0])
        return nodes[-1]

    def _pieces_that_end(self, units: list[Unit], end: int) -> Iterator[tuple[int, int]]:
        """The start and the id of each piece whose last character is the one before `end`."""
        text = ""
        for start in range(end - 1, max(-1, end - 1 - self.longest), -1):
            if units[start].ids:
                return
            text = units[start].text + text
            if (index := self.pieces.ids.get(text)) is not None:
                yield start, index

    def _add_node(self, edges: list[tuple[int, int]], weights: list[float]) -> int:
        self.edges += edges
        sums = np.cumsum(weights)
        self.cumulative += [*(self.nodes + sums[:-1] / sums[-1]).tolist(), self.nodes + 1.0]
        self.nodes += 1
        return self.nodes - 1


class BPESegmenter:
    """Draws segmentations by BPE-dropout (Provilkov et al. 2020, algorithm 1).

    A word begins as characters. In each step each possible merge is left out with the probability `dropout`. The
    remaining one with the highest priority, or the leftmost of several, is applied; if none remains, the word is done.
    """

    def __init__(self, pieces: Pieces, dropout: float) -> None:
        self.pieces, self.dropout = pieces, dropout
        self.size, self.priority = len(pieces.scores), np.array(pieces.scores)
        merges = {
            pieces.ids[text[:middle]] * self.size + pieces.ids[text[middle:]]: index
            for text, index in pieces.ids.items()
            for middle in range(1, len(text))
            if text[:middle] in pieces.ids and text[middle:] in pieces.ids
        }
        self.keys = np.array(sorted(merges), dtype=np.int64)
        self.merged = np.array([merges[key] for key in self.keys.tolist()], dtype=np.int64)
        self.characters: dict[str, np.ndarray] = {}

    def draw(self, texts: Sequence[str], random: np.random.Generator) -> Draw:
        """A segmentation of each text. Equal texts and an equal state of the generator give equal ones."""
        words_of_texts = [words(encodable(text)) for text in texts]
        rows = [self._characters(word) for word in chain.from_iterable(words_of_texts)]
        ids = np.concatenate([np.empty(0, dtype=np.int64), *rows])
        word = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        done = []
        while len(ids):
            left, merged = self._merges(ids, word, random)
            ids[left] = merged
            active = np.zeros(len(rows), dtype=bool)
            active[word[left]] = True
            stays, goes_on = np.ones(len(ids), dtype=bool), active[word]
            stays[left + 1] = False
            done.append((ids[~goes_on], word[~goes_on]))
            ids, word = ids[stays & goes_on], word[stays & goes_on]
        ids, word = (np.concatenate(parts) for parts in zip((ids, word), *done, strict=True))
        lengths = np.bincount(word, minlength=len(rows))
        return Draw(ids[np.argsort(word, kind="stable")], _lengths_of_texts(lengths, words_of_texts))

    def _merges(self, ids: np.ndarray, word: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """One merge for each word that has any: the index of its left part, and the merged piece."""
        if not len(self.keys):
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        pairs = ids[:-1] * self.size + ids[1:]
        entry = np.minimum(np.searchsorted(self.keys, pairs), len(self.keys) - 1)
        possible = (self.keys[entry] == pairs) & (word[:-1] == word[1:])
        (left,) = np.nonzero(possible & (random.random(len(pairs)) >= self.dropout))
        merged = self.merged[entry[left]]
        order = np.lexsort((left, -self.priority[merged], word[left]))
        first = order[np.diff(word[left][order], prepend=-1) > 0]
        return left[first], merged[first]

    def _characters(self, word: str) -> np.ndarray:
        if word not in self.characters:
            units = self.pieces.units(word)
            ids = [index for unit in units for index in unit.ids or (self.pieces.ids[unit.text],)]
            self.characters[word] = np.array(ids, dtype=np.int64)
        return self.characters[word]


Segmenter = UnigramSegmenter | BPESegmenter
SEGMENTERS: dict[str, type[Segmenter]] = {"unigram": UnigramSegmenter, "bpe": BPESegmenter}
"""By the kind of the tokenizer. A segmenter takes the pieces and the strength of the sampling: alpha, or dropout."""


def _lengths_of_texts(lengths: np.ndarray, words_of_texts: list[list[str]]) -> np.ndarray:
    """The number of ids of each text, from that of each word."""
    text_ends = np.cumsum([0, *map(len, words_of_texts)])
    return np.diff(np.concatenate(([0], np.cumsum(lengths)))[text_ends])
