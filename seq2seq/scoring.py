"""A checkpoint scored as a paper would: a table on the screen, `evaluation.json` and the hypotheses beside it."""

from pathlib import Path
from typing import Any

from seq2seq import build, checkpoint, config, device
from seq2seq.evaluation import evaluate
from seq2seq.run import read, write_json, write_text
from seq2seq.text.corpus import AlignedFiles, Split


def score(options: config.Evaluate) -> dict[str, Any]:
    """Scores a checkpoint on a split of its dataset or on a pair of files; the names are those of `results.json`."""
    device.set_up(options.device.threads)
    place = device.choose(options.device.kind)
    found = checkpoint.load(options.checkpoint)
    configuration, model = build.trained(found, options.checkpoint)
    model.to(place)
    search = config.search_as_given(options.search, configuration.search)
    translator = build.translator(search, model, found.tokenizers, place)
    name, split = _split(options, configuration)
    pairs = read(split)
    scored = evaluate(model, found.tokenizers, translator, pairs, place)

    folder = options.output or _run_folder(options.checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    results = {
        "checkpoint": str(options.checkpoint),
        "step": found.step,
        "search": search.model_dump(mode="json"),
        name: scored.scores,
    }
    hypotheses = folder / f"hypotheses.{name}.{configuration.dataset.target}"
    write_text(hypotheses, "".join(f"{text}\n" for text in scored.hypotheses.texts))
    write_json(folder / "evaluation.json", results)
    kind = "greedy" if search.size == 1 else f"beam {search.size}"
    print(f"{split.name}: {len(pairs):,} sentences, {kind}, {options.checkpoint} (step {found.step:,})\n")
    print(table(scored.scores))
    print(f"\n{folder / 'evaluation.json'}\n{hypotheses}")
    return results


def table(scores: dict[str, Any]) -> str:
    """Scores for the eye: each metric with its 95 % interval and its signature."""
    lines = [f"{'':12}{'score':>8}   95 % interval     signature"]
    for title, name, signature in (
        ("BLEU", "bleu", "signature"),
        ("chrF", "chrf", "chrf_signature"),
        ("TER", "ter", "ter_signature"),
    ):
        low, high = scores.get(f"{name}_interval", (scores[name], scores[name]))
        lines.append(f"{title:12}{scores[name]:8.2f}   {low:5.2f} to {high:5.2f}    {scores[signature]}")
    lines.append(f"{'perplexity':12}{scores['perplexity']:8.2f}")
    if scores["refused"]:
        lines.append(f"{scores['refused']} sources were too long to translate: they count as empty (search.too_long)")
    return "\n".join(lines)


def _split(options: config.Evaluate, configuration: config.Train) -> tuple[str, Split]:
    if options.source is not None and options.target is not None:
        return "files", AlignedFiles(options.source, options.target, name=f"{options.source} and {options.target}")
    corpus = build.corpus(configuration.dataset)
    return options.split, corpus.validation if options.split == "validation" else corpus.test


def _run_folder(folder: Path) -> Path:
    """`runs/NAME` of `runs/NAME/checkpoints/best`; where a checkpoint stands alone, the folder that it stands in."""
    parent = folder.resolve().parent
    return parent.parent if parent.name == "checkpoints" else parent
