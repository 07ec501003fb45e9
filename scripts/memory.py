"""The sections of `scripts/benchmark.py` about memory: of a training step, and of a large corpus."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from measuring import Peak, in_child, pages, pages_are_known
from plain_model import RULES
from workload import (
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

from seq2seq.runtime import device
from seq2seq.text.batches import Batch, batch_pairs
from seq2seq.text.epochs import Epochs

Row = dict[str, Any]
MEGA = 1e6


def step_memory(settings: Settings) -> Iterator[Row]:
    """Megabytes that a training step takes at its peak, gradients included, beyond model, optimiser and batch."""
    if settings.device.type == "cpu" and not pages_are_known():
        return
    for batching in settings.batchings:
        for decoder_kind in list(RULES)[: 1 if settings.quick else None]:
            ours, plain = (in_child(step_peak, kind, decoder_kind, settings, batching) for kind in ("ours", "plain"))
            yield {"place": decoder_kind, "batch": str(batching), "ours": ours, "plain": plain, "part": ours / plain}


def step_peak(kind: str, decoder_kind: str, settings: Settings, batching: Batching) -> float:
    """Of the batch with the most target tokens of several; a step of one token comes first, for the optimiser."""
    torch.set_num_threads(settings.threads)
    device.choose_device(settings.device.type)
    largest = max(batches_of(settings.store(), batching, 20), key=lambda batch: batch.target_tokens)
    small, large = settings.on_device([batch_pairs([[4]], [[4]]), largest])
    batches = [small]
    train = _training(kind, decoder_kind, settings, batches)
    train()
    batches[:] = [large]
    if settings.device.type == "cuda":
        allocated = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        train()
        return (torch.cuda.max_memory_allocated() - allocated) / MEGA
    before = pages()["resident"]
    with Peak() as peak:
        train()
    return peak.found["resident"] - before


def _training(kind: str, decoder_kind: str, settings: Settings, batches: list[Batch]) -> Callable[[], None]:
    ours = our_model(decoder_kind, settings.sizes).to(settings.device)
    if kind == "ours":
        return our_training(ours, batches)
    return plain_training(plain_model(ours, decoder_kind, settings.sizes).to(settings.device), batches)


def corpus(settings: Settings) -> Iterator[Row]:
    """Megabytes of a process that trains luong, as the corpus grows: its resident pages at their peak, of these the
    anonymous ones and those of the mapped files (which the system takes back when it needs them); "before": with model
    and imports, without the corpus. "first batch": seconds from the open corpus to the first batch."""
    if not pages_are_known():
        return
    for pairs in (20_000,) if settings.quick else (10_000, 100_000, 1_000_000, 10_000_000):
        with tempfile.TemporaryDirectory() as folder:
            size = write_store(Path(folder), pairs, vocabulary=settings.sizes.vocabulary)
            found = in_child(corpus_peak, Path(folder), settings)
        yield {"pairs": pairs, "files": size / MEGA, **found}


def corpus_peak(folder: Path, settings: Settings) -> Row:
    """Trains three steps, after what `train_and_score` does with the store before."""
    import seq2seq.commands.train_and_score  # noqa: F401  # as train.py has it, with all that it needs

    device.set_up_device(settings.threads)
    device.choose_device(settings.device.type)
    batches: list[Batch] = []
    train = _training("ours", "luong", settings, batches)
    batching, before, store = settings.batchings[-1], pages(), open_store(folder)
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
