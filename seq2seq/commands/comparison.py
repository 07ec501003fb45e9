"""Runs laid side by side: what their folders hold becomes a report."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seq2seq import build, checkpoint, config
from seq2seq.commands.train_and_score import flat
from seq2seq.config.schema import search_name
from seq2seq.evaluation.metrics import DEFAULT, RESAMPLES, Metrics
from seq2seq.reporting.comparison import Example, Report, Run, Shown, Variant
from seq2seq.reporting.curves import read_curve
from seq2seq.reporting.unit_attention import unit_attention
from seq2seq.runtime.device import choose_device, set_up_device
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.run_folder import RunFolder
from seq2seq.text.annotations import LoadedSplit, load_split
from seq2seq.text.corpus import Pair
from seq2seq.text.units import segments

EXAMPLES = 3


class Planned(NamedTuple):
    """One run of a comparison: the variant's name, the run's folder and configuration."""

    variant: str
    folder: Path
    configuration: config.Train

    @property
    def seed(self) -> int:
        """That of the training."""
        return self.configuration.training.seed


def check_comparable(plan: Sequence[Planned]) -> None:
    """Raises InputError where two runs are or would be scored on different sentences, or one has no test split."""
    read: dict[config.Dataset, list[Pair]] = {}
    for run in plan:
        dataset = run.configuration.dataset
        if dataset not in read:
            read[dataset] = _test(run).pairs
        if read[dataset] != read[plan[0].configuration.dataset]:
            raise InputError(
                f"{plan[0].variant} and {run.variant} have different test splits, and what is scored on different "
                "sentences cannot be compared"
            )
        if finished(run) and not _fits(run, [pair.target for pair in read[dataset]]):
            raise InputError(
                f"{run.folder} was scored on other sentences than the test split has now; give another output=FOLDER"
            )


def _test(run: Planned) -> LoadedSplit:
    split = build.corpus(run.configuration.dataset).test
    if split is None:
        raise InputError(f"{run.variant}: a comparison is of the test split, and dataset.test=null says there is none")
    return load_split(split)


def _fits(run: Planned, references: Sequence[str]) -> bool:
    """Whether the run's translations, scored by these references, have the scores that the run found."""
    texts, found = translations(run), _results(run)["test"]
    return len(texts) == len(references) and all(
        math.isclose(score, found[name], abs_tol=1e-6)
        for name, score in _metrics(found).quick_scores(texts, references).items()
    )


def _metrics(scores: Mapping[str, Any]) -> Metrics:
    """What gave a run its scores, of which older ones do not name the tokenizer."""
    return Metrics(scores.get("tokenizer", DEFAULT))


def differences(one: config.Train, other: config.Train) -> list[str]:
    """`key: value there, value here` of each key whose values differ."""
    there, here = (flat(each.model_dump(mode="json")) for each in (one, other))
    keys = dict.fromkeys([*there, *here])
    return [f"{key} is {there.get(key)} there, {here.get(key)} here" for key in keys if there.get(key) != here.get(key)]


def finished(run: Planned) -> bool:
    """Whether the run has come to its end, which `results.json` is."""
    return RunFolder(run.folder).results.is_file()


def compare(plan: Sequence[Planned], *, title: str, command: str, failed: Sequence[str]) -> Report:
    """The report of the runs that are finished; at least one must be. `failed` says what became of the others.

    Raises InputError as `check_comparable`, and where a run's files are damaged.
    """
    check_comparable(plan)
    done = [run for run in plan if finished(run)]
    first = done[0].configuration
    corpus = build.corpus(first.dataset)
    test = _test(done[0])
    texts = {(run.variant, run.seed): translations(run) for run in done}
    # In the order of the plan, so that the first is the one that the others are tested against.
    by_name = {run.variant: [one for one in done if one.variant == run.variant] for run in plan}
    by_name = {name: runs for name, runs in by_name.items() if runs}
    return Report(
        title=title,
        command=command,
        facts=_facts(done, test, pairs=f"{corpus.source} to {corpus.target}"),
        common=_common(plan),
        seeds=list(dict.fromkeys(run.seed for run in done)),
        variants=[
            Variant(name, [_read(run, texts, baseline=plan[0].variant, test=test) for run in runs])
            for name, runs in by_name.items()
        ],
        examples=_examples([runs[0] for runs in by_name.values()], test),
        failed=failed,
        resamples=RESAMPLES,
        languages=(corpus.source, corpus.target),
    )


