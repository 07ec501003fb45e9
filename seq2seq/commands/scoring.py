"""What `evaluate.py` does: scores a checkpoint, prints a table, writes `evaluation.json` and the hypotheses."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, NamedTuple

from seq2seq import build_text, config
from seq2seq.commands.dataset_location import check_held_out, evaluated_dataset
from seq2seq.commands.text_remarks import scored_remarks
from seq2seq.config.intervention import intervention_name
from seq2seq.config.search import search_name
from seq2seq.config.types import show_paths
from seq2seq.evaluation.evaluator import Evaluator
from seq2seq.evaluation.metrics import Metrics, choose_tokenizer
from seq2seq.evaluation.teacher_forcing import format_perplexity
from seq2seq.evaluation.tokenized_text import tokenization_warning
from seq2seq.nn import mistakes
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.files import write_json, write_text
from seq2seq.runtime.run_folder import RunFolder, run_folder_of
from seq2seq.text.alignment import check, read_pharaoh
from seq2seq.text.annotations import Annotations, LoadedSplit, load_split
from seq2seq.text.corpus import Split, original
from seq2seq.text.normalization import normalized_split
from seq2seq.text.sources.files import AlignedFiles
from seq2seq.text.units import count_words, segments
from seq2seq.trained_model import checkpoint_folder, intervened, load_trained_model

STANDARD_INPUT = Path("-")


class Scored(NamedTuple):
    """A scored checkpoint: what `evaluation.json` holds, its scores of the split, and what to print about it.

    `interventions` has the scores of the split with each intervention in the attention.
    """

    results: dict[str, Any]
    scores: dict[str, Any]
    title: str
    warning: str | None
    remarks: list[str]
    interventions: dict[str, dict[str, Any]]
    files: list[Path]


def score(options: config.Evaluate) -> Scored:
    """Scores a checkpoint on a split of its dataset or on a pair of files; writes `evaluation.json` and hypotheses."""
    folders = tuple(map(checkpoint_folder, options.checkpoints))
    options = options.model_copy(update={"checkpoint": folders})
    trained = load_trained_model(folders, device=options.device, search=options.search)
    configuration, dataset = trained.configuration, trained.configuration.dataset
    name, split, challenges, remarks = _load_split(options, configuration)
    if options.alignments is not None:
        split = _with_alignments(split, options.alignments, options.alignment_units)
    output = run_folder_of(options.checkpoints[0]) if options.output is None else RunFolder(options.output)
    _check_writable(output.path)
    references = [pair.target for pair in split.pairs]
    tokenize = options.evaluation.tokenize or configuration.evaluation.tokenize
    metrics = Metrics(choose_tokenizer(tokenize, dataset.target, references))
    evaluator = Evaluator(trained.model, trained.translator, metrics, dataset.target)
    changed = {each: intervened(trained, each, options.attention) for each in options.attention.intervene}
    scores, hypotheses = evaluator.evaluate(split)
    names = [str(path) for path in options.checkpoints]
    results: dict[str, Any] = {
        "checkpoint": names if len(names) > 1 else names[0],
        "step": list(trained.steps) if len(names) > 1 else trained.step,
        "search": trained.search.model_dump(mode="json"),
        name: scores,
    }
    if options.device.precision == "int8":
        results["search"]["precision"] = "int8"
    if challenges:
        results["challenges"] = evaluator.challenges(challenges)
    hypotheses_file = output.hypotheses(name, dataset.target)
    write_text(hypotheses_file, hypotheses.lines())
    files = [output.evaluation, hypotheses_file]
    for intervention, model in changed.items():
        other = replace(evaluator, model=model.model, translator=model.translator).evaluate(split)
        values = options.attention.model_dump(mode="json", include={*options.attention.of(intervention)})
        results.setdefault("interventions", {})[intervention] = {"options": values, name: other.scores}
        files.append(output.hypotheses(f"{name}.{intervention}", dataset.target))
        write_text(files[-1], other.hypotheses.lines())
    write_json(output.evaluation, results)
    sentences, search = f"{len(split.pairs):,} sentences", search_name(trained.search)
    if options.device.precision == "int8":
        search += ", 8-bit weights"
    models = ", ".join(f"{name} (step {step:,})" for name, step in zip(names, trained.steps, strict=True))
    if name != "train":  # a training text is as it is: lines of dataset.distilled belong to it by their number
        remarks += scored_remarks(split, trained.tokenizers, normalization=dataset.normalization)
    return Scored(
        results=results,
        scores=scores,
        title=f"{split.name}: {sentences}, {search}, {models}",
        warning=tokenization_warning(split.name, references, hypotheses.texts),
        remarks=[*mistakes.remarks(configuration.mistake), *remarks, *filter(None, [trained.attention_note()])],
        interventions={
            intervention_name(each, options.attention): results["interventions"][each][name] for each in changed
        },
        files=files,
    )


def _check_writable(folder: Path) -> None:
    """Makes the folder. Raises InputError, before the work, where nothing can be written to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"cannot write to {folder}: {reason}; output=FOLDER writes elsewhere") from None


