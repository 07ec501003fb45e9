"""The sections of `scripts/benchmark.py` about speed: matrix products, training, sizes, decoding."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import torch
from measuring import busy_share, multiply, side_by_side
from plain_model import RULES, PlainModel
from workload import (
    Batching,
    Settings,
    batches_of,
    our_model,
    our_training,
    plain_model,
    plain_training,
    products,
    synthetic,
)

from seq2seq.decoding.beam_search import beam_search
from seq2seq.decoding.penalties import Penalties
from seq2seq.decoding.search_model import for_search, next_token
from seq2seq.nn.model import Model
from seq2seq.text.batches import Batch, batch_pairs
from seq2seq.text.tokenizer import BOS, EOS

Row = dict[str, Any]
GIGA = 1e9
SOME = 4
"""Every so many sentences are also decoded alone."""
KINDS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def _products(
    settings: Settings, shape: tuple[int, int, int] | None, dtype: torch.dtype = torch.float32
) -> tuple[Callable[[], None], float]:
    """Some products of a shape, or large square ones, whose rate is called the machine's; and their operations."""
    side = 256 if settings.quick else 8192 if settings.device.type == "cuda" else 1024
    operations = 1e7 if settings.quick else 1e12 if settings.device.type == "cuda" else 4e9
    return multiply(shape or (side, side, side), dtype=dtype, device=settings.device, operations=operations)


@cache
def _cost(shape: tuple[int, int, int], settings: Settings) -> float:
    """How many times as long as in a large square product an operation takes in one of this shape."""
    runs, operations = zip(*(_products(settings, one) for one in (shape, None)), strict=True)
    found = side_by_side({"shape": runs[0], "square": runs[1]}, repeats=3, device=settings.device)
    return found["shape"].times(found["square"]) * operations[1] / operations[0]


def rates(settings: Settings) -> Iterator[Row]:
    """Matrix products in GFLOP/s: large square ones, and those of a batch of the models."""
    names: dict[tuple[int, int, int] | None, dict[str, None]] = {None: {"square": None}}
    batch = batches_of(settings.store(), settings.batchings[0], 1)[0]
    for decoder_kind in RULES:
        for product in products(decoder_kind, settings.sizes, batch):
            names.setdefault(product.shape, {})[product.name] = None
    for shape, these in names.items():
        pairs = {name: _products(settings, shape, dtype) for name, dtype in KINDS.items()}
        runs = {name: run for name, (run, _) in pairs.items()}
        timings = side_by_side(runs, repeats=settings.repeats, device=settings.device)
        found = {name: pairs[name][1] / timings[name].median / GIGA for name in KINDS}
        yield {"product": "; ".join(these), "shape": "{} x {} x {}".format(*shape) if shape else "", **found}


def training(settings: Settings) -> Iterator[Row]:
    """Target tokens a second in float32: ours, a plain loop, and the limit, which is the rate of a large square product
    in the same minutes over the operations that the formulas take for a token (MFLOP). In the last column the limit is
    that of products of the models' own shapes."""
    for batching in settings.batchings:
        batches = batches_of(settings.store(), batching, 2 if settings.quick else 4)
        for decoder_kind in RULES:
            ours = our_model(decoder_kind, settings.sizes).to(settings.device)
            plain = plain_model(ours, decoder_kind, settings.sizes).to(settings.device)
            contenders = {
                "ours": our_training(ours, batches),
                "plain": plain_training(plain, settings.on_device(batches)),
            }
            yield {
                "place": decoder_kind,
                "batch": str(batching),
                **_trained(settings, decoder_kind, batches, contenders),
            }


def _trained(
    settings: Settings, decoder_kind: str, batches: list[Batch], contenders: Mapping[str, Callable[[], None]]
) -> Row:
    """Ours, the plain loop where it is given, and the matrix rate of the same minutes."""
    square, operations = _products(settings, None)
    timings = side_by_side({**contenders, "square": square}, repeats=settings.repeats, device=settings.device)
    ours, squares = timings["ours"], timings["square"]
    tokens = sum(batch.target_tokens for batch in batches)
    work = [product for batch in batches for product in products(decoder_kind, settings.sizes, batch)]
    flop = 6 * sum(product.multiply_accumulates for product in work)
    dearer = 6 * sum(product.multiply_accumulates * _cost(product.shape, settings) for product in work) / flop
    row: Row = {"tokens/s": tokens / ours.median, "+- %": ours.spread}
    if (plain := timings.get("plain")) is not None:
        row |= {"plain": tokens / plain.median, "plain +- %": plain.spread, "x plain": plain.times(ours)}
    rate, share = operations / squares.median, 100 * flop / operations / ours.times(squares)
    row |= {"MFLOP": flop / tokens / 1e6, "GFLOP/s": rate / GIGA, "limit": rate * tokens / flop}
    row |= {"% of limit": share, "% of shapes'": share * dearer}
    if settings.device.type == "cuda":
        row |= {"ms a step": 1000 * ours.median / len(batches)}
        row |= {"GPU busy %": busy_share(contenders["ours"], settings.device)}
    return row


