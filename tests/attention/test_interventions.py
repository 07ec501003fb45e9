"""Interventions: weights stay weights, for every rule and decoder, in any batch and beam; each against its formula."""

import pytest
import torch
from torch import Tensor

from seq2seq.attention.interventions import (
    INTERVENTIONS,
    FromMatrix,
    FromModel,
    Intervention,
    InterventionOptions,
    OneHead,
)
from seq2seq.decoding.interventions import with_intervention
from seq2seq.nn.model import Model
from tests.support.tiny import EVERY, INTERVENED, ragged_batch, tiny_model

VALUES = InterventionOptions(seed=3, shift=2, head=1, temperature=0.5)
NAMES = sorted(INTERVENTIONS)


def build(name: str, **values: float) -> Intervention:
    return INTERVENTIONS[name](VALUES._replace(**values))  # type: ignore[arg-type]


def applied(change: Intervention, weights: list[float], *, padding: int = 0, step: int = 0) -> list[float]:
    """The new weights of one target word; `padding` stands behind the tokens."""
    row = torch.tensor([[[*weights, *[0.0] * padding]]])
    mask = (torch.arange(row.shape[2]) < len(weights)).reshape(1, 1, -1)
    changed = change(row, mask, torch.tensor([[step]]), torch.tensor([0]))
    assert not changed[..., len(weights) :].any()
    return changed.flatten()[: len(weights)].tolist()


def changed_model(place: str, rule: str, intervention: str) -> Model:
    return with_intervention(tiny_model(place, rule).eval(), build(intervention))


everything = pytest.mark.parametrize(("place", "rule", "intervention"), INTERVENED)


@everything
@torch.no_grad()
def test_weights_are_weights_and_padding_has_none(place: str, rule: str, intervention: str) -> None:
    batch = ragged_batch()
    _, (weights, _) = changed_model(place, rule, intervention)(batch.source, batch.source_mask, batch.target_input)
    assert (weights >= 0).all()
    assert (weights.masked_select(~batch.source_mask.unsqueeze(1)) == 0).all()
    total = 1 / 2 if intervention == "head" else 1.0  # of two heads, one has no weights
    torch.testing.assert_close(weights.sum(dim=2), torch.full(weights.shape[:2], total))


@pytest.mark.slow
@everything
@torch.no_grad()
def test_a_sentence_alone_is_as_in_a_batch_and_a_word_at_a_time_as_all(
    place: str, rule: str, intervention: str
) -> None:
    model, batch = changed_model(place, rule, intervention), ragged_batch()
    outputs, (weights, _) = model(batch.source, batch.source_mask, batch.target_input)
    for b in range(len(batch.source)):
        source, target = int(batch.source_mask[b].sum()), int(batch.target_mask[b].sum())
        memory, state = model.encode(batch.source[b : b + 1, :source], batch.source_mask[b : b + 1, :source])
        for t in range(target):
            output, state, (own, _) = model.decode(batch.target_input[b : b + 1, t : t + 1], state, memory)
            torch.testing.assert_close(output[0, 0], outputs[b, t])
            torch.testing.assert_close(own[0, 0], weights[b, t, :source])


@everything
@torch.no_grad()
def test_a_hypothesis_does_not_depend_on_the_others_of_its_beam(place: str, rule: str, intervention: str) -> None:
    model, batch = changed_model(place, rule, intervention), ragged_batch()
    memory, state = model.encode(batch.source, batch.source_mask)
    beam = 3
    rows = torch.arange(len(batch.source)).repeat_interleave(beam)
    words = torch.arange(len(rows)).unsqueeze(1) % 19 + 4
    outputs, together, (weights, _) = model.decode(words, state.select(rows), memory)
    outputs, together, (weights, _) = model.decode(words, together, memory)
    for own in range(beam):
        output, alone, _ = model.decode(words[own::beam], state, memory)
        output, alone, (own_weights, _) = model.decode(words[own::beam], alone, memory)
        torch.testing.assert_close(output, outputs[own::beam])
        torch.testing.assert_close(own_weights, weights[own::beam])


@pytest.mark.parametrize("name", NAMES)
def test_the_model_does_not_change(name: str) -> None:
    model, batch = tiny_model(rule="multihead").eval(), ragged_batch()
    given = batch.source, batch.source_mask, batch.target_input
    before = model(*given)[0]
    changed = with_intervention(model, build(name))
    assert not torch.equal(changed(*given)[0], before)
    assert torch.equal(model(*given)[0], before)
    assert all(one is two for one, two in zip(sorted_parameters(model), sorted_parameters(changed), strict=True))


def sorted_parameters(model: Model) -> list[Tensor]:
    return sorted(model.parameters(), key=id)


def test_formulas_by_hand() -> None:
    weights = [0.5, 0.2, 0.2, 0.1]
    assert applied(build("uniform"), weights, padding=3) == pytest.approx([0.25] * 4)
    assert applied(build("drop_greatest"), weights, padding=1) == pytest.approx([0, 0.4, 0.4, 0.2])
    assert applied(build("hard"), weights) == [1, 0, 0, 0]
    assert applied(build("shift"), weights, padding=2) == pytest.approx([0.2, 0.1, 0.5, 0.2])
    assert applied(build("shift", shift=-1), weights, padding=2) == pytest.approx([0.2, 0.2, 0.1, 0.5])
    assert applied(build("shift", shift=9), weights) == applied(build("shift", shift=1), weights)
    squares = torch.tensor(weights).square()
    assert applied(build("temperature"), weights) == pytest.approx((squares / squares.sum()).tolist())
    assert applied(build("temperature"), [0.0, 1.0], padding=1) == [0, 1]


