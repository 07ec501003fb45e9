"""The results of a comparison: the data, the tables that both reports show, and the Markdown report."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import mean, stdev
from typing import Any, NamedTuple

from seq2seq.reporting.attention import Attention
from seq2seq.reporting.curves import Curve

NO_VALUE = "–"
KINDS_HEADING = "By kind of sentence"
KINDS_NOTE = "Mean BLEU over the seeds: on the test split by source length in words, then on each challenge set."
MARKUP = re.compile(r"[\\`*{}\[\]<>#&~!]|(?<!\w)_|_(?!\w)")  # an underscore inside a word is no markup


class Run(NamedTuple):
    """One seed of one variant.

    `results` is the content of `results.json`. `p_value` tests the difference in BLEU from the first variant's run with
    the same seed; it is None if there is no such run. `curve` is BLEU on the validation split.
    """

    seed: int
    results: Mapping[str, Any]
    p_value: float | None
    curve: Curve


class Variant(NamedTuple):
    """One of the compared configurations: its runs, and the name of the options in which it differs from the others."""

    name: str
    runs: Sequence[Run]


class ExampleTranslation(NamedTuple):
    """One variant's translation of an example; `attention` is None if the translation failed or is empty."""

    variant: str
    text: str
    attention: Attention | None


class Example(NamedTuple):
    """A sentence of the test split with the translation of each variant."""

    source: str
    reference: str
    translations: Sequence[ExampleTranslation]


class Report(NamedTuple):
    """The content of a report.

    `facts` are names with values. `common` holds the options that all runs share. `failures` has a sentence for each
    failed run. `resamples` is the number of bootstrap resamples behind each p-value.
    """

    title: str
    command: str
    facts: Sequence[tuple[str, str]]
    common: Sequence[tuple[str, str]]
    seeds: Sequence[int]
    variants: Sequence[Variant]
    examples: Sequence[Example]
    failures: Sequence[str]
    resamples: int
    languages: tuple[str, str]


class Table(NamedTuple):
    """A table of text. The first column names the row; the other columns are numbers."""

    headings: list[str]
    rows: list[list[str]]


class _Column(NamedTuple):
    heading: str
    value: Callable[[Mapping[str, Any]], Any]  # from results.json; None if it has no such value
    number_format: str
    has_deviation: bool = True


COLUMNS = (
    _Column("BLEU", lambda results: results["test"]["bleu"], "{:.2f}"),
    _Column("chrF", lambda results: results["test"]["chrf"], "{:.2f}"),
    _Column("exact match, %", lambda results: _percent(results["test"].get("exact")), "{:.1f}"),
    _Column("alignment error, %", lambda results: _percent(results["test"].get("aer")), "{:.1f}"),
    _Column("parameters", lambda results: results["parameters"], "{:,.0f}", has_deviation=False),
    _Column("training, target tokens/s", lambda results: results["train"]["target_tokens_per_second"], "{:,.0f}"),
    _Column("decoding, sentences/s", lambda results: results["decoding"]["sentences_per_second"], "{:,.0f}"),
)


def summary(report: Report) -> Table:
    """One row for each variant: mean and standard deviation over its seeds, and the p-values of BLEU."""
    columns = [column for column in COLUMNS if any(_values(column, variant) for variant in report.variants)]
    headings, rows = ["variant", *(column.heading for column in columns)], _rows(report, columns)
    if any(run.p_value is not None for variant in report.variants for run in variant.runs):
        headings.insert(2, f"p of BLEU, seed {', '.join(map(str, report.seeds))}")
        for row, variant in zip(rows, report.variants, strict=True):
            row.insert(2, _p_values(variant, report.seeds))
    return Table(headings, rows)


def bleu_by_kind(report: Report) -> Table | None:
    """Mean BLEU over the seeds by source length and challenge set; None if no run has such scores."""
    scores = [_kind_scores(run.results) for variant in report.variants for run in variant.runs]
    kinds = dict.fromkeys(kind for by_kind in scores for kind in by_kind)
    columns = [_Column(kind, partial(_kind_score, kind), "{:.1f}", has_deviation=False) for kind in kinds]
    return Table(["BLEU", *kinds], _rows(report, columns)) if columns else None


def _kind_scores(results: Mapping[str, Any]) -> dict[str, float]:
    by_length = {f"{length} words": scores["bleu"] for length, scores in results["test"].get("by_length", {}).items()}
    return by_length | {name: scores["bleu"] for name, scores in results.get("challenges", {}).items()}


def _kind_score(kind: str, results: Mapping[str, Any]) -> float | None:
    return _kind_scores(results).get(kind)


