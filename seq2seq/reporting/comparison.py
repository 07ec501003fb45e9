"""The results of a comparison: the data, the tables that both reports show, and the Markdown report."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from seq2seq.reporting.attention import Attention
from seq2seq.reporting.curves import Curve
from seq2seq.reporting.tables import NO_VALUE, Column, Scores, Table, escape, markdown_table, percent

KINDS_HEADING = "By kind of sentence"
KINDS_NOTE = "Mean BLEU over the seeds: on the test split by source length in words, then on each challenge set."
INTERVENTIONS_HEADING = "With changed attention weights"
INTERVENTIONS_NOTE = (
    "The trained models on the test split, untouched and with each intervention in their attention "
    "(docs/interventions.md). Function and content words: the share of the references' words that a translation has."
)


class Run(NamedTuple):
    """One seed of one variant.

    `results` is the content of `results.json`. `p_value` tests the difference in BLEU from the first variant's run with
    the same seed; it is None if there is no such run. `curve` is BLEU on the validation split. `interventions` has the
    scores of the test split for each intervention in the attention, the untouched model's first.
    """

    seed: int
    results: Scores
    p_value: float | None
    curve: Curve
    interventions: Mapping[str, Scores] = {}


class Variant(NamedTuple):
    """One of the compared configurations: its runs, and the name of the options in which it differs from the others."""

    name: str
    runs: Sequence[Run]

    @property
    def results(self) -> list[Scores]:
        """The content of each run's `results.json`."""
        return [run.results for run in self.runs]


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


COLUMNS = (
    Column("BLEU", lambda results: results["test"]["bleu"], "{:.2f}"),
    Column("chrF", lambda results: results["test"]["chrf"], "{:.2f}"),
    Column("exact match, %", lambda results: percent(results["test"].get("exact")), "{:.1f}"),
    Column("alignment error, %", lambda results: percent(results["test"].get("aer")), "{:.1f}"),
    Column("parameters", lambda results: results["parameters"], "{:,.0f}", has_deviation=False),
    Column("training, target tokens/s", lambda results: results["train"]["target_tokens_per_second"], "{:,.0f}"),
    Column("decoding, sentences/s", lambda results: results["decoding"]["sentences_per_second"], "{:,.0f}"),
)


def summary(report: Report) -> Table:
    """One row for each variant: mean and standard deviation over its seeds, and the p-values of BLEU."""
    columns = [column for column in COLUMNS if any(column.values(variant.results) for variant in report.variants)]
    headings, rows = ["variant", *(column.heading for column in columns)], _rows(report, columns)
    if any(run.p_value is not None for variant in report.variants for run in variant.runs):
        headings.insert(2, f"p of BLEU, seed {', '.join(map(str, report.seeds))}")
        for row, variant in zip(rows, report.variants, strict=True):
            row.insert(2, _p_values(variant, report.seeds))
    return Table(headings, rows)


def bleu_by_kind(report: Report) -> Table | None:
    """Mean BLEU over the seeds by source length and challenge set; None if no run has such scores."""
    columns = _bleu_columns(_kind_scores, [results for variant in report.variants for results in variant.results])
    return Table(["BLEU", *(column.heading for column in columns)], _rows(report, columns)) if columns else None


def _kind_scores(results: Scores) -> dict[str, float]:
    challenges = {name: scores["bleu"] for name, scores in results.get("challenges", {}).items()}
    return _lengths(results["test"]) | challenges


def _lengths(test: Scores) -> dict[str, float]:
    """BLEU by source length."""
    return {f"{length} words": scores["bleu"] for length, scores in test.get("by_length", {}).items()}


def _bleu_columns(read: Callable[[Scores], Mapping[str, float]], seeds: Sequence[Scores]) -> list[Column]:
    """A column for each name under which `read` gives a BLEU score of a seed."""
    names = dict.fromkeys(name for scores in seeds for name in read(scores))
    return [Column(name, partial(_named_score, read, name), "{:.1f}", has_deviation=False) for name in names]


