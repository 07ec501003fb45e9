"""Tokenizers: what all of them can do; and subword tokenizers, SentencePiece models trained on raw text."""

import io
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import accumulate, chain
from typing import NamedTuple, Protocol, runtime_checkable

import sentencepiece

from seq2seq.runtime.errors import InputError
from seq2seq.text.lines import encodable
from seq2seq.text.units import META_SPACE

PAD, UNK, BOS, EOS = 0, 1, 2, 3
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")
BYTES_END = len(SPECIAL) + 256
COVERAGES = (0.9995, 0.999, 0.995, 0.99, 0.98)  # values of dataset.character_coverage that an error may suggest
FEW = 32  # texts, encoded in one thread: starting others takes longer
SENTENCES = 1_000_000  # lines at most, a random sample, train a tokenizer; unigram took 46 s and 2.7 GB for 100 MB
THREADS = 16  # the same on every machine: SentencePiece splits its sums by it, so it decides how they are rounded


def check_symbols(symbols: Sequence[str]) -> Sequence[str]:
    """Returns the symbols. Raises ValueError for one that is empty, has a space, repeats, or names a special piece."""
    for i, symbol in enumerate(symbols):
        if symbol.split() != [symbol] or META_SPACE in symbol:
            raise ValueError(f"the symbol {symbol!a} must have one character or more, and neither spaces nor U+2581")
        if symbol in SPECIAL or re.fullmatch("<0x[0-9A-F]{2}>", symbol):
            raise ValueError(f"the symbol {symbol} is one of SentencePiece's own pieces; choose another symbol")
        if symbol in symbols[:i]:
            raise ValueError(f"the symbol {symbol} is listed twice")
    return symbols


@runtime_checkable
class Tokenizer(Protocol):
    """Text to ids and back. A piece is the text of an id: "▁" in it is a space.

    `model` is all that there is to it, `fallback` a name for what stands in place of text that has no piece. `unit` is
    what a piece is: subwords, words or characters.
    """

    model: bytes
    fallback: str
    unit: str

    def __len__(self) -> int:
        """The size of the vocabulary."""

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without BOS and EOS."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` for each text. Raises TypeError for a single string."""

    def count_fallbacks(self, texts: Sequence[str]) -> list[int]:
        """The number of ids in each text that stand in place of text without a piece."""

    def unknown(self, text: str) -> list[str]:
        """The parts of a text that become `UNK`, and so do not come back."""

    def decode(self, ids: list[int]) -> str:
        """The text of the ids."""

    def pieces(self, ids: list[int]) -> list[str]:
        """The piece of each id."""

    def ids(self, pieces: Sequence[str]) -> list[int]:
        """The ids of pieces: the inverse of `pieces`. An unknown piece is `UNK`."""


class SubwordTokenizer:
    """Text to subword ids and back, by a SentencePiece model (Kudo and Richardson 2018).

    Encoding never gives `UNK` or another special id: characters without a piece become bytes, and "</s>" in a text is
    four characters. `decode(encode(text))` is `text`, with two exceptions: U+2581, which stands for a space in the
    model, becomes a space; a lone surrogate, which UTF-8 cannot encode, becomes U+FFFD.

    Raises `InputError` if `model` is not a SentencePiece model, or has other ids for the special pieces.
    """

    fallback, unit = "bytes", "subwords"

    def __init__(self, model: bytes) -> None:
        self.model = model
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model or b"\0")  # b"" means "no model"
            self._processor.id_to_piece(list(range(len(self))))
        except (RuntimeError, UnicodeDecodeError) as error:
            raise InputError(f"the {len(model)} bytes of the tokenizer are not a SentencePiece model") from error
        processor = self._processor
        special_ids = (processor.pad_id(), processor.unk_id(), processor.bos_id(), processor.eos_id())
        if special_ids != (PAD, UNK, BOS, EOS):
            raise InputError(
                f"the tokenizer's ids of padding, unknown, begin and end of sentence are {special_ids}, "
                f"but they must be {(PAD, UNK, BOS, EOS)}: train the tokenizer with train.py"
            )

    def __len__(self) -> int:
        return int(self._processor.get_piece_size())

    def encode(self, text: str) -> list[int]:
        """The subword ids of a text, without BOS and EOS."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` for each text, on all cores where there are many. Raises TypeError for a single string."""
        if isinstance(texts, str):
            raise TypeError(f"expected a list of texts, found the string {texts[:40]!r}: put it into a list")
        lines = [encodable(text) for text in texts]
        if len(texts) <= FEW:
            return [self._processor.encode(line) for line in lines]
        ids: list[list[int]] = self._processor.encode(lines)
        return ids

    def count_fallbacks(self, texts: Sequence[str]) -> list[int]:
        """The number of byte pieces in each text: the bytes of characters that have no piece in the model."""
        return [sum(index in self._bytes for index in ids) for ids in self.encode_batch(list(texts))]

    @cached_property
    def _bytes(self) -> frozenset[int]:
        return frozenset(index for index in range(len(self)) if self._processor.is_byte(index))

    def unknown(self, text: str) -> list[str]:  # noqa: ARG002
        """Nothing: every text comes back."""
        return []

    def decode(self, ids: list[int]) -> str:
        """The text of the ids; special ids are left out. Bytes that are not UTF-8 become U+FFFD."""
        text: str = self._processor.decode([index for index in ids if index > EOS])
        return text

    def pieces(self, ids: list[int]) -> list[str]:
        """The subwords as SentencePiece writes them: "▁" is a space, "<0x0A>" a byte."""
        pieces: list[str] = self._processor.id_to_piece(ids)
        return pieces

    def text_ids(self) -> list[int]:
        """The ids of all pieces that stand for characters: neither special ones nor bytes."""
        return [index for index in range(EOS + 1, len(self)) if index not in self._bytes]

    def scores(self) -> list[float]:
        """The score of each id: log-probabilities of a unigram model; of a BPE model, higher is merged first."""
        scores: list[float] = self._processor.get_score(list(range(len(self))))
        return scores

    def ids(self, pieces: Sequence[str]) -> list[int]:
        """The ids of subwords: the inverse of `pieces`."""
        ids: list[int] = self._processor.piece_to_id(list(pieces))
        return ids


