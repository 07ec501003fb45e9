"""Mistakes on purpose: each makes a sentence depend on the batch it is in, which no model does without them."""

import pytest
import torch

from seq2seq.config import Train, load
from seq2seq.nn.mistakes import MISTAKES, make_mistakes
from seq2seq.nn.model import Model
from seq2seq.runtime.errors import InputError
from seq2seq.text.batches import batch_pairs
from tests.support.readers import composed
from tests.support.tiny import LSTM_PLACES, PLACES, tiny_model

PAIR, LONG = ([5, 6, 7], [8, 9]), ([4, 5, 6, 7, 8, 9, 10], [8, 9])
everywhere = pytest.mark.parametrize("place", [*PLACES, *LSTM_PLACES, "self_attention"])


def results(model: Model, pairs: list[tuple[list[int], list[int]]]) -> tuple[torch.Tensor, torch.Tensor]:
    """The outputs and the attention of the first pair."""
    batch = batch_pairs(*map(list, zip(*pairs, strict=True)))
    outputs, attention = model(batch.source, batch.source_mask, batch.target_input)
    return outputs[0], attention.weights[0]


@everywhere
@pytest.mark.parametrize("mistake", [None, "attention_sees_padding", "encoder_reads_padding"])
def test_a_sentence_depends_on_its_batch_with_a_mistake_only(place: str, mistake: str | None) -> None:
    model = tiny_model(place, "general").eval()
    make_mistakes(model, [] if mistake is None else [mistake])
    (alone, weights_alone), (beside, weights) = results(model, [PAIR]), results(model, [PAIR, LONG])
    assert torch.allclose(alone, beside, atol=1e-6) == (mistake is None)
    assert bool(weights[:, 4:].any()) == (mistake == "attention_sees_padding")
    assert torch.allclose(weights_alone, weights[:, :4], atol=1e-6) == (mistake is None)


def test_one_name_or_several() -> None:
    assert load(Train, composed("train")).mistake == ()
    assert load(Train, composed("train", "mistake=loss_counts_padding")).mistake == ("loss_counts_padding",)
    names = [*MISTAKES]
    assert load(Train, composed("train", f"mistake=[{','.join(names)}]")).mistake == tuple(names)
    with pytest.raises(InputError, match="did you mean attention_sees_padding"):
        load(Train, composed("train", "mistake=attention_sees_pading"))
