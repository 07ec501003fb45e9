"""The whole model: what it may depend on, what it shares, and where it starts."""

import math

import pytest
import torch
from torch import Tensor

from seq2seq.nn.model import TIES, Model
from seq2seq.text.batches import Batch, batch_pairs
from seq2seq.training.objective import Objective, batch_loss
from tests.support.tiny import (
    EMBEDDING,
    EVERY,
    EVERYWHERE,
    PLACES,
    POSITIONS,
    RULES,
    SOURCE_VOCABULARY,
    TARGET_VOCABULARY,
    ragged_batch,
    sentences,
    tiny_model,
)

everywhere = pytest.mark.parametrize(("place", "rule"), EVERY)
everything = pytest.mark.parametrize(("place", "rule", "distribution"), EVERYWHERE)


def gradients(model: Model, batch: Batch) -> list[Tensor]:
    loss = batch_loss(model, batch, Objective(0.1)).smoothed
    return [*torch.autograd.grad(loss, list(model.parameters())), loss]


def refilled(batch: Batch, *, source: int, target: int) -> Batch:
    """The batch with these ids where padding stood."""
    return batch._replace(
        source=batch.source.masked_fill(~batch.source_mask, source),
        target_input=batch.target_input.masked_fill(~batch.target_mask, target),
        target_output=batch.target_output.masked_fill(~batch.target_mask, target),
    )


@everything
@pytest.mark.parametrize("tie", ["all"])
def test_what_stands_in_the_padding_changes_nothing(place: str, rule: str, distribution: str, tie: str) -> None:
    model, batch = tiny_model(place, rule, distribution, tie=tie).eval(), ragged_batch()
    other = refilled(batch, source=11, target=7)
    assert not torch.equal(other.source, batch.source)
    assert not torch.equal(other.target_input, batch.target_input)
    outputs, (weights, _) = model(batch.source, batch.source_mask, batch.target_input)
    other_outputs, (other_weights, _) = model(other.source, other.source_mask, other.target_input)
    assert torch.equal(other_outputs[batch.target_mask], outputs[batch.target_mask])
    assert torch.equal(other_weights[batch.target_mask], weights[batch.target_mask])
    for one, two in zip(gradients(model, batch), gradients(model, other), strict=True):
        assert torch.equal(one, two)


@everything
def test_a_sentence_alone_is_as_in_a_batch(place: str, rule: str, distribution: str) -> None:
    model, batch = tiny_model(place, rule, distribution).eval(), ragged_batch()
    outputs, (weights, _) = model(batch.source, batch.source_mask, batch.target_input)
    for b in range(len(batch.source)):
        source, target = int(batch.source_mask[b].sum()), int(batch.target_mask[b].sum())
        row = slice(b, b + 1)
        alone, (own_weights, _) = model(
            batch.source[row, :source], batch.source_mask[row, :source], batch.target_input[row, :target]
        )
        torch.testing.assert_close(alone[0], outputs[b, :target])
        torch.testing.assert_close(own_weights[0], weights[b, :target, :source])


@everything
def test_a_word_at_a_time_is_teacher_forcing(place: str, rule: str, distribution: str) -> None:
    model, batch = tiny_model(place, rule, distribution).eval(), ragged_batch()
    outputs, (weights, _) = model(batch.source, batch.source_mask, batch.target_input)
    memory, state = model.encode(batch.source, batch.source_mask)
    for t in range(batch.target_input.shape[1]):
        output, state, (weight, _) = model.decode(batch.target_input[:, t : t + 1], state, memory)
        torch.testing.assert_close(output[:, 0], outputs[:, t])
        torch.testing.assert_close(weight[:, 0], weights[:, t])


@everything
def test_no_word_sees_the_words_after_it(place: str, rule: str, distribution: str) -> None:
    model, batch = tiny_model(place, rule, distribution).eval(), ragged_batch()
    outputs, (weights, _) = model(batch.source, batch.source_mask, batch.target_input)
    changed = batch.target_input.clone()
    changed[:, 3:] = 9
    other_outputs, (other_weights, _) = model(batch.source, batch.source_mask, changed)
    assert torch.equal(other_outputs[:, :3], outputs[:, :3])
    assert torch.equal(other_weights[:, :3], weights[:, :3])
    assert not torch.equal(other_outputs[:, 3:], outputs[:, 3:])


@everything
def test_every_parameter_gets_a_gradient(place: str, rule: str, distribution: str) -> None:
    model = tiny_model(place, rule, distribution).eval()
    for (name, _), gradient in zip(model.named_parameters(), gradients(model, ragged_batch())[:-1], strict=True):
        assert gradient.isfinite().all(), name
        assert gradient.any(), name


@everything
@pytest.mark.parametrize("tie", ["target"])
def test_an_untrained_model_knows_nothing(place: str, rule: str, distribution: str, tie: str) -> None:
    """Its loss is near that of guessing, `log(vocabulary)`, and each word is about as likely as the others."""
    model = tiny_model(place, rule, distribution, tie=tie).eval()
    batch = batch_pairs(sentences([6] * 40, seed=1), sentences([5] * 40, seed=2))
    loss = float(batch_loss(model, batch, Objective(0.0)).negative_log_likelihood.detach()) / batch.target_tokens
    assert loss == pytest.approx(math.log(TARGET_VOCABULARY), abs=0.25)


