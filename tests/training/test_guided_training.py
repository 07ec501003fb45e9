"""Training with guided attention: its loss, in one batch or several, in the form for a GPU, in its first steps only."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seq2seq.attention.guide import Guide
from seq2seq.nn.model import Model
from seq2seq.runtime.static_shapes import static_shapes
from seq2seq.text.batches import LENGTH_MULTIPLE, Batch, collate
from seq2seq.training.learning_rate import Schedule
from seq2seq.training.objective import Objective, batch_loss
from seq2seq.training.optimizer import make_optimizer
from seq2seq.training.static_step import HostBatch, StaticBatch, StaticStep, collate_static, static_updates
from seq2seq.training.step import Update, updates
from tests.support.static import linked_store, store
from tests.support.tiny import PLACES, tiny_model
from tests.training.test_static_step import _RefusesToWait

GUIDE = Guide("cross_entropy", weight=0.7)
INDICES = ([3, 11, 7, 20], [1, 4], [22], [2, 5, 8, 13, 21], [6, 10])
SCHEDULE = Schedule(peak=0.01, warmup=2, total=20, decay="linear")
GROUPS = [INDICES[:2], INDICES[2:3], INDICES[3:]]
"""The batches of three steps."""


def plain(indices: list[int]) -> Batch:
    return collate(linked_store(), np.array(indices))


def padded(indices: list[int]) -> HostBatch:
    return collate_static(
        linked_store(), np.array(indices), size=100, unit="tokens", multiple=LENGTH_MULTIPLE, pin=False
    )


def train(model: Model, guide: Guide | None, groups: Sequence[Sequence[Batch]] | None = None) -> list[Update]:
    batches = groups or [[plain(indices) for indices in group] for group in GROUPS]
    optimizer = make_optimizer(model, betas=(0.9, 0.98), weight_decay=0.1)
    return list(updates(model, optimizer, batches, schedule=SCHEDULE, objective=Objective(0.1, guide=guide), clip=0.5))


def train_static(model: Model, guide: Guide | None) -> list[Update]:
    optimizer = make_optimizer(model, betas=(0.9, 0.98), weight_decay=0.1)
    step = StaticStep(
        model, optimizer, objective=Objective(0.1, guide=guide), clip=0.5, precision="float32", graphs=False
    )
    step.losses, step.results, step.tokens = step.losses.double(), step.results.double(), step.tokens.double()
    batches: Iterator[list[HostBatch]] = ([padded(indices) for indices in group] for group in GROUPS)
    return list(static_updates(step, batches, schedule=SCHEDULE))


def weights(model: Model) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


@pytest.mark.parametrize("rule", ["additive", "multihead", "concat"])
@pytest.mark.parametrize("place", PLACES)
def test_the_loss_is_that_of_the_mean_over_heads_times_its_weight(place: str, rule: str) -> None:
    model, batch = tiny_model(place, rule), plain(INDICES[0])
    assert batch.links is not None
    attention = model(batch.source, batch.source_mask, batch.target_input)[1].weights.detach()
    linked = batch.links.any(dim=2).nonzero().tolist()
    assert batch.linked_tokens == len(linked) < batch.target_tokens
    expected = -sum(float(attention[row, t, t].log()) for row, t in linked)
    without, loss = (batch_loss(model, batch, Objective(0.1, guide=guide)) for guide in (None, GUIDE))
    assert float(loss.guide) == pytest.approx(expected, rel=1e-5)
    assert float(without.guide) == 0
    assert float(loss.smoothed.detach()) == pytest.approx(float(without.smoothed.detach()) + 0.7 * expected, rel=1e-5)
    assert loss.negative_log_likelihood == without.negative_log_likelihood


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
def test_micro_batches_are_one_batch(place: str, loss: str) -> None:
    whole, parts = tiny_model(place).double(), tiny_model(place).double()
    guide = Guide(loss, weight=2.0)
    everything = [index for indices in INDICES for index in indices]
    (one,), (many,) = train(whole, guide, [[plain(everything)]]), train(parts, guide, [list(map(plain, INDICES))])
    assert one.linked == many.linked > 0
    torch.testing.assert_close(many.loss.guide, one.loss.guide)
    for a, b in zip(weights(whole), weights(parts), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)


def test_links_without_a_guide_change_nothing() -> None:
    linked, other = tiny_model(), tiny_model()
    done = train(linked, None)
    train(other, None, [[collate(store(), np.array(indices)) for indices in group] for group in GROUPS])
    assert all(torch.equal(*pair) for pair in zip(weights(linked), weights(other), strict=True))
    assert {(update.linked, float(update.loss.guide)) for update in done} == {(0, 0.0)}


@pytest.mark.parametrize("last_step", [None, 1, 2])
@pytest.mark.parametrize(("place", "rule"), [("bahdanau", "additive"), ("luong", "multihead")])
def test_the_form_for_a_gpu_has_the_same_values(place: str, rule: str, last_step: int | None) -> None:
    guide = GUIDE._replace(last_step=last_step)
    models = [tiny_model(place, rule).double() for _ in range(2)]
    done, expected = train_static(models[0], guide), train(models[1], guide)
    assert [update.linked > 0 for update in done] == [step <= (last_step or 3) for step in (1, 2, 3)]
    for one, other in zip(done, expected, strict=True):
        assert one.linked == other.linked
        for part in ("loss", "gradient_norm"):
            torch.testing.assert_close(getattr(one, part), getattr(other, part), check_dtype=False)
    for a, b in zip(weights(models[0]), weights(models[1]), strict=True):
        torch.testing.assert_close(a, b)


def test_after_the_last_step_it_is_a_step_without_a_guide() -> None:
    guided, free = tiny_model(), tiny_model()
    steps: list[Any] = [[plain(indices) for indices in group] for group in GROUPS]
    train(guided, GUIDE._replace(last_step=0), steps)
    train(free, None, steps)
    assert all(torch.equal(*pair) for pair in zip(weights(guided), weights(free), strict=True))


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
@pytest.mark.parametrize("place", PLACES)
def test_nothing_in_a_guided_step_waits_for_the_device(place: str, loss: str) -> None:
    model, batch = tiny_model(place, dropout=0.3).train(), padded(INDICES[0])
    with _RefusesToWait(), static_shapes():
        result = batch_loss(
            model, StaticBatch.from_ids(batch.ids, batch.links), objective=Objective(0.1, guide=Guide(loss, 1.0))
        )
        (result.smoothed / torch.tensor(7.0)).backward()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "distribution", "loss"),
    [
        ("additive", "softmax", "cross_entropy"),
        ("multihead", "softmax", "cross_entropy"),
        ("additive", "sparsemax", "squared_error"),
        ("additive", "entmax15", "squared_error"),
        ("additive", "hard", "squared_error"),
    ],
)
def test_it_learns_to_look_where_the_links_are(rule: str, distribution: str, loss: str) -> None:
    model, batch = tiny_model("luong", rule, distribution), plain(INDICES[0])
    assert batch.links is not None
    groups = [[batch]] * 150
    optimizer = make_optimizer(model, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = Schedule(peak=0.02, warmup=0, total=150, decay="constant")
    guide = Guide(loss, weight=5.0)
    done = list(updates(model, optimizer, groups, schedule=schedule, objective=Objective(0.0, guide=guide), clip=1.0))
    assert done[-1].loss.guide < 0.3 * done[0].loss.guide
    best = model.eval()(batch.source, batch.source_mask, batch.target_input)[1].weights.argmax(dim=2)
    linked = batch.links.any(dim=2)
    assert (best == torch.arange(best.shape[1]))[linked].float().mean() > 0.8  # sparsemax leaves two words behind
