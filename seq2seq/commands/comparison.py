"""Reads the folders of finished runs and builds the report that compares them."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from seq2seq import build_text, config
from seq2seq.commands.planned_run import PlannedRun, is_finished
from seq2seq.config.loading import flat
from seq2seq.config.search import search_name
from seq2seq.evaluation.metrics import DEFAULT, RESAMPLES, Metrics
from seq2seq.reporting.comparison import Example, ExampleTranslation, Report, Run, Variant
from seq2seq.reporting.curves import read_curve
from seq2seq.reporting.tables import Scores
from seq2seq.reporting.unit_attention import unit_attention
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.run_folder import RunFolder
from seq2seq.text.annotations import LoadedSplit, load_split
from seq2seq.text.corpus import Pair
from seq2seq.text.units import segments
from seq2seq.trained_model import load_trained_model

EXAMPLES = 3


def check_comparable(plan: Sequence[PlannedRun]) -> None:
    """Raises InputError if two runs have different test splits, or if a run has none or was scored on another one.

    And if their BLEU has different tokenizers.
    """
    if len(tokenizers := {run.configuration.evaluation.tokenize for run in plan}) > 1:
        names = ", ".join(sorted("null" if name is None else name for name in tokenizers))
        raise InputError(f"evaluation.tokenize: {names}: BLEU with different tokenizers cannot be compared; give one")
    pairs: dict[config.Dataset, list[Pair]] = {}
    for run in plan:
        dataset = run.configuration.dataset
        if dataset not in pairs:
            pairs[dataset] = _load_test_split(run).pairs
        if pairs[dataset] != pairs[plan[0].configuration.dataset]:
            raise InputError(
                f"{plan[0].variant} and {run.variant} have different test splits; scores on different sentences "
                "cannot be compared"
            )
        if is_finished(run) and not _matches_references(run, [pair.target for pair in pairs[dataset]]):
            raise InputError(
                f"{run.folder} was scored on other sentences than those of the current test split; "
                "choose another output=FOLDER"
            )


def _load_test_split(run: PlannedRun) -> LoadedSplit:
    split = build_text.corpus(run.configuration.dataset).test
    if split is None:
        raise InputError(f"{run.variant}: dataset.test=null, but a comparison needs a test split")
    return load_split(split)


def _matches_references(run: PlannedRun, references: Sequence[str]) -> bool:
    """Whether the run's translations have the scores in its `results.json` with these references."""
    hypotheses, scores = read_translations(run), _read_results(run)["test"]
    return len(hypotheses) == len(references) and all(
        math.isclose(score, scores[name], abs_tol=1e-6)
        for name, score in _metrics(scores).quick_scores(hypotheses, references).items()
    )


def _metrics(scores: Mapping[str, Any]) -> Metrics:
    """The metrics behind the scores of a run. Scores of older versions do not name the tokenizer."""
    return Metrics(scores.get("tokenizer", DEFAULT))


def build_report(
    plan: Sequence[PlannedRun],
    interventions: Mapping[PlannedRun, Mapping[str, Scores]],
    *,
    title: str,
    command: str,
    failures: Sequence[str],
) -> Report:
    """The report of the finished runs, of which there must be at least one. `failures` are messages about the others.

    `interventions` has the scores of each run with changed attention weights, if any.

    Raises InputError like `check_comparable`, and if a run's files are damaged.
    """
    check_comparable(plan)
    finished = [run for run in plan if is_finished(run)]
    corpus = build_text.corpus(finished[0].configuration.dataset)
    test = _load_test_split(finished[0])
    hypotheses = {(run.variant, run.seed): read_translations(run) for run in finished}
    names = dict.fromkeys(run.variant for run in plan)  # in the order of the plan: its first variant is the baseline
    baseline = plan[0].variant
    by_name = {name: [run for run in finished if run.variant == name] for name in names}
    by_name = {name: runs for name, runs in by_name.items() if runs}
    return Report(
        title=title,
        command=command,
        facts=_facts(finished, test, pairs=f"{corpus.source} to {corpus.target}"),
        common=_common(plan),
        seeds=list(dict.fromkeys(run.seed for run in finished)),
        variants=[
            Variant(
                name, [_read_run(run, hypotheses, interventions[run], baseline=baseline, test=test) for run in runs]
            )
            for name, runs in by_name.items()
        ],
        examples=_examples([runs[0] for runs in by_name.values()], test),
        failures=failures,
        resamples=RESAMPLES,
        languages=(corpus.source, corpus.target),
    )


