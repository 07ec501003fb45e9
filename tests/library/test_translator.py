"""The library translates and scores as the programs do, whatever it is given, and names what it refuses."""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import seq2seq
from seq2seq.commands.stream import translate_stream
from seq2seq.config import Intervention, Translate, load
from seq2seq.library import inputs
from seq2seq.nn.int8 import int8_is_possible
from seq2seq.text.alignment import Link, format_pharaoh
from tests.library.conftest import OLD_RUN
from tests.support.programs import CPU
from tests.support.unchecked import unchecked

LONG = "Der Junge schlief. " * 400


def same(one: seq2seq.Translation, other: seq2seq.Translation) -> None:
    """The same translation, up to rounding: the shape of a batch decides the order of sums."""
    assert (one.text, one.source_subwords, one.target_subwords) == (
        other.text,
        other.source_subwords,
        other.target_subwords,
    )
    assert one.log_probability == pytest.approx(other.log_probability, abs=1e-4)
    assert one.score == pytest.approx(other.score, abs=1e-4)
    assert one.subword_attention == pytest.approx(other.subword_attention, abs=1e-4)
    assert one.alignment == other.alignment


def check_all(one: Iterable[seq2seq.Translation], other: Iterable[seq2seq.Translation]) -> None:
    for pair in zip(one, other, strict=True):
        same(*pair)


# --- what it gives ----------------------------------------------------------------------------------------------------


def test_a_text_is_translated_as_the_program_does(
    translator: seq2seq.Translator, checkpoint: Path, sentences: list[str], tmp_path: Path
) -> None:
    values = {
        "checkpoint": str(checkpoint),
        "scores": True,
        "alignments": True,
        "units": True,
        "plot": None,
        "prefix": None,
        "attention": dict.fromkeys(Intervention.model_fields),
    }
    options = load(Translate, {**values, "search": {"n_best": 2, "size": 3}, "device": CPU})
    with (OLD_RUN / "sentences.de").open("rb") as source, (tmp_path / "out").open("w+", encoding="utf-8") as target:
        assert translate_stream(options, source.fileno(), target) == 0
    lines = []
    for number, best in enumerate(translator.translate(sentences, n_best=2, beam_size=3), start=1):
        for one in (best, *best.alternatives):
            links = format_pharaoh(Link(*link) for link in one.alignment)
            columns = [str(number), f"{one.score:.4f}", one.text, links]
            lines.append("\t".join([*columns, " ".join(one.source_words), " ".join(one.target_words)]))
    assert (tmp_path / "out").read_text(encoding="utf-8").splitlines() == lines
    assert len(lines) > 8


def test_it_is_what_the_older_version_printed(translator: seq2seq.Translator, sentences: list[str]) -> None:
    lines = [
        f"{one.text}\t{format_pharaoh(Link(*link) for link in one.alignment)}"
        for one in translator.translate(sentences)
    ]
    assert lines == (OLD_RUN / "translated.en").read_text(encoding="utf-8").splitlines()


@pytest.mark.slow
def test_a_list_a_tuple_and_an_iterator_equal_one_by_one(
    translator: seq2seq.Translator, sentences: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "GROUP", 2)
    texts = [*sentences, *reversed(sentences)]
    singles = [translator.translate(text) for text in texts]
    check_all(translator.translate(texts), singles)
    check_all(translator.translate(tuple(texts)), singles)
    check_all(translator.translate(iter(texts)), singles)
    check_all(translator.translate(dict.fromkeys(sentences)), singles[: len(sentences)])
    check_all(translator.translate(np.array(texts)), singles)
    assert translator.translate([]) == []
    assert list(translator.translate(iter([]))) == []


def test_an_open_file_gives_a_translation_for_each_line(
    translator: seq2seq.Translator, sentences: list[str], tmp_path: Path
) -> None:
    (tmp_path / "crlf").write_bytes("\r\n".join(sentences).encode())
    with (tmp_path / "crlf").open(encoding="utf-8", newline="") as file:
        check_all(translator.translate(file), translator.translate(sentences))


def test_an_iterator_is_read_in_groups_and_may_be_left(
    translator: seq2seq.Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "GROUP", 3)
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "Der Junge schlief."

    stream = translator.translate(endless())
    assert read == 0
    assert [next(stream).text for _ in range(4)] == [translator.translate("Der Junge schlief.").text] * 4
    assert read == 6
    stream.close()  # type: ignore[attr-defined]
    assert list(stream) == []
    assert translator.translate("Der Junge schlief.").text


