"""Subword tokenizers: reversible for every text, deterministic; special pieces in a text are plain characters."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.runtime.errors import InputError
from seq2seq.text import tokenizer as module
from seq2seq.text.corpus import InMemory, Pair
from seq2seq.text.sources.multi30k import multi30k
from seq2seq.text.tokenizer import BOS, EOS, PAD, UNK, SubwordTokenizer, Tokenizer, train_tokenizer
from seq2seq.text.tokenizer_kinds import train_tokenizers
from tests.support.lines import made_up_text

KINDS = ["unigram", "bpe"]
SPECIAL = {PAD, UNK, BOS, EOS}


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    hostile = ["<s> </s> <pad> <unk> <0x41> <s></s>", "a\0b", "q\u2581r", "q\u2585r", "", " ", "x" * 10_000] * 30
    return train_tokenizer([*made_up_text(800), *hostile], vocabulary_size=500, kind=request.param)


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\u2581")))
def test_every_text_comes_back_and_has_no_special_ids(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not SPECIAL & set(ids)
    assert all(0 <= index < len(tokenizer) for index in ids)


@pytest.mark.parametrize(
    "text",
    [
        "<s> </s> <pad> <unk> <0x41> ⁇",
        "  two  spaces \t tab \u00a0 ",
        "a\0b\nc\r\n",
        "😀👩‍👩‍👧 é e\u0301 \u202e\u200b\ufeff",
        "ﬁ ½ ＡＢＣ ẞ İ",  # what NFKC would change
        "",
        " ",
        "word " * 200_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_hostile_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not SPECIAL & set(ids)


def test_what_cannot_come_back_is_told_in_the_docstring(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode("a\u2581b")) == "a b"
    assert tokenizer.decode(tokenizer.encode("a\ud800b\udfff")) == "a\ufffdb\ufffd"


def test_a_batch_is_its_texts_one_by_one(tokenizer: Tokenizer) -> None:
    texts = [*made_up_text(50, seed=1), "", "😀", "\ud800"]
    assert tokenizer.encode_batch(texts) == [tokenizer.encode(text) for text in texts]
    assert tokenizer.encode_batch([]) == []


def test_decoding_skips_special_ids_and_stops_at_none(tokenizer: Tokenizer) -> None:
    first, second = tokenizer.encode("stra"), tokenizer.encode(" le")
    assert tokenizer.decode([BOS, PAD, *first, EOS, UNK, *second, PAD]) == tokenizer.decode(first + second)
    assert tokenizer.decode([]) == tokenizer.decode([PAD, UNK, BOS, EOS]) == ""
    half_a_character = tokenizer.encode("😀")[:-1]
    assert "\ufffd" in tokenizer.decode(half_a_character)


def test_pieces_spell_the_text(tokenizer: Tokenizer) -> None:
    pieces = tokenizer.pieces(tokenizer.encode("nur das\n"))
    assert "".join(pieces) == "▁nur▁das<0x0A>"
    assert tokenizer.pieces([PAD, UNK, BOS, EOS]) == ["<pad>", "<unk>", "<s>", "</s>"]


def test_the_model_is_all_there_is(tokenizer: Tokenizer) -> None:
    again = SubwordTokenizer(tokenizer.model)
    text = "omnibus sinister 😀"
    assert again.encode(text) == tokenizer.encode(text)
    assert (again.model, len(again)) == (tokenizer.model, 500)


def test_junk_is_no_model(tokenizer: Tokenizer, capfd: pytest.CaptureFixture[str]) -> None:
    for junk in (b"", b"\0", b"junk" * 100, tokenizer.model[:1000], b"\x80\x04N."):
        with pytest.raises(InputError, match=f"the {len(junk)} bytes .* not a SentencePiece model"):
            SubwordTokenizer(junk)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("piece", [b"\xff", b"\xed\xa0\x80", b""])
def test_a_model_with_a_piece_that_is_no_text_is_refused(tokenizer: Tokenizer, piece: bytes) -> None:
    """One more piece, as a protobuf writes it: SentencePiece takes the model and fails when the piece is needed."""
    field = b"\x0a" + bytes([len(piece)]) + piece
    with pytest.raises(InputError, match="not a SentencePiece model"):
        SubwordTokenizer(tokenizer.model + b"\x0a" + bytes([len(field)]) + field)


def test_a_model_with_other_special_ids_is_refused(tmp_path: Path) -> None:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(made_up_text(200)), model_prefix=str(tmp_path / "own"), vocab_size=60, minloglevel=2
    )  # SentencePiece's defaults: no padding, unknown 0, begin 1, end 2
    with pytest.raises(InputError, match=r"\(-1, 0, 1, 2\), but they must be \(0, 1, 2, 3\)"):
        SubwordTokenizer((tmp_path / "own.model").read_bytes())


PROGRAM = """
import sys
from tests.support.lines import made_up_text
from tests.text.test_tokenizer import module
import hashlib
module.SENTENCES = int(sys.argv[2])
model = module.train_tokenizer(made_up_text(500), vocabulary_size=400, kind=sys.argv[1]).model
print(hashlib.sha256(model).hexdigest())
"""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "sentences"), [("unigram", 1000), ("bpe", 200)])
def test_the_same_text_gives_the_same_bytes_in_every_process(kind: str, sentences: int) -> None:
    runs = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM, kind, str(sentences)], capture_output=True, text=True, check=True
        )
        for _ in range(2)
    ]
    assert len(runs[0].stdout.strip()) == 64
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stderr == ""  # and quietly


@pytest.mark.parametrize("kind", KINDS)
def test_the_sizes_named_in_the_refusals_are_the_true_limits(kind: str) -> None:
    lines = made_up_text(60)
    with pytest.raises(InputError, match=r"dataset\.vocabulary is 9999, .* at most \d+ subwords") as raised:
        train_tokenizer(lines, vocabulary_size=9999, kind=kind)
    largest = int(str(raised.value).split()[-3])
    with pytest.raises(InputError, match=r"dataset\.vocabulary is 10, .* at least \d+") as raised:
        train_tokenizer(lines, vocabulary_size=10, kind=kind)
    smallest = int(str(raised.value).split()[-3])
    assert smallest == 4 + 256 + len(set("".join(lines)))  # the space counts: "▁"
    for size in (smallest, largest):
        assert len(train_tokenizer(lines, vocabulary_size=size, kind=kind)) == size
    for size in (smallest - 1, largest + 1):
        with pytest.raises(InputError, match=r"dataset\.vocabulary"):
            train_tokenizer(lines, vocabulary_size=size, kind=kind)


@pytest.mark.parametrize("kind", KINDS)
def test_coverage_and_symbols_left_alone_change_no_byte(kind: str) -> None:
    lines, model = made_up_text(400), io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type=kind,
        vocab_size=350,
        byte_fallback=True,
        character_coverage=1.0,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        pad_id=PAD,
        unk_id=UNK,
        bos_id=BOS,
        eos_id=EOS,
        num_threads=module.THREADS,
        minloglevel=2,
    )
    assert train_tokenizer(lines, vocabulary_size=350, kind=kind).model == model.getvalue()


SYMBOLS = ("<b>", "</b>", "{0}", "%s", 'a"b', "x,y", "\u732b", "&amp;")


@pytest.fixture(scope="module", params=KINDS)
def with_symbols(request: pytest.FixtureRequest) -> Tokenizer:
    lines = [f"<b>{line}</b> {{0}}%s" for line in made_up_text(300)]
    return train_tokenizer(lines, vocabulary_size=350, kind=request.param, symbols=SYMBOLS)


@given(parts=st.lists(st.sampled_from(SYMBOLS) | st.text(st.characters(codec="utf-8", exclude_characters="\u2581"))))
def test_symbols_stay_whole_and_every_text_comes_back(with_symbols: Tokenizer, parts: list[str]) -> None:
    text = "".join(parts)
    ids = with_symbols.encode(text)
    assert with_symbols.decode(ids) == text
    assert not SPECIAL & set(ids)
    pieces = with_symbols.pieces(ids)
    assert all(pieces.count(symbol) == text.count(symbol) for symbol in ("<b>", "</b>", "{0}"))
    assert len(with_symbols) == 350


@pytest.mark.parametrize("kind", KINDS)
def test_less_coverage_makes_bytes_of_rare_characters(kind: str) -> None:
    rare = "".join(map(chr, range(0x4E00, 0x4E00 + 60)))
    lines = [*(10 * made_up_text(400)), *rare]
    complete = train_tokenizer(lines, vocabulary_size=400, kind=kind)
    assert complete.count_fallbacks([rare, "abd", ""]) == [0, 0, 0]
    smaller = train_tokenizer(lines, vocabulary_size=300, kind=kind, coverage=0.9995)
    assert smaller.count_fallbacks([rare, "abd", ""])[1:] == [0, 0]
    assert smaller.count_fallbacks([rare])[0] > 90
    assert smaller.decode(smaller.encode(rare)) == rare


def test_a_vocabulary_that_is_too_small_names_the_coverage_that_would_do() -> None:
    lines = [
        *(["abc def ghi jkl " * 4] * 3000),
        *("".join(map(chr, range(0x4E00 + i, 0x4E0A + i))) for i in range(0, 300, 10)),
    ]
    for size, coverage in ((572, "0.9995"), (480, "0.9995"), (470, "0.999"), (290, "0.995")):
        with pytest.raises(
            InputError, match=rf"needs at least 573 .*, or dataset\.character_coverage={coverage}, which"
        ):
            train_tokenizer(lines, vocabulary_size=size, kind="bpe")
        assert len(train_tokenizer(lines, vocabulary_size=size, kind="bpe", coverage=float(coverage))) == size
    with pytest.raises(InputError, match=r"set dataset\.vocabulary to 573 or more$"):
        train_tokenizer(lines, vocabulary_size=262, kind="bpe")
    with pytest.raises(InputError, match=r"needs at least 873 \(special pieces, bytes, symbols and its characters\)"):
        train_tokenizer(lines, vocabulary_size=580, kind="bpe", symbols=[f"<{i}>" for i in range(300)])


@pytest.mark.parametrize("lines", [[], [""], ["x" * 5000]], ids=["none", "empty", "too long"])
def test_text_that_trains_nothing_is_refused(lines: list[str]) -> None:
    with pytest.raises(InputError, match="no line of the training text"):
        train_tokenizer(lines, vocabulary_size=300, kind="bpe")


def test_an_error_of_the_text_stays_what_it_is() -> None:
    def broken():  # type: ignore[no-untyped-def]
        yield "fine"
        raise InputError("text.de, line 2: no good")

    with pytest.raises(InputError, match=r"^text\.de, line 2: no good$"):
        train_tokenizer(broken(), vocabulary_size=300, kind="bpe")


def test_the_sample_is_even_and_the_same_every_time() -> None:
    lines = [str(number) for number in range(10_000)]
    sample = module._sample(iter(lines), 1_000)
    assert sample == module._sample(iter(lines), 1_000)
    assert len(set(sample)) == 1_000
    assert set(sample) <= set(lines)
    for part in range(10):  # 100 expected in each tenth, with a standard deviation of 9
        assert 60 < sum(part * 1_000 <= int(line) < (part + 1) * 1_000 for line in sample) < 140
    assert module._sample(iter(lines), 20_000) == lines


def test_joint_is_one_tokenizer_and_separate_are_two() -> None:
    sources, targets = made_up_text(300, letters="abcdefg"), made_up_text(300, letters="tuvwxyz", seed=1)
    train = InMemory([Pair(*pair) for pair in zip(sources, targets, strict=True)], "train")
    joint = train_tokenizers(train, vocabulary_size=400, kind="bpe", joint=True)
    assert joint.joint
    assert joint.source is joint.target
    separate = train_tokenizers(train, vocabulary_size=400, kind="bpe", joint=False)
    assert not separate.joint

    def bytes_needed(tokenizer: Tokenizer, text: str) -> bool:
        return any(piece.startswith("<0x") for piece in tokenizer.pieces(tokenizer.encode(text)))

    assert not bytes_needed(joint.source, sources[0] + targets[0])
    assert not bytes_needed(separate.source, sources[0])
    assert not bytes_needed(separate.target, targets[0])
    assert bytes_needed(separate.source, targets[0])
    assert bytes_needed(separate.target, sources[0])


@pytest.mark.data
@pytest.mark.parametrize("kind", KINDS)
def test_unseen_real_sentences_come_back(real_data: Path, kind: str) -> None:
    corpus = multi30k(folder=real_data / "multi30k", source="de", target="en")
    sources = [pair.source for pair in corpus.train]
    tokenizer = train_tokenizer(sources[:5_000], vocabulary_size=2_000, kind=kind)
    test = [pair.source for pair in corpus.test]
    encoded = tokenizer.encode_batch(test)
    assert [tokenizer.decode(ids) for ids in encoded] == test
    assert sum(map(len, encoded)) < 0.5 * sum(map(len, test))
