"""A checkpoint scored as a paper would: a table on the screen, `evaluation.json` and the hypotheses beside it."""

import sys
from pathlib import Path
from typing import Any

from seq2seq import build, checkpoint, config
from seq2seq.commands import dataset_location as located
from seq2seq.commands.text_remarks import scored_remarks
from seq2seq.config.schema import search_name
from seq2seq.evaluation.evaluator import challenge, evaluate
from seq2seq.evaluation.metrics import Metrics, choose_tokenizer
from seq2seq.evaluation.teacher_forcing import format_perplexity
from seq2seq.evaluation.tokenized_text import tokenization_warning
from seq2seq.runtime.device import choose_device, set_up_device
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.files import write_json, write_text
from seq2seq.runtime.run_folder import RunFolder, run_folder_of
from seq2seq.text.alignment import check, read_pharaoh
from seq2seq.text.annotations import Annotations, LoadedSplit, load_split
from seq2seq.text.corpus import Split
from seq2seq.text.normalization import normalized_split
from seq2seq.text.sources.files import AlignedFiles
from seq2seq.text.units import count_words, segments


def score(options: config.Evaluate) -> dict[str, Any]:
    """Scores a checkpoint on a split of its dataset or on a pair of files; the names are those of `results.json`."""
    set_up_device(options.device.threads, deterministic=options.device.deterministic)
    device = choose_device(options.device.kind)
    found = checkpoint.load(options.checkpoint)
    configuration, model = build.trained(found, options.checkpoint)
    model.to(device)
    search = config.search_as_given(options.search, configuration.search)
    translator = build.translator(
        search,
        model,
        found.tokenizers,
        device,
        normalization=configuration.dataset.normalization,
        precision=options.device.precision,
    )
    name, split, challenges = _split(options, configuration)
    if options.alignments is not None:
        split = _with_alignments(split, options.alignments, options.alignment_units)
    names = run_folder_of(options.checkpoint) if options.output is None else RunFolder(options.output)
    names.path.mkdir(parents=True, exist_ok=True)  # before the work, in case it cannot be made
    references = [pair.target for pair in split.pairs]
    choice = options.evaluation.tokenize or configuration.evaluation.tokenize
    metrics = Metrics(choose_tokenizer(choice, configuration.dataset.target, references))
    scored = evaluate(model, found.tokenizers, translator, split, metrics, device)
    if warning := tokenization_warning(split.name, references, scored.hypotheses.texts):
        print(f"warning: {warning}", file=sys.stderr)
    results: dict[str, Any] = {
        "checkpoint": str(options.checkpoint),
        "step": found.step,
        "search": search.model_dump(mode="json"),
        name: scored.scores,
    }
    if options.device.precision == "int8":
        results["search"]["precision"] = "int8"
    if challenges:
        results["challenges"] = {
            each.name: challenge(model, found.tokenizers, translator, load_split(each), metrics, device)
            for each in challenges
        }
    hypotheses = names.hypotheses(name, configuration.dataset.target)
    write_text(hypotheses, scored.hypotheses.lines())
    write_json(names.evaluation, results)
    kind = search_name(search) + (", 8-bit weights" if options.device.precision == "int8" else "")
    print(f"{split.name}: {len(split.pairs):,} sentences, {kind}, {options.checkpoint} (step {found.step:,})\n")
    print(table(scored.scores))
    for line in scored_remarks(split, found.tokenizers, normalization=configuration.dataset.normalization):
        print(line)
    if challenges:
        print("\n" + challenge_table(results["challenges"]))
    print(f"\n{names.evaluation}\n{hypotheses}")
    return results


def table(scores: dict[str, Any]) -> str:
    """Scores for the eye: each metric with its 95 % interval and its signature."""
    lines = [f"{'':12}{'score':>8}   95 % interval      signature"]
    for title, name, signature in (
        ("BLEU", "bleu", "signature"),
        ("chrF", "chrf", "chrf_signature"),
        ("TER", "ter", "ter_signature"),
    ):
        low, high = scores.get(f"{name}_interval", (scores[name], scores[name]))
        lines.append(f"{title:12}{scores[name]:8.2f}   {low:6.2f} to {high:6.2f}   {scores[signature]}")
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


def challenge_table(challenges: dict[str, Any]) -> str:
    """A line for each challenge set."""
    width = max(len(name) for name in challenges) + 2
    lines = [f"{'challenge':{width}}{'sentences':>9}{'BLEU':>8}{'exact %':>9}{'AER %':>8}"]
    for name, found in challenges.items():
        error = f"{100 * found['aer']:8.2f}" if "aer" in found else f"{'–':>8}"  # of what was read, if anything was
        lines.append(f"{name:{width}}{found['sentences']:9}{found['bleu']:8.2f}{100 * found['exact']:9.2f}{error}")
    lines += [f"{name}: {_too_long(found['refused'])}" for name, found in challenges.items() if found["refused"]]
    return "\n".join(lines)


def _split(options: config.Evaluate, configuration: config.Train) -> tuple[str, LoadedSplit, tuple[Split, ...]]:
    """What to call it, what to score, and the challenge sets that go with it."""
    if options.source is not None and options.target is not None:
        files = AlignedFiles(options.source, options.target, name=f"{options.source}, {options.target}")
        return "files", load_split(normalized_split(files, configuration.dataset.normalization)), ()
    dataset = located.dataset(options, configuration.dataset, run_folder_of(options.checkpoint).path)
    corpus = build.corpus(dataset, download=options.dataset.folder is not None)
    if options.split == "validation":
        return "validation", load_split(corpus.validation), ()
    if corpus.test is None:
        raise InputError(
            f"checkpoint {options.checkpoint} was trained without a test split (dataset.test=null): give "
            "split=validation, dataset.test=..., or source=FILE target=FILE"
        )
    test = load_split(corpus.test)
    if (other := options.dataset.test) is not None:
        test = test._replace(name=str(other))
    return "test", test, corpus.challenges


def _with_alignments(split: LoadedSplit, path: Path, units: str) -> LoadedSplit:
    """The split with gold links from a file in Pharaoh format, a line for each pair; `units` is what they count."""
    lines = read_pharaoh(path)
    if len(lines) != len(split.pairs):
        raise InputError(f"{path} has {len(lines)} lines, but {split.name} has {len(split.pairs)} pairs")
    for number, (pair, links) in enumerate(zip(split.pairs, lines, strict=True), start=1):
        source, target = (len(segments(side)) if units == "characters" else count_words(side) for side in pair)
        check(links, source=source, target=target, units=units, file=path, line_number=number)
    if not any(lines):
        raise InputError(f"{path} has no link in any line, so there is nothing to compare alignments with")
    known = split.gold or [Annotations(None)] * len(lines)
    gold = [gold._replace(links=links) for gold, links in zip(known, lines, strict=True)]
    return split._replace(gold=gold, units=units)
