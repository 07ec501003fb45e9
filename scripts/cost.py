"""The sections of `scripts/benchmark.py` about memory and waiting: a step, a large corpus, text, start-up."""

import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
from measuring import Peak, in_child, memory, memory_is_known, side_by_side
from plain_model import RULES
from workload import (
    CACHE,
    Batching,
    Settings,
    batches_of,
    open_store,
    our_model,
    our_training,
    plain_model,
    plain_training,
    write_store,
)

from seq2seq import device
from seq2seq.text.batches import Batch, Epochs, batch_pairs
from seq2seq.text.built_in import built_in
from seq2seq.text.multi30k import multi30k
from seq2seq.text.store import prepare
from seq2seq.text.tokenizer import train_tokenizer

Row = dict[str, Any]
MEGA = 1e6
TRAIN = Path(__file__).resolve().parents[1] / "train.py"


def step_memory(settings: Settings) -> Iterator[Row]:
    """Megabytes that a training step takes at its peak, gradients included, beyond model, optimiser and batch."""
    if settings.device.type == "cpu" and not memory_is_known():
        return
    for batching in settings.batchings:
        for place in list(RULES)[: 1 if settings.quick else None]:
            ours, plain = (in_child(step_peak, kind, place, settings, batching) for kind in ("ours", "plain"))
            yield {"place": place, "batch": str(batching), "ours": ours, "plain": plain, "part": ours / plain}


def step_peak(kind: str, place: str, settings: Settings, batching: Batching) -> float:
    """Of the batch with the most target tokens of several; a step of one token comes first, for the optimiser."""
    torch.set_num_threads(settings.threads)
    largest = max(batches_of(settings.store(), batching, 20), key=lambda batch: batch.target_tokens)
    small, large = settings.on_device([batch_pairs([[4]], [[4]]), largest])
    batches = [small]
    train = _training(kind, place, settings, batches)
    train()
    batches[:] = [large]
    if settings.device.type == "cuda":
        allocated = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        train()
        return (torch.cuda.max_memory_allocated() - allocated) / MEGA
    before = memory()["resident"]
    with Peak() as peak:
        train()
    return peak.found["resident"] - before


def _training(kind: str, place: str, settings: Settings, batches: list[Batch]) -> Callable[[], None]:
    ours = our_model(place, settings.sizes).to(settings.device)
    if kind == "ours":
        return our_training(ours, batches)
    return plain_training(plain_model(ours, place, settings.sizes).to(settings.device), batches)


def corpus(settings: Settings) -> Iterator[Row]:
    """Megabytes of a process that trains luong, as the corpus grows: its resident pages at their peak, of these the
    anonymous ones and those of the mapped files (which the system takes back when it needs them); "before": with model
    and imports, without the corpus. "first batch": seconds from the open corpus to the first batch."""
    if not memory_is_known():
        return
    for pairs in (2_000, 20_000) if settings.quick else (10_000, 100_000, 1_000_000, 10_000_000):
        with tempfile.TemporaryDirectory() as folder:
            size = write_store(Path(folder), pairs, vocabulary=settings.sizes.vocabulary)
            found = in_child(corpus_peak, Path(folder), settings)
        yield {"pairs": pairs, "files": size / MEGA, **found}


def corpus_peak(folder: Path, settings: Settings) -> Row:
    """Trains three steps, after what `seq2seq.run` does with the store before."""
    device.set_up(settings.threads)
    batches: list[Batch] = []
    train = _training("ours", "luong", settings, batches)
    batching, before, store = settings.batchings[-1], memory(), open_store(folder)
    with Peak() as peak:
        digest = hashlib.sha256()
        for side in store[:2]:
            digest.update(side.ids.data)
            digest.update(side.offsets.data)
        started = time.perf_counter()
        steps = Epochs(store, size=batching.size, unit=batching.unit, accumulate=1, seed=1).steps(3)
        for number, group in enumerate(steps):
            if number == 0:
                waited = time.perf_counter() - started
            batches[:] = settings.on_device(group)
            train()
    names = {"resident": "peak", "anonymous": "anonymous", "file": "of files"}
    return {
        "before": before["resident"],
        **{names[key]: value for key, value in peak.found.items()},
        "first batch": waited,
    }


def text(settings: Settings) -> Iterator[Row]:
    """Sentences and megabytes a second of real text: SentencePiece alone, then all that comes before training."""
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
    """Seconds from the command to what a person waits for, of the default model; the corpus is in the cache."""
    preset = ["dataset.preset=tiny", "dataset.vocabulary=1000"] if settings.quick else []
    with tempfile.TemporaryDirectory() as folder:
        words = [
            *preset,
            f"device={settings.device.type}",
            f"device.threads={settings.threads}",
            "training.log_every=1",
        ]
        commands = {
            "train.py --help": (["--help"], "== Groups"),
            "train.py, first step": ([*words, f"dataset.cache={CACHE}", "hydra.run.dir={}"], "  epoch "),
        }
        _until(*commands["train.py, first step"], Path(folder) / "first")  # fills the cache
        for name, (arguments, sign) in commands.items():
            runs = [Path(folder) / str(number) for number in range(min(settings.repeats, 3))]
            seconds = [_until(arguments, sign, run) for run in runs]
            yield {
                "command": name,
                "seconds": median(seconds),
                "+- %": 100 * (max(seconds) - min(seconds)) / median(seconds),
            }


def _until(arguments: list[str], sign: str, run: Path) -> float:
    """Seconds until the program writes a line with the sign; then it is ended."""
    started = time.perf_counter()
    command = [sys.executable, str(TRAIN), *(argument.format(run) for argument in arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as program:
        assert program.stdout is not None
        said = ""
        for line in program.stdout:
            said += line
            if sign in line:
                program.kill()
                return time.perf_counter() - started
    raise RuntimeError(f"{command} ended without a line with {sign!r}:\n{said}")
