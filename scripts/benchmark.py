"""Measure seq2seq on this machine: training, decoding, memory, text, start-up, beside plain PyTorch and the limit.

  python scripts/benchmark.py                                  all of it, a quarter of an hour
  python scripts/benchmark.py --quick                          a look in a minute; its figures mean little
  python scripts/benchmark.py --only training,decoding --json figures.json
  python scripts/benchmark.py --folder data/multi30k --threads 2

Sentences are synthetic, with lengths as image captions have them, or Multi30k's with --folder. What is compared is
timed in turn, so that a busy machine slows both sides; a figure is the median of the repeats, and "+-" what lies
between the fastest and the slowest, in percent. Still, measure on a machine that does nothing else. The section corpus
writes 0.7 GB into the temporary folder, and deletes it.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from measuring import machine
from memory import corpus, step_memory
from speed import decoding, rates, sweep, training
from tqdm import tqdm
from waiting import processes, sentence, start, text
from workload import SMALL, Batching, Settings

from seq2seq.runtime import device
from seq2seq.runtime.errors import InputError, print_errors
from seq2seq.runtime.files import write_json

Row = dict[str, Any]
SECTIONS: dict[str, Callable[[Settings], Iterator[Row]]] = {
    "rates": rates,
    "training": training,
    "decoding": decoding,
    "sentence": sentence,
    "memory": step_memory,
    "corpus": corpus,
    "text": text,
    "start": start,
    "processes": processes,
    "sweep": sweep,
}


def table(rows: list[Row]) -> Iterator[str]:
    """A line for the names of the columns, and one for each row."""
    if not rows:
        yield "nothing that can be measured here"
        return
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    words = [any(isinstance(row.get(name), str) for row in rows) for name in names]
    for line in cells:
        padded = (
            cell.ljust(width) if is_word else cell.rjust(width)
            for cell, width, is_word in zip(line, widths, words, strict=True)
        )
        yield "  ".join(padded).rstrip()


def _cell(value: object) -> str:
    """Three figures are all that a measurement has."""
    if value is None:
        return ""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return f"{float(f'{value:.3g}'):,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def report(settings: Settings, chosen: list[str], say: Callable[[str], None]) -> Row:
    """Measures section after section, says each as it is done, and gives them all."""
    found: Row = {"machine": machine(settings.device), "settings": settings.told()}
    for title in ("machine", "settings"):
        width = max(map(len, found[title]))
        say(
            "\n".join([title.capitalize(), *(f"  {name:{width}}  {value}" for name, value in found[title].items()), ""])
        )
    for name in chosen:
        section = SECTIONS[name]
        say(f"{name.capitalize()}: {' '.join((section.__doc__ or '').split())}")
        rows = found[name] = list(tqdm(section(settings), name, leave=False, unit=" rows", disable=None))
        say("\n".join([*(f"  {line}" for line in table(rows)), ""]))
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes and few repeats")
    parser.add_argument("--only", default=",".join(SECTIONS), metavar="SECTIONS", help=f"some of {', '.join(SECTIONS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there as well")
    parser.add_argument("--folder", type=Path, help="measure with Multi30k's German-English captions in this folder")
    parser.add_argument("--device", choices=device.DEVICES, default="auto", help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, metavar="N", help="on the CPU (default: PyTorch's own choice)")
    parser.add_argument("--repeats", type=int, metavar="N", help="of each measurement (default: 5, with --quick 2)")
    options = parser.parse_args(arguments)
    chosen = options.only.split(",")
    if unknown := [name for name in chosen if name not in SECTIONS]:
        raise InputError(f"--only: found '{unknown[0]}', expected some of: {', '.join(SECTIONS)}")
    for name in ("threads", "repeats"):
        if (given := getattr(options, name)) is not None and given < 1:
            raise InputError(f"--{name}: found {given}, expected 1 or more")
    if options.json is not None and not options.json.parent.is_dir():
        raise InputError(f"--json: there is no folder {options.json.parent}")
    device.set_up_device(options.threads)
    settings = Settings(
        quick=options.quick,
        device=device.choose_device(options.device),
        threads=torch.get_num_threads(),
        repeats=options.repeats or (2 if options.quick else 5),
        folder=options.folder,
    )
    if options.quick:
        settings = settings._replace(sizes=SMALL, batchings=(Batching(8, "sentences"),))
    found = report(settings, chosen, lambda text: print(text, flush=True))
    if options.json is not None:
        write_json(options.json, found)


if __name__ == "__main__":
    with print_errors():
        main()
