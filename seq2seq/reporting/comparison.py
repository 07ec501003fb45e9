"""What a comparison found, as data; and its tables, as text for Markdown and HTML alike."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import mean, stdev
from typing import Any, NamedTuple

from seq2seq.reporting.curves import Curve
from seq2seq.reporting.heatmap import Attention

NOTHING = "–"
KINDS = "By kind of sentence"
KINDS_NOTE = "BLEU, mean over the seeds: of the test split by source words, then of each challenge set."
MARKUP = re.compile(r"[\\`*{}\[\]<>#&~!]|(?<!\w)_|_(?!\w)")  # within a word an underscore is none


class Run(NamedTuple):
    """One seed of one variant.

    `results` are those of `results.json`. `p_value` is that of BLEU's difference from the first variant's run with the
    same seed, where there is one. `curve` is BLEU on the validation split.
    """

    seed: int
    results: Mapping[str, Any]
    p_value: float | None
    curve: Curve


class Variant(NamedTuple):
    """What differs from the other variants, as a name, and its runs."""

    name: str
    runs: Sequence[Run]


class Shown(NamedTuple):
    """One variant's translation of an example; no attention where nothing was translated."""

    variant: str
    text: str
    attention: Attention | None


class Example(NamedTuple):
    """A sentence of the test split, and what each variant made of it."""

    source: str
    reference: str
    shown: Sequence[Shown]


class Report(NamedTuple):
    """Everything that the page says. `facts` and `common` are names with values; `failed` are sentences.

    `resamples` are those of the bootstrap that gave the p-values.
    """

    title: str
    command: str
    facts: Sequence[tuple[str, str]]
    common: Sequence[tuple[str, str]]
    seeds: Sequence[int]
    variants: Sequence[Variant]
    examples: Sequence[Example]
    failed: Sequence[str]
    resamples: int
    languages: tuple[str, str]


class Table(NamedTuple):
    """Headings and rows of text; the first column names the row, the others are numbers."""

    headings: list[str]
    rows: list[list[str]]


class _Column(NamedTuple):
    heading: str
    of: Callable[[Mapping[str, Any]], Any]  # from results.json; None where it has none
    form: str
    spread: bool = True


COLUMNS = (
    _Column("BLEU", lambda found: found["test"]["bleu"], "{:.2f}"),
    _Column("chrF", lambda found: found["test"]["chrf"], "{:.2f}"),
    _Column("exact match, %", lambda found: _percent(found["test"].get("exact")), "{:.1f}"),
    _Column("alignment error, %", lambda found: _percent(found["test"].get("aer")), "{:.1f}"),
    _Column("parameters", lambda found: found["parameters"], "{:,.0f}", spread=False),
    _Column("training, target tokens/s", lambda found: found["train"]["target_tokens_per_second"], "{:,.0f}"),
    _Column("decoding, sentences/s", lambda found: found["decoding"]["sentences_per_second"], "{:,.0f}"),
)


def summary(report: Report) -> Table:
    """A row a variant: mean and standard deviation over its seeds, and the p-values after chrF."""
    columns = [column for column in COLUMNS if any(_values(column, variant) for variant in report.variants)]
    headings, rows = ["variant", *(column.heading for column in columns)], _rows(report, columns)
    if any(run.p_value is not None for variant in report.variants for run in variant.runs):
        headings.insert(2, f"p of BLEU, seed {', '.join(map(str, report.seeds))}")
        for row, variant in zip(rows, report.variants, strict=True):
            row.insert(2, _p_values(variant, report.seeds))
    return Table(headings, rows)


def by_kind(report: Report) -> Table | None:
    """BLEU by source length and on the challenge sets, means over the seeds; None where nobody measured that."""
    found = [_kinds(run.results) for variant in report.variants for run in variant.runs]
    names = dict.fromkeys(name for kinds in found for name in kinds)
    columns = [_Column(name, partial(_bleu_of, name), "{:.1f}", spread=False) for name in names]
    return Table(["BLEU", *names], _rows(report, columns)) if columns else None


def _kinds(found: Mapping[str, Any]) -> dict[str, float]:
    by_length = {f"{length} words": part["bleu"] for length, part in found["test"].get("by_length", {}).items()}
    return by_length | {name: part["bleu"] for name, part in found.get("challenges", {}).items()}


def _bleu_of(name: str, found: Mapping[str, Any]) -> float | None:
    return _kinds(found).get(name)