def _named_score(read: Callable[[Scores], Mapping[str, float]], name: str, scores: Scores) -> float | None:
    return read(scores).get(name)


INTERVENTION_COLUMNS = (
    Column("BLEU", lambda scores: scores["bleu"], "{:.1f}"),
    Column("exact match, %", lambda scores: percent(scores["exact"]), "{:.1f}"),
    Column("perplexity", lambda scores: scores["perplexity"], "{:.2f}"),
    Column("alignment error, %", lambda scores: percent(scores.get("aer")), "{:.1f}"),
    Column("function words, %", lambda scores: percent(scores["word_recall"].get("function")), "{:.1f}"),
    Column("content words, %", lambda scores: percent(scores["word_recall"].get("content")), "{:.1f}"),
)


def interventions(report: Report) -> dict[str, Table]:
    """A table for each variant whose runs were scored with interventions: one row for each intervention."""
    by_variant = {variant.name: [run.interventions for run in variant.runs] for variant in report.variants}
    return {name: intervention_table(runs) for name, runs in by_variant.items() if any(runs)}


def intervention_table(runs: Sequence[Mapping[str, Scores]]) -> Table:
    """The means over runs that have scores for each intervention."""
    names = dict.fromkeys(name for run in runs for name in run)
    by_name = {name: [run[name] for run in runs if name in run] for name in names}
    by_length = _bleu_columns(_lengths, [scores for seeds in by_name.values() for scores in seeds])
    columns = [column for column in (*INTERVENTION_COLUMNS, *by_length) if any(map(column.values, by_name.values()))]
    rows = [[name, *(column.cell(seeds) for column in columns)] for name, seeds in by_name.items()]
    return Table(["weights", *(column.heading for column in columns)], rows)


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
            interval = " to ".join(f"{end:.2f}" for end in test.get("bleu_interval", ())) or "–"
            scores = [f"{test['bleu']:.2f}", interval, f"{test['chrf']:.2f}", f"{test['ter']:.2f}"]
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
    lines = [f"# {escape(report.title)}", "", *_code_block(report.command), ""]
    lines += [f"- {escape(name)}: {escape(value)}" for name, value in facts(report)]
    lines += [f"- failed: {escape(sentence)}" for sentence in report.failures]
    lines += ["", *markdown_table(summary(report)), "", *(f"{escape(note)}  " for note in notes(report))]
    if (kinds := bleu_by_kind(report)) is not None:
        lines += ["", f"## {KINDS_HEADING}", "", *markdown_table(kinds), "", KINDS_NOTE]
    if tables := interventions(report):
        lines += ["", f"## {INTERVENTIONS_HEADING}", "", escape(INTERVENTIONS_NOTE)]
    for name, table in tables.items():
        lines += ["", f"### {escape(name)}", "", *markdown_table(table)]
    lines += ["", "## Runs", "", *markdown_table(runs(report))]
    if report.examples:
        lines += ["", "## Translations"]
    for example in report.examples:
        rows = [["source", example.source], ["reference", example.reference]]
        rows += [[translation.variant, translation.text] for translation in example.translations]
        lines += ["", *markdown_table(Table(["", "sentence"], rows), numbers=False)]
    return "\n".join(lines) + "\n"


def _code_block(text: str) -> list[str]:
    """An indented code block; Markdown reads no markup inside it."""
    return [f"    {line}" for line in text.splitlines()]


def _rows(report: Report, columns: Sequence[Column]) -> list[list[str]]:
    return [[variant.name, *(column.cell(variant.results) for column in columns)] for variant in report.variants]


def _p_values(variant: Variant, seeds: Sequence[int]) -> str:
    by_seed = {run.seed: run.p_value for run in variant.runs if run.p_value is not None}
    return ", ".join(f"{by_seed[seed]:.3f}" if seed in by_seed else NO_VALUE for seed in seeds) if by_seed else NO_VALUE
