"""Optimiser steps: sums divided once, rates by formula, the same numbers for the same seed, and learning by heart."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, one_hot

from seq2seq.attention.distributions import Attention, Distribution, DistributionSizes, Hard, HardOptions
from seq2seq.attention.guide import Guide
from seq2seq.decoding.beam_search import beam_search
from seq2seq.decoding.penalties import Penalties
from seq2seq.nn.model import Model
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.static_shapes import static_shapes
from seq2seq.text.batches import Batch, batch_pairs, batch_sentences, padding_share
from seq2seq.text.tokenizer import BOS, EOS
from seq2seq.training import step as training
from seq2seq.training.learning_rate import Schedule
from seq2seq.training.objective import Objective, batch_loss
from seq2seq.training.optimizer import load_tensors, make_optimizer, tensors_to_resume
from seq2seq.training.step import Update, updates
from tests.support.tiny import EVERY, PLACES, TARGET_VOCABULARY, ragged_batch, sentences, tiny_model
from tests.support.unchecked import unchecked

SOURCES = sentences([4, 9, 2, 1, 7, 3], seed=1)
TARGETS = sentences([3, 2, 8, 5, 1, 6], seed=2)


def batches(*sizes: int) -> list[Batch]:
    """The six sentence pairs in batches of these sizes."""
    assert sum(sizes) == len(SOURCES)
    found, start = [], 0
    for size in sizes:
        found.append(batch_pairs(SOURCES[start : start + size], TARGETS[start : start + size]))
        start += size
    return found


def train(
    model: Model,
    groups: Sequence[Sequence[Batch]],
    *,
    rate: float = 0.01,
    clip: float | None = None,
    smoothing: float = 0.1,
    start: int = 0,
) -> list[Update]:
    optimizer = make_optimizer(model, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = Schedule(peak=rate, warmup=0, total=len(groups) + start, decay="constant")
    return list(
        updates(model, optimizer, groups, schedule=schedule, objective=Objective(smoothing), clip=clip, start=start)
    )


def weights(model: Model) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def all_equal(one: Model, other: Model) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("sizes", [(1, 5), (2, 3, 1), (1,) * 6])
def test_micro_batches_are_one_batch(place: str, sizes: tuple[int, ...]) -> None:
    """Each token weighs the same, however many stand beside it in its batch."""
    whole, parts = tiny_model(place).double(), tiny_model(place).double()
    groups = batches(*sizes)
    assert len({batch.target_tokens for batch in groups}) > 1
    for clip in (None, 0.01):
        (one,), (many,) = train(whole, [batches(6)], clip=clip), train(parts, [groups], clip=clip)
        torch.testing.assert_close(many.gradient_norm, one.gradient_norm)
        torch.testing.assert_close(many.loss.smoothed, one.loss.smoothed)
        torch.testing.assert_close(many.loss.negative_log_likelihood, one.loss.negative_log_likelihood)
        assert many.tokens == one.tokens == sum(len(target) + 1 for target in TARGETS)
        for a, b in zip(weights(whole), weights(parts), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("form", [nullcontext, static_shapes], ids=["for a CPU", "for a GPU"])
@pytest.mark.parametrize("place", PLACES)
def test_r_drop_by_the_formula(place: str, form: Callable[[], AbstractContextManager[None]]) -> None:
    """Two passes one after the other, and PyTorch's divergences; the masks are those that the doubled batch draws."""
    alpha, batch = 5.0, ragged_batch()
    model = tiny_model(place, word_dropout=(0.3, 0.4)).double()
    masks: list[Tensor] = []
    for module in (model.source_word_dropout, model.target_word_dropout):
        module.dropout.register_forward_hook(lambda _, __, mask: masks.append(mask))
    with form():
        loss = batch_loss(model, batch, Objective(0.1, r_drop=alpha))
        gradients = torch.autograd.grad(loss.smoothed, list(model.parameters()))
    halves = [mask.chunk(2) for mask in masks]
    assert not torch.equal(*halves[1])
    likelihood, cross_entropies, distributions = [], [], []
    for half in range(2):
        source = model.scale * model.source_embedding(batch.source) * halves[0][half]
        target = model.scale * model.target_embedding(batch.target_input) * halves[1][half]
        memory, final = model.encoder(source, batch.source_mask)
        outputs, _, _ = model.decoder(
            target,
            model.decoder.start(final, batch.source_mask),
            model.decoder.prepare_memory(memory, batch.source_mask),
        )
        logits = model.output(outputs)[batch.target_mask]
        gold = batch.target_output[batch.target_mask]
        cross_entropies.append(cross_entropy(logits, gold, label_smoothing=0.1, reduction="sum"))
        likelihood.append(cross_entropy(logits, gold, reduction="sum"))
        distributions.append(logits.log_softmax(dim=1))
    one, other = distributions
    divergences = kl_div(one, other, reduction="sum", log_target=True)
    divergences = divergences + kl_div(other, one, reduction="sum", log_target=True)
    expected = (cross_entropies[0] + cross_entropies[1]) / 2 + alpha / 2 * divergences / 2
    torch.testing.assert_close(loss.smoothed, expected)
    torch.testing.assert_close(loss.negative_log_likelihood, sum(likelihood) / 2)
    for gradient, wanted in zip(gradients, torch.autograd.grad(expected, list(model.parameters())), strict=True):
        torch.testing.assert_close(gradient, wanted)