class Tokenizers(NamedTuple):
    """The tokenizers of both languages; with a joint vocabulary they are one object."""

    source: Tokenizer
    target: Tokenizer

    @property
    def joint(self) -> bool:
        """Whether both languages share one vocabulary."""
        return self.source is self.target


def train_tokenizer(
    lines: Iterable[str], *, vocabulary_size: int, kind: str, coverage: float = 1.0, symbols: Sequence[str] = ()
) -> SubwordTokenizer:
    """Trains a subword tokenizer with exactly `vocabulary_size` pieces.

    The pieces are 4 special ones, 256 bytes, the symbols, the characters of the text, and subwords. `kind` is "unigram"
    (Kudo 2018) or "bpe" (Sennrich et al. 2016). `coverage` is the share of the text's characters that have pieces, the
    most frequent ones first; the others are written as bytes. Each of `symbols` (see `check_symbols`) is always one
    piece. Text is not normalised, so that no character or space is lost. The same lines give the same model, byte for
    byte. Lines of more than 4192 bytes, and those with U+2585, which SentencePiece needs for itself, are left out.

    Raises `InputError` if the text cannot give a vocabulary of that size.
    """
    assert kind in ("unigram", "bpe"), kind
    sample = _sample(lines, SENTENCES)
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sample),
            model_writer=model,
            model_type=kind,
            vocab_size=vocabulary_size,
            byte_fallback=True,
            character_coverage=coverage,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            pad_id=PAD,
            unk_id=UNK,
            bos_id=BOS,
            eos_id=EOS,
            num_threads=THREADS,
            minloglevel=2,
            user_defined_symbols=list(symbols),
        )
    except RuntimeError as error:
        raise InputError(_explain_failure(str(error), vocabulary_size, sample, symbols)) from error
    return SubwordTokenizer(model.getvalue())


def _sample(lines: Iterable[str], size: int) -> list[str]:
    """At most `size` lines, a uniform random sample with a fixed seed (Vitter 1985, algorithm R).

    SentencePiece's own sampling has a different seed in each process.
    """
    draw = random.Random(0).random
    sample: list[str] = []
    for position, line in enumerate(lines):
        if position < size:
            sample.append(encodable(line))
        elif (index := int(draw() * (position + 1))) < size:
            sample[index] = encodable(line)
    return sample


def _explain_failure(message: str, vocabulary_size: int, sample: Sequence[str], symbols: Sequence[str]) -> str:
    """Our message for SentencePiece's error: "... too high ... <= 3345.", "... 100 vs 338." or another."""
    if largest := re.search(r"too high.*<= (\d+)", message):
        return (
            f"dataset.vocabulary is {vocabulary_size}, but the training text gives at most {largest[1]} subwords: "
            f"set dataset.vocabulary to {largest[1]} or less"
        )
    if smallest := re.search(r"required_chars.* vs (\d+)", message):
        coverage = _fitting_coverage(sample, vocabulary_size - BYTES_END - len(symbols))
        return (
            f"dataset.vocabulary is {vocabulary_size}, but the training text needs at least {smallest[1]} (special "
            f"pieces, bytes, symbols and its characters): set dataset.vocabulary to {smallest[1]} or more"
            + (f", or dataset.character_coverage={coverage}, which writes rare characters as bytes" if coverage else "")
        )
    if "sentences_.empty()" in message:
        return "no line of the training text can train a tokenizer: all are empty or longer than 4192 bytes"
    return f"SentencePiece cannot train a vocabulary of {vocabulary_size} (dataset.vocabulary) on this text: {message}"


def _fitting_coverage(sample: Sequence[str], size: int) -> float | None:
    """The greatest of `COVERAGES` that needs at most `size` characters, or None."""
    counts = Counter(chain.from_iterable(sample))
    counts[" "] += len(sample)  # SentencePiece begins each line with a space
    cumulative = list(accumulate(sorted(counts.values(), reverse=True), initial=0))
    needed = {coverage: sum(count < coverage * cumulative[-1] for count in cumulative) for coverage in COVERAGES}
    return next((coverage for coverage, characters in needed.items() if characters <= size), None)
