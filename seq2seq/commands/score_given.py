"""What `score.py` does: one line with the log-probability for each pair of a source and a given translation."""

import sys
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple, TextIO

from seq2seq import config
from seq2seq.commands.stream import alignment_columns, apply_intervention, decode_lines, line_groups
from seq2seq.decoding.pair_scores import ScoredPair, score_pairs
from seq2seq.text.sources.files import AlignedFiles
from seq2seq.text.tokenizer import EOS, SPECIAL
from seq2seq.trained_model import load_trained_model

GROUP = 512
"""Pairs of files that are read and scored together."""


class GivenPair(NamedTuple):
    """A source, its translation, and why they cannot be scored, if so."""

    source: str
    target: str
    problem: str | None = None


def score_given(options: config.Score, standard_input: int, output: TextIO) -> int:
    """Scores the pairs of two files, or of the lines of `standard_input`, whose sides a tab separates.

    Returns the number of pairs that could not be scored. Each of them gives an empty line in `output` and a message on
    the error stream.
    """
    search = options.search.model_dump()
    trained = load_trained_model(options.checkpoints, device=options.device, search=search)
    trained = apply_intervention(trained, options.attention)
    if (options.alignments or options.units) and (note := trained.attention_note()):
        print(note, file=sys.stderr)
    number = failed = 0
    for group in _groups(options, standard_input):
        pairs = [pair for pair in group if pair.problem is None]
        scored = score_pairs(trained.translator, [pair.source for pair in pairs], [pair.target for pair in pairs])
        results = iter(scored)
        for pair in group:
            number += 1
            result = next(results) if pair.problem is None else None
            if isinstance(result, ScoredPair):
                print(_line(result, options), file=output)
                continue
            failed += 1
            print(f"line {number}: {pair.problem or result}; left empty", file=sys.stderr)
            print(file=output)
        output.flush()
    return failed


def _groups(options: config.Score, standard_input: int) -> Iterator[list[GivenPair]]:
    if options.source is not None and options.target is not None:
        files = AlignedFiles(options.source, options.target, name="pairs")
        files.fingerprint()  # both files are sound before the first score
        pairs = iter(files)
        while group := [GivenPair(*pair) for pair in islice(pairs, GROUP)]:
            yield group
        return
    for lines in line_groups(standard_input):
        texts, problems = decode_lines(lines)
        yield [_split(text, problems.get(i)) for i, text in enumerate(texts)]


def _split(line: str, problem: str | None) -> GivenPair:
    source, *targets = line.split("\t")
    if problem is None and len(targets) != 1:
        problem = f"{len(targets)} tabs; expected one, between the source and the translation"
    return GivenPair(source, targets[0] if targets else "", problem)


def _line(pair: ScoredPair, options: config.Score) -> str:
    """Columns separated by tabs: score, log-probability, alignment, source units, target units, subwords, their values.

    Only the log-probability is always there.
    """
    translation = pair.translation
    columns = [f"{translation.score:.4f}"] if options.scores else []
    columns.append(f"{translation.log_probability:.4f}")
    columns += alignment_columns(translation, alignments=options.alignments, units=options.units)
    if options.tokens:
        columns.append(" ".join([*translation.target_pieces, SPECIAL[EOS]]))
        columns.append(" ".join(f"{value:.4f}" for value in pair.log_probabilities.tolist()))
    return "\t".join(column.replace("\t", " ") for column in columns)
