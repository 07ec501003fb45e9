"""Attention changed from Python: by the name of an intervention, or by a person's own matrix."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import seq2seq

TEXT = "Der Hund sieht das Brot."


def test_an_intervention_is_another_translator(translator: seq2seq.Translator, checkpoint: Path) -> None:
    untouched = translator.translate(TEXT)
    changed = translator.intervene("permute", seed=np.int64(5))
    assert "attention permute (seed=5)" in repr(changed)
    assert "attention" not in repr(translator)
    permuted = changed.translate(TEXT)
    assert permuted.text != untouched.text
    assert translator.translate(TEXT).text == untouched.text
    assert sum(permuted.token_log_probabilities) == pytest.approx(permuted.log_probability, rel=1e-5)
    again = changed.attend(TEXT, permuted.text)
    np.testing.assert_allclose(again.subword_attention, permuted.subword_attention, atol=1e-5)
    own = translator.intervene("checkpoint", checkpoint=checkpoint).translate(TEXT)
    assert own.text == untouched.text
    assert own.log_probability == pytest.approx(untouched.log_probability, rel=1e-5)
    both = changed.intervene("hard")
    assert both.interventions == ("permute (seed=5)", "hard")
    assert set(np.unique(both.translate(TEXT).subword_attention)) == {0, 1}


def test_a_matrix_has_the_weights_of_the_first_subwords(translator: seq2seq.Translator) -> None:
    untouched = translator.translate(TEXT)
    matrix = np.zeros((2, len(untouched.source_subwords) + 1))
    matrix[:, 3] = 2
    changed = translator.translate(f"{TEXT}\n", attention=matrix, beam_size=2)
    np.testing.assert_array_equal(changed.subword_attention[:2], matrix / 2)
    assert (changed.subword_attention[2:].max(axis=1) < 1).all()
    assert sum(changed.token_log_probabilities) == pytest.approx(changed.log_probability, rel=1e-5)
    (first, _), *_ = changed.candidates(2)
    assert first[1] >= changed.token_log_probabilities[0]
    forced = translator.attend(TEXT, changed.text, attention=matrix.tolist())
    assert forced.log_probability == pytest.approx(changed.log_probability, rel=1e-5)
    for tensor in (torch.tensor(matrix, requires_grad=True), [*torch.tensor(matrix)]):
        assert translator.translate(TEXT, attention=tensor, beam_size=2).score == changed.score
    same = translator.attend(TEXT, untouched.text, attention=untouched.subword_attention)
    assert same.log_probability == pytest.approx(untouched.log_probability, rel=1e-5)


def test_a_row_of_none_is_the_models_own(translator: seq2seq.Translator) -> None:
    """Without rows all numbers are equal to the bit. With one row, greedy search writes the same words before it."""
    untouched = translator.search_tree(TEXT, beam_size=3)
    rows = len(untouched.translation.subword_attention)
    for matrix in ([None] * rows, [None], [], (None,) * (rows + 9), np.zeros((0, 14))):
        tree = translator.search_tree(TEXT, attention=matrix, beam_size=3)
        assert tree.nodes == untouched.nodes
        np.testing.assert_array_equal(tree.translation.subword_attention, untouched.translation.subword_attention)
    greedy = translator.search_tree(TEXT, beam_size=1)
    own = greedy.translation.subword_attention
    for matrix in (own, [row if i % 2 else None for i, row in enumerate(own)], own.tolist()):
        tree = translator.search_tree(TEXT, attention=matrix, beam_size=1)
        assert [node.subword for node in tree.nodes] == [node.subword for node in greedy.nodes]
        assert [node.total for node in tree.nodes] == pytest.approx([node.total for node in greedy.nodes], abs=1e-4)

    for step in (0, 2, 5):
        row = np.zeros(14)
        row[(int(own[step].argmax()) + 4) % 14] = 3
        matrix = [*[None] * step, row]
        changed = translator.translate(TEXT, attention=matrix, beam_size=1)
        assert changed.target_subwords[:step] == greedy.translation.target_subwords[:step]
        np.testing.assert_array_equal(changed.subword_attention[:step], own[:step])
        np.testing.assert_array_equal(changed.subword_attention[step], row / 3)
        assert (changed.subword_attention[step + 1 :].max(axis=1) < 1).all()
        assert changed.log_probability != greedy.translation.log_probability
        forced = translator.attend(TEXT, changed.text, attention=matrix)
        assert forced.log_probability == pytest.approx(changed.log_probability, rel=1e-5)


SHAPE = np.ones((2, 14))
NOT_USABLE: list[tuple[Callable[[seq2seq.Translator], object], type[Exception], str]] = [
    (lambda model: model.translate(TEXT, attention=SHAPE[:, 1:]), seq2seq.InputError, "14 columns.*▁Hund.*</s>.*13"),
    (lambda model: model.translate(TEXT, attention=SHAPE[0]), seq2seq.InputError, "14 columns"),
    (lambda model: model.translate(TEXT, attention=-SHAPE), seq2seq.InputError, "row 0 must have finite weights"),
    (
        lambda model: model.attend(TEXT, "A", attention=np.diag(SHAPE[0])[:, ::-1] * [*[1] * 13, 0]),
        seq2seq.InputError,
        "row 0",
    ),
    (lambda model: model.attend(TEXT, "A", attention=SHAPE * np.nan), seq2seq.InputError, "row 0"),
    (lambda model: model.attend(TEXT, "A", attention=[[1.0], [1.0, 2.0]]), seq2seq.InputError, "rows of 14 numbers"),
    (lambda model: model.attend(TEXT, "A", attention=[None, [0.0] * 14]), seq2seq.InputError, "row 1 must have"),
    (lambda model: model.attend(TEXT, "A", attention=[None, [1.0]]), seq2seq.InputError, "rows of 14 numbers, or None"),
    (lambda model: model.search_tree(TEXT, attention=SHAPE[:, 1:]), seq2seq.InputError, "14 columns"),
    (lambda model: model.translate([TEXT], attention=SHAPE), TypeError, "for one sentence"),
    (lambda model: model.intervene("permut"), seq2seq.InputError, "did you mean permute"),
    (lambda model: model.intervene("shift", sift=1), TypeError, "did you mean shift"),
    (lambda model: model.intervene("shift", seed=1), seq2seq.InputError, "attention.seed=1 is for .*permute"),
    (
        lambda model: model.intervene("checkpoint", checkpoint=model),
        TypeError,
        "checkpoint: expected a number or a path",
    ),
    (lambda model: model.intervene("head", head=0), seq2seq.InputError, "one head"),
    (lambda model: model.intervene("temperature"), seq2seq.InputError, "needs attention.temperature"),
]


@pytest.mark.parametrize(("call", "kind", "message"), NOT_USABLE)
def test_what_is_not_possible_is_refused(
    translator: seq2seq.Translator, call: Callable[[seq2seq.Translator], object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        call(translator)
