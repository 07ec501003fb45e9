"""scripts/benchmark.py: that the plain loop is the same model, that the arithmetic is counted right, that it runs."""

import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from seq2seq.nn.dropout import Dropout
from seq2seq.runtime.errors import InputError
from seq2seq.text.batches import batch_pairs
from seq2seq.text.tokenizer import EOS
from seq2seq.training.objective import Objective, batch_loss
from tests.support.programs import ROOT
from tests.support.tiny import sentences

sys.path.append(str(ROOT / "scripts"))  # where Python looks for the program's own modules
from benchmark import SECTIONS, main, report, table
from measuring import MOST_PRODUCTS, multiply
from plain_model import RULES, PlainModel
from speed import our_search, plain_beam
from workload import (
    Batching,
    Settings,
    Sizes,
    open_store,
    our_model,
    plain_model,
    products,
    synthetic,
    write_store,
)

SIZES = Sizes(embedding=10, encoder=6, hidden=14, vocabulary=23, dropout=0.0)
BATCHING = Batching(3, "sentences")
PAIR = (sentences([4, 0, 7, 1, 3], seed=5), sentences([2, 3, 1, 6, 5], seed=6))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("place", RULES)
def test_the_plain_loop_has_the_same_loss_and_gradient(place: str, smoothing: float) -> None:
    ours = our_model(place, SIZES)
    plain = plain_model(ours, place, SIZES)
    batch = batch_pairs(*PAIR)
    mine, other = (
        batch_loss(ours, batch, Objective(smoothing)).smoothed,
        plain.loss(batch, smoothing=smoothing),
    )
    torch.testing.assert_close(mine, other)
    mine.backward()
    other.backward()
    mirror = plain_model(ours, place, SIZES)
    mirror.copy_weights(_of_gradients(ours))
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(parameter.grad, dict(mirror.named_parameters())[name].data, msg=name)


def _of_gradients(model: torch.nn.Module) -> torch.nn.Module:
    """The model with its gradients for weights."""
    for parameter in model.parameters():
        assert parameter.grad is not None
        parameter.data = parameter.grad
    return model


@pytest.mark.parametrize("place", RULES)
def test_the_plain_loop_drops_as_many_entries_of_each_width(place: str) -> None:
    sizes = SIZES._replace(dropout=0.5)
    ours = our_model(place, sizes)
    counts = []
    for model in (ours, plain_model(ours, place, sizes)):
        widths: Counter[int] = Counter()
        for module in model.modules():
            if isinstance(module, nn.Dropout | Dropout):
                module.register_forward_hook(_counting(widths))
        if model is ours:
            batch_loss(ours, batch_pairs(*PAIR), Objective(0.0))
        else:
            model(batch_pairs(*PAIR))
        counts.append(widths)
    assert counts[0] == counts[1]
    assert set(counts[0]) >= {10, 12}  # embeddings and outputs, values


def _counting(widths: Counter[int]) -> Callable[[nn.Module, tuple[torch.Tensor], torch.Tensor], None]:
    def count(_: nn.Module, given: tuple[torch.Tensor], __: torch.Tensor) -> None:
        widths[given[0].shape[-1]] += given[0].numel()

    return count


def test_the_plain_loop_finds_the_same_hypotheses() -> None:
    lengths = [[5, 1, 9, 3, 7, 2, 4, 8], [6, 11, 4, 9, 3, 12, 8, 7]]
    sources, targets = (sentences(some, seed=i) for i, some in enumerate(lengths))
    batch = batch_pairs(sources, targets)
    limits = batch.target_mask.sum(dim=1).tolist()
    singles = [batch_pairs([source], [target]) for source, target in zip(sources, targets, strict=True)]
    found: list[tuple[list[int], list[int]]] = []
    for place, likely_end in itertools.product(RULES, (0.0, 4.0)):
        ours = our_model(place, SIZES).eval()
        with torch.no_grad():
            ours.output.weight.mul_(8)
            ours.output.bias[EOS] = likely_end
        plain = plain_model(ours, place, SIZES).eval()
        greedy, beams = (our_search(ours, batch, size=size) for size in (1, 5))
        assert plain.greedy(batch.source, batch.source_mask, limits) == greedy, place
        assert [plain_beam(plain, single, size=5) for single in singles] == beams, place
        found += zip(greedy, beams, strict=True)
    ended = [greedy[-1] == EOS for greedy, _ in found]
    assert any(ended)
    assert not all(ended)
    assert any(greedy != beam for greedy, beam in found)