def test_r_drop_without_dropout_is_the_plain_loss() -> None:
    model, batch, guide = tiny_model().double(), ragged_batch(), Guide("cross_entropy", weight=0.7)
    links = torch.zeros(*batch.target_output.shape, batch.source.shape[1], dtype=torch.bool)
    links[:, 0, 0] = True
    for each in (batch, batch._replace(links=links)):
        plain, doubled = (batch_loss(model, each, Objective(0.1, r_drop=alpha, guide=guide)) for alpha in (0.0, 5.0))
        torch.testing.assert_close(doubled, plain)
        assert bool(plain.guide) == (each.links is not None)


@pytest.mark.parametrize("place", ["luong", "bahdanau_lstm"])
def test_the_coverage_loss_by_hand(place: str) -> None:
    """The sum of the smaller of a weight and the sum of the weights before it, over target tokens."""
    model, batch = tiny_model(place), ragged_batch()
    weights = model(batch.source, batch.source_mask, batch.target_input)[1].weights.tolist()
    expected = 0.0
    for row, length in zip(weights, batch.target_mask.sum(dim=1).tolist(), strict=True):
        for t in range(length):
            expected += sum(min(row[t][j], sum(row[s][j] for s in range(t))) for j in range(len(row[t])))
    plain, covered = (batch_loss(model, batch, Objective(0.1, coverage=weight)) for weight in (0.0, 0.7))
    assert expected > 1
    assert float(covered.smoothed.detach()) == pytest.approx(float(plain.smoothed.detach()) + 0.7 * expected, rel=1e-5)
    assert covered.negative_log_likelihood == plain.negative_log_likelihood
    (covered.smoothed - plain.smoothed).backward()
    assert model.source_embedding.weight.grad is not None
    assert model.source_embedding.weight.grad.any()


def test_the_gradient_is_that_of_the_mean_over_tokens() -> None:
    model, batch = tiny_model(), ragged_batch()
    loss = batch_loss(model, batch, Objective(0.1)).smoothed / batch.target_tokens
    wanted = torch.stack([g.norm() for g in torch.autograd.grad(loss, list(model.parameters()))]).norm()
    (update,) = train(model, [[batch]])
    torch.testing.assert_close(update.gradient_norm, wanted)


def test_the_loss_counts_tokens_and_eos_but_no_padding() -> None:
    model, batch = tiny_model(), ragged_batch()
    outputs, _ = model(batch.source, batch.source_mask, batch.target_input)
    log_probabilities = model.output(outputs).log_softmax(dim=-1)
    wanted = -sum(
        log_probabilities[b, t, int(batch.target_output[b, t])]
        for b in range(len(batch.source))
        for t in range(int(batch.target_mask[b].sum()))
    )
    found = batch_loss(model, batch, Objective(0.0))
    torch.testing.assert_close(found.negative_log_likelihood, wanted.detach())
    torch.testing.assert_close(found.smoothed, wanted)


