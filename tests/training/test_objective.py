"""Words of the decoder's own in training, padding in the loss, and the schedule of both."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from seq2seq.attention.guide import Guide
from seq2seq.training.objective import Objective, TeacherForcing, batch_loss
from tests.support.tiny import LSTM_PLACES, PLACES, ragged_batch, tiny_model


def test_the_share_of_gold_words_changes_linearly() -> None:
    shares = [TeacherForcing(1.0, 0.5, steps=5).share(step) for step in range(1, 7)]
    assert shares == pytest.approx([1.0, 0.875, 0.75, 0.625, 0.5, 0.5])
    assert TeacherForcing(0.3, 0.9, steps=1).share(1) == 0.3


def test_the_objective_of_a_step() -> None:
    objective = Objective(0.1, guide=Guide("cross_entropy", 1.0, last_step=2), teacher_forcing=TeacherForcing(1, 0, 3))
    steps = [objective.at(step) for step in (1, 2, 3)]
    assert [step.gold_share for step in steps] == [1.0, 0.5, 0.0]
    assert [step.guide is not None for step in steps] == [True, True, False]
    assert Objective(0.1).at(7) == Objective(0.1)


@pytest.mark.parametrize("place", [*PLACES, *LSTM_PLACES])
def test_with_gold_words_only_it_is_teacher_forcing(place: str) -> None:
    model, batch = tiny_model(place), ragged_batch()
    always = Objective(0.1, teacher_forcing=TeacherForcing(1.0, 1.0, steps=1)).at(1)
    torch.testing.assert_close(batch_loss(model, batch, always), batch_loss(model, batch, Objective(0.1)))


@pytest.mark.parametrize("place", PLACES)
def test_without_gold_words_the_decoder_reads_what_it_wrote(place: str) -> None:
    """A greedy search that goes on after the end, scored against the gold words."""
    model, batch = tiny_model(place), ragged_batch()
    never = Objective(0.0, teacher_forcing=TeacherForcing(0.0, 0.0, steps=1)).at(1)
    loss = batch_loss(model, batch, never)
    memory, state = model.encode(batch.source, batch.source_mask)
    word, expected = batch.target_input[:, :1], torch.zeros(())
    for t in range(batch.target_output.shape[1]):
        outputs, state, _ = model.decode(word, state, memory)
        logits, gold = model.output(outputs[:, 0]), batch.target_mask[:, t]
        expected = expected + cross_entropy(logits[gold], batch.target_output[gold, t], reduction="sum")
        word = logits.argmax(dim=1, keepdim=True)
    torch.testing.assert_close(loss.negative_log_likelihood, expected)
    assert not torch.isclose(loss.smoothed, batch_loss(model, batch, Objective(0.0)).smoothed)
    gradients = torch.autograd.grad(loss.smoothed, list(model.parameters()))
    for gradient, wanted in zip(gradients, torch.autograd.grad(expected, list(model.parameters())), strict=True):
        torch.testing.assert_close(gradient, wanted)


def test_padding_in_the_loss_by_hand() -> None:
    model, batch = tiny_model(), ragged_batch()
    assert not batch.target_mask.all()
    loss = batch_loss(model, batch, Objective(0.0, counts_padding=True))
    outputs, _ = model(batch.source, batch.source_mask, batch.target_input)
    logits = model.output(outputs).flatten(0, 1)
    expected = cross_entropy(logits, batch.target_output.flatten(), reduction="sum")
    torch.testing.assert_close(loss.negative_log_likelihood, expected)