def sweep(settings: Settings) -> Iterator[Row]:
    """Target tokens a second of luong on synthetic sentences as one size is varied and the others stay."""
    varied = {
        "hidden": [128, 256, 512, 1024],  # of the decoder; each direction of the encoder has half
        "sentences": [16, 32, 64, 128, 256],
        "subwords": [7, 13, 26, 52],
        "vocabulary": [2000, 8000, 32000],
    }
    if settings.quick:
        varied = {"hidden": [24, 48], "sentences": [4, 16], "subwords": [5, 13], "vocabulary": [300, 900]}
    base, fewer = settings.sizes, min(settings.repeats, 3)
    for name, values in varied.items():
        for value in values:
            here = {"hidden": base.hidden, "vocabulary": base.vocabulary, "sentences": settings.batchings[0].size}
            here |= {"subwords": 13, name: value}
            sizes = base._replace(hidden=here["hidden"], encoder=here["hidden"] // 2, vocabulary=here["vocabulary"])
            store = synthetic(20_000, vocabulary=sizes.vocabulary, mean=here["subwords"])
            batches = batches_of(store, Batching(here["sentences"], "sentences"), 2)
            train = our_training(our_model("luong", sizes).to(settings.device), batches)
            found = _trained(settings._replace(sizes=sizes, repeats=fewer), "luong", batches, {"ours": train})
            yield {"varied": name, "value": value, **found}


def decoding(settings: Settings) -> Iterator[Row]:
    """Sentences a second: ours in batches, a plain loop over the same batches (greedy), and one sentence by sentence.
    Weights are fresh, so hypotheses end where their references do; "same" says how many are equal in all."""
    number, size = (16, 8) if settings.quick else (128, 64)
    store = settings.store()
    pairs = sorted(((store.source[i], store.target[i]) for i in range(number)), key=lambda pair: len(pair[0]))
    parts = [pairs[i : i + size] for i in range(0, number, size)]
    batches = settings.on_device([batch_pairs(*zip(*part, strict=True)) for part in parts])
    singles = settings.on_device([batch_pairs([source], [target]) for source, target in pairs[::SOME]])
    for decoder_kind in RULES:
        for beam in (1, 5):
            found = _decoded(settings, _searches(settings, decoder_kind, batches, singles, beam=beam))
            yield {"place": decoder_kind, "search": "greedy" if beam == 1 else f"beam {beam}", **found}


Words = list[list[int]]


def _searches(
    settings: Settings, decoder_kind: str, batches: list[Batch], singles: list[Batch], *, beam: int
) -> dict[str, Callable[[], Words]]:
    ours = our_model(decoder_kind, settings.sizes).to(settings.device).eval()
    with torch.no_grad():
        ours.output.weight.mul_(8)  # so that no two words are so near that rounding decides
    plain = plain_model(ours, decoder_kind, settings.sizes).to(settings.device).eval()
    laid_out = for_search(ours)
    searches = {"ours": lambda: _each(batches, lambda batch: our_search(laid_out, batch, size=beam))}
    if beam == 1:
        searches["batches"] = lambda: _each(batches, lambda batch: plain.greedy(*_given(batch)))
        searches["one by one"] = lambda: _each(singles, lambda batch: plain.greedy(*_given(batch)))
    else:
        searches["one by one"] = lambda: _each(singles, lambda batch: [plain_beam(plain, batch, size=beam)])
    return searches


def _decoded(settings: Settings, searches: Mapping[str, Callable[[], Words]]) -> Row:
    found = {name: search() for name, search in searches.items()}
    timings = side_by_side(searches, repeats=settings.repeats, device=settings.device)
    speeds = {name: len(found[name]) / timing.median for name, timing in timings.items()}
    row: Row = {"sentences/s": speeds["ours"], "+- %": timings["ours"].spread}
    for name in list(speeds)[1:]:
        longer = timings[name].times(timings["ours"]) * len(found["ours"]) / len(found[name])
        row |= {f"plain, {name}": speeds[name], f"x {name}": longer}
    some = [words if len(words) < len(found["ours"]) else words[::SOME] for words in found.values()]
    same = sum(all(words == column[0] for words in column) for column in zip(*some, strict=True))
    return {**row, "same": f"{same} of {len(some[0])}"}


def _each(batches: list[Batch], search: Callable[[Batch], Words]) -> Words:
    return [words for batch in batches for words in search(batch)]


def _given(batch: Batch) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    return batch.source, batch.source_mask, batch.target_mask.sum(dim=1).tolist()


def plain_beam(model: PlainModel, batch: Batch, *, size: int) -> list[int]:
    """Of a batch of one sentence."""
    source, mask, (limit,) = _given(batch)
    return model.beam(source, mask, limit, size=size)


@torch.inference_mode()
def our_search(model: Model, batch: Batch, *, size: int) -> Words:
    """As `seq2seq.translation` searches, but for where a hypothesis is cut."""
    source, mask, limits = _given(batch)
    memory, state = model.encode(source, mask)
    first = torch.full((len(source),), BOS, device=source.device)
    found = beam_search(
        next_token(model), first, state, memory, limits=limits, end=EOS, size=size, penalties=Penalties(1.0)
    )
    return [hypotheses[0].tokens for hypotheses in found]
