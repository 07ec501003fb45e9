"""The form of training for a GPU, on a CPU: its values are the plain form's, and nothing in it waits for a device."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from seq2seq.attention.distributions import Hard, HardOptions
from seq2seq.attention.scores import SCORES
from seq2seq.nn.model import Model
from seq2seq.runtime.static_shapes import static_shapes
from seq2seq.text.batches import LENGTH_MULTIPLE, Batch, collate, plan
from seq2seq.text.epochs import Epochs
from seq2seq.text.store import Filtered, Sequences, Store
from seq2seq.text.tokenizer import BOS, PAD
from seq2seq.training.learning_rate import Schedule
from seq2seq.training.objective import Objective, batch_loss
from seq2seq.training.optimizer import make_optimizer
from seq2seq.training.static_step import (
    Bucket,
    HostBatch,
    StaticBatch,
    StaticStep,
    bucket,
    collate_static,
    static_updates,
)
from seq2seq.training.step import updates
from tests.support.static import padded, sequences, store
from tests.support.tiny import EVERYWHERE, PLACES, POSITIONS, SOURCE_VOCABULARY, TARGET_VOCABULARY, tiny_model

SIZE = 40
SCHEDULE = Schedule(peak=0.01, warmup=2, total=20, decay="linear")


def gradients(model: Model, batch: Batch | StaticBatch) -> list[torch.Tensor]:
    loss = batch_loss(model, batch, Objective(0.1))
    found = torch.autograd.grad(loss.smoothed, list(model.parameters()), allow_unused=True)
    return [*loss, *(torch.zeros(()) if gradient is None else gradient for gradient in found)]


def assert_same_gradients(model: Model, batch: Batch, host: HostBatch) -> None:
    """The losses and gradients of a batch are those of its static form."""
    plain = gradients(model, batch)
    with static_shapes():
        static = gradients(model, StaticBatch.from_ids(host.ids))
    for one, other in zip(static, plain, strict=True):
        torch.testing.assert_close(one, other)


# --- batches ----------------------------------------------------------------------------------------------------------


def test_a_batch_has_the_same_tokens_in_the_shape_of_its_bucket() -> None:
    indices = [3, 11, 7]
    batch, host = collate(store(), np.array(indices)), padded(indices)
    static = StaticBatch.from_ids(host.ids)
    assert static.source.shape == static.target_output.shape == host.bucket
    assert (host.source_tokens, host.target_tokens) == (batch.source_tokens, batch.target_tokens)
    assert static.links is batch.links is None
    for name in StaticBatch._fields[:-1]:
        plain, part = getattr(batch, name), getattr(static, name)
        rows, length = plain.shape
        assert torch.equal(part[:rows, :length], plain)
        beyond = [part[rows:, 1:], part[:, length:]]
        empty = False if part.dtype == torch.bool else PAD
        assert all((values == empty).all() for values in beyond)
    assert (static.target_input[:, 0] == BOS).all()
    assert not static.target_mask[3:].any()


@pytest.mark.parametrize("unit", ["tokens", "sentences"])
@pytest.mark.parametrize("multiple", [1, LENGTH_MULTIPLE])
@pytest.mark.parametrize("size", [3, 40, 200])
def test_every_planned_batch_fits_its_bucket_and_there_are_few(unit: str, multiple: int, size: int) -> None:
    text = store(400)
    lengths = text.source.lengths, text.target.lengths
    options: dict[str, Any] = {"size": size, "unit": unit, "multiple": multiple}
    shapes = set()
    for indices in plan(*lengths, seed=1, epoch=0, **options):
        host = collate_static(text, indices, pin=False, **options)
        assert host.bucket.rows >= len(indices)
        assert host.bucket.length % LENGTH_MULTIPLE == 0
        longest = int(max(side[indices].max() for side in lengths)) + 1
        assert host.bucket.length - LENGTH_MULTIPLE < longest <= host.bucket.length
        shapes.add(host.bucket)
    assert len(shapes) <= -(-POSITIONS // LENGTH_MULTIPLE)


def test_buckets_by_hand() -> None:
    assert bucket(9, size=100, unit="tokens", multiple=4) == Bucket(8, 12)  # 8 sentences of 12
    assert bucket(9, size=100, unit="tokens", multiple=1) == Bucket(11, 12)  # as many as there are of 9
    assert bucket(9, size=100, unit="sentences", multiple=1) == Bucket(100, 12)
    assert bucket(9, size=5, unit="tokens", multiple=4) == Bucket(1, 12)  # alone, longer than allowed


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("place", "rule", "distribution"), EVERYWHERE)
def test_loss_and_gradients_are_the_plain_forms(place: str, rule: str, distribution: str) -> None:
    model = tiny_model(place, rule, distribution).double()
    for module in model.modules():  # draws depend on the shape of a batch
        if isinstance(module, Hard):
            module.options = HardOptions("straight_through", temperature=0.7, soft=0.0)
    model.train()
    indices = [3, 11, 7, 20]
    assert_same_gradients(model, collate(store(), np.array(indices)), padded(indices))


@pytest.mark.parametrize("rule", [name for name, score in SCORES.items() if score.location_based])
@pytest.mark.parametrize("place", [*PLACES, "self_attention"])
def test_targets_can_be_longer_than_what_a_location_based_rule_scores(place: str, rule: str) -> None:
    """Both sides are padded to one length, so a source has positions of padding that the rule has no score for."""
    model = tiny_model(place, rule).double().train()
    lengths = [3, POSITIONS - 1, 0], [POSITIONS + 5, 2, POSITIONS + 1]
    text = Store(
        sequences(SOURCE_VOCABULARY, lengths[0], 1), sequences(TARGET_VOCABULARY, lengths[1], 2), Filtered(0, 0)
    )
    indices = np.arange(3)
    host = collate_static(text, indices, size=100, unit="tokens", multiple=1, pin=False)
    assert host.bucket.length > POSITIONS
    assert_same_gradients(model, collate(text, indices), host)


def resampled(epoch: int) -> Store:
    """The sentences in another order, as if they had other subwords in each epoch."""
    text = store()
    order = np.random.default_rng(epoch).permutation(len(text.source)).tolist()
    sides = ([side[index] for index in order] for side in text[:2])
    return Store(*(Sequences(np.concatenate(s), np.cumsum([0, *map(len, s)])) for s in sides), text.filtered)


def trained(
    static: bool,
    *,
    accumulate: int = 1,
    count: int = 6,
    clip: float | None = 0.5,
    resample: bool = False,
    **options: Any,
) -> Any:
    """The updates of some steps, and the weights after them."""
    model = tiny_model("bahdanau", "additive").double()
    optimizer = make_optimizer(model, betas=(0.9, 0.98), weight_decay=0.1)
    shape: dict[str, Any] = {"size": SIZE, "unit": "tokens", "multiple": LENGTH_MULTIPLE}
    epochs = Epochs(store(), **shape, accumulate=accumulate, seed=1, resample=resampled if resample else None)
    if static:
        step = StaticStep(model, optimizer, objective=Objective(0.1), clip=clip, precision="float32", graphs=False)
        step.losses, step.results, step.tokens = step.losses.double(), step.results.double(), step.tokens.double()
        batches = epochs.collated(partial(collate_static, **shape, pin=False), count)
        done = list(static_updates(step, batches, schedule=SCHEDULE, **options))
    else:
        done = list(
            updates(
                model, optimizer, epochs.steps(count), schedule=SCHEDULE, objective=Objective(0.1), clip=clip, **options
            )
        )
    return done, list(model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("accumulate", "clip", "resample"), [(1, None, False), (1, 0.5, True), (3, None, False), (3, 0.5, False)]
)
def test_training_is_the_plain_forms(accumulate: int, clip: float | None, *, resample: bool) -> None:
    """Losses, tokens, norms and rates of each step, and the weights in the end; an epoch ends on fewer batches."""
    options: dict[str, Any] = {
        "accumulate": accumulate,
        "clip": clip,
        "resample": resample,
        "count": 12 if resample else 6,
    }
    (static, weights), (plain, wanted) = (trained(form, **options) for form in (True, False))
    assert len(static) == len(plain) == options["count"]
    for one, other in zip(static, plain, strict=True):
        assert (one.step, one.tokens, one.learning_rate) == (other.step, other.tokens, other.learning_rate)
        assert one.finite
        assert other.finite
        for part in ("loss", "gradient_norm"):
            torch.testing.assert_close(getattr(one, part), getattr(other, part), check_dtype=False)
        assert one.positions >= other.positions
        assert one.positions - one.padding == other.positions - other.padding
    for weight, other_weight in zip(weights, wanted, strict=True):
        torch.testing.assert_close(weight, other_weight)


def test_results_of_a_step_stay_when_the_next_is_taken() -> None:
    done, _ = trained(True)
    assert len({float(update.loss.smoothed) for update in done}) == len(done)


def test_a_step_that_is_not_finite_moves_nothing_and_is_forgotten() -> None:
    model = tiny_model()
    step = StaticStep(
        model,
        make_optimizer(model, betas=(0.9, 0.98), weight_decay=0.1),
        objective=Objective(0.1),
        clip=1.0,
        precision="float32",
        graphs=False,
    )
    before = [parameter.detach().clone() for parameter in model.parameters()]
    step.add_gradient(padded([1, 2]), 10)
    next(model.parameters()).grad[0, 0] = float("nan")  # type: ignore[index]
    _, norm, finite = step.update(0.1)
    assert not finite
    assert norm.isnan()
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), before, strict=True))
    batch = padded([1, 2])
    step.add_gradient(batch, batch.target_tokens)
    loss, _, finite = step.update(0.1)
    assert finite
    assert loss.negative_log_likelihood.isfinite()
    assert not any(torch.equal(*pair) for pair in zip(list(model.parameters())[:1], before[:1], strict=True))


# --- what a CUDA graph needs ------------------------------------------------------------------------------------------


class _RefusesToWait(TorchDispatchMode):
    """Raises where Python would read a value from the device, or a shape would depend on one."""

    WAITS = (
        "_local_scalar_dense",
        "nonzero",
        "masked_select",
        "unique",
        "equal",
        "is_nonzero",
        "repeat_interleave.Tensor",
    )

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        name = str(function)
        assert not any(part in name for part in self.WAITS), f"{name} waits for the device"
        if name.startswith("aten.index"):
            indices = [
                index for index in torch.utils._pytree.tree_leaves(arguments[1]) if isinstance(index, torch.Tensor)
            ]
            assert all(index.dtype != torch.bool for index in indices), f"{name} by a mask waits for the device"
        return function(*arguments, **(options or {}))


@pytest.mark.parametrize(("place", "rule", "distribution"), EVERYWHERE)
def test_nothing_in_a_step_waits_for_the_device(place: str, rule: str, distribution: str) -> None:
    model = tiny_model(place, rule, distribution, dropout=0.3, word_dropout=(0.1, 0.2), recurrent_dropout=0.2)
    batch = padded([3, 11, 7, 20]).ids
    with _RefusesToWait(), static_shapes():
        loss = batch_loss(model, StaticBatch.from_ids(batch), Objective(0.1, r_drop=5.0))
        (loss.smoothed / torch.tensor(7.0)).backward()


def test_the_mode_refuses_what_waits() -> None:
    values = torch.randn(4)
    for operation in (lambda: values[values > 0], lambda: float(values.sum()), lambda: (values > 0).nonzero()):
        with _RefusesToWait(), pytest.raises(AssertionError, match="waits"):
            operation()