def print_scored(scored: Scored) -> None:
    """Prints the title, a table of the scores, remarks, the scores of challenge sets, and the files."""
    if scored.warning:
        print(f"warning: {scored.warning}", file=sys.stderr)
    print(f"{scored.title}\n\n{table(scored.scores)}")
    for line in scored.remarks:
        print(line)
    if scored.interventions:
        print("\n" + intervention_table({"none": scored.scores, **scored.interventions}))
    if challenges := scored.results.get("challenges"):
        print("\n" + challenge_table(challenges))
    print("\n" + "\n".join(map(str, scored.files)))


def table(scores: dict[str, Any]) -> str:
    """The scores as printed: each metric with its 95 % interval and its signature."""
    lines = [f"{'':12}{'score':>8}   95 % interval      signature"]
    for title, name, signature in (
        ("BLEU", "bleu", "signature"),
        ("chrF", "chrf", "chrf_signature"),
        ("TER", "ter", "ter_signature"),
    ):
        interval = " to ".join(f"{end:6.2f}" for end in scores.get(f"{name}_interval", ())) or "none"
        lines.append(f"{title:12}{scores[name]:8.2f}   {interval:16}   {scores[signature]}")
    lines.append(f"{'perplexity':12}{format_perplexity(scores['perplexity']):>8}")
    lines.append(f"{'exact match':12}{100 * scores['exact']:8.2f}   % of sentences")
    if "aer" in scores:
        lines.append(f"{'AER':12}{100 * scores['aer']:8.2f}   alignment error rate, % (Och & Ney 2003)")
    if "bleu_note" in scores:
        lines.append(scores["bleu_note"])
    if scores["refused"]:
        lines.append(_too_long(scores["refused"]))
    if scores["unread"]:
        lines.append(f"perplexity and alignment error leave out {scores['unread']} pairs, which are too long")
    return "\n".join(lines)


def _too_long(refused: int) -> str:
    return f"{refused} sources were too long to translate: they count as empty (search.too_long)"


def intervention_table(rows: dict[str, dict[str, Any]]) -> str:
    """A line for the scores with each intervention. The recall is that of function words and of content words."""
    width = max(len("intervention"), *map(len, rows)) + 2
    lines = [f"{'intervention':{width}}{'BLEU':>8}{'chrF':>8}{'exact %':>9}{'perplexity':>12}{'AER %':>8}"]
    lines[0] += f"{'function %':>12}{'content %':>11}"
    for name, scores in rows.items():
        shares = [scores.get("aer"), *(scores["word_recall"].get(kind) for kind in ("function", "content"))]
        error, *recalls = ("–" if share is None else f"{100 * share:.2f}" for share in shares)
        lines.append(
            f"{name:{width}}{scores['bleu']:8.2f}{scores['chrf']:8.2f}{100 * scores['exact']:9.2f}"
            f"{format_perplexity(scores['perplexity']):>12}{error:>8}{recalls[0]:>12}{recalls[1]:>11}"
        )
    return "\n".join(lines)


