"""Frozen parts of a model: they keep their numbers, and all others learn as they would without."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from seq2seq.nn.model import PARTS, Model
from seq2seq.runtime.static_shapes import static_shapes
from seq2seq.text.batches import LENGTH_MULTIPLE, collate
from seq2seq.text.epochs import Epochs
from seq2seq.training.freezing import freeze, freezing_remarks, trainable
from seq2seq.training.learning_rate import Schedule
from seq2seq.training.objective import Objective, batch_loss
from seq2seq.training.optimizer import gradient_norm, make_optimizer, tensors_to_resume
from seq2seq.training.static_step import StaticBatch, StaticStep, collate_static, static_updates
from seq2seq.training.step import updates
from tests.support.static import padded, store
from tests.support.tiny import PLACES, tiny_model

SCHEDULE = Schedule(peak=0.01, warmup=2, total=20, decay="linear")
FROZEN = [
    ["embeddings"],
    ["encoder"],
    ["attention"],
    ["encoder", "embeddings"],
    ["decoder", "output"],
    ["decoder", "encoder", "embeddings"],
    ["output", "encoder", "decoder"],
]


def gradients(parts: Sequence[str], place: str, *, static: bool) -> dict[str, torch.Tensor | None]:
    model = tiny_model(place, "multihead", "softmax").double().train()
    freeze(model, parts)
    indices = [3, 11, 7, 20]
    if static:
        with static_shapes():
            batch_loss(model, StaticBatch.from_ids(padded(indices).ids), Objective(0.1)).smoothed.backward()
    else:
        batch_loss(model, collate(store(), np.array(indices)), Objective(0.1)).smoothed.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.slow
@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("place", [*PLACES, "self_attention"])
def test_the_other_gradients_are_those_of_the_whole_model(place: str, static: bool) -> None:
    """Whatever is frozen; on a CPU many gradients are computed by functions of our own.

    To rounding: on an AMD EPYC the last bit of float64 differs in some, on an Intel Xeon none does.
    """
    whole = gradients([], place, static=static)
    for parts in FROZEN:
        partial = gradients(parts, place, static=static)
        modules = tuple(f"{name}." for part in parts for name in PARTS[part])
        assert {name for name in partial if partial[name] is None} == {
            name for name in partial if name.startswith(modules)
        }
        for name, gradient in partial.items():
            if gradient is not None:
                torch.testing.assert_close(gradient, whole[name], rtol=1e-12, atol=1e-14, msg=f"{parts}, {name}")


def trained(parts: Sequence[str], *, static: bool, tie: str) -> tuple[Model, Model, Any, list[Any]]:
    """The model before and after some steps, the optimiser, and the updates."""
    before, model = tiny_model(tie=tie).double(), tiny_model(tie=tie).double()
    freeze(model, parts)
    optimizer = make_optimizer(model, betas=(0.9, 0.98), weight_decay=0.1)
    epochs = Epochs(store(), size=40, unit="tokens", accumulate=3, seed=1, multiple=LENGTH_MULTIPLE)
    if static:
        step = StaticStep(model, optimizer, objective=Objective(0.1), clip=0.5, precision="float32", graphs=False)
        step.losses, step.results, step.tokens = step.losses.double(), step.results.double(), step.tokens.double()
        batches = (
            [
                collate_static(store(), indices, size=40, unit="tokens", multiple=LENGTH_MULTIPLE, pin=False)
                for indices in group
            ]
            for group in epochs.indices(4)
        )
        done = list(static_updates(step, batches, schedule=SCHEDULE))
    else:
        done = list(updates(model, optimizer, epochs.steps(4), schedule=SCHEDULE, objective=Objective(0.1), clip=0.5))
    return before, model, optimizer, done


@pytest.mark.slow
@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("tie", ["none", "target"])
@pytest.mark.parametrize("parts", [["embeddings"], ["encoder", "embeddings"], ["decoder", "encoder"]])
def test_frozen_parameters_keep_their_bits_and_all_others_move(parts: list[str], tie: str, static: bool) -> None:
    before, model, optimizer, _ = trained(parts, static=static, tie=tie)
    names = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert names
    assert len(names) < len(list(model.parameters()))
    for (name, parameter), earlier in zip(model.named_parameters(), before.parameters(), strict=True):
        assert torch.equal(parameter, earlier) == (name not in names), name
    in_optimizer = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    assert in_optimizer == {id(parameter) for parameter in trainable(model)}
    saved = {name.split(".", 2)[2] for name in tensors_to_resume(model, optimizer) if name.startswith("optimizer.")}
    assert saved == names


def test_the_static_form_trains_the_same_weights() -> None:
    (_, static, _, done), (_, plain, _, expected) = (
        trained(["encoder", "embeddings"], static=static, tie="target") for static in (True, False)
    )
    for weight, other in zip(static.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(weight, other)
    for update, other_update in zip(done, expected, strict=True):
        torch.testing.assert_close(update.gradient_norm, other_update.gradient_norm, check_dtype=False)


def test_the_norm_is_that_of_the_parameters_that_train() -> None:
    model = tiny_model().double()
    freeze(model, ["encoder"])
    batch_loss(model, collate(store(), np.array([3, 11])), Objective(0.0)).smoothed.backward()
    squares = sum(float((parameter.grad**2).sum()) for parameter in trainable(model) if parameter.grad is not None)
    assert float(gradient_norm(model)) == pytest.approx(squares**0.5)


@pytest.mark.parametrize(
    ("tie", "parts", "words"),
    [
        ("none", ["embeddings"], None),
        ("target", ["embeddings"], "the matrix that the target embeddings and the output layer share (model.tie)"),
        ("all", ["output"], "the matrix that the embeddings and the output layer share (model.tie)"),
        ("all", ["output", "embeddings"], None),
    ],
)
def test_what_is_frozen_is_told(tie: str, parts: list[str], words: str | None) -> None:
    model = tiny_model(tie=tie)
    freeze(model, parts)
    first, *more = freezing_remarks(model, parts)
    everything = sum(parameter.numel() for parameter in model.parameters())
    count = sum(parameter.numel() for parameter in trainable(model))
    assert first == f"frozen: {', '.join(parts)}; {count:,} of {everything:,} parameters train"
    assert more == ([] if words is None else [f"frozen with them: {words}"])
    assert list(freezing_remarks(model, [])) == []
