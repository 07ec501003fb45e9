"""An ensemble is the mean of its models' probabilities, in search and in forced decoding, whatever they read."""

import numpy as np
import pytest
import torch

from seq2seq.decoding.ensemble import Ensemble, Member
from seq2seq.decoding.forced_decoding import best_tokens, force_targets
from seq2seq.decoding.options import SearchOptions
from seq2seq.decoding.pair_scores import ScoredPair, score_pairs
from seq2seq.decoding.translator import Translator
from seq2seq.nn.decoder import DECODERS
from seq2seq.nn.decoder_base import DecoderSizes
from seq2seq.nn.encoder import RecurrentEncoder
from seq2seq.nn.int8 import int8_is_possible
from seq2seq.nn.model import Model
from seq2seq.text.batches import batch_pairs
from seq2seq.text.tokenizer import EOS, Tokenizer, Tokenizers, train_tokenizer
from tests.decoding.test_translator import line
from tests.support.tiny import tiny_rule

CPU = torch.device("cpu")
LINES = [line(seed) for seed in range(300)]
SOURCE = train_tokenizer(LINES, vocabulary_size=314, kind="unigram")
OTHER = train_tokenizer(LINES[:90], vocabulary_size=305, kind="bpe")
TARGET = train_tokenizer(LINES, vocabulary_size=330, kind="bpe")
TEXTS = [*LINES[:7], "", LINES[9].upper()]


def model(source: Tokenizer, place: str, rule: str, *, width: int, seed: int, positions: int = 40) -> Model:
    torch.manual_seed(seed)
    sizes = DecoderSizes(embedding=width, value=20, hidden=width + 6, positions=positions)
    built = Model(
        RecurrentEncoder(embedding_size=width, hidden_size=10, layers=1, dropout=0.0),
        DECODERS[place](tiny_rule(rule), sizes, dropout=0.0),
        source_vocabulary=len(source),
        target_vocabulary=len(TARGET),
        embedding_size=width,
        embedding_scale=2.0,
        tie="target",
        dropout=0.1,
        positions=positions,
    )
    with torch.no_grad():
        built.output.weight.mul_(4)
        built.output.bias[EOS] = 1.0
    return built.eval()


MODELS = [
    model(SOURCE, "luong", "general", width=12, seed=1),
    model(SOURCE, "bahdanau", "additive", width=16, seed=2),
    model(OTHER, "conditional", "dot", width=14, seed=3),
]
MEMBERS = [Member(built, tokenizer, str) for built, tokenizer in zip(MODELS, (SOURCE, SOURCE, OTHER), strict=True)]


def translator(together: Model | Ensemble, *, size: int = 3, batch: int = 4, source: Tokenizer = SOURCE) -> Translator:
    options = SearchOptions(
        size=size, length_penalty=1.0, n_best=size, batch=batch, longest_source=100, too_long="refuse"
    )
    return Translator(together, Tokenizers(source, TARGET), options, device=CPU)


def test_probabilities_and_attention_are_means() -> None:
    batch = batch_pairs([SOURCE.encode(text) for text in TEXTS], [TARGET.encode(text) for text in reversed(TEXTS)])
    together = Ensemble(MEMBERS[:2])
    with torch.no_grad():
        outputs, attention = together(batch.source, batch.source_mask, batch.target_input)
        each = [built(batch.source, batch.source_mask, batch.target_input) for built in MODELS[:2]]
        expected = sum(
            built.output(out[batch.target_mask]).softmax(dim=-1)
            for built, (out, _) in zip(MODELS[:2], each, strict=True)
        )
        actual = together.output(outputs[batch.target_mask])
        loss = together.loss(outputs, batch.target_output, batch.target_mask, smoothing=0.0)
    torch.testing.assert_close(actual.exp(), expected / 2)
    torch.testing.assert_close(attention.weights, (each[0][1].weights + each[1][1].weights) / 2)
    chosen = actual.gather(1, batch.target_output[batch.target_mask].unsqueeze(1))
    assert float(loss.negative_log_likelihood) == pytest.approx(-float(chosen.sum()), rel=1e-5)