@pytest.mark.parametrize("spoilt", [math.nan, math.inf])
def test_a_step_that_is_not_finite_changes_nothing(spoilt: float) -> None:
    """One weight that no batch but the second can see is spoilt for a moment, and the third step is as the second."""
    groups = [[batch] for batch in batches(2, 1, 3)]
    model, other = tiny_model(), tiny_model()
    optimizers = [make_optimizer(one, betas=(0.9, 0.98), weight_decay=0.01) for one in (model, other)]
    schedule = Schedule(peak=0.01, warmup=0, total=3, decay="constant")
    options: dict[str, Any] = {"schedule": schedule, "objective": Objective(0.1), "clip": 1.0}
    steps = updates(model, optimizers[0], groups, **options)
    assert bool(next(steps).finite)
    before = weights(model)
    with torch.no_grad():
        model.output.bias[7] = spoilt
    assert not bool(next(steps).finite)
    with torch.no_grad():
        model.output.bias[7] = before[[name for name, _ in model.named_parameters()].index("output.bias")][7]
    assert all(torch.equal(a, b) for a, b in zip(weights(model), before, strict=True))
    assert bool(next(steps).finite)
    list(updates(other, optimizers[1], [groups[0], groups[2]], **options))
    assert all_equal(model, other)


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
@pytest.mark.parametrize("distribution", ["softmax", "hard"])
def test_training_that_is_resumed_is_training_that_went_on(cut: int, distribution: str) -> None:
    """Weights, optimiser and random numbers in another model, whose own were others."""

    def steps(model: Model, optimizer: torch.optim.Optimizer, start: int, end: int) -> list[float]:
        schedule = Schedule(peak=0.01, warmup=2, total=3, decay="cosine")
        groups = [batches(2, 4), batches(6), batches(1, 5)][start:end]
        made = updates(model, optimizer, groups, schedule=schedule, objective=Objective(0.1), clip=1.0, start=start)
        return [float(update.loss.smoothed) for update in made]

    def fresh(seed: int) -> tuple[Model, torch.optim.Optimizer]:
        model = tiny_model("luong", "additive", distribution, dropout=0.3, seed=seed)
        return model, make_optimizer(model, betas=(0.9, 0.98), weight_decay=0.01)

    model, optimizer = fresh(3)
    wanted = steps(model, optimizer, 0, 3)
    first, first_optimizer = fresh(3)
    found = steps(first, first_optimizer, 0, cut)
    tensors = {name: value.clone() for name, value in tensors_to_resume(first, first_optimizer).items()}
    second, second_optimizer = fresh(4)
    second.load_state_dict(first.state_dict())
    load_tensors(second, second_optimizer, tensors)
    assert found + steps(second, second_optimizer, cut, 3) == wanted
    assert all_equal(second, model)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("optimizer.exp_avg.output.bias", torch.zeros(3)),
        ("optimizer.exp_avg.nothing", torch.zeros(3)),
        ("optimizer.step.output.bias", torch.zeros(1)),
        ("optimizer.momentum.output.bias", torch.zeros(TARGET_VOCABULARY)),
        ("random.cpu", torch.zeros(9, dtype=torch.uint8)),
        ("random.cpu", None),
        ("optimizer.exp_avg_sq.output.bias", None),
    ],
    ids=str,
)
def test_a_state_of_another_model_is_refused(name: str, value: Tensor | None) -> None:
    model = tiny_model()
    optimizer = make_optimizer(model, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = Schedule(peak=0.01, warmup=0, total=1, decay="constant")
    list(updates(model, optimizer, [batches(6)], schedule=schedule, objective=Objective(0.1), clip=1.0))
    tensors = tensors_to_resume(model, optimizer)
    if value is None:
        del tensors[name]
    else:
        tensors[name] = value
    with pytest.raises(InputError, match=rf"{name} "):
        load_tensors(model, optimizer, tensors)


def test_an_update_tells_what_it_did() -> None:
    first, second = [[*batches(1, 5)], batches(6)]
    model = tiny_model()
    one, two = train(model, [first, second], rate=0.003, start=4)
    assert (one.step, two.step) == (5, 6)
    assert one.tokens == two.tokens
    padding, positions = map(sum, zip(*map(padding_share, first), strict=True))
    assert (one.padding, one.positions) == (padding, positions)
    assert one.learning_rate == 0.003
    assert not one.loss.smoothed.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("clip", [1e-3, 0.1, 1e3])
def test_gradients_are_clipped_to_their_norm(clip: float) -> None:
    """Plain gradient descent moves the weights by rate x the clipped gradient."""
    model, batch = tiny_model(), ragged_batch()
    before = weights(model)
    schedule = Schedule(peak=0.5, warmup=0, total=1, decay="constant")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, fused=True)
    (update,) = updates(model, optimizer, [[batch]], schedule=schedule, objective=Objective(0.1), clip=clip)
    moved = torch.stack([(a - b).norm() for a, b in zip(weights(model), before, strict=True)]).norm()
    assert float(moved) == pytest.approx(0.5 * min(clip, float(update.gradient_norm)), rel=1e-3)
    assert float(update.gradient_norm) > 0.1  # told as it was before clipping


