"""Subwords: SentencePiece models, trained on raw text and reversible to the character."""

import io
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property, partial
from itertools import accumulate, chain
from typing import NamedTuple

import sentencepiece

from seq2seq.runtime.errors import InputError
from seq2seq.text.corpus import Split

PAD, UNK, BOS, EOS = 0, 1, 2, 3
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")
BYTES_END = len(SPECIAL) + 256
META_SPACE = "\u2581"  # the model's sign for a space
COVERAGES = (0.9995, 0.999, 0.995, 0.99, 0.98)
SENTENCES = 1_000_000  # as many lines, drawn evenly, train a tokenizer: 100 MB of text took unigram 46 s and 2.7 GB
THREADS = 16  # decides how SentencePiece splits its sums, so that it is the same number on every machine


def check_symbols(symbols: Sequence[str]) -> Sequence[str]:
    """The symbols; raises ValueError where one is empty, has a space, stands twice, or is the name of another piece."""
    for i, symbol in enumerate(symbols):
        if symbol.split() != [symbol] or META_SPACE in symbol:
            raise ValueError(f"the symbol {symbol!a} must have one character or more, and neither space nor U+2581")
        if symbol in SPECIAL or re.fullmatch("<0x[0-9A-F]{2}>", symbol):
            raise ValueError(f"the symbol {symbol} is the name of one of SentencePiece's own pieces")
        if symbol in symbols[:i]:
            raise ValueError(f"the symbol {symbol} stands there twice")
    return symbols


class Tokenizer:
    """Text to subword ids and back, by a SentencePiece model (Kudo and Richardson 2018).

    No text gives `UNK` or any of the other special ids: characters that the model has no piece for become bytes, and
    a "</s>" in the text is four characters. `decode(encode(text))` is `text`, with two exceptions: U+2581, the
    model's own sign for a space, comes back as a space; a lone surrogate, which no UTF-8 file can hold, as U+FFFD.

    Raises `InputError` where `model` is not a SentencePiece model or numbers the special pieces differently.
    """

    def __init__(self, model: bytes) -> None:
        self.model = model
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model or b"\0")  # b"" would be no model
            self._processor.id_to_piece(list(range(len(self))))
        except (RuntimeError, UnicodeDecodeError) as error:
            raise InputError(f"the {len(model)} bytes of the tokenizer are not a SentencePiece model") from error
        processor = self._processor
        found = (processor.pad_id(), processor.unk_id(), processor.bos_id(), processor.eos_id())
        if found != (PAD, UNK, BOS, EOS):
            raise InputError(
                f"the tokenizer numbers padding, unknown, begin and end of sentence {found}, "
                f"but they must be {(PAD, UNK, BOS, EOS)}: train it with this program"
            )

    def __len__(self) -> int:
        return int(self._processor.get_piece_size())

    def encode(self, text: str) -> list[int]:
        """Subword ids, without BOS and EOS."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` for each text, on all cores. Raises TypeError for a single string, whose items are letters."""
        if isinstance(texts, str):
            raise TypeError(f"expected a list of texts, found the string {texts[:40]!r}: put it into a list")
        ids: list[list[int]] = self._processor.encode([_encodable(text) for text in texts])
        return ids

    def count_bytes(self, texts: Sequence[str]) -> list[int]:
        """How many bytes of each text are pieces of their own: those of characters that the model has no piece for."""
        return [sum(index in self._bytes for index in ids) for ids in self.encode_batch(list(texts))]

    @cached_property
    def _bytes(self) -> frozenset[int]:
        return frozenset(index for index in range(len(self)) if self._processor.is_byte(index))

    def decode(self, ids: list[int]) -> str:
        """The text of the ids; special ids have none. Bytes that are not UTF-8 become U+FFFD."""
        text: str = self._processor.decode([index for index in ids if index > EOS])
        return text

    def pieces(self, ids: list[int]) -> list[str]:
        """The subwords as SentencePiece writes them: "▁" is a space, "<0x0A>" a byte."""
        pieces: list[str] = self._processor.id_to_piece(ids)
        return pieces


class Tokenizers(NamedTuple):
    """The tokenizers of both languages: one object, or two."""

    source: Tokenizer
    target: Tokenizer

    @property
    def joint(self) -> bool:
        """Whether both languages share one vocabulary."""
        return self.source is self.target


def train_tokenizers(
    train: Split, *, vocabulary_size: int, kind: str, joint: bool, coverage: float = 1.0, symbols: Sequence[str] = ()
) -> Tokenizers:
    """`train_tokenizer` on each side of the split, or once on both sides together. Give it the training split only."""
    one_of = partial(train_tokenizer, vocabulary_size=vocabulary_size, kind=kind, coverage=coverage, symbols=symbols)
    if joint:
        shared = one_of(chain.from_iterable(train))
        return Tokenizers(shared, shared)
    return Tokenizers(one_of(pair.source for pair in train), one_of(pair.target for pair in train))


def train_tokenizer(
    lines: Iterable[str], *, vocabulary_size: int, kind: str, coverage: float = 1.0, symbols: Sequence[str] = ()
) -> Tokenizer:
    """A tokenizer of exactly `vocabulary_size` pieces: 4 special ones, 256 bytes, the characters of the text, subwords.

    `kind` is "unigram" (Kudo 2018) or "bpe" (Sennrich et al. 2016). `coverage` is the share of the text's characters
    that have pieces, the most frequent ones first; the others are written as bytes. Each of `symbols` (see
    `check_symbols`) is one piece wherever it stands. No normalisation: no character and no space is lost. The same
    lines give the same model, byte for byte. Lines of more than 4192 bytes are left out.

    Raises `InputError` where the text cannot give a vocabulary of that size.
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
        raise InputError(_why(str(error), vocabulary_size, sample, symbols)) from error
    return Tokenizer(model.getvalue())


def _sample(lines: Iterable[str], size: int) -> list[str]:
    """At most `size` lines, each equally likely to be in (Vitter 1985, algorithm R), the same ones every time.

    Not SentencePiece's own sampling, whose seed is new in each process.
    """
    draw = random.Random(0).random
    sample: list[str] = []
    for seen, line in enumerate(lines):
        if seen < size:
            sample.append(_encodable(line))
        elif (index := int(draw() * (seen + 1))) < size:
            sample[index] = _encodable(line)
    return sample


def _why(message: str, vocabulary_size: int, sample: Sequence[str], symbols: Sequence[str]) -> str:
    """SentencePiece's refusal in our words. It ends in "<= 3345." or holds "100 vs 338."; other words are passed on."""
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
    """The greatest of `COVERAGES` with which `size` characters are enough, if one is."""
    counts = Counter(chain.from_iterable(sample))
    counts[" "] += len(sample)  # SentencePiece begins each line with one
    before = list(accumulate(sorted(counts.values(), reverse=True), initial=0))
    return next((one for one in COVERAGES if sum(seen < one * before[-1] for seen in before) <= size), None)


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return re.sub("[\ud800-\udfff]", "\ufffd", text)
    return text
