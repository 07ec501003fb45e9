"""The sections of `scripts/benchmark.py` about what else a person waits for: a sentence, text, start-up,
several processes."""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import Timing, side_by_side
from workload import CACHE, Settings

import seq2seq
from seq2seq.nn.int8 import int8_is_possible
from seq2seq.text.sources.built_in import built_in
from seq2seq.text.sources.multi30k import multi30k
from seq2seq.text.store import prepare
from seq2seq.text.tokenizer import train_tokenizer

Row = dict[str, Any]
MEGA = 1e6
TRAIN = Path(__file__).resolve().parents[1] / "train.py"
SPEED = re.compile(r"([\d.]+) tokens/s")


def text(settings: Settings) -> Iterator[Row]:
    """Sentences and megabytes a second of the built-in corpus (of Multi30k with --folder): SentencePiece alone, then
    all that comes before training."""
    if settings.folder is None:
        train = built_in(preset="tiny" if settings.quick else "small", seed=1, cache=CACHE).train
    else:
        train = multi30k(folder=settings.folder, source="de", target="en").train
    lines = [side for pair in train for side in pair]
    vocabulary = 1000 if settings.quick else 2000 if settings.folder is None else settings.sizes.vocabulary
    tokenizer = train_tokenizer(lines, vocabulary_size=vocabulary, kind="unigram")
    encoded = tokenizer.encode_batch(lines)

    def anew() -> None:
        with tempfile.TemporaryDirectory() as folder:
            again(Path(folder))

    def again(folder: Path) -> None:
        prepare(train, folder=folder, vocabulary_size=vocabulary, kind="unigram", joint=True, longest=100)

    with tempfile.TemporaryDirectory() as kept:
        tasks: dict[str, Callable[[], object]] = {
            "train a tokenizer": lambda: train_tokenizer(lines, vocabulary_size=vocabulary, kind="unigram"),
            "encode": lambda: tokenizer.encode_batch(lines),
            "decode": lambda: [tokenizer.decode(ids) for ids in encoded],
            "prepare: tokenizer, encoding, files": anew,
            "prepare again, from the cache": lambda: again(Path(kept)),
        }
        timings = side_by_side(tasks, repeats=min(settings.repeats, 3), device=torch.device("cpu"))
    size = sum(len(line.encode()) for line in lines) / MEGA
    for task, timing in timings.items():
        rates = {"sentences/s": len(lines) / timing.median, "MB/s": size / timing.median}
        yield {"task": task, **rates, "+- %": timing.spread, "seconds": timing.median}


def start(settings: Settings) -> Iterator[Row]:
    """Seconds from the command to what a person waits for, with the default model and a corpus that is in the cache."""
    words = ["dataset.preset=tiny", "dataset.vocabulary=1000"] if settings.quick else []
    words += [f"device={settings.device.type}", f"device.threads={settings.threads}", "training.log_every=1"]
    first_step = "train.py, the first step"
    if not settings.quick:
        _until_it_says(SPEED, *words)  # fills the cache
    for name, sign, arguments in (("train.py --help", re.compile("== Groups"), ["--help"]), (first_step, SPEED, words)):
        timing = Timing([_until_it_says(sign, *arguments) for _ in range(min(settings.repeats, 3))])
        yield {"command": name, "seconds": timing.median, "+- %": timing.spread}


def sentence(settings: Settings) -> Iterator[Row]:
    """Milliseconds for one sentence after another, by a loaded `seq2seq.Translator`: from text to text. The model is
    model=base with decoder=luong attention=general, trained for 300 steps, so that translations end as they should."""
    steps, number = (20, 10) if settings.quick else (300, 200)
    options = [f"device={settings.device.type}", f"device.threads={settings.threads}", "search=greedy"]
    options += ["decoder=luong", "attention=general", f"training.steps={steps}", f"training.validate_every={steps}"]
    if settings.folder is None:
        preset = "tiny" if settings.quick else "small"
        corpus = built_in(preset=preset, seed=1, cache=CACHE)
        options += [f"dataset.cache={CACHE}", f"dataset.preset={preset}"]
    else:
        corpus = multi30k(folder=settings.folder, source="de", target="en")
        options += ["dataset=multi30k", f"dataset.folder={settings.folder}", f"dataset.cache={CACHE}"]
    vocabulary = 1000 if settings.quick else 2000 if settings.folder is None else 4000
    options += [f"model={'tiny' if settings.quick else 'base'}", f"dataset.vocabulary={vocabulary}"]
    lines = [source for source, _ in islice(corpus.validation, number)]
    with tempfile.TemporaryDirectory() as folder:
        seq2seq.train(*options, folder=Path(folder) / "run", progress=False)
        for precision in ("float32", "int8") if int8_is_possible(settings.device) else ("float32",):
            translator = seq2seq.load(Path(folder) / "run", device=settings.device.type, precision=precision)
            for beam_size in (1, 5):
                milliseconds = [1000 * _seconds(translator, line, beam_size=beam_size) for line in lines]
                fast, median, slow = np.quantile(milliseconds, (0.1, 0.5, 0.9)).tolist()
                row: Row = {"search": "greedy" if beam_size == 1 else f"beam {beam_size}", "precision": precision}
                yield row | {"ms": median, "ms, fastest tenth": fast, "ms, slowest tenth": slow}


def _seconds(translator: seq2seq.Translator, line: str, *, beam_size: int) -> float:
    started = time.perf_counter()
    translator.translate(line, beam_size=beam_size)
    return time.perf_counter() - started


def _until_it_says(sign: re.Pattern[str], *arguments: str) -> float:
    started = time.perf_counter()
    with _training([], *arguments) as lines:
        said = []
        for line in lines:
            said.append(line)
            if sign.search(line):
                return time.perf_counter() - started
    raise RuntimeError(f"train.py {' '.join(arguments)} ended too early:\n{''.join(said)}")


def processes(settings: Settings) -> Iterator[Row]:
    """Target tokens a second of train.py on the built-in corpus with model=base, as one process and as several that
    torchrun starts and that share the threads, of which each has at least one. Not with --quick."""
    several = torch.cuda.device_count() if settings.device.type == "cuda" else 2
    alone = 0.0
    for number in () if settings.quick else sorted({1, several}):
        each = max(1, settings.threads // number)
        words = ["model=base", "decoder=luong", "attention=general", "training.batch.size=2048"]
        words += [f"device={settings.device.type}", f"device.threads={each}", "training.log_every=10"]
        launcher = ["-m", "torch.distributed.run", f"--nproc_per_node={number}"] if number > 1 else []
        with _training(launcher, *words) as lines:
            rates = (float(found[1]) for line in lines if (found := SPEED.search(line)))
            timing = Timing([1 / rate for rate in islice(rates, 1, 1 + settings.repeats)])  # the first warms up
        rate = 1 / timing.median
        alone = alone or rate
        yield {
            "processes": number,
            "threads each": each,
            "tokens/s": rate,
            "+- %": timing.spread,
            "x one": rate / alone,
        }


@contextmanager
def _training(launcher: list[str], *arguments: str) -> Iterator[Iterator[str]]:
    """What train.py prints, line by line; it is ended when nobody reads on."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [sys.executable, *launcher, str(TRAIN), f"dataset.cache={CACHE}", f"hydra.run.dir={folder}/run"]
        with subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
        ) as program:
            assert program.stdout is not None
            yield iter(program.stdout)
            program.terminate()
            program.communicate()