def test_options_choose_the_search(translator: seq2seq.Translator) -> None:
    text = "Wird ein fleißiger Mann mit Greta sprechen?"
    best = translator.translate(text, beam_size=4, n_best=3, length_penalty=0.0)
    assert len(best.alternatives) == 2
    assert best.score == best.log_probability
    assert [one.score for one in (best, *best.alternatives)] == sorted(
        (one.score for one in (best, *best.alternatives)), reverse=True
    )
    assert all(not one.alternatives for one in best.alternatives)
    greedy = translator.translate(text, beam_size=1, batch=7)
    assert len(greedy.alternatives) == 0
    same(translator.translate(text), translator.translate(text, beam_size=5))  # the options of a call end with it


# --- forced decoding --------------------------------------------------------------------------------------------------


def test_attending_to_a_translation_gives_its_numbers(translator: seq2seq.Translator, sentences: list[str]) -> None:
    compared = 0
    for text in filter(str.strip, sentences):
        found = translator.translate(text)
        assert sum(found.token_log_probabilities) == pytest.approx(found.log_probability, abs=1e-4)
        assert len(found.token_log_probabilities) == len(found.target_subwords) + 1 == len(found.subword_attention)
        forced = translator.attend(text, found.text)
        if forced.target_subwords == found.target_subwords:
            compared += 1
            same(forced, found)
            assert forced.token_log_probabilities == pytest.approx(found.token_log_probabilities, abs=1e-4)
    assert compared > 2


def test_a_search_that_was_cut_has_no_eos(translator: seq2seq.Translator) -> None:
    """A model of random weights does not end."""
    weights = translator._translator.model.output.bias
    before = weights.detach().clone()
    try:
        with torch.no_grad():
            weights[3] = -1e6
        cut = translator.translate("Der Junge.")
        assert len(cut.subword_attention) == len(cut.target_subwords) == len(cut.token_log_probabilities)
        assert sum(cut.token_log_probabilities) == pytest.approx(cut.log_probability, abs=1e-3)
    finally:
        with torch.no_grad():
            weights.copy_(before)


def test_scores_of_a_list_equal_those_one_by_one(translator: seq2seq.Translator, sentences: list[str]) -> None:
    pairs = [(text, f"The girl sees {'a dog and ' * i}the father.") for i, text in enumerate([*sentences, "", "Ja."])]
    pairs += [("Der Junge.", ""), ("", "")]
    scored = translator.score(pairs)
    check_all(scored, [translator.attend(*pair) for pair in pairs])
    check_all(translator.score(iter(pairs)), scored)
    assert [one.text for one in scored] == [target for _, target in pairs]
    likely, unlikely = translator.score([("Der Junge schlief.", "The boy slept."), ("Der Junge schlief.", "x9 §§ z!")])
    assert likely.score > unlikely.score
    for one in scored:
        length = len(one.target_subwords) + 1
        assert one.score == pytest.approx(one.log_probability / length)
        assert one.subword_attention.shape == (length, len(one.source_subwords) + 1)
        assert one.subword_attention.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert translator.score(pairs[:1], length_penalty=0.0)[0].score == pytest.approx(scored[0].log_probability)


# --- what is refused, and what is hostile -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 0}, "beam_size: should be greater than or equal to 1, found 0"),
        ({"beam_size": True}, "beam_size: should be a valid integer, found true"),
        ({"n_best": 9, "beam_size": 3}, "n_best=9 is more than the beam has with beam_size=3: set beam_size=9"),
        ({"length_penalty": float("nan")}, "length_penalty"),
        ({"too_long": "cut"}, "too_long: no such choice 'cut', choose one of refuse, truncate"),
        ({"batch": -1}, "batch: should be greater than 0, found -1"),
        ({"beam_size": 1000, "batch": 1000}, "1,000,000 hypotheses"),
    ],
)
def test_an_impossible_option_is_refused_at_once(
    translator: seq2seq.Translator, options: dict[str, Any], message: str
) -> None:
    for text in ("Ja.", ["Ja."], iter(["Ja."])):
        with pytest.raises(seq2seq.InputError) as error:
            translator.translate(text, **options)  # type: ignore[call-overload]
        assert message in str(error.value)


