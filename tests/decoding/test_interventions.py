"""A search and forced decoding with changed attention agree; another model's attention is that model's."""

import pytest
import torch

from seq2seq.attention.interventions import INTERVENTIONS, InterventionOptions
from seq2seq.decoding.ensemble import Ensemble, Member
from seq2seq.decoding.forced_decoding import force_targets
from seq2seq.decoding.interventions import AttentionTransfer, intervene
from seq2seq.nn.model import Model
from seq2seq.text.batches import batch_pairs
from tests.decoding.test_ensemble import CPU, MEMBERS, SOURCE, TARGET, TEXTS, model, translator
from tests.support.tiny import PLACES
from tests.support.unchecked import unchecked

OPTIONS = InterventionOptions(seed=3, shift=2, head=1, temperature=0.5)
SEVERAL_HEADS = model(SOURCE, "luong", "multihead", width=12, seed=4)
DONOR = MEMBERS[1]


def transfer(own: Model) -> AttentionTransfer:
    return AttentionTransfer([Member(own, SOURCE, str), DONOR])


@pytest.mark.slow
@pytest.mark.parametrize("name", [*INTERVENTIONS, "checkpoint"])
@pytest.mark.parametrize("batch", [1, 4])
@unchecked()
def test_a_search_agrees_with_forced_decoding(name: str, batch: int) -> None:
    changed = (
        transfer(SEVERAL_HEADS) if name == "checkpoint" else intervene(SEVERAL_HEADS, INTERVENTIONS[name](OPTIONS))
    )
    for text, (best, *_) in zip(TEXTS, translator(changed, batch=batch)(TEXTS), strict=True):  # type: ignore[misc]
        if text:
            (forced,) = force_targets(changed, CPU, [SOURCE.encode(text)], [TARGET.ids(best.target_pieces)])
            assert float(forced.log_probabilities[: len(best.weights)].sum()) == pytest.approx(
                best.log_probability, abs=1e-4
            )
            torch.testing.assert_close(torch.tensor(forced.weights[: len(best.weights)]), torch.tensor(best.weights))


@pytest.mark.parametrize("batch", [1, 5])
@unchecked()
def test_a_translators_model_can_be_changed_after_its_weights_were_laid_out(batch: int) -> None:
    change = INTERVENTIONS["shift"](OPTIONS)
    before = translator(SEVERAL_HEADS, batch=batch)
    after = before.with_model(intervene(before.model, change))
    texts = [[one.text for one in result] for result in after(TEXTS)]  # type: ignore[union-attr]
    wanted = translator(intervene(SEVERAL_HEADS, change), batch=batch)(TEXTS)
    assert texts == [[one.text for one in result] for result in wanted]  # type: ignore[union-attr]
    assert texts != [[one.text for one in result] for result in before(TEXTS)]  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("rule", ["general", "concat", "multihead"])
@torch.no_grad()
def test_a_model_with_the_attention_of_another(place: str, rule: str) -> None:
    own = model(SOURCE, place, rule, width=12, seed=5)
    batch = batch_pairs([SOURCE.encode(text) for text in TEXTS], [TARGET.encode(text) for text in reversed(TEXTS)])
    given = batch.source, batch.source_mask, batch.target_input
    outputs, (weights, _) = transfer(own)(*given)
    _, (donor_weights, _) = DONOR.model(*given)
    torch.testing.assert_close(weights, donor_weights)
    assert not torch.allclose(outputs, own(*given)[0])
    if rule != "multihead":  # the mean over heads is not the weights of each head
        twice = AttentionTransfer([Member(own, SOURCE, str)] * 2)
        torch.testing.assert_close(twice(*given)[0], own(*given)[0])
        losses = [
            float(each.loss(each(*given)[0], batch.target_output, batch.target_mask, smoothing=0.0).smoothed)
            for each in (twice, own)
        ]
        assert losses[0] == pytest.approx(losses[1])


@torch.no_grad()
def test_each_model_of_an_ensemble_is_changed() -> None:
    change = INTERVENTIONS["hard"](OPTIONS)
    batch = batch_pairs([SOURCE.encode(text) for text in TEXTS], [TARGET.encode(text) for text in TEXTS])
    together = intervene(Ensemble(MEMBERS), change)
    assert isinstance(together, Ensemble)
    outputs, (weights, _) = together(batch.source, batch.source_mask, batch.target_input)
    assert {*weights.unique().tolist()} == {0, 0.5, 1}  # the mean of the two models with the same source tokenizer
    parts = outputs.split([member.model.output.in_features for member in MEMBERS], dim=2)
    for member, part in zip(MEMBERS[:2], parts[:2], strict=True):
        own, _ = intervene(member.model, change)(batch.source, batch.source_mask, batch.target_input)
        torch.testing.assert_close(part, own)
