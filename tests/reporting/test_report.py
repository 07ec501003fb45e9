"""The tables of a comparison computed by hand, and pages that escape all text and load no other file."""

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError

from seq2seq.reporting.attention import Attention
from seq2seq.reporting.comparison import (
    Example,
    ExampleTranslation,
    Report,
    Run,
    Variant,
    bleu_by_kind,
    interventions,
    markdown,
    notes,
    runs,
    summary,
)
from seq2seq.reporting.curves import COLOURS, Curve
from seq2seq.reporting.html import page, templates
from tests.support.pages import check_alone

HOSTILE = "<script>alert('x')</script> | `a` <img src=http://evil.test/x> *b* _c_ & \"d\"\n{{ 7 * 7 }} نحن\u202e نذهب"


def results(bleu: float, *, aer: float | None = None) -> dict[str, Any]:
    test = {"bleu": bleu, "chrf": 2 * bleu, "ter": 40.0, "exact": bleu / 100, "bleu_interval": [bleu - 1, bleu + 2]}
    test |= {"signature": "nrefs:1|tok:13a", "chrf_signature": "nc:6|nw:0"}
    return {
        "parameters": 12345,
        "best": {"step": 1200},
        "train": {"steps": 1500, "seconds": 61.6, "target_tokens_per_second": 3210.4},
        "decoding": {"seconds": 2.5, "sentences_per_second": 412.0},
        "test": test if aer is None else {**test, "aer": aer},
    }


def run(seed: int, bleu: float, *, p_value: float | None = None, aer: float | None = None) -> Run:
    return Run(seed, results(bleu, aer=aer), p_value, Curve([100, 200], [bleu / 2, bleu]))


def with_lengths(seed: int) -> Run:
    """A run with a score for short sentences."""
    one = run(seed, 20.0)
    test = {**one.results["test"], "by_length": {"1-4": {"bleu": 77.7}}}
    return one._replace(results={**one.results, "test": test})


ATTENTION = Attention(["ein", "Hund"], ["a", "dog", "."], np.array([[0.9, 0.1], [0.25, 0.75], [0.5, 0.5]]))
DOT = Variant("dot", [run(1, 20.0, aer=0.25), run(2, 26.0, aer=0.35)])
GENERAL = Variant("general", [run(1, 21.5, p_value=0.0123, aer=0.2)])


def report(*variants: Variant, examples: int = 1, text: str = "A dog.", failures: tuple[str, ...] = ()) -> Report:
    translations = [ExampleTranslation(variant.name, text, ATTENTION) for variant in variants[:-1]]
    translations.append(ExampleTranslation(variants[-1].name, text, None))
    return Report(
        title=f"Compared: {text}",
        command=f"python scripts/compare.py {text}",
        facts=[("dataset", "grammar")],
        common=[("training.clip", text)],
        seeds=[1, 2],
        variants=variants,
        examples=[Example(text, text, translations)] * examples,
        failures=failures,
        resamples=1000,
        languages=("de", "en"),
    )


def test_means_and_spreads_by_hand() -> None:
    """20 and 26: mean 23, standard deviation sqrt((3² + 3²) / 1) = 4.24."""
    table = summary(report(DOT, GENERAL))
    assert table.headings[:4] == ["variant", "BLEU", "p of BLEU, seed 1, 2", "chrF"]
    dot, general = (dict(zip(table.headings, row, strict=True)) for row in table.rows)
    assert dot["variant"] == "dot"
    assert dot["BLEU"] == f"23.00 ± {math.sqrt(18):.2f}" == "23.00 ± 4.24"
    assert dot["chrF"] == "46.00 ± 8.49"
    assert dot["exact match, %"] == "23.0 ± 4.2"
    assert dot["alignment error, %"] == "30.0 ± 7.1"
    assert dot["parameters"] == "12,345"
    assert dot["p of BLEU, seed 1, 2"] == "–"
    assert general["BLEU"] == "21.50"  # one run has no spread
    assert general["p of BLEU, seed 1, 2"] == "0.012, –"


def test_scores_without_values_are_not_on_the_page() -> None:
    without = report(Variant("dot", [run(1, 20.0)]), Variant("general", [run(1, 21.0)]))._replace(seeds=[1])
    assert "alignment error, %" not in summary(without).headings
    assert not [heading for heading in summary(without).headings if heading.startswith("p ")]
    assert not [note for note in notes(without) if "bootstrap" in note or "deviation" in note]
    assert "bootstrap" not in page(without) + markdown(without)
    partly = summary(report(DOT, Variant("general", [run(1, 21.0)])))
    assert partly.rows[1][partly.headings.index("alignment error, %")] == "–"


