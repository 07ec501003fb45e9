"""What `translate.py` does: a filter that writes one line for each line it reads, in order, as soon as it can."""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import TextIO

from seq2seq import config
from seq2seq.commands.prefix_file import Prefixes
from seq2seq.config.intervention import intervention_name
from seq2seq.decoding.translator import BLANK, TooLong, Translation
from seq2seq.evaluation.alignment_error import links
from seq2seq.reporting.attention import Attention
from seq2seq.reporting.heatmap import check_format, heatmap, save
from seq2seq.reporting.unit_attention import unit_attention
from seq2seq.runtime.errors import InputError
from seq2seq.text.alignment import Link, format_pharaoh
from seq2seq.text.encodings import check_stream
from seq2seq.text.lines import BYTE_ORDER_MARK, LONGEST_LINE
from seq2seq.text.normalization import ADVICE, better_forms
from seq2seq.text.tokenizer import Tokenizer
from seq2seq.trained_model import TrainedModel, intervened, load_trained_model


def translate_stream(options: config.Translate, source: int, target: TextIO) -> int:
    """Translates the lines of the file descriptor `source`. Returns the number of lines that could not be translated.

    Such a line gives an empty line in `target` and a message on the error stream; the lines after it are translated.
    """
    if options.plot is not None:
        check_format(options.plot)
        if not options.plot.parent.is_dir():
            raise InputError(f"plot={options.plot}: there is no folder {options.plot.parent}")
    trained = load_trained_model(options.checkpoints, device=options.device, search=options.search)
    trained = apply_intervention(trained, options.attention)
    dataset = trained.configuration.dataset
    if (options.alignments or options.units or options.plot is not None) and (note := trained.attention_note()):
        print(note, file=sys.stderr)
    prefixes = Prefixes(options.prefix, trained.translator)
    prompt = f"{dataset.source}> " if os.isatty(source) else ""
    number = failed = 0
    warn = dataset.normalization == "none"
    plot = options.plot  # None once the first translation is drawn
    for lines in line_groups(source, prompt=prompt):
        texts, problems = decode_lines(lines)
        if warn and (warning := _normalization_warning(texts, trained.tokenizers.source, number)):
            print(warning, file=sys.stderr)
            warn = False
        for i, result in enumerate(trained.translator(texts, prefixes.take(len(texts)))):
            number += 1
            problem = problems.get(i) or (str(result) if isinstance(result, TooLong) else None)
            if problem is not None:
                failed += 1
                print(f"line {number}: {problem}; left empty", file=sys.stderr)
            translations: Sequence[Translation | None] = [None]
            if problem is None and isinstance(result, list):
                translations = result
            for translation in translations:
                print(_line(translation, number, options, numbered=trained.search.n_best > 1), file=target)
            first = translations[0]
            if plot is not None and first is not None and first.target_pieces:
                save(heatmap(unit_attention(first), title=first.text), plot)
                plot = None
        target.flush()
    prefixes.check_end()
    if plot is not None:
        print(f"{plot} is not written: no line has a translation with a word in it", file=sys.stderr)
    return failed


def apply_intervention(trained: TrainedModel, attention: config.Intervention) -> TrainedModel:
    """The model with the intervention that the options name, if they name one; says on the error stream which."""
    if attention.intervene is None:
        return trained
    changed = intervened(trained, attention.intervene, attention)
    print(f"attention is changed: {intervention_name(attention.intervene, attention)}", file=sys.stderr)
    return changed


def line_groups(source: int, *, prompt: str = "") -> Iterator[list[bytes]]:
    """Groups of complete lines: each group is what one read returned, at most 64 KiB, so no line waits for a later one.

    Drops a byte order mark before the first line. Cuts a line to little more than `LONGEST_LINE` bytes.
    Raises InputError for compressed text and for encodings other than UTF-8.
    """
    rest = bytearray()  # the beginning of an incomplete line
    mark = BYTE_ORDER_MARK
    _ask(prompt)
    first = True
    while chunk := os.read(source, 2**16):
        if first:
            check_stream(chunk[:4096])
            first = False
        *lines, last = chunk.split(b"\n")
        if lines:
            lines[0] = (bytes(rest) + lines[0]).removeprefix(mark)
            rest, mark = bytearray(), b""
        rest += last
        del rest[LONGEST_LINE + 1 :]
        if lines:
            yield lines
        _ask(prompt)
    if last := bytes(rest).removeprefix(mark):
        yield [last]
    if prompt:
        _ask("\n")  # after Ctrl-D the cursor is behind the prompt


def _ask(prompt: str) -> None:
    print(prompt, end="", file=sys.stderr, flush=True)


def decode_lines(lines: list[bytes]) -> tuple[list[str], dict[int, str]]:
    """The text of each line (empty where it has none), and the problem of each such line by its index."""
    texts, problems = [], {}
    for i, line in enumerate(lines):
        if len(line) > LONGEST_LINE:
            texts.append("")
            problems[i] = f"more than {LONGEST_LINE:,} bytes, too long for a sentence"
            continue
        try:
            texts.append(line.removesuffix(b"\r").decode())
        except UnicodeDecodeError as error:
            texts.append("")
            problems[i] = f"byte {error.object[error.start]:#04x} at position {error.start} is not UTF-8"
    return texts, problems


def _normalization_warning(texts: Sequence[str], tokenizer: Tokenizer, before: int) -> str | None:
    """A warning about the first text in another Unicode normalisation form than the training text.

    `before` is the number of lines before these.
    """
    for number, form in enumerate(better_forms(texts, tokenizer), start=before + 1):
        if form is not None:
            return (
                f"line {number}: not in {form}, the Unicode normalisation form of the training text, as others may be; "
                f"{ADVICE.format(form)}"
            )
    return None


def _line(translation: Translation | None, number: int, options: config.Translate, *, numbered: bool) -> str:
    """One line of output: the text, or columns separated by tabs.

    The columns: line number (if `numbered`, for n-best lists), score, text, alignment, source units, target units.
    """
    columns = [translation.text if translation is not None else ""]
    if options.scores:
        columns.insert(0, f"{translation.score:.4f}" if translation is not None else "")
    if numbered:
        columns.insert(0, str(number))
    columns += alignment_columns(translation or BLANK, alignments=options.alignments, units=options.units)
    return columns[0] if len(columns) == 1 else "\t".join(column.replace("\t", " ") for column in columns)


def alignment_columns(translation: Translation, *, alignments: bool, units: bool) -> list[str]:
    """The word alignment of a translation, and the source and target words that it counts, as far as asked for."""
    if not (alignments or units):
        return []
    attention = unit_attention(translation)
    columns = [_pharaoh(attention)] if alignments else []
    return [*columns, " ".join(attention.source), " ".join(attention.target)] if units else columns


def _pharaoh(attention: Attention) -> str:
    return format_pharaoh(Link(source, target) for source, target in links(attention.weights))