WRONG_TYPES = {
    "translator.translate(5)": "expected a sentence, or a list or an iterator of them, found 5 of type int",
    "translator.translate(b'abc')": "expected a sentence, or a list or an iterator of them, found b'abc' of type bytes",
    "translator.translate(['Ja.', 2.5])": "sentence 1: expected text, found 2.5 of type float",
    "list(translator.translate(iter([None])))": "sentence 0: expected text, found None of type NoneType",
    "translator.score([7])": "pair 0: expected a source and a target, (TEXT, TEXT), found 7 of type int",
    "translator.attend('Ja.', 3)": "the pair, target: expected text, found 3 of type int",
    "translator.translate('Ja.', n_best=numpy.int64(0))": "n_best: should be greater than 0, found 0",
    "translator.translate('Ja.', beam_size='3')": 'beam_size: should be a valid integer, found "3"',
    "translator.translate('Ja.', prefix=5)": "the prefix of the sentence: expected text or a list of subwords, "
    "found 5 of type int",
    "translator.translate('Ja.', prefix=['A', 7])": "the prefix of the sentence: expected text or a list of subwords, "
    "found ['A', 7] of type list",
    "translator.translate(['Ja.', 'Ja.'], prefix='The')": "prefix: expected a list with a prefix or None for each "
    "sentence, found 'The' of type str",
    "translator.search_tree(['Ja.'])": "the sentence: expected text, found ['Ja.'] of type list",
    "translator.translate('Ja.').candidates(2.5)": "n: expected a whole number, found 2.5 of type float",
    "translator.translate('Ja.').candidates(True)": "n: expected a whole number, found True of type bool",
    "seq2seq.load(5)": "expected the path of a checkpoint, such as 'runs/NAME', found 5",
    "seq2seq.train(5)": "expected options as text, such as 'attention=dot', found 5 of type int",
}
"""Calls, and the sentence of each."""


@pytest.mark.slow
def test_what_has_the_wrong_type_is_refused_with_a_sentence(checkpoint: Path) -> None:
    """In a process of its own, without the types that are checked while tests run."""
    program = f"""
import numpy, seq2seq
translator = seq2seq.load({str(checkpoint)!r}, device="cpu")
for call in {[*WRONG_TYPES]!r}:
    try:
        eval(call)
    except (TypeError, seq2seq.InputError) as error:
        print(error)
"""
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert printed.splitlines() == [*WRONG_TYPES.values()]


def test_a_text_that_is_too_long_is_named_by_its_index(
    translator: seq2seq.Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "GROUP", 2)
    texts = ["Ja.", "Nein.", "Ja.", LONG, "Ja."]
    with pytest.raises(seq2seq.InputError, match=r"^sentence 3 has \d+ subwords, more than the 1000 that this model"):
        translator.translate(texts)
    stream = translator.translate(iter(texts))
    assert len([next(stream) for _ in range(3)]) == 3
    with pytest.raises(seq2seq.InputError, match=r"^sentence 3 has"):
        next(stream)
    with pytest.raises(seq2seq.InputError, match=r"^the sentence has"):
        translator.translate(LONG)
    with pytest.raises(seq2seq.InputError, match=r"^pair 1 has a source of"):
        translator.score([("Ja.", "Yes."), (LONG, "Yes.")])
    with pytest.raises(seq2seq.InputError, match=r"^pair 0 has a target of .* more than the limit of 4000"):
        translator.score([("Ja.", LONG * 2)])
    assert len(translator.attend(LONG, "Yes.", too_long="truncate").source_subwords) == 1000


@pytest.mark.slow
def test_a_megabyte_is_refused_or_cut(translator: seq2seq.Translator) -> None:
    with pytest.raises(seq2seq.InputError, match="more than the 1000"):
        translator.translate("a" * 2**20)
    cut = translator.translate("a" * 2**20, too_long="truncate", beam_size=1)
    assert len(cut.source_subwords) == 1000
    assert "<table>" not in cut._repr_html_() or len(cut.source_words) < 80


HOSTILE = [
    "",
    " ",
    "\t\u00a0\u3000",
    "\n",
    "Wort",
    "\x00\x01\x1b[31m\x7f",
    "a\nb\u2028c",
    "نحن نذهب إلى المدرسة",
    "我们去学校。",
    '<script>alert(1)</script> & "q" {{ 7 * 7 }} <b>',
    "\ud800",
    "👩‍👩‍👧 \u202e",
    "▁▁",
]


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_has_a_translation_that_is_consistent(translator: seq2seq.Translator, text: str) -> None:
    one = translator.translate(text, beam_size=2)
    assert one.attention.shape == (len(one.target_words), len(one.source_words))
    assert len(one.token_log_probabilities) == len(one.subword_attention)
    assert all(0 <= source < len(one.source_words) for source, _ in one.alignment)
    if not text.strip():
        assert (one.text, one.score, one.token_log_probabilities, one.alignment) == ("", 0.0, (), [])
    forced = translator.attend(text, text)
    assert forced.log_probability < 0
    assert forced.attention.shape == (len(forced.target_words), len(forced.source_words))
    for shown in (one, forced):
        assert "<script" not in shown._repr_html_()
        assert "\x1b" not in "".join(shown.source_words + shown.target_words)
        assert shown.figure().axes