def _read_run(
    run: PlannedRun,
    hypotheses: Mapping[tuple[str, int], list[str]],
    interventions: Mapping[str, Scores],
    *,
    baseline: str,
    test: LoadedSplit,
) -> Run:
    """A run's results, and the p-value of its difference from the baseline's run with the same seed."""
    results = _read_results(run)
    p_value = None
    if run.variant != baseline and (baseline, run.seed) in hypotheses:
        p_value = _metrics(results["test"]).paired_bootstrap(
            hypotheses[baseline, run.seed],
            hypotheses[run.variant, run.seed],
            [pair.target for pair in test.pairs],
        )
    return Run(
        seed=run.seed,
        results=results,
        p_value=p_value,
        curve=read_curve(run.folder, "validation/bleu"),
        interventions=interventions,
    )


def read_translations(run: PlannedRun) -> list[str]:
    """A finished run's translations of the test split. Only a line feed ends a line."""
    path = RunFolder(run.folder).translations(run.configuration.dataset.target)
    try:
        return path.read_bytes().decode().split("\n")[:-1]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); remove {run.folder} to train the run again") from None


def _read_results(run: PlannedRun) -> dict[str, Any]:
    path = RunFolder(run.folder).results
    try:
        results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if missing := {"parameters", "train", "test", "decoding"}.difference(results):
            raise ValueError(f"it has no {min(missing)}")
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); remove {run.folder} to train the run again") from None
    return results


def _facts(runs: Sequence[PlannedRun], test: LoadedSplit, *, pairs: str) -> list[tuple[str, str]]:
    """The dataset, the test split, and the search if all runs have the same."""
    dataset = runs[0].configuration.dataset
    preset = f" {dataset.preset}" if isinstance(dataset, config.Grammar) else ""
    name = "" if test.name == "test" else f", {test.name}"
    facts = [
        ("dataset", f"{dataset.name}{preset}, {pairs}"),
        ("test split", f"{len(test.pairs):,} sentences{name}"),
    ]
    searches = {run.configuration.search for run in runs}
    if len(searches) == 1:
        (search,) = searches
        facts.append(("search", search_name(search)))
    return facts


def _common(plan: Sequence[PlannedRun]) -> list[tuple[str, str]]:
    """The options that have the same value in all runs."""
    options = [flat(run.configuration.model_dump(mode="json")) for run in plan]
    return [(key, str(value)) for key, value in options[0].items() if all(run.get(key) == value for run in options)]


def _examples(runs: Sequence[PlannedRun], test: LoadedSplit) -> list[Example]:
    """`EXAMPLES` sentences of short, median and long length, with the translation of each run."""
    by_length = sorted(range(len(test.pairs)), key=lambda i: (len(segments(test.pairs[i].source)), i))
    count = min(EXAMPLES, len(by_length))
    pairs = [test.pairs[by_length[len(by_length) * (2 * i + 1) // (2 * count)]] for i in range(count)]
    translations = [_translate(run, [pair.source for pair in pairs]) for run in runs]
    return [Example(*pair, [outputs[i] for outputs in translations]) for i, pair in enumerate(pairs)]


def _translate(run: PlannedRun, sources: Sequence[str]) -> list[ExampleTranslation]:
    trained = load_trained_model(RunFolder(run.folder).best, device=run.configuration.device)
    translations = []
    for result in trained.translator(sources):
        best = result[0] if isinstance(result, list) else None
        text = f"(not translated: {result})" if best is None else best.text
        attention = unit_attention(best) if best is not None and best.target_pieces else None
        translations.append(ExampleTranslation(run.variant, text, attention))
    return translations