def test_bleu_by_kind_of_sentence_is_shown_if_it_was_measured() -> None:
    def by_kind(seed: int, *bleu: float) -> Run:
        scores = {"test": {"bleu": 1.0, "by_length": {"1-4": {"bleu": bleu[0]}, "17+": {"bleu": bleu[1]}}}}
        return Run(seed, scores | {"challenges": {"names": {"bleu": bleu[2]}}}, None, Curve([1], [1.0]))

    comparison = report(Variant("dot", [by_kind(1, 10.0, 20.0, 30.0), by_kind(2, 11.0, 20.0, 40.0)]), GENERAL)
    table = bleu_by_kind(comparison)
    assert table is not None
    assert table.headings == ["BLEU", "1-4 words", "17+ words", "names"]
    assert table.rows == [["dot", "10.5", "20.0", "35.0"], ["general", "–", "–", "–"]]
    assert bleu_by_kind(report(DOT, GENERAL)) is None
    assert "By kind of sentence" not in page(report(DOT, GENERAL)) + markdown(report(DOT, GENERAL))
    whole = report(Variant("dot", [with_lengths(1)]), GENERAL)
    assert "| dot     |      77.7 |" in markdown(whole)
    assert "77.7" in check_alone(page(whole)).text


def test_interventions_have_a_table_for_each_variant() -> None:
    def scores(bleu: float) -> dict[str, Any]:
        recall = {"function": bleu / 200, "content": bleu / 100}
        return {"bleu": bleu, "exact": 0.25, "perplexity": 2.0, "word_recall": recall}

    untouched = {**scores(50.0), "by_length": {"1-4": {"bleu": 61.0}}}
    runs = [
        run(seed, 20.0)._replace(interventions={"untouched": untouched, "hard": scores(20.0 + 2 * seed)})
        for seed in (1, 2)
    ]
    shown = report(Variant("dot", runs), GENERAL)
    table = interventions(shown)["dot"]
    assert list(interventions(shown)) == ["dot"]  # the other one has no scores
    assert table.headings == [
        "weights", "BLEU", "exact match, %", "perplexity", "function words, %", "content words, %", "1-4 words",
    ]  # fmt: skip
    assert table.rows[0] == ["untouched", "50.0 ± 0.0", "25.0 ± 0.0", "2.00 ± 0.00", "25.0 ± 0.0", "50.0 ± 0.0", "61.0"]
    assert table.rows[1] == ["hard", "23.0 ± 1.4", "25.0 ± 0.0", "2.00 ± 0.00", "11.5 ± 0.7", "23.0 ± 1.4", "–"]
    text = " ".join(check_alone(page(shown)).text)
    assert "With changed attention weights" in text
    assert "23.0 ± 1.4" in text
    assert "| hard      | 23.0 ± 1.4 |" in markdown(shown)
    assert "With changed attention weights" not in page(report(DOT, GENERAL)) + markdown(report(DOT, GENERAL))


def test_every_run_has_its_row() -> None:
    table = runs(report(DOT, GENERAL))
    assert [row[0] for row in table.rows] == ["dot, seed 1", "dot, seed 2", "general, seed 1"]
    assert table.rows[1][1:3] == ["26.00", "25.00 to 28.00"]
    assert {len(row) for row in table.rows} == {len(table.headings)}


def test_the_page_needs_no_other_file_and_contains_the_tables() -> None:
    comparison = report(DOT, GENERAL, examples=2, failures=("concat, seed 3, failed",))
    source = page(comparison)
    assert source.startswith("<!doctype html>\n")
    parsed = check_alone(source)
    text = " ".join(parsed.text)
    for table in (summary(comparison), runs(comparison)):
        assert all(cell in parsed.text for row in [table.headings, *table.rows] for cell in row)
    for words in (
        comparison.title,
        comparison.command,
        "nrefs:1|tok:13a",
        "concat, seed 3, failed",
        *notes(comparison),
    ):
        assert words in text
    assert [attributes.get("content") for attributes in parsed.all("meta")][1] == "width=device-width, initial-scale=1"
    assert parsed.all("html") == [{"lang": "en"}]
    assert len(parsed.all("table")) == 2 + 2  # of dot's attention; general translated nothing