def test_the_arithmetic_is_counted_as_by_hand() -> None:
    """E 10, a direction 6, values 12, H 14, V 23; three and five source tokens, four and two target tokens."""
    batch = batch_pairs(sentences([2, 4], seed=1), sentences([3, 1], seed=2))
    source, target, pairs = 3 + 5, 4 + 2, 3 * 4 + 5 * 2
    encoder = source * 2 * (10 * 18 + 6 * 18) + 2 * 12 * 14  # both directions, the bridge
    attention = source * 12 * 14 + pairs * (14 + 12)  # keys, scores, mix
    luong = target * (10 * 42 + 14 * 42 + 26 * 10)
    bahdanau = target * (14 * 14 + 22 * 14 + 2 * 14 * 42 + 36 * 10)
    conditional = target * (10 * 42 + 14 * 42 + 14 * 14 + 26 * 14 + 2 * 14 * 42 + 36 * 10)
    output = target * 10 * 23
    for place, inside in (("luong", luong), ("bahdanau", bahdanau), ("conditional", conditional)):
        counted = sum(product.multiply_accumulates for product in products(place, SIZES, batch))
        assert counted == encoder + attention + inside + output, place


def test_the_weights_are_those_of_the_products() -> None:
    """Every weight matrix that is no embedding is as large as the products that it is in."""
    batch = batch_pairs(sentences([0], seed=1), sentences([0], seed=2))  # one token on each side
    for place in RULES:
        model = plain_model(our_model(place, SIZES), place, SIZES)
        matrices = [p.numel() for name, p in model.named_parameters() if p.dim() == 2 and "embedding" not in name]
        counted = sum(product.multiply_accumulates for product in products(place, SIZES, batch))
        scores = 0 if RULES[place] == "additive" else 14  # `v` counts as a weight, the product of Q and K does not
        assert counted == sum(matrices) + scores + 12, place


def test_synthetic_sentences_are_like_captions_and_the_same_each_time() -> None:
    store, again = (synthetic(5_000, vocabulary=300) for _ in range(2))
    assert store.source.lengths.mean() == pytest.approx(13, abs=0.3)
    assert 3 < store.source.lengths.std() < 6
    assert abs(store.source.lengths - store.target.lengths).mean() < 3
    for side, other in zip(store[:2], again[:2], strict=True):
        assert (side.ids == other.ids).all()
        assert side.ids.min() == 4
        assert side.ids.max() == 299


def test_a_written_store_is_what_was_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workload.AT_ONCE", 30)
    size = write_store(tmp_path, 70, vocabulary=300)
    store = open_store(tmp_path)
    drawn = [synthetic(count, vocabulary=300, seed=start) for start, count in ((0, 30), (30, 30), (60, 10))]
    for side in range(2):
        expected = [part[side][i].tolist() for part in drawn for i in range(len(part[side]))]
        assert [store[side][i].tolist() for i in range(len(store[side]))] == expected
    assert size == sum(side.ids.nbytes + side.offsets.nbytes for side in store[:2])


def test_the_plain_model_must_take_every_weight() -> None:
    plain = PlainModel("bahdanau", embedding=10, encoder_hidden=6, hidden=14, vocabulary=23, dropout=0.0)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        plain.copy_weights(our_model("conditional", SIZES))


def test_a_quick_run_prints_what_it_writes(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    command = [sys.executable, str(ROOT / "scripts" / "benchmark.py"), "--quick", "--repeats=1", "--threads=1"]
    ended = subprocess.run([*command, f"--json={path}"], capture_output=True, text=True, timeout=300)
    assert (ended.returncode, ended.stderr) == (0, "")
    found = json.loads(path.read_text(encoding="utf-8"))
    assert list(found) == ["machine", "settings", *SECTIONS]
    assert found["machine"]["threads"] == 1
    for name in SECTIONS:
        assert found[name] or name == "processes", name  # which a quick run leaves out
        for line in table(found[name]):
            assert f"  {line}\n" in ended.stdout
        for row in found[name]:
            assert all(not isinstance(value, float) or value >= 0 for value in row.values()), (name, row)
    assert {row["same"] for row in found["decoding"]} == {"4 of 4"}


def test_only_the_chosen_sections_are_measured() -> None:
    settings = Settings(
        quick=True, device=torch.device("cpu"), threads=1, repeats=1, folder=None, sizes=SIZES, batchings=(BATCHING,)
    )
    said: list[str] = []
    assert list(report(settings, ["training"], said.append)) == ["machine", "settings", "training"]
    assert "Training: " in "".join(said)


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--only=training,decodng", "--only: found 'decodng', expected some of: rates, training"),
        ("--threads=0", "--threads: found 0, expected 1 or more"),
        ("--repeats=0", "--repeats: found 0, expected 1 or more"),
        ("--json=/no/such/folder/a.json", "--json: there is no folder /no/such/folder"),
    ],
)
def test_what_makes_no_sense_is_refused(argument: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        main([argument])
    assert str(refused.value).startswith(said)


def test_small_products_are_not_repeated_without_end() -> None:
    """On a GPU a product of a few operations takes as long as its launch."""
    _, operations = multiply((3, 5, 7), dtype=torch.float32, device=torch.device("cpu"), operations=1e12)
    assert operations == MOST_PRODUCTS * 2 * 3 * 5 * 7
    _, operations = multiply((30, 50, 70), dtype=torch.float32, device=torch.device("cpu"), operations=1e6)
    assert operations == pytest.approx(1e6, rel=0.1)