# --- loading ----------------------------------------------------------------------------------------------------------


def test_a_run_folder_stands_for_its_best_checkpoint(translator: seq2seq.Translator) -> None:
    loaded = seq2seq.load(str(OLD_RUN / "run"), device="cpu")
    assert loaded.checkpoint == translator.checkpoint
    assert (loaded.languages, loaded.step) == (("de", "en"), 980)
    assert "de to en, step 980, on cpu" in repr(loaded)


def test_what_cannot_be_loaded_is_named(tmp_path: Path, checkpoint: Path) -> None:
    with pytest.raises(seq2seq.InputError, match=r"no checkpoint at .*nothing: give a folder such as"):
        seq2seq.load(tmp_path / "nothing")
    with pytest.raises(seq2seq.InputError, match=r"is not a checkpoint .*; give runs/NAME/checkpoints/best"):
        seq2seq.load(tmp_path)
    (tmp_path / "run" / "checkpoints" / "last").mkdir(parents=True)
    with pytest.raises(seq2seq.InputError, match="run has no checkpoints/best, since no validation came yet"):
        seq2seq.load(tmp_path / "run")
    for path in ("", "a\0b"):
        with pytest.raises(seq2seq.InputError, match="is no path of a checkpoint"):
            seq2seq.load(path)
    with pytest.raises(seq2seq.InputError, match="device: no such choice 'gpu', did you mean cpu"):
        seq2seq.load(checkpoint, device="gpu")
    with pytest.raises(seq2seq.InputError, match="precision: no such choice 'int4', did you mean int8"):
        seq2seq.load(checkpoint, precision="int4")
    with pytest.raises(seq2seq.InputError, match="precision: bfloat16 is for training; choose auto"):
        seq2seq.load(checkpoint, precision="bfloat16")


@pytest.mark.skipif(not int8_is_possible(torch.device("cpu")), reason="this processor has no 8-bit products")
def test_8_bits_are_near_and_are_not_the_same(checkpoint: Path, translator: seq2seq.Translator) -> None:
    pair = ("Der Junge schlief.", "The boy slept.")
    exact, rounded = (each.attend(*pair) for each in (translator, seq2seq.load(checkpoint, precision="int8")))
    assert rounded.log_probability != exact.log_probability
    np.testing.assert_allclose(rounded.token_log_probabilities, exact.token_log_probabilities, atol=0.2)


def test_settings_of_the_process_neither_change_nor_matter(checkpoint: Path, translator: seq2seq.Translator) -> None:
    expected = translator.translate("Der Junge schlief.")
    threads, dtype, tiny = torch.get_num_threads(), torch.get_default_dtype(), torch.tensor(1e-40)
    try:
        torch.set_num_threads(2)
        torch.set_default_dtype(torch.float64)
        same(seq2seq.load(checkpoint, device="cpu").translate("Der Junge schlief."), expected)
        assert torch.get_num_threads() == 2
        assert torch.get_default_dtype() == torch.float64
        assert tiny * 1 == tiny > 0  # denormal numbers
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)


def test_constraints_hold_for_every_sentence(translator: seq2seq.Translator, sentences: list[str]) -> None:
    options: inputs.SearchOptions = {"beam_size": 3, "n_best": 3, "min_length": 12, "no_repeat_ngram": 2}
    together = translator.translate(sentences, **options)
    for text, best in zip(sentences, together, strict=True):
        alone = translator.translate(text, **options)
        same(alone, best)
        for one in (best, *best.alternatives):
            pairs = [*zip(one.target_subwords, one.target_subwords[1:], strict=False)]
            assert len({*pairs}) == len(pairs)
            assert len(one.target_subwords) >= 12 or not text.strip()
            assert sum(one.token_log_probabilities) == pytest.approx(one.log_probability, abs=1e-3)
    (node,) = (node for node in translator.search_tree(sentences[0], **options).nodes if node.hypothesis == 1)
    assert node.score == pytest.approx(together[0].score)