def test_matrices_decay_and_biases_do_not() -> None:
    model = tiny_model()
    decaying, plain = make_optimizer(model, betas=(0.8, 0.9), weight_decay=0.3).param_groups
    assert (decaying["weight_decay"], plain["weight_decay"]) == (0.3, 0.0)
    assert {parameter.dim() for parameter in decaying["params"]} == {2}
    assert {parameter.dim() for parameter in plain["params"]} == {1}
    assert len(decaying["params"]) + len(plain["params"]) == len(list(model.parameters()))


def test_warm_up_and_decay_by_eye() -> None:
    """Peak 8 after 4 steps of 12: the 8 steps left are ninths of the way down, since step 13 would be 0."""
    rates = {
        decay: [Schedule(peak=8.0, warmup=4, total=12, decay=decay).rate(step) for step in range(1, 13)]
        for decay in ("constant", "linear", "cosine", "inverse_sqrt")
    }
    for found in rates.values():
        assert found[:4] == [2.0, 4.0, 6.0, 8.0]
    assert rates["constant"][4:] == [8.0] * 8
    assert rates["linear"][4:] == pytest.approx([8 * left / 9 for left in range(8, 0, -1)])
    assert rates["cosine"][4:] == pytest.approx([4 + 4 * math.cos(math.pi * gone / 9) for gone in range(1, 9)])
    assert rates["inverse_sqrt"][4:] == pytest.approx([16 / math.sqrt(step) for step in range(5, 13)])
    assert rates["inverse_sqrt"][11] == pytest.approx(8 / math.sqrt(3))


@pytest.mark.parametrize("decay", ["constant", "linear", "cosine", "inverse_sqrt"])
@pytest.mark.parametrize("warmup", [0, 1, 7, 30, 31, 50])
def test_rates_rise_then_fall_and_never_stop(decay: str, warmup: int) -> None:
    rates = [Schedule(peak=0.5, warmup=warmup, total=30, decay=decay).rate(step) for step in range(1, 31)]
    assert all(0 < rate <= 0.5 for rate in rates)
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[max(warmup - 1, 0) :] == sorted(rates[max(warmup - 1, 0) :], reverse=True)
    if 1 <= warmup <= 30:
        assert rates[warmup - 1] == 0.5


@pytest.mark.parametrize("place", PLACES)
def test_the_seed_decides_every_bit(place: str) -> None:
    def trained(seed: int) -> Model:
        model = tiny_model(place, "additive", dropout=0.3, seed=seed)
        train(model, [batches(2, 4), batches(6), batches(1, 5)])
        return model

    assert all_equal(trained(3), trained(3))
    assert not all_equal(trained(3), trained(4))


def test_training_turns_dropout_on() -> None:
    model = tiny_model(dropout=0.5)
    model.eval()
    train(model, [batches(6)])
    assert model.training


def learnt_by_heart(model: Model, size: int) -> list[list[int]]:
    """What search of this beam size makes of the sources."""

    def step(tokens: Tensor, state: object, memory: object) -> tuple[list[Tensor], object, Tensor]:
        outputs, after, (attention, _) = model.decode(tokens.unsqueeze(1), state, memory)  # type: ignore[arg-type]
        return [model.output(outputs.squeeze(1)).log_softmax(dim=-1)], after, attention.squeeze(1)

    model.eval()
    with torch.no_grad():
        memory, state = model.encode(*batch_sentences(SOURCES))
        found = beam_search(
            step,
            torch.full((len(SOURCES),), BOS),
            state,
            memory,
            limits=[20] * len(SOURCES),
            end=EOS,
            size=size,
            penalties=Penalties(1.0),
        )
    return [hypotheses[0].tokens for hypotheses in found]