def test_temperature_is_that_of_the_softmax() -> None:
    scores = torch.tensor([3.0, -1.0, 0.5, 2.0])
    changed = applied(build("temperature", temperature=2.5), scores.softmax(dim=0).tolist())
    assert changed == pytest.approx((scores / 2.5).softmax(dim=0).tolist())


def test_the_greatest_of_few() -> None:
    drop = build("drop_greatest")
    assert applied(drop, [1.0], padding=2) == [1]
    assert applied(drop, [0.0, 1.0, 0.0], padding=2) == [0.5, 0, 0.5]
    assert applied(drop, [0.5, 0.5]) == [0, 1]
    assert applied(build("hard"), [0.5, 0.5]) == [1, 0]


def test_permutations_differ_by_step_seed_head_and_length_alone() -> None:
    weights = torch.rand(2, 40, 30)
    mask = (torch.arange(30) < torch.tensor([[30], [23]])).unsqueeze(1)
    weights = weights.masked_fill(~mask, 0.0)
    step, head = torch.arange(40).expand(2, 40), torch.zeros(40, dtype=torch.long)
    permute = build("permute")
    changed = permute(weights, mask, step, head)
    torch.testing.assert_close(changed.sort(dim=2).values, weights.sort(dim=2).values)
    assert not changed[1, :, 23:].any()
    orders = {tuple(row) for row in permute(torch.arange(30.0).expand(1, 40, 30), mask[:1], step[:1], head)[0].tolist()}
    assert len(orders) == 40
    for other in (
        permute(weights, mask, step + 1, head),
        permute(weights, mask, step, head + 1),
        build("permute", seed=3 + 2**32)(weights, mask, step, head),
    ):
        assert (other != changed).any(dim=2).all()


def test_permutations_are_about_equally_frequent() -> None:
    """Each token is in the place of each other one in a quarter of 4,000 steps."""
    count, identity = 4000, torch.eye(4)
    weights = torch.arange(4.0).expand(1, count, 4)
    step, head = torch.arange(count).reshape(1, -1), torch.zeros(count, dtype=torch.long)
    changed = build("permute")(weights, torch.ones(1, 1, 4, dtype=torch.bool), step, head)
    shares = identity[changed.long()].mean(dim=1)
    torch.testing.assert_close(shares, torch.full((1, 4, 4), 0.25), atol=0.03, rtol=0)


def test_one_head_is_the_part_of_the_context_that_it_mixes() -> None:
    model, batch = tiny_model(rule="multihead").eval(), ragged_batch()
    layer = model.decoder.attention
    memory, _ = model.encode(batch.source, batch.source_mask)
    step, query = torch.zeros(5, 1, dtype=torch.long), torch.randn(5, 1, 14)
    whole = layer.mix(layer.attention_weights(query, memory.key, memory.mask, step).weights, memory.value)
    parts = []
    for head in range(2):
        changed = with_intervention(model, OneHead(VALUES._replace(head=head))).decoder.attention
        context = changed.mix(changed.attention_weights(query, memory.key, memory.mask, step).weights, memory.value)
        assert torch.equal(context.chunk(2, dim=2)[head], whole.chunk(2, dim=2)[head])
        assert not context.chunk(2, dim=2)[1 - head].any()
        parts.append(context)
    assert torch.equal(parts[0] + parts[1], whole)


@pytest.mark.parametrize(("place", "rule"), EVERY)
@torch.no_grad()
def test_a_matrix_has_the_weights_of_its_steps(place: str, rule: str) -> None:
    model = tiny_model(place, rule).eval()
    source, target = torch.tensor([[5, 6, 7, 3]]), torch.tensor([[2, 9, 8, 11, 12]])
    matrix = torch.rand(3, 4).softmax(dim=1)
    mask = torch.ones_like(source, dtype=torch.bool)
    outputs, (weights, _) = model(source, mask, target)
    changed, (new_weights, _) = with_intervention(model, FromMatrix(matrix))(source, mask, target)
    torch.testing.assert_close(new_weights[0, :3], matrix)
    assert not torch.allclose(changed[0, :3], outputs[0, :3])
    if place == "luong":  # no state depends on attention
        torch.testing.assert_close(changed[0, 3:], outputs[0, 3:])
    none, _ = with_intervention(model, FromMatrix(matrix[:0]))(source, mask, target)
    assert torch.equal(none, outputs)
    own, _ = with_intervention(model, FromMatrix(weights[0]))(source, mask, target)
    if rule != "multihead":
        torch.testing.assert_close(own, outputs)


def test_weights_of_another_model_belong_to_the_hypotheses_of_a_beam() -> None:
    others = torch.rand(6, 1, 5)
    change = FromModel(others)  # two sentences, a beam of three, two heads
    head, step = torch.arange(6) % 2, torch.zeros(2, 6, dtype=torch.long)
    changed = change(torch.zeros(2, 6, 5), torch.ones(2, 1, 5, dtype=torch.bool), step, head)
    assert torch.equal(changed.reshape(6, 2, 5), others.expand(6, 2, 5))