def test_each_model_reads_the_text_in_its_own_subwords() -> None:
    """A forced target has the mean probability, and the attention of the models that share the first's subwords."""
    targets = [TARGET.encode(text) for text in reversed(TEXTS)]
    own = [
        force_targets(built, CPU, [member.source.encode(text) for text in TEXTS], targets)
        for built, member in zip(MODELS, MEMBERS, strict=True)
    ]
    first = [SOURCE.encode(text) for text in TEXTS]
    together = force_targets(Ensemble(MEMBERS), CPU, first, targets)
    for forced, *each in zip(together, *own, strict=True):
        mean = np.mean([np.exp(one.log_probabilities) for one in each], axis=0)
        np.testing.assert_allclose(np.exp(forced.log_probabilities), mean, rtol=1e-4)
        np.testing.assert_allclose(forced.weights, (each[0].weights + each[1].weights) / 2, atol=1e-5)
    (alone,) = force_targets(Ensemble([MEMBERS[0], MEMBERS[2]]), CPU, first[:1], targets[:1])
    np.testing.assert_allclose(alone.weights, own[0][0].weights, atol=1e-5)


def test_two_equal_models_are_one() -> None:
    for one, two in zip(translator(MODELS[0])(TEXTS), translator(Ensemble(MEMBERS[:1] * 2))(TEXTS), strict=True):
        assert isinstance(one, list)
        assert isinstance(two, list)
        assert [each.text for each in one] == [each.text for each in two]
        for mine, its in zip(one, two, strict=True):
            assert mine.log_probability == pytest.approx(its.log_probability, abs=1e-4)
            np.testing.assert_allclose(mine.weights, its.weights, atol=1e-5)


@pytest.mark.skipif(not int8_is_possible(CPU), reason="this processor has no 8-bit products")
def test_8_bit_weights_are_near() -> None:
    options = SearchOptions(size=1, length_penalty=1.0, n_best=1, batch=4, longest_source=100, too_long="refuse")
    rounded = Translator(Ensemble(MEMBERS), Tokenizers(SOURCE, TARGET), options, device=CPU, int8=True)
    pairs = list(zip(TEXTS[:3], reversed(TEXTS[:3]), strict=True))
    for one, other in zip(
        score_pairs(rounded, *zip(*pairs, strict=True)),
        score_pairs(translator(Ensemble(MEMBERS)), *zip(*pairs, strict=True)),
        strict=True,
    ):
        assert isinstance(one, ScoredPair)
        assert isinstance(other, ScoredPair)
        np.testing.assert_allclose(one.log_probabilities, other.log_probabilities, atol=0.3)
    assert all(isinstance(result, list) for result in rounded(TEXTS))


def test_any_batch_gives_the_same_and_forced_decoding_agrees() -> None:
    together = Ensemble(MEMBERS)
    expected = translator(together, batch=len(TEXTS))(TEXTS)
    for one, other, text in zip(translator(together, batch=1)(TEXTS), expected, TEXTS, strict=True):
        assert isinstance(one, list)
        assert isinstance(other, list)
        assert [each.text for each in one] == [each.text for each in other]
        for mine, its in zip(one, other, strict=True):
            assert mine.score == pytest.approx(its.score, abs=1e-4)
        if text and len(one[0].weights) > len(one[0].target_pieces):
            target = TARGET.ids(one[0].target_pieces)
            (forced,) = force_targets(together, CPU, [SOURCE.encode(text)], [target])
            assert float(forced.log_probabilities.sum()) == pytest.approx(one[0].log_probability, abs=1e-3)
            np.testing.assert_allclose(forced.weights, one[0].weights, atol=1e-4)
            best = best_tokens(together, CPU, SOURCE.encode(text), target, len(TARGET))
            np.testing.assert_allclose(np.exp(best.log_probabilities).sum(axis=1), 1, rtol=1e-4)


def test_the_limit_of_a_location_based_rule_holds() -> None:
    short = [Member(model(SOURCE, "luong", "concat", width=8, seed=4, positions=9), SOURCE, str), MEMBERS[0]]
    assert translator(Ensemble(short)).longest == 8
    other = Member(model(OTHER, "luong", "concat", width=8, seed=4, positions=5), OTHER, str)
    together = translator(Ensemble([MEMBERS[0], other]))
    assert together.longest == 100
    assert all(isinstance(result, list) for result in together([LINES[5] * 3]))