def challenge_table(challenges: dict[str, Any]) -> str:
    """A line for each challenge set."""
    width = max(len(name) for name in challenges) + 2
    lines = [f"{'challenge':{width}}{'sentences':>9}{'BLEU':>8}{'exact %':>9}{'AER %':>8}"]
    for name, scores in challenges.items():
        error = f"{100 * scores['aer']:8.2f}" if "aer" in scores else f"{'–':>8}"  # absent if all pairs were too long
        lines.append(f"{name:{width}}{scores['sentences']:9}{scores['bleu']:8.2f}{100 * scores['exact']:9.2f}{error}")
    lines += [f"{name}: {_too_long(scores['refused'])}" for name, scores in challenges.items() if scores["refused"]]
    return "\n".join(lines)


def _load_split(
    options: config.Evaluate, configuration: config.Train
) -> tuple[str, LoadedSplit, tuple[Split, ...], list[str]]:
    """The name of the split in file names and JSON, the split to score, its challenge sets, and remarks on it."""
    if options.source is not None and options.target is not None:
        return "files", _load_files(options.source, options.target, configuration.dataset.normalization), (), []
    dataset = evaluated_dataset(options, configuration.dataset, run_folder_of(options.checkpoints[0]).path)
    corpus = build_text.corpus(dataset, download=options.dataset.folder is not None)
    split = original(corpus.train) if options.split == "train" else corpus.splits().get(options.split)
    if split is None:
        raise InputError(
            f"checkpoint {options.checkpoints[0]} was trained without a test split (dataset.test=null): give "
            "split=validation, dataset.test=..., or source=FILE target=FILE"
        )
    remarks = []
    if isinstance(dataset, config.OwnText) and dataset.is_cut(options.split):
        runs = {run_folder_of(path).path: None for path in options.checkpoints}
        remarks = [remark for run in runs if (remark := check_held_out(run, split))]
    loaded = load_split(split)
    if options.split != "test":
        return options.split, loaded, (), remarks
    if (other := options.dataset.test) is not None:
        loaded = loaded._replace(name=show_paths(other))
    return "test", loaded, corpus.challenges, remarks


def _load_files(source: Path, target: Path, normalization: str) -> LoadedSplit:
    """A pair of files, in memory. `-` is standard input, which is copied to a file: text is read more than once."""
    if STANDARD_INPUT not in (source, target):
        files = AlignedFiles(source, target, name=f"{source}, {target}")
        return load_split(normalized_split(files, normalization))
    title = "standard input"
    with TemporaryDirectory() as folder:
        copy = Path(folder) / title
        with copy.open("wb") as file:
            if sys.stdin is not None:  # closed: it is as empty
                shutil.copyfileobj(sys.stdin.buffer, file)
        try:
            paths = [copy if path == STANDARD_INPUT else path for path in (source, target)]
            split = _load_files(paths[0], paths[1], normalization)
        except InputError as error:
            raise InputError(str(error).replace(str(copy), title)) from None
        return split._replace(name=split.name.replace(str(copy), title))


def _with_alignments(split: LoadedSplit, path: Path, units: str) -> LoadedSplit:
    """The split with gold links from a file in Pharaoh format, one line for each pair.

    `units` says what the indices count: "words" or "characters".
    """
    lines = read_pharaoh(path)
    if len(lines) != len(split.pairs):
        raise InputError(f"{path} has {len(lines)} lines, but {split.name} has {len(split.pairs)} pairs")
    for number, (pair, links) in enumerate(zip(split.pairs, lines, strict=True), start=1):
        source, target = (len(segments(side)) if units == "characters" else count_words(side) for side in pair)
        check(links, source=source, target=target, units=units, file=path, line_number=number)
    if not any(lines):
        raise InputError(f"{path} has no link in any line, so there is nothing to compare alignments with")
    annotations = split.gold or [Annotations(links=None)] * len(lines)
    gold = [annotation._replace(links=links) for annotation, links in zip(annotations, lines, strict=True)]
    return split._replace(gold=gold, units=units)
