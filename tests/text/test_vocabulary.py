"""Vocabularies of words and characters: what is a word, what is unknown, what comes back."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.runtime.errors import InputError
from seq2seq.text.corpus import InMemory, Pair
from seq2seq.text.tokenizer import BOS, EOS, PAD, UNK, SubwordTokenizer, Tokenizer
from seq2seq.text.tokenizer_kinds import KINDS, read_tokenizer, train_tokenizers
from seq2seq.text.units import count_words, words
from seq2seq.text.vocabulary import UNKNOWN_WORD, Vocabulary, split_words, train_vocabulary
from tests.support.lines import made_up_text

LINES = ["Der Hund (sieht) die Katze.", "der Hund, der 3.50 € kostet", "Ein-Zimmer-Wohnung"]


def vocabulary(lines: list[str], kind: str = "word", **options: object) -> Vocabulary:
    return train_vocabulary(lines, largest=1_000, kind=kind, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hund.", ["Hund", "."]),
        ("(don't)", ["(", "don", "'", "t", ")"]),
        ("T-Shirt_3.50€", ["T", "-", "Shirt", "_", "3", ".", "50", "€"]),
        ("हिन्दी।", ["हिन्दी", "।"]),  # vowel signs are marks
        ("می\u200cخواهم؟", ["می\u200cخواهم", "؟"]),  # a joiner within a Persian word
        ("été", ["été"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
        ("我喜欢GPU，对吗", ["我", "喜", "欢", "GPU", "，", "对", "吗"]),
        ("ภาษาไทย", ["ภ", "า", "ษ", "า", "ไ", "ท", "ย"]),
        ("ที่", ["ที่"]),  # one letter with two marks
        ("한국어", ["한국어"]),
        ("❤\ufe0f👍🏽", ["❤\ufe0f", "👍", "🏽"]),
        ("\u0301a", ["\u0301", "a"]),
        ("\u00a0\t", ["\u00a0", "\t"]),
        ("", []),
    ],
)
def test_letters_and_digits_form_words_and_the_rest_stands_alone(text: str, expected: list[str]) -> None:
    assert split_words(text) == expected


@given(st.text())
def test_no_character_is_lost_in_words(text: str) -> None:
    assert "".join(split_words(text)) == text
    assert all(split_words(text))


def test_pieces_spell_the_text_as_sentencepiece_does() -> None:
    trained = vocabulary(LINES)
    pieces = trained.pieces(trained.encode(LINES[0]))
    assert pieces == ["▁Der", "▁Hund", "▁(", "sieht", ")", "▁die", "▁Katze", "."]
    assert [word.text for word in words(pieces)] == LINES[0].split()
    assert trained.ids(pieces) == trained.encode(LINES[0])
    assert trained.ids(["Hase", "<unk>", UNKNOWN_WORD]) == [UNK, UNK, 4]


@pytest.mark.parametrize("kind", ["word", "char"])
@given(text=st.text(st.sampled_from("abc ,.()-ä世 界ที่\u0301<>")))
def test_known_text_comes_back(kind: str, text: str) -> None:
    trained = train_vocabulary([text, "x"], largest=1_000, kind=kind)
    ids = trained.encode(text)
    assert trained.decode(ids) == (" ".join(text.split()) if kind == "word" else text)
    assert not {PAD, UNK, BOS, EOS} & {*ids}
    assert trained.unknown(text) == []


@given(st.text())
def test_whatever_is_unknown_has_its_place_among_the_words(text: str) -> None:
    trained = vocabulary(["ab c.ab.c ."])  # each with and without a space before it
    ids = trained.encode(text)
    shown = text.replace("▁", " ")
    assert len(words(trained.pieces(ids))) == count_words(shown)
    assert len(trained.decode(ids).split(" ")) == max(1, count_words(shown))
    assert trained.count_fallbacks([text]) == [len(trained.unknown(text))]


def test_an_unknown_word_is_seen_in_the_text() -> None:
    trained = vocabulary(LINES)
    ids = trained.encode("Der Hase sieht die Katze; <unk> sieht</s>")
    assert trained.pieces(ids)[:3] == ["▁Der", UNKNOWN_WORD, "sieht"]  # "▁sieht" is not in the text
    assert trained.decode(ids).startswith("Der <unk>")
    assert trained.unknown("Der Hase; sieht</s>") == ["Hase", ";", "<", "/", "s", ">"]
    assert trained.decode([PAD, BOS, UNK, 4, EOS]) == "<unk> <unk>"
    assert trained.decode([]) == ""


def test_a_word_takes_the_place_of_its_other_form() -> None:
    trained = vocabulary(LINES)
    assert trained.decode(trained.encode("(Der) sieht")) == "( Der)sieht"
    assert trained.unknown("(Der) sieht") == []


def test_rare_words_and_characters_are_unknown() -> None:
    lines = ["a b b. c c c"] * 2 + ["rare"]
    assert len(vocabulary(lines)) == 5 + 5
    trained = vocabulary(lines, min_frequency=3)
    assert trained.pieces(list(range(len(trained)))) == ["<pad>", "<unk>", "<s>", "</s>", UNKNOWN_WORD, "▁c", "▁b"]
    characters = vocabulary(lines, "char", min_frequency=2)
    assert characters.unknown("rare b") == ["e"]
    assert characters.decode(characters.encode("rare  b")) == "rar<unk>  b"
    with pytest.raises(InputError, match="no word that occurs 99 times or more"):
        vocabulary(lines, min_frequency=99)
    with pytest.raises(InputError, match="no character that occurs 1 times"):
        vocabulary([""], "char")


def test_the_most_frequent_ones_are_taken_and_ties_are_the_same_everywhere() -> None:
    lines = made_up_text(300)
    largest = train_vocabulary(lines, largest=100, kind="word")
    assert len(largest) == 100
    whole = vocabulary(lines)
    assert largest.pieces(list(range(100))) == whole.pieces(list(range(100)))
    assert train_vocabulary(reversed(lines), largest=100, kind="word").model == largest.model
    with pytest.raises(InputError, match=r"dataset\.vocabulary is 8, .* are 9: set dataset\.vocabulary to 10 or more"):
        train_vocabulary(lines, largest=8, kind="word", symbols=["<a>", "<b>"])


@pytest.mark.parametrize("kind", ["word", "char"])
def test_symbols_stay_whole(kind: str) -> None:
    symbols = ["<b>", "{0}", "ab", "abc", "."]
    trained = train_vocabulary(["x <b>cabd{0}x {0}</b> y"], largest=1_000, kind=kind, symbols=symbols)
    pieces = trained.pieces(trained.encode("<b>abcab {0}x."))
    expected = ["<b>", "abc", "ab", "{0}", "x", "."]
    assert [piece.strip("▁") for piece in pieces if piece != "▁"] == expected
    assert trained.decode(trained.encode("<b>abcab {0}x.")) == "<b>abcab {0}x."
    assert trained.unknown("<b>abc. ab {0}") == []


@pytest.mark.parametrize("kind", ["word", "char"])
def test_the_model_is_all_there_is(kind: str) -> None:
    trained = train_vocabulary(LINES, largest=1_000, kind=kind, symbols=["<b>"], min_frequency=2)
    again = read_tokenizer(trained.model)
    assert isinstance(again, Vocabulary)
    text = "Der Hund <b>sieht 😀"
    assert again.encode(text) == trained.encode(text)
    assert (again.model, len(again), again.kind) == (trained.model, len(trained), kind)


def test_junk_is_no_vocabulary() -> None:
    whole = json.loads(vocabulary(LINES).model)
    junk = [
        {**whole, "kind": "letters"},
        {**whole, "tokens": whole["tokens"][1:]},
        {**whole, "tokens": [*whole["tokens"], "▁Der"]},
        {**whole, "tokens": [*whole["tokens"], 7]},
        {**whole, "tokens": [*whole["tokens"], "\ud800"]},
        {**whole, "tokens": None},
        {**whole, "symbols": ["a b"]},
        {**whole, "seq2seq vocabulary": 2},
        {"seq2seq vocabulary": 1},
    ]
    for values in junk:
        model = json.dumps(values).encode()
        with pytest.raises(InputError, match=f"the {len(model)} bytes of the tokenizer are not a vocabulary"):
            read_tokenizer(model)
    model = vocabulary(LINES).model
    for cut in (model[:40], model[:-9], b'{"seq2seq vocabulary": ' + b"[" * 100_000, b'{"seq2seq vocabulary": \xff}'):
        with pytest.raises(InputError, match="not a vocabulary"):
            read_tokenizer(cut)


def test_a_long_line_without_spaces_takes_no_long_time() -> None:
    trained = vocabulary(LINES)
    assert len(trained.encode("a" * 1_000_000)) == 1
    assert len(trained.encode("。" * 300_000)) == 300_000


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tokenizer_keeps_to_the_interface(kind: str) -> None:
    pairs = [Pair(line, line.upper()) for line in made_up_text(300)]
    options = {"vocabulary_size": 330, "kind": kind}
    joint = train_tokenizers(InMemory(pairs, "train"), joint=True, **options)  # type: ignore[arg-type]
    separate = train_tokenizers(InMemory(pairs, "train"), joint=False, **options)  # type: ignore[arg-type]
    assert joint.joint
    assert not separate.joint
    for tokenizer in (joint.source, *separate):
        assert isinstance(tokenizer, Tokenizer)
        assert isinstance(tokenizer, SubwordTokenizer if kind in ("unigram", "bpe") else Vocabulary)
        assert len(tokenizer) <= 330
        assert type(read_tokenizer(tokenizer.model)) is type(tokenizer)
        sent = pickle.loads(pickle.dumps(tokenizer))  # as to another process
        assert (sent.model, sent.encode("unde Ä")) == (tokenizer.model, tokenizer.encode("unde Ä"))
        with pytest.raises(TypeError, match="put it into a list"):
            tokenizer.encode_batch("text")