@pytest.mark.parametrize(("place", "rule"), EVERY)
@unchecked()
def test_a_ragged_batch_is_learnt_by_heart(place: str, rule: str) -> None:
    model = tiny_model(place, rule, seed=2)
    optimizer = make_optimizer(model, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = Schedule(peak=0.03, warmup=10, total=200, decay="linear")
    losses = []
    for update in updates(model, optimizer, [batches(6)] * 200, schedule=schedule, objective=Objective(0.0), clip=1.0):
        losses.append(float(update.loss.smoothed) / update.tokens)
        if losses[-1] < 0.03:
            break
    # Outputs are within 1, so logits vary by 1 at most, and their loss is half of that above what knows nothing.
    assert losses[0] == pytest.approx(math.log(TARGET_VOCABULARY), abs=0.5)
    assert losses[-1] < 0.03
    wanted = [[*target, EOS] for target in TARGETS]
    for size in (1, 2, 5):
        assert learnt_by_heart(model, size) == wanted, f"beam {size}"


class _Always(Distribution):
    """All weight on one token."""

    def __init__(self, place: int) -> None:
        super().__init__(DistributionSizes(query=1, window=1, hard=HardOptions("gumbel", temperature=1.0, soft=0.0)))
        self.place = place

    def forward(self, scores: Tensor, *_: Tensor) -> Attention:  # type: ignore[override]
        return Attention(one_hot(torch.full(scores.shape[:2], self.place), scores.shape[2]).to(scores.dtype))


def test_rewards_give_the_gradient_of_the_expected_loss() -> None:
    """In `luong` a choice changes its own word alone, so the expectation is a sum: `sum_j p_j loss_j` for each word."""
    torch.manual_seed(1)
    batch = batch_pairs([[4, 5, 6]], [[7, 8]])
    model = tiny_model("luong", "general").double()
    with torch.no_grad():  # so that some choices are much better than others
        model.output.weight.mul_(4)
    scores = list(model.decoder.attention.score.parameters())
    soft = model.decoder.attention.distribution
    expected = torch.zeros((), dtype=torch.double)
    _, (weights, _) = model(batch.source, batch.source_mask, batch.target_input)
    for place in range(4):
        model.decoder.attention.distribution = _Always(place)
        outputs, _ = model(batch.source, batch.source_mask, batch.target_input)
        losses = cross_entropy(model.output(outputs[0]), batch.target_output[0], reduction="none")
        expected = expected + (weights[0, :, place] * losses.detach()).sum()
    model.decoder.attention.distribution = soft
    wanted = torch.autograd.grad(expected, scores)

    copies = 20_000
    tensors = {name: part.expand(copies, -1) for name, part in batch._asdict().items() if isinstance(part, Tensor)}
    many = batch._replace(**tensors)
    model.decoder.attention.distribution = Hard(
        DistributionSizes(query=1, window=1, hard=HardOptions("reinforce", temperature=1.0, soft=0.0))
    )
    loss = batch_loss(model.train(), many, Objective(0.0))
    assert float(loss.smoothed.detach()) == pytest.approx(float(loss.negative_log_likelihood))
    found = torch.autograd.grad(loss.smoothed / copies, scores)
    for one, other in zip(found, wanted, strict=True):
        assert float((one - other).norm() / other.norm()) < 0.1


@pytest.mark.parametrize("wanted", [torch.Size([2**50]), None])
def test_no_memory_is_told_with_the_batch(monkeypatch: pytest.MonkeyPatch, wanted: torch.Size | None) -> None:
    """What this machine's allocator says, and what a GPU's would."""

    def greedy(*_: object, **__: object) -> None:
        if wanted is None:
            raise torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity ..."
            )
        torch.empty(wanted)

    monkeypatch.setattr(training, "batch_loss", greedy)
    words = (
        "step 1: no memory left for a batch of 6 sentences, of up to 10 source and 9 target subwords: lower training.b"
    )
    with pytest.raises(InputError, match=words):
        train(tiny_model(), [batches(6)])


def test_other_errors_are_not_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "batch_loss", lambda *_, **__: torch.ones(2) @ torch.ones(3))
    with pytest.raises(RuntimeError, match="inconsistent tensor size"):
        train(tiny_model(), [batches(6)])