def test_a_score_has_its_penalties_wherever_it_is_computed(
    translator: seq2seq.Translator, sentences: list[str]
) -> None:
    options: inputs.ScoreOptions = {"length_form": "wu", "length_penalty": 0.6, "coverage_penalty": 0.7}
    found = translator.translate(sentences, beam_size=3, n_best=2, **options)
    pairs = [(text, one.text) for text, one in zip(sentences, found, strict=True)]
    compared = 0
    for one, forced in zip(found, translator.score(pairs, **options), strict=True):
        if one.text and one.target_subwords == forced.target_subwords:
            coverage = np.log(one.subword_attention[:, :-1].sum(axis=0).clip(1e-6, 1)).sum()
            divisor = ((5 + len(one.subword_attention)) / 6) ** 0.6
            assert one.score == pytest.approx(one.log_probability / divisor + 0.7 * coverage, abs=1e-4)
            assert forced.score == pytest.approx(one.score, abs=1e-3)
            compared += 1
    assert compared > 2
    tree = translator.search_tree(sentences[0], beam_size=3, n_best=2, **options)
    assert [node.score for node in tree.nodes if node.hypothesis == 1] == [pytest.approx(found[0].score, abs=1e-4)]


def test_an_ensemble_does_what_a_model_does(checkpoint: Path, translator: seq2seq.Translator, tmp_path: Path) -> None:
    copy = shutil.copytree(checkpoint, tmp_path / "copy")
    both = seq2seq.load([checkpoint, copy], device="cpu")
    assert (both.checkpoints, both.steps) == ((checkpoint, copy), (translator.step,) * 2)
    assert str(copy) in repr(both)
    text = "Die Frau kauft dem Kind einen Apfel."
    same(both.translate(text, beam_size=3), translator.translate(text, beam_size=3))
    same(both.attend(text, "The woman."), translator.attend(text, "The woman."))
    one, other = (each.translate(text, prefix="The", beam_size=2) for each in (both, translator))
    assert one.token_log_probabilities == pytest.approx(other.token_log_probabilities, abs=1e-4)
    assert [row[0][0] for row in one.candidates(2)] == [row[0][0] for row in other.candidates(2)]
    with pytest.raises(seq2seq.InputError, match="given twice"):
        seq2seq.load([checkpoint, checkpoint], device="cpu")
    with pytest.raises(seq2seq.InputError, match="no checkpoint is given"):
        seq2seq.load([], device="cpu")


@unchecked()
def test_samples_from_python(translator: seq2seq.Translator, sentences: list[str]) -> None:
    options: inputs.SearchOptions = {"method": "sample", "beam_size": 60, "n_best": 60, "top_p": 0.99, "seed": 3}
    together = translator.translate(sentences, **options)
    for text, best in zip(sentences, together, strict=True):
        alone = translator.translate(text, **options)
        assert sorted(one.text for one in alone.alternatives) == sorted(one.text for one in best.alternatives)
        for one in (best, *best.alternatives[:3]):
            assert sum(one.token_log_probabilities) == pytest.approx(one.log_probability, abs=1e-3)
    assert any(len({one.text for one in best.alternatives}) > 2 for best in together)
    assert translator.translate("Ja.", prefix="The", method="sample").text.startswith("The")
    with pytest.raises(seq2seq.InputError, match="samples are drawn one by one and have no tree"):
        translator.search_tree("Ja.", method="sample")
    with pytest.raises(seq2seq.InputError, match=r"^top_k=3 is for sampling, and method='beam': set method='sample'$"):
        translator.translate("Ja.", top_k=3)


def test_minimum_bayes_risk_from_python(translator: seq2seq.Translator, sentences: list[str]) -> None:
    options: inputs.SearchOptions = {"method": "sample", "beam_size": 6, "n_best": 6, "temperature": 0.8}
    for text, best in zip(sentences, translator.translate(sentences, **options), strict=True):
        by_risk = translator.translate(text, rank_by="chrf", **options)
        ranked = [by_risk, *by_risk.alternatives]
        assert sorted(one.text for one in ranked) == sorted(one.text for one in (best, *best.alternatives))
        assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)
        assert by_risk.log_probability == pytest.approx(sum(by_risk.token_log_probabilities), abs=1e-3)
    with pytest.raises(seq2seq.InputError, match="a search has ranks by score"):
        translator.search_tree("Ja.", beam_size=3, rank_by="bleu")


@unchecked()
def test_diverse_beams_from_python(translator: seq2seq.Translator, sentences: list[str]) -> None:
    for text in sentences:
        best = translator.translate(text, beam_size=6, groups=3, diversity=4.0, n_best=6)
        for one in (best, *best.alternatives):
            assert one.log_probability == pytest.approx(sum(one.token_log_probabilities), abs=1e-3)
        same = translator.translate(text, beam_size=6, groups=3, diversity=0.0)
        beam = translator.translate(text, beam_size=2)
        assert (same.text, same.score) == (beam.text, beam.score)
    with pytest.raises(seq2seq.InputError, match="groups of a diverse beam search have a tree each"):
        translator.search_tree("Ja.", beam_size=4, groups=2)