def test_a_heat_map_has_a_cell_for_each_weight_and_a_text_alternative() -> None:
    source = page(report(DOT, GENERAL, examples=2))
    pictures = [each for each in check_alone(source).all("div") if each.get("class") == "map"]
    assert len(pictures) == 2  # of dot; general translated nothing
    for picture in pictures:
        assert picture["role"] == "img"
        assert picture["aria-label"] == "Attention of dot: a from ein; dog from Hund; . from ein"
        assert picture["dir"] == "ltr"
        assert picture["tabindex"] == "0"  # the keyboard can scroll it
    source = re.sub(r">\s+<", "><", source)
    maps = re.findall(r'<thead lang="de"><tr>(.*?)</tr></thead><tbody lang="en">(.*?)</tbody>', source)
    assert len(maps) == 2
    for head, body in maps:
        assert re.findall("<th>(.*?)</th>", head) == ["", "<bdi>ein</bdi>", "<bdi>Hund</bdi>"]
        rows = re.findall(r"<tr><th><bdi>(.*?)</bdi></th>(.*?)</tr>", body)
        assert [word for word, _ in rows] == ["a", "dog", "."]
        assert [re.findall(r'<td style="--weight:(\d+)%"></td>', cells) for _, cells in rows] == [
            ["90", "10"],
            ["25", "75"],
            ["50", "50"],
        ]


def test_a_source_from_right_to_left_begins_at_the_right() -> None:
    arabic = Attention(["نحن", "نذهب"], ["we", "go"], np.eye(2))
    example = Example("نحن نذهب", "we go", [ExampleTranslation("dot", "we go", arabic)])
    parsed = check_alone(page(report(DOT, GENERAL)._replace(examples=[example])))
    assert [picture["dir"] for picture in parsed.all("div") if picture.get("class") == "map"] == ["rtl"]
    assert {"نحن", "نذهب", "نحن نذهب"} <= set(parsed.text)  # as they are: the browser has the fonts


def test_text_cannot_become_markup() -> None:
    hostile = report(DOT._replace(name=HOSTILE), GENERAL, text=HOSTILE, failures=(HOSTILE,))
    words = Attention([HOSTILE], [HOSTILE], np.ones((1, 1)))
    example = hostile.examples[0]._replace(translations=[ExampleTranslation(HOSTILE, HOSTILE, words)])
    parsed = check_alone(page(hostile._replace(examples=[example], languages=(HOSTILE, HOSTILE))))
    assert not parsed.all("img")
    assert parsed.text.count(HOSTILE) >= 8
    (picture,) = (each for each in parsed.all("div") if each.get("class") == "map")
    assert str(picture["aria-label"]).count(HOSTILE) == 3
    assert HOSTILE in [body.get("lang") for body in parsed.all("tbody")]
    lines = [line for line in markdown(hostile).splitlines() if not line.startswith("    ")]  # that is code
    assert len([line for line in lines if "\\<script" in line]) >= 6
    assert "<script" not in "\n".join(lines).replace("\\<", "")


@pytest.mark.parametrize(
    "source", ["{{ absent }}", "{{ report.absent }}", "{% for row in report.absent %}{% endfor %}"]
)
def test_an_undefined_variable_of_a_template_raises(source: str) -> None:
    with pytest.raises(UndefinedError, match="absent"):
        templates().from_string(source).render(report=report(DOT, GENERAL))


def test_each_series_has_a_colour_in_both_themes() -> None:
    """The chart counts the colours, the template lists them."""
    source = page(report(*(Variant(f"rule {number}", GENERAL.runs) for number in range(COLOURS + 1))))
    styles = set(re.findall(r'class="(series-\d+)', source))
    assert len(styles) == COLOURS
    for style in styles:
        assert f".{style} {{ stroke: var(--{style}); }}" in source
        assert len(re.findall(rf"--{style}: #[0-9a-f]{{6}};", source)) == 2


@pytest.mark.parametrize("name", ["a|b", "back\\slash|", "`code`", "local_p"])
def test_a_row_of_markdown_has_as_many_cells_as_its_heading(name: str) -> None:
    lines = markdown(report(DOT._replace(name=name), GENERAL)).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| variant"))
    counts = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines[start : start + 4]}
    assert counts == {len(summary(report(DOT, GENERAL)).headings) + 1}


@settings(max_examples=25)
@given(st.text(max_size=40))
def test_any_text_gives_a_well_formed_page(text: str) -> None:
    check_alone(page(report(Variant(text, GENERAL.runs), text=text)))
    markdown(report(Variant(text, GENERAL.runs), text=text))


def test_the_note_on_a_bleu_of_zero_appears_once() -> None:
    zero = run(1, 0.0)
    test = {**zero.results["test"], "bleu_note": "BLEU is 0: no translation has four tokens"}
    zero = zero._replace(results={**zero.results, "test": test})
    sentences = notes(report(Variant("dot", [zero]), Variant("general", [zero])))
    assert sentences.count("BLEU is 0: no translation has four tokens.") == 1