def notes(report: Report) -> list[str]:
    """How the numbers of the summary were measured, one sentence or two each."""
    seeds = ", ".join(map(str, report.seeds))
    has_seeds = len(report.seeds) > 1
    sentences = [
        f"Mean ± standard deviation (n − 1) over the seeds {seeds}."
        if has_seeds
        else f"One seed ({seeds}), so no spread."
    ]
    if any(run.p_value is not None for variant in report.variants for run in variant.runs):
        sentences.append(
            f"p: sacreBLEU's paired bootstrap test of BLEU against {report.variants[0].name}, {report.resamples:,} "
            f"resamples of the test sentences, {'each seed against the same seed' if has_seeds else 'same seed'}."
        )
    sentences += [
        "Scores on the test split, of the checkpoint with the best score on the validation split.",
        "Training speed excludes validation. Decoding speed is measured on the test split and includes "
        "tokenization. Parallel runs (jobs=2) slow one another down.",
    ]
    tests = [run.results["test"] for variant in report.variants for run in variant.runs]
    return sentences + list(dict.fromkeys(f"{test['bleu_note']}." for test in tests if "bleu_note" in test))


def runs(report: Report) -> Table:
    """One row for each run."""
    headings = ["run", "BLEU", "95 % interval", "chrF", "TER", "best step", "steps", "training, s", "decoding, s"]
    rows = []
    for variant in report.variants:
        for run in variant.runs:
            test, train = run.results["test"], run.results["train"]
            low, high = test.get("bleu_interval", (test["bleu"], test["bleu"]))
            scores = [f"{test['bleu']:.2f}", f"{low:.2f} to {high:.2f}", f"{test['chrf']:.2f}", f"{test['ter']:.2f}"]
            steps = [f"{run.results['best']['step']:,}", f"{train['steps']:,}"]
            times = [f"{train['seconds']:,.0f}", f"{run.results['decoding']['seconds']:,.1f}"]
            rows.append([f"{variant.name}, seed {run.seed}", *scores, *steps, *times])
    return Table(headings, rows)


def facts(report: Report) -> list[tuple[str, str]]:
    """The facts of the report, then the seeds and sacreBLEU's signatures."""
    test = report.variants[0].runs[0].results["test"]
    seeds = ("seeds", ", ".join(map(str, report.seeds)))
    return [*report.facts, seeds, ("BLEU", test["signature"]), ("chrF", test["chrf_signature"])]


def markdown(report: Report) -> str:
    """The report in Markdown, without learning curves and heat maps. Markup in its texts is escaped."""
    lines = [f"# {_escape(report.title)}", "", *_code_block(report.command), ""]
    lines += [f"- {_escape(name)}: {_escape(value)}" for name, value in facts(report)]
    lines += [f"- failed: {_escape(sentence)}" for sentence in report.failures]
    lines += ["", *_markdown_table(summary(report)), "", *(f"{_escape(note)}  " for note in notes(report))]
    if (kinds := bleu_by_kind(report)) is not None:
        lines += ["", f"## {KINDS_HEADING}", "", *_markdown_table(kinds), "", KINDS_NOTE]
    lines += ["", "## Runs", "", *_markdown_table(runs(report))]
    if report.examples:
        lines += ["", "## Translations"]
    for example in report.examples:
        rows = [["source", example.source], ["reference", example.reference]]
        rows += [[translation.variant, translation.text] for translation in example.translations]
        lines += ["", *_markdown_table(Table(["", "sentence"], rows), numbers=False)]
    return "\n".join(lines) + "\n"


def _markdown_table(table: Table, *, numbers: bool = True) -> list[str]:
    """A Markdown table, padded so that its source is readable too."""
    cells = [[_escape(cell).replace("|", "\\|") for cell in row] for row in (table.headings, *table.rows)]
    widths = [max(3, *(len(cell) for cell in column)) for column in zip(*cells, strict=True)]
    ruler = ["-" * width if i == 0 or not numbers else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    padded = [
        [cell.ljust(width) if i == 0 or not numbers else cell.rjust(width) for i, (cell, width) in enumerate(pairs)]
        for pairs in (list(zip(row, widths, strict=True)) for row in cells)
    ]
    return [f"| {' | '.join(row)} |" for row in (padded[0], ruler, *padded[1:])]


def _code_block(text: str) -> list[str]:
    """An indented code block; Markdown reads no markup inside it."""
    return [f"    {line}" for line in text.splitlines()]


def _escape(text: str) -> str:
    """The text on one line with Markdown's special characters escaped; `_markdown_table` escapes the vertical bar."""
    return MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def _percent(share: int | float | None) -> float | None:
    return None if share is None else 100 * share


def _values(column: _Column, variant: Variant) -> list[float]:
    return [float(value) for run in variant.runs if (value := column.value(run.results)) is not None]


def _rows(report: Report, columns: Sequence[_Column]) -> list[list[str]]:
    return [[variant.name, *(_cell(column, variant) for column in columns)] for variant in report.variants]


def _cell(column: _Column, variant: Variant) -> str:
    values = _values(column, variant)
    if not values:
        return NO_VALUE
    center = column.number_format.format(mean(values))
    if not column.has_deviation or len(values) == 1:
        return center
    return f"{center} ± {column.number_format.format(stdev(values))}"


def _p_values(variant: Variant, seeds: Sequence[int]) -> str:
    by_seed = {run.seed: run.p_value for run in variant.runs if run.p_value is not None}
    return ", ".join(f"{by_seed[seed]:.3f}" if seed in by_seed else NO_VALUE for seed in seeds) if by_seed else NO_VALUE
