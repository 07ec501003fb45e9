"""A checkpoint as a filter: one line out for each line in, in order, as it goes."""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import TextIO

from seq2seq import build, checkpoint, config
from seq2seq.decoding.translator import BLANK, TooLong, Translation
from seq2seq.evaluation.alignment import links
from seq2seq.reporting.heatmap import Attention, check_format, heatmap, save
from seq2seq.reporting.unit_attention import unit_attention
from seq2seq.runtime.device import choose_device, set_up_device
from seq2seq.runtime.errors import InputError
from seq2seq.text.alignment import Link, format_pharaoh
from seq2seq.text.encodings import check_stream
from seq2seq.text.lines import BYTE_ORDER_MARK, LONGEST_LINE
from seq2seq.text.normalization import ADVICE, better_forms
from seq2seq.text.tokenizer import Tokenizer


def translate_stream(options: config.Translate, source: int, target: TextIO) -> int:
    """Translates what comes from the file descriptor `source`; returns how many lines could not be translated.

    Such a line gives an empty line and one sentence on the error stream, and the stream goes on.
    """
    if options.plot is not None:
        check_format(options.plot)
        if not options.plot.parent.is_dir():
            raise InputError(f"plot={options.plot}: there is no folder {options.plot.parent}")
    set_up_device(options.device.threads, deterministic=options.device.deterministic)
    device = choose_device(options.device.kind)
    found = checkpoint.load(options.checkpoint)
    configuration, model = build.trained(found, options.checkpoint)
    search = config.search_as_given(options.search, configuration.search)
    translator = build.translator(
        search,
        model.to(device),
        found.tokenizers,
        device,
        normalization=configuration.dataset.normalization,
        precision=options.device.precision,
    )
    prompt = f"{configuration.dataset.source}> " if os.isatty(source) else ""
    number = failed = 0
    warn = configuration.dataset.normalization == "none"
    plot = options.plot  # of the first sentence that has a translation
    for lines in line_groups(source, prompt=prompt):
        texts, problems = _decode(lines)
        if warn and (sentence := _in_another_form(texts, found.tokenizers.source, number)):
            print(sentence, file=sys.stderr)
            warn = False
        for i, result in enumerate(translator(texts)):
            number += 1
            problem = problems.get(i) or (str(result) if isinstance(result, TooLong) else None)
            if problem is not None:
                failed += 1
                print(f"line {number}: {problem}; left empty", file=sys.stderr)
            translations: Sequence[Translation | None] = [None]
            if problem is None and isinstance(result, list):
                translations = result
            for translation in translations:
                print(_line(translation, number, options, ranked=search.n_best > 1), file=target)
            first = translations[0]
            if plot is not None and first is not None and first.target_pieces:
                save(heatmap(unit_attention(first), title=first.text), plot)
                plot = None
        target.flush()
    if plot is not None:
        print(f"{plot} is not written: no line has a translation with a word in it", file=sys.stderr)
    return failed


def line_groups(source: int, *, prompt: str = "") -> Iterator[list[bytes]]:
    """Lines as they come: whatever has arrived, up to 64 KiB at once, so that a slow writer is not waited for.

    A byte order mark before the first is dropped; other encodings and compressed text are an InputError. Of a line of
    more than `LONGEST_LINE` bytes little more comes.
    """
    rest = bytearray()
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
        _ask("\n")  # what comes next begins a line


def _ask(prompt: str) -> None:
    print(prompt, end="", file=sys.stderr, flush=True)


def _decode(lines: list[bytes]) -> tuple[list[str], dict[int, str]]:
    """The lines as text, and what is wrong with those that are none."""
    texts, problems = [], {}
    for i, line in enumerate(lines):
        if len(line) > LONGEST_LINE:
            texts.append("")
            problems[i] = f"more than {LONGEST_LINE:,} bytes, which is no sentence"
            continue
        try:
            texts.append(line.removesuffix(b"\r").decode())
        except UnicodeDecodeError as error:
            texts.append("")
            problems[i] = f"byte {error.object[error.start]:#04x} at position {error.start} is not UTF-8"
    return texts, problems


def _in_another_form(texts: Sequence[str], tokenizer: Tokenizer, before: int) -> str | None:
    """A sentence on the first text that is in another Unicode normalisation form than the training text."""
    for number, form in enumerate(better_forms(texts, tokenizer), start=before + 1):
        if form is not None:
            return (
                f"line {number}: not in {form}, the Unicode normalisation form of the training text, as others may be; "
                f"{ADVICE.format(form)}"
            )
    return None


def _line(translation: Translation | None, number: int, options: config.Translate, *, ranked: bool) -> str:
    """Text alone, or columns between tabs: line number (n-best lists), score, text, alignment, both sides' units."""
    columns = [translation.text if translation is not None else ""]
    if options.scores:
        columns.insert(0, f"{translation.score:.4f}" if translation is not None else "")
    if ranked:
        columns.insert(0, str(number))
    if options.alignments or options.units:
        attention = unit_attention(translation or BLANK)
        columns += [_pharaoh(attention)] if options.alignments else []
        columns += [" ".join(attention.source), " ".join(attention.target)] if options.units else []
    return columns[0] if len(columns) == 1 else "\t".join(column.replace("\t", " ") for column in columns)


def _pharaoh(attention: Attention) -> str:
    return format_pharaoh(Link(source, target) for source, target in links(attention.weights))