@pytest.mark.parametrize("place", PLACES)
def test_what_is_tied_is_counted_once(place: str) -> None:
    """Of the three matrices, `none` has three, `target` two and `all` one."""
    counts = {
        tie: sum(parameter.numel() for parameter in tiny_model(place, "general", tie=tie).parameters()) for tie in TIES
    }
    assert set(counts) == {"none", "target", "all"}
    assert counts["none"] - counts["target"] == TARGET_VOCABULARY * EMBEDDING
    assert counts["target"] - counts["all"] == SOURCE_VOCABULARY * EMBEDDING


def test_every_parameter_is_accounted_for() -> None:
    """The number of parameters of rule 1 in Bahdanau's place, from the widths alone."""
    e, value, hidden, positions, half = EMBEDDING, 12, 14, POSITIONS, 6
    embeddings = (SOURCE_VOCABULARY + TARGET_VOCABULARY) * e
    encoder = 2 * 3 * half * (e + half + 2)
    rule = (e + hidden + 1) * positions
    combine, bridge = (e + value + 1) * hidden, (value + 1) * hidden
    cell, readout = 3 * hidden * (2 * hidden + 2), (hidden + e + value + 1) * e
    output = (e + 1) * TARGET_VOCABULARY
    found = sum(parameter.numel() for parameter in tiny_model("bahdanau", "concat").parameters())
    assert found == embeddings + encoder + rule + combine + bridge + cell + readout + output


def test_what_is_tied_is_one() -> None:
    shared = {}
    for tie in TIES:
        model = tiny_model(tie=tie)
        source, target = model.source_embedding.weight, model.target_embedding.weight
        shared[tie] = (source is target, model.output.weight is target, model.output.weight is source)
    assert shared == {"none": (False,) * 3, "target": (False, True, False), "all": (True,) * 3}


def test_all_needs_one_vocabulary() -> None:
    model = tiny_model()
    with pytest.raises(AssertionError):
        Model(
            model.encoder,
            model.decoder,
            source_vocabulary=SOURCE_VOCABULARY,
            target_vocabulary=TARGET_VOCABULARY,
            embedding_size=EMBEDDING,
            embedding_scale=3.0,
            tie="all",
            dropout=0.0,
            positions=POSITIONS,
        )


@pytest.mark.parametrize("rule", RULES)
def test_only_rule_1_has_a_longest_source(rule: str) -> None:
    model = tiny_model("luong", rule)
    limit = POSITIONS if model.decoder.attention.score.location_based else None
    assert model.longest_source == limit
    longer = torch.full((1, POSITIONS + 1), 5)
    memory, state = model.encode(longer, torch.ones_like(longer, dtype=torch.bool))
    if limit is None:
        outputs, _, _ = model.decode(torch.tensor([[2]]), state, memory)
        assert outputs.isfinite().all()
    else:
        with pytest.raises(AssertionError, match="17 tokens, 16 positions"):
            model.decode(torch.tensor([[2]]), state, memory)


@pytest.mark.parametrize("place", PLACES)
def test_where_weights_start(place: str) -> None:
    """Glorot's bound is nearly reached: entries are uniform, and a matrix has hundreds."""
    model = tiny_model(place, "additive")
    for name, weight in model.named_parameters():
        if "bias" in name:
            assert not weight.any()
        elif "hh" in name:
            for gate in weight.chunk(3):
                torch.testing.assert_close(gate @ gate.t(), torch.eye(len(gate)))
        elif "embedding" in name or name.startswith("output"):
            assert weight.std().item() == pytest.approx(EMBEDDING**-0.5, rel=0.2)
        else:
            for matrix in weight.chunk(3 if "ih" in name else 1):
                bound = math.sqrt(6 / sum(matrix.shape))
                assert 0.5 * bound < matrix.abs().max().item() <= bound


@pytest.mark.parametrize("chance", ["dropout", "recurrent_dropout"])
@pytest.mark.parametrize("place", PLACES)
def test_dropout_is_off_when_evaluating(place: str, chance: str) -> None:
    model, plain, batch = tiny_model(place, **{chance: 0.5}), tiny_model(place), ragged_batch()
    given = batch.source, batch.source_mask, batch.target_input
    assert not torch.equal(model(*given)[0], model(*given)[0])
    model.eval()
    assert torch.equal(model(*given)[0], plain(*given)[0])


@pytest.mark.parametrize("side", [0, 1])
def test_each_side_has_its_own_word_dropout(side: int) -> None:
    """Where nearly all words of a side are dropped, its embeddings learn nothing, and the other side's do."""
    model, batch = tiny_model(word_dropout=(0.99999, 0.0) if side == 0 else (0.0, 0.99999)), ragged_batch()
    outputs, _ = model(batch.source, batch.source_mask, batch.target_input)
    outputs.sum().backward()
    gradients = [model.source_embedding.weight.grad, model.target_embedding.weight.grad]
    assert [bool(gradient.any()) for gradient in gradients if gradient is not None] == [side == 1, side == 0]
    model.eval()
    assert torch.equal(
        model(batch.source, batch.source_mask, batch.target_input)[0],
        tiny_model()(batch.source, batch.source_mask, batch.target_input)[0],
    )


def test_the_scale_multiplies_embeddings_where_they_are_read() -> None:
    model = tiny_model(tie="none")
    source = torch.tensor([[5, 7, 3]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    target = torch.tensor([[2, 6, 4, 8]])
    expected, _ = model(source, mask, target)
    logits = model.output(expected)
    with torch.no_grad():
        for matrix in dict.fromkeys((model.source_embedding.weight, model.target_embedding.weight)):
            matrix.mul_(model.scale)
    model.scale = 1.0
    found, _ = model(source, mask, target)
    assert torch.allclose(found, expected, atol=1e-6)
    assert torch.allclose(model.output(found), logits, atol=1e-6)