def _read(run: Planned, texts: Mapping[tuple[str, int], list[str]], *, baseline: str, test: LoadedSplit) -> Run:
    """A run's figures, and how it differs from the run of the baseline that has the same seed."""
    other = texts.get((baseline, run.seed)) if run.variant != baseline else None
    references, results = [pair.target for pair in test.pairs], _results(run)
    own = texts[run.variant, run.seed]
    return Run(
        seed=run.seed,
        results=results,
        p_value=None if other is None else _metrics(results["test"]).paired_bootstrap(other, own, references),
        curve=read_curve(run.folder, "validation/bleu"),
    )


def translations(run: Planned) -> list[str]:
    """A finished run's, of the test split; nothing but a line feed ends a line."""
    path = RunFolder(run.folder).translations(run.configuration.dataset.target)
    try:
        return path.read_bytes().decode().split("\n")[:-1]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not to be read ({error}); remove {run.folder}, and the run is made anew") from None


def _results(run: Planned) -> dict[str, Any]:
    path = RunFolder(run.folder).results
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if missing := {"parameters", "train", "test", "decoding"}.difference(found):
            raise ValueError(f"it has no {min(missing)}")
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not to be read ({error}); remove {run.folder}, and the run is made anew") from None
    return found


def _facts(done: Sequence[Planned], test: LoadedSplit, *, pairs: str) -> list[tuple[str, str]]:
    """What the figures are of."""
    dataset = done[0].configuration.dataset
    preset = f" {dataset.preset}" if isinstance(dataset, config.Grammar) else ""
    name = "" if test.name == "test" else f", {test.name}"
    facts = [
        ("dataset", f"{dataset.name}{preset}, {pairs}"),
        ("test split", f"{len(test.pairs):,} sentences{name}"),
    ]
    searches = {run.configuration.search for run in done}
    if len(searches) == 1:
        (search,) = searches
        facts.append(("search", search_name(search)))
    return facts


def _common(plan: Sequence[Planned]) -> list[tuple[str, str]]:
    """The configuration as far as all runs share it."""
    every = [flat(run.configuration.model_dump(mode="json")) for run in plan]
    return [(key, str(value)) for key, value in every[0].items() if all(one.get(key) == value for one in every)]


def _examples(runs: Sequence[Planned], test: LoadedSplit) -> list[Example]:
    """A few sentences, from the shorter half of the split to its longer one, as each of the runs translates them."""
    by_length = sorted(range(len(test.pairs)), key=lambda i: (len(segments(test.pairs[i].source)), i))
    count = min(EXAMPLES, len(by_length))
    chosen = [test.pairs[by_length[len(by_length) * (2 * i + 1) // (2 * count)]] for i in range(count)]
    shown = [_translate(run, [pair.source for pair in chosen]) for run in runs]
    return [Example(*pair, [each[i] for each in shown]) for i, pair in enumerate(chosen)]


def _translate(run: Planned, sources: Sequence[str]) -> list[Shown]:
    set_up_device(run.configuration.device.threads)
    device = choose_device(run.configuration.device.kind)
    folder = RunFolder(run.folder).best
    found = checkpoint.load(folder)
    configuration, model = build.trained(found, folder)
    normalization = configuration.dataset.normalization
    translator = build.translator(
        configuration.search, model.to(device), found.tokenizers, device, normalization=normalization
    )
    shown = []
    for result in translator(sources):
        best = result[0] if isinstance(result, list) else None
        text = f"(not translated: {result})" if best is None else best.text
        attention = unit_attention(best) if best is not None and best.target_pieces else None
        shown.append(Shown(run.variant, text, attention))
    return shown
