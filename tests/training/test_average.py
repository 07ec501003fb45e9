"""The exponential moving average of the weights: its formula, and that the model has its own weights afterwards."""

import pytest
import torch
from torch import Tensor

from seq2seq.runtime.errors import InputError
from seq2seq.text.batches import LENGTH_MULTIPLE
from seq2seq.text.epochs import Epochs
from seq2seq.training.average import WeightAverage
from seq2seq.training.freezing import freeze
from seq2seq.training.learning_rate import Schedule
from seq2seq.training.objective import Objective
from seq2seq.training.optimizer import make_optimizer
from seq2seq.training.static_step import StaticStep, collate_static, static_updates
from tests.support.static import store
from tests.support.tiny import tiny_model
from tests.training.test_static_step import _RefusesToWait

DECAY = 0.7


def drawn(seed: int, like: Tensor) -> Tensor:
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed))


def test_it_is_the_formula() -> None:
    """The sum over all steps, written out; the weights before the first step have no part in it."""
    model = tiny_model(tie="target")
    average = WeightAverage(model, DECAY)
    name, weight = next(iter(model.named_parameters()))
    steps = []
    for step in range(1, 6):
        with torch.no_grad():
            weight.copy_(drawn(step, weight))
        steps.append(weight.detach().double())
        average.update(step)
        factors = [DECAY ** (step - i) * (1 - DECAY) / (1 - DECAY**step) for i in range(1, step + 1)]
        assert sum(factors) == pytest.approx(1)
        expected = sum(factor * past for factor, past in zip(factors, steps, strict=True))
        torch.testing.assert_close(average.averages[name].double(), expected, rtol=1e-5, atol=1e-6)
        if step == 1:
            assert torch.equal(average.averages[name], weight)


def test_weights_that_stay_are_their_average_and_frozen_ones_have_none() -> None:
    model = tiny_model()
    freeze(model, ["encoder"])
    average = WeightAverage(model, 0.999)
    for step in range(1, 50):
        average.update(step)
    assert not any(name.startswith("encoder.") for name in average.averages)
    assert all(torch.equal(average.averages[name], weight) for name, weight in average.weights.items())


def test_the_model_gets_its_weights_back_to_the_bit() -> None:
    model = tiny_model()
    average = WeightAverage(model, DECAY)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    for value in average.averages.values():
        value += 1.0
    pointers = [weight.data_ptr() for weight in model.parameters()]

    def fail_within() -> None:
        with average.in_model():
            assert all(torch.equal(weight, before[name] + 1.0) for name, weight in model.named_parameters())
            raise InputError("a validation that failed")

    with pytest.raises(InputError):
        fail_within()
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())
    assert [weight.data_ptr() for weight in model.parameters()] == pointers  # CUDA graphs read this memory


def test_it_is_restored_and_what_does_not_fit_is_refused() -> None:
    model = tiny_model()
    one, other = WeightAverage(model, DECAY), WeightAverage(model, DECAY)
    for value in one.averages.values():
        value += 0.5
    tensors = {name: tensor.clone() for name, tensor in one.tensors().items()}
    random = torch.ones(2)
    assert other.restore({**tensors, "random.cpu": random}) == {"random.cpu": random}
    assert all(torch.equal(value, one.averages[name]) for name, value in other.averages.items())
    name = min(tensors)
    with pytest.raises(InputError, match=f"{name} is missing in the checkpoint, but training needs"):
        other.restore({key: tensor for key, tensor in tensors.items() if key != name})
    with pytest.raises(InputError, match=name):
        other.restore({**tensors, name: tensors[name].double()})


def test_after_static_steps_it_is_that_of_their_weights_and_nothing_waits() -> None:
    """The update of the weights may be a CUDA graph: the average reads the same memory after it."""
    model = tiny_model()
    optimizer = make_optimizer(model, betas=(0.9, 0.98), weight_decay=0.1)
    step = StaticStep(model, optimizer, objective=Objective(0.1), clip=0.5, precision="float32", graphs=False)
    epochs = Epochs(store(), size=40, unit="tokens", accumulate=1, seed=1, multiple=LENGTH_MULTIPLE)
    groups = (
        [
            collate_static(store(), indices, size=40, unit="tokens", multiple=LENGTH_MULTIPLE, pin=False)
            for indices in group
        ]
        for group in epochs.indices(4)
    )
    average, past = WeightAverage(model, DECAY), []
    for update in static_updates(step, groups, schedule=Schedule(peak=0.01, warmup=2, total=20, decay="linear")):
        with _RefusesToWait():
            average.update(update.step)
        past.append([weight.detach().clone() for weight in model.parameters()])
    factors = [DECAY ** (4 - i) * (1 - DECAY) / (1 - DECAY**4) for i in range(1, 5)]
    for i, value in enumerate(average.averages.values()):
        torch.testing.assert_close(value, sum(f * weights[i] for f, weights in zip(factors, past, strict=True)))
        assert not torch.equal(value, past[-1][i])
