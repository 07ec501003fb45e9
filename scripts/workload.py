"""What `scripts/benchmark.py` measures with: sizes, sentences, the two models, and how much arithmetic they ask for."""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from plain_model import RULES, PlainModel

from seq2seq.attention.distributions import DISTRIBUTIONS, HardOptions
from seq2seq.attention.layer import Rule
from seq2seq.attention.scores import SCORES
from seq2seq.nn.decoder import DECODERS
from seq2seq.nn.decoder_base import DecoderSizes
from seq2seq.nn.encoder import RecurrentEncoder
from seq2seq.nn.model import Model
from seq2seq.text.batches import LENGTH_MULTIPLE, Batch, round_up
from seq2seq.text.epochs import Epochs
from seq2seq.text.sources.multi30k import multi30k
from seq2seq.text.store import Filtered, Sequences, Store, prepare
from seq2seq.text.tokenizer import PAD
from seq2seq.training.learning_rate import Schedule
from seq2seq.training.objective import Objective
from seq2seq.training.optimizer import make_optimizer
from seq2seq.training.static_step import HostBatch, StaticStep, static_updates
from seq2seq.training.step import updates

CACHE = Path(__file__).resolve().parents[1] / "data" / "cache"
SMOOTHING, CLIP, RATE, BETAS = 0.1, 1.0, 1e-4, (0.9, 0.98)
AT_ONCE = 1_000_000
"""Synthetic pairs that are drawn at a time."""


class Sizes(NamedTuple):
    """Of the models. `encoder` is the width of one direction; the three matrices of embeddings and output are three."""

    embedding: int = 256
    encoder: int = 256
    hidden: int = 512
    vocabulary: int = 8000
    dropout: float = 0.3


class Batching(NamedTuple):
    """How the project makes batches: see `seq2seq.text.batches.plan`."""

    size: int
    unit: str

    def __str__(self) -> str:
        return f"{self.size} {self.unit}"


class Settings(NamedTuple):
    """What all sections share. `folder` holds Multi30k; where it is None, sentences are synthetic."""

    quick: bool
    device: torch.device
    threads: int
    repeats: int
    folder: Path | None
    sizes: Sizes = Sizes()
    batchings: tuple[Batching, ...] = (Batching(64, "sentences"), Batching(2048, "tokens"))

    def told(self) -> dict[str, Any]:
        """For the reader."""
        text = "synthetic" if self.folder is None else str(self.folder)
        told = {**self.sizes._asdict(), "repeats": self.repeats, "text": text}
        return told | {"warning": "a quick look: sizes this small say little of others"} if self.quick else told

    def store(self) -> Store:
        """The encoded sentences."""
        if self.folder is None:
            return synthetic(20_000, vocabulary=self.sizes.vocabulary)
        return _multi30k(self.folder, self.sizes.vocabulary)

    def on_device(self, batches: Sequence[Batch]) -> list[Batch]:
        """The batches where the models are."""
        return [batch.to(self.device) for batch in batches]


SMALL = Sizes(embedding=32, encoder=24, hidden=40, vocabulary=500)
"""Of a quick run."""


@cache
def _multi30k(folder: Path, vocabulary: int) -> Store:
    text = multi30k(folder=folder, source="de", target="en").train
    return prepare(text, folder=CACHE, vocabulary_size=vocabulary, kind="unigram", joint=True, longest=100).store


def our_model(decoder_kind: str, sizes: Sizes, *, seed: int = 1) -> Model:
    """The project's model, with the rule of the place's paper and fresh weights."""
    torch.manual_seed(seed)
    rule = Rule(
        SCORES[RULES[decoder_kind]],
        DISTRIBUTIONS["softmax"],
        heads=1,
        window=1,
        hard=HardOptions("gumbel", temperature=1.0, soft=0.0),
    )
    encoder = RecurrentEncoder(
        embedding_size=sizes.embedding, hidden_size=sizes.encoder, layers=1, dropout=sizes.dropout
    )
    widths = DecoderSizes(embedding=sizes.embedding, value=encoder.output_size, hidden=sizes.hidden, positions=1)
    return Model(
        encoder,
        DECODERS[decoder_kind](rule, widths, dropout=sizes.dropout),
        source_vocabulary=sizes.vocabulary,
        target_vocabulary=sizes.vocabulary,
        embedding_size=sizes.embedding,
        embedding_scale=1.0,
        tie="none",
        dropout=sizes.dropout,
        positions=1,
    )


