"""Translations that begin as they are asked to, of one text and of many."""

from pathlib import Path

import numpy as np
import pytest

import seq2seq
from seq2seq.library import inputs
from tests.support.unchecked import unchecked

TEXT = "Wird ein fleißiger Mann mit Greta sprechen?"


def numbers(translation: seq2seq.Translation) -> tuple[object, ...]:
    return (
        translation.text,
        translation.score,
        translation.log_probability,
        translation.target_subwords,
        translation.subword_attention.tolist(),
        tuple(map(numbers, translation.alternatives)),
    )


@pytest.mark.parametrize("beam_size", [1, 4])
@unchecked()
def test_without_a_prefix_nothing_changes_to_the_bit(
    translator: seq2seq.Translator, sentences: list[str], beam_size: int
) -> None:
    plain = [*map(numbers, translator.translate(sentences, beam_size=beam_size))]
    for empty in (None, "", " ", [], ()):
        translated = translator.translate(sentences, beam_size=beam_size, prefix=[empty] * len(sentences))
        assert [*map(numbers, translated)] == plain
    assert numbers(translator.translate(TEXT, prefix="")) == numbers(translator.translate(TEXT))


@unchecked()
def test_a_start_of_the_greedy_translation_gives_the_same(translator: seq2seq.Translator) -> None:
    greedy = translator.translate(TEXT, beam_size=1)
    for length in range(len(greedy.target_subwords) + 1):
        again = translator.translate(TEXT, beam_size=1, prefix=greedy.target_subwords[:length])
        assert numbers(again) == numbers(greedy)
    words = greedy.text.split(" ")
    texts = {translator.translate(TEXT, beam_size=1, prefix=" ".join(words[:n])).text for n in range(len(words))}
    assert texts == {greedy.text}


def test_score_probabilities_and_attention_include_the_prefix(translator: seq2seq.Translator) -> None:
    best = translator.translate(TEXT, prefix="Greta has ", beam_size=3, n_best=3)
    assert len(best.alternatives) == 2
    for one in (best, *best.alternatives):
        assert one.text.startswith("Greta has")
        assert len(one.subword_attention) == len(one.target_subwords) + 1 == len(one.token_log_probabilities)
        assert sum(one.token_log_probabilities) == pytest.approx(one.log_probability, abs=1e-4)
        assert one.score == pytest.approx(one.log_probability / len(one.subword_attention))
        np.testing.assert_allclose(one.subword_attention.sum(axis=1), 1, rtol=1e-5)
    forced = translator.attend(TEXT, best.text)
    if forced.target_subwords == best.target_subwords:
        assert forced.subword_attention == pytest.approx(best.subword_attention, abs=1e-4)


def test_a_list_has_a_prefix_for_each_and_equals_one_by_one(
    translator: seq2seq.Translator, sentences: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "GROUP", 3)
    starts = [
        ("The boy", None, "The man has", ["▁A"], "", "Why did the teacher not")[i % 6] for i in range(len(sentences))
    ]
    together = translator.translate(sentences, prefix=starts)
    assert {bool(text.strip()) for text in sentences} == {True, False}
    for text, prefix, one in zip(sentences, starts, together, strict=True):
        alone = translator.translate(text, prefix=prefix)
        assert (one.text, one.target_subwords) == (alone.text, alone.target_subwords)
        assert one.score == pytest.approx(alone.score, abs=1e-4)
        assert one.text.startswith(prefix if isinstance(prefix, str) else "A" if prefix else "")
    assert [one.text for one in translator.translate(tuple(sentences), prefix=tuple(starts))] == [
        one.text for one in together
    ]


def test_a_blank_text_with_a_prefix_is_translated(translator: seq2seq.Translator) -> None:
    assert translator.translate(" ", prefix="The boy").text.startswith("The boy")
    assert translator.translate("", prefix=["▁The"]).text.startswith("The")
    assert translator.translate("", prefix="").text == ""


def test_the_limit_of_length_holds(translator: seq2seq.Translator) -> None:
    subwords = len(translator.translate("Ja.").source_subwords)
    limit = 2 * subwords + 10
    prefix = ["▁the"] * limit
    whole = translator.translate("Ja.", prefix=prefix)
    assert (whole.target_subwords, len(whole.subword_attention)) == (tuple(prefix), limit)  # cut, without EOS
    assert len(whole.token_log_probabilities) == len(whole.candidates()) == limit
    assert translator.translate("Ja.", prefix=prefix[1:]).target_subwords[: limit - 1] == tuple(prefix[1:])
    message = f"has a prefix of {limit + 1} subwords, more than the {limit} that a translation of it can have"
    with pytest.raises(seq2seq.InputError, match=f"^the sentence {message}$"):
        translator.translate("Ja.", prefix=[*prefix, "."])
    with pytest.raises(seq2seq.InputError, match=f"^sentence 1 {message}$"):
        translator.translate(["Ja.", "Ja."], prefix=[None, [*prefix, "."]])
    with pytest.raises(seq2seq.InputError, match=f"^the sentence {message}$"):
        translator.search_tree("Ja.", prefix=[*prefix, "."])


def test_wrong_prefixes_are_named(translator: seq2seq.Translator) -> None:
    with pytest.raises(seq2seq.InputError, match=r"^the prefix of the sentence has 'xyz', which is no subword of"):
        translator.translate("Ja.", prefix=["▁The", "xyz"])
    with pytest.raises(seq2seq.InputError, match=r"^the prefix of sentence 1 has '</s>', which ends a translation"):
        translator.translate(["Ja.", "Ja."], prefix=[None, ["</s>"]])
    with pytest.raises(seq2seq.InputError, match=r"^prefix: expected one for each sentence, found 1 for 2 sentences$"):
        translator.translate(["Ja.", "Ja."], prefix=["The"])
    with pytest.raises(seq2seq.InputError, match=r"^prefix: an iterator of sentences takes no prefixes"):
        translator.translate(iter(["Ja."]), prefix=["The"])  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "prefix", ["\x00\x1b[31m", "a\nb\u2028c", "نحن", "我们去", "\ud800", "👩‍👩‍👧 \u202e", "▁▁", "</s>"]
)
def test_any_text_is_a_prefix(translator: seq2seq.Translator, prefix: str) -> None:
    one = translator.translate("Der Junge schlief dort gestern nicht mehr.", prefix=prefix, beam_size=2)
    assert len(one.token_log_probabilities) == len(one.subword_attention)
    assert not {"\x1b", "\n", "\x00", "\u2028"} & {*one.text}


def test_a_prefix_is_normalised_as_the_training_text(checkpoint: Path) -> None:
    translator = seq2seq.load(checkpoint, device="cpu")
    translator._translator.normalize = lambda text: text.replace("QUICK", "The boy")
    assert translator.translate("Ja.", prefix="QUICK").text.startswith("The boy")