def notes(report: Report) -> list[str]:
    """What the summary's figures are."""
    seeds = ", ".join(map(str, report.seeds))
    several = len(report.seeds) > 1
    first = report.variants[0].name
    found = [
        f"Mean ± standard deviation (n − 1) over the seeds {seeds}."
        if several
        else f"One seed ({seeds}), so no spread.",
        "Scores are of the test split, with the checkpoint that was best on the validation split.",
        "Training speed leaves validation out; decoding is of the test split, tokenizing included. "
        "Runs side by side (jobs=2) slow one another.",
    ]
    if any(run.p_value is not None for variant in report.variants for run in variant.runs):
        found.insert(
            1,
            f"p: sacreBLEU's paired bootstrap test of BLEU against {first}, {report.resamples:,} resamples of the "
            "test sentences, " + ("each seed against the same seed." if several else "same seed."),
        )
    tests = [run.results["test"] for variant in report.variants for run in variant.runs]
    return found + list(dict.fromkeys(f"{test['bleu_note']}." for test in tests if "bleu_note" in test))


def runs(report: Report) -> Table:
    """A row a run."""
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
    """What the figures are of, sacreBLEU's signatures included."""
    test = report.variants[0].runs[0].results["test"]
    seeds = ("seeds", ", ".join(map(str, report.seeds)))
    return [*report.facts, seeds, ("BLEU", test["signature"]), ("chrF", test["chrf_signature"])]


def markdown(report: Report) -> str:
    """The report but for its pictures, text being nothing but text."""
    lines = [f"# {_literal(report.title)}", "", *_code(report.command), ""]
    lines += [f"- {_literal(name)}: {_literal(value)}" for name, value in facts(report)]
    lines += [f"- failed: {_literal(sentence)}" for sentence in report.failed]
    lines += ["", *_grid(summary(report)), "", *(f"{_literal(note)}  " for note in notes(report))]
    if (kinds := by_kind(report)) is not None:
        lines += ["", f"## {KINDS}", "", *_grid(kinds), "", KINDS_NOTE]
    lines += ["", "## Runs", "", *_grid(runs(report))]
    if report.examples:
        lines += ["", "## Translations"]
    for example in report.examples:
        rows = [["source", example.source], ["reference", example.reference]]
        rows += [[shown.variant, shown.text] for shown in example.shown]
        lines += ["", *_grid(Table(["", "sentence"], rows), numbers=False)]
    return "\n".join(lines) + "\n"


def _grid(table: Table, *, numbers: bool = True) -> list[str]:
    """A Markdown table, padded so that it reads well as it stands."""
    cells = [[_literal(cell).replace("|", "\\|") for cell in row] for row in (table.headings, *table.rows)]
    widths = [max(3, *(len(cell) for cell in column)) for column in zip(*cells, strict=True)]
    ruler = ["-" * width if i == 0 or not numbers else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    padded = [
        [cell.ljust(width) if i == 0 or not numbers else cell.rjust(width) for i, (cell, width) in enumerate(pairs)]
        for pairs in (list(zip(row, widths, strict=True)) for row in cells)
    ]
    return [f"| {' | '.join(row)} |" for row in (padded[0], ruler, *padded[1:])]


def _code(text: str) -> list[str]:
    """An indented code block, in which nothing is markup."""
    return [f"    {line}" for line in text.splitlines()]


def _literal(text: str) -> str:
    """The text in one line, Markdown's signs after backslashes; those of tables are left to `_grid`."""
    return MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def _percent(share: int | float | None) -> float | None:
    return None if share is None else 100 * share


def _values(column: _Column, variant: Variant) -> list[float]:
    return [float(value) for run in variant.runs if (value := column.of(run.results)) is not None]


def _rows(report: Report, columns: Sequence[_Column]) -> list[list[str]]:
    return [[variant.name, *(_cell(column, variant) for column in columns)] for variant in report.variants]


def _cell(column: _Column, variant: Variant) -> str:
    values = _values(column, variant)
    if not values:
        return NOTHING
    middle = column.form.format(mean(values))
    return f"{middle} ± {column.form.format(stdev(values))}" if column.spread and len(values) > 1 else middle


def _p_values(variant: Variant, seeds: Sequence[int]) -> str:
    found = {run.seed: run.p_value for run in variant.runs}
    values = [found.get(seed) for seed in seeds]
    if all(value is None for value in values):
        return NOTHING
    return ", ".join(NOTHING if value is None else f"{value:.3f}" for value in values)