def plain_model(model: Model, decoder_kind: str, sizes: Sizes) -> PlainModel:
    """The plain model with the same weights."""
    return PlainModel(
        decoder_kind,
        embedding=sizes.embedding,
        encoder_hidden=sizes.encoder,
        hidden=sizes.hidden,
        vocabulary=sizes.vocabulary,
        dropout=sizes.dropout,
    ).copy_weights(model)


def our_training(model: Model, batches: Sequence[Batch]) -> Callable[[], None]:
    """Trains on the batches each time it is called, as `train.py` does. Batches are in the CPU's memory."""
    optimizer = make_optimizer(model, betas=BETAS, weight_decay=0.01)
    schedule = Schedule(peak=RATE, warmup=0, total=1, decay="constant")
    if next(model.parameters()).is_cuda:
        step = StaticStep(model, optimizer, objective=Objective(SMOOTHING), clip=CLIP, precision="auto", graphs=True)

        def train_by_graphs() -> None:
            groups = ([_host_batch(batch)] for batch in batches)
            for _ in static_updates(step, groups, schedule=schedule):
                pass

        return train_by_graphs

    def train() -> None:
        groups = ([batch] for batch in batches)
        for _ in updates(
            model, optimizer, groups, schedule=schedule, objective=Objective(SMOOTHING), clip=CLIP, precision="auto"
        ):
            pass

    return train


def _host_batch(batch: Batch) -> HostBatch:
    """The batch in the shape that a GPU trains on, in pinned memory."""
    (rows, source), target = batch.source.shape, batch.target_output.shape[1]
    length = round_up(max(source, target), LENGTH_MULTIPLE)
    ids = torch.full((2, rows, length), PAD, pin_memory=True)
    ids[0, :, :source], ids[1, :, :target] = batch.source, batch.target_output
    return HostBatch(ids, batch.source_tokens, batch.target_tokens)


def plain_training(model: PlainModel, batches: Sequence[Batch]) -> Callable[[], None]:
    """The same in the plain model, with the same optimiser, fused as ours is."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=BETAS, weight_decay=0.01, fused=True)

    def train() -> None:
        model.train()
        for batch in batches:
            (model.loss(batch, smoothing=SMOOTHING) / batch.target_tokens).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            optimizer.zero_grad()

    return train


class Product(NamedTuple):
    """A matrix product of a model: its shape where it is computed, and the work of all of its kind in one batch."""

    name: str
    shape: tuple[int, int, int]
    multiply_accumulates: int


def products(decoder_kind: str, sizes: Sizes, batch: Batch) -> list[Product]:
    """All products of one forward pass, as the formulas have them, padding left out.

    A backward pass takes each twice: once for the gradient of its input, once for that of its weight. A multiplication
    and an addition are two operations. So training takes six operations for each of these.
    """
    embedding, hidden, value, columns = sizes.embedding, sizes.hidden, 2 * sizes.encoder, 3 * sizes.encoder
    (sentences, width), steps = batch.source.shape, batch.target_input.shape[1]
    source, target = batch.source_tokens, batch.target_tokens
    pairs = int((batch.source_mask.sum(dim=1) * batch.target_mask.sum(dim=1)).sum())  # of a source and a target token

    def each_step(name: str, inner: int, columns: int) -> Product:
        return Product(name, (sentences, inner, columns), target * inner * columns)

    def together(name: str, inner: int, columns: int) -> Product:
        return Product(name, (target, inner, columns), target * inner * columns)

    inside = {
        "luong": [
            together("gates of words", embedding, 3 * hidden),
            each_step("gates of states", hidden, 3 * hidden),
            together("combine", hidden + value, embedding),
        ],
        "bahdanau": [
            each_step("query", hidden, hidden),
            together("combine, words", embedding, hidden),
            each_step("combine, contexts", value, hidden),
            each_step("gates of combined", hidden, 3 * hidden),
            each_step("gates of states", hidden, 3 * hidden),
            together("readout", hidden + embedding + value, embedding),
        ],
        "conditional": [
            together("gates of words", embedding, 3 * hidden),
            each_step("gates of states", hidden, 3 * hidden),
            each_step("query", hidden, hidden),
            each_step("combine", hidden + value, hidden),
            each_step("gates of combined", hidden, 3 * hidden),
            each_step("gates of first states", hidden, 3 * hidden),
            together("readout", hidden + embedding + value, embedding),
        ],
    }[decoder_kind]
    return [
        Product("encoder, words", (source, embedding, columns), 2 * source * embedding * columns),
        Product("encoder, states", (sentences, sizes.encoder, columns), 2 * source * sizes.encoder * columns),
        Product("bridge", (sentences, value, hidden), sentences * value * hidden),
        Product("keys", (source, value, hidden), source * value * hidden),
        Product("scores", (steps, hidden, width), pairs * hidden),
        Product("mix", (steps, width, value), pairs * value),
        *inside,
        together("output layer", embedding, sizes.vocabulary),
    ]


def batches_of(store: Store, batching: Batching, number: int) -> list[Batch]:
    """The first batches of a run."""
    epochs = Epochs(store, size=batching.size, unit=batching.unit, accumulate=1, seed=1)
    return [batch for (batch,) in islice(epochs.steps(number), number)]


def synthetic(pairs: int, *, vocabulary: int, mean: float = 13.0, seed: int = 1) -> Store:
    """Sentences of random ids whose lengths are spread as those of image captions; the rarer an id, the greater."""
    random = np.random.default_rng(seed)
    source = np.clip(random.gamma(8.0, mean / 8.0, pairs).round(), 2, 5 * mean).astype(np.int64)
    target = np.clip(source + random.normal(0.0, 0.15 * mean, pairs).round(), 2, 5 * mean).astype(np.int64)
    return Store(_draw(random, source, vocabulary), _draw(random, target, vocabulary), Filtered(0, 0))


def _draw(random: np.random.Generator, lengths: np.ndarray, vocabulary: int) -> Sequences:
    ids = 3 + (vocabulary - 3) ** random.random(int(lengths.sum()))  # 1 / rank, as words are
    return Sequences(ids.astype(np.uint16), np.concatenate(([0], np.cumsum(lengths))))


def write_store(folder: Path, pairs: int, *, vocabulary: int) -> int:
    """The files of a prepared corpus of synthetic pairs; their size in bytes."""
    ends = [0, 0]
    for start in range(0, pairs, AT_ONCE):
        store = synthetic(min(AT_ONCE, pairs - start), vocabulary=vocabulary, seed=start)
        for side, sequences in enumerate((store.source, store.target)):
            with (folder / f"{side}.ids").open("ab") as ids, (folder / f"{side}.offsets").open("ab") as offsets:
                sequences.ids.tofile(ids)
                (sequences.offsets[1 if start else 0 :] + ends[side]).tofile(offsets)
            ends[side] += int(sequences.offsets[-1])
    return sum(path.stat().st_size for path in folder.iterdir())


def open_store(folder: Path) -> Store:
    """Memory-mapped, as `seq2seq.text.store` opens it."""
    source, target = (
        Sequences(
            np.asarray(np.memmap(folder / f"{side}.ids", dtype=np.uint16, mode="r")),
            np.asarray(np.memmap(folder / f"{side}.offsets", dtype=np.int64, mode="r")),
        )
        for side in range(2)
    )
    return Store(source, target, Filtered(0, 0))
