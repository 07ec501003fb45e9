"""Perplexity by hand, and nothing that depends on the batch."""

import math
from functools import partial
from pathlib import Path

import pytest
import torch

from seq2seq.commands.scoring import challenge_table
from seq2seq.decoding.options import SearchOptions
from seq2seq.decoding.translator import Translator
from seq2seq.evaluation.evaluator import Evaluator, Hypotheses, translate
from seq2seq.evaluation.metrics import Metrics
from seq2seq.evaluation.teacher_forcing import Likelihood, References
from seq2seq.nn.model import Model
from seq2seq.reporting.tensorboard import Board
from seq2seq.runtime.errors import InputError
from seq2seq.text.annotations import LoadedSplit
from seq2seq.text.corpus import Pair
from seq2seq.text.tokenizer import BOS, EOS, Tokenizers, train_tokenizer
from seq2seq.training.validation import SAMPLES, Validator
from tests.support.lines import line
from tests.support.tiny import EMBEDDING, POSITIONS, VALUE, tiny_decoder, tiny_model

CPU = torch.device("cpu")
METRICS = Metrics("13a")


def test_perplexity_by_hand() -> None:
    """Tokens of probability 1/2, 1/4 and 1/4: the geometric mean is 2^(-5/3)."""
    found = Likelihood(5 * math.log(2), 3)
    assert found.loss == pytest.approx(1.1552453)
    assert found.perplexity == pytest.approx(2 ** (5 / 3))
    assert Likelihood(1e6, 2).perplexity == math.inf
    assert math.isnan(Likelihood(0.0, 0).perplexity)
    assert math.isnan(Likelihood(math.nan, 3).perplexity)


@pytest.fixture(scope="module")
def tokenizers() -> Tokenizers:
    lines = [line(seed) for seed in range(400)]
    joint = train_tokenizer(lines, vocabulary_size=300, kind="bpe")
    return Tokenizers(joint, joint)


@pytest.fixture
def model(tokenizers: Tokenizers) -> Model:
    decoder, _ = tiny_decoder("bahdanau", "additive")
    found = Model(
        tiny_model().encoder,
        decoder,
        source_vocabulary=len(tokenizers.source),
        target_vocabulary=len(tokenizers.target),
        embedding_size=EMBEDDING,
        embedding_scale=2.0,
        tie="all",
        dropout=0.5,
        positions=POSITIONS,
    )
    assert found.encoder.output_size == VALUE
    return found


def translator(model: Model, tokenizers: Tokenizers, *, longest: int = 500) -> Translator:
    return Translator(
        model,
        tokenizers,
        SearchOptions(size=1, length_penalty=1.0, n_best=1, batch=8, longest_source=longest, too_long="refuse"),
        device=CPU,
    )


PAIRS = [Pair(line(seed), line(seed + 100)) for seed in range(13)] + [Pair("", line(3)), Pair(line(4), "")]


def test_likelihood_is_the_sum_over_each_sentence_by_hand(model: Model, tokenizers: Tokenizers) -> None:
    found = References(LoadedSplit("pairs", PAIRS), tokenizers, longest=500, size=4).read(model, CPU).likelihood
    total, tokens = 0.0, 0
    for source, target in PAIRS:
        ids, words = tokenizers.source.encode(source), tokenizers.target.encode(target)
        with torch.no_grad():
            outputs, _ = model(
                torch.tensor([[*ids, EOS]]),
                torch.ones(1, len(ids) + 1, dtype=torch.bool),
                torch.tensor([[BOS, *words]]),
            )
            log_probabilities = model.output(outputs[0]).log_softmax(dim=-1)
        total -= sum(float(log_probabilities[t, word]) for t, word in enumerate([*words, EOS]))
        tokens += len(words) + 1
    assert found.tokens == tokens
    assert found.total == pytest.approx(total, rel=1e-5)
    assert found.loss == pytest.approx(math.log(300), abs=0.3)


@pytest.mark.parametrize("size", [1, 3, 100])
def test_likelihood_does_not_depend_on_the_batch(model: Model, tokenizers: Tokenizers, size: int) -> None:
    model.train()  # reading turns dropout off
    wanted = References(LoadedSplit("pairs", PAIRS), tokenizers, longest=500, size=7).read(model, CPU)
    found = References(LoadedSplit("pairs", PAIRS), tokenizers, longest=500, size=size).read(model, CPU)
    assert found.likelihood.tokens == wanted.likelihood.tokens
    assert found.likelihood.total == pytest.approx(wanted.likelihood.total, rel=1e-6)
    assert found.links == wanted.links
    assert found.diagnostics.means() == pytest.approx(wanted.diagnostics.means(), rel=1e-5)


def test_sources_too_long_are_left_out_and_told(model: Model, tokenizers: Tokenizers) -> None:
    lengths = [len(ids) for ids in tokenizers.source.encode_batch([pair.source for pair in PAIRS])]
    longest = sorted(lengths)[-4]
    fitting = [pair for pair, length in zip(PAIRS, lengths, strict=True) if length <= longest]
    evaluator = Evaluator(model, translator(model, tokenizers, longest=longest), METRICS, "en")
    found = evaluator.evaluate(LoadedSplit("all", PAIRS))
    fits = evaluator.evaluate(LoadedSplit("some", fitting))
    assert found.scores["refused"] == len(PAIRS) - len(fitting) > 0
    assert found.scores["sentences"] == len(PAIRS)
    assert fits.scores["refused"] == 0
    assert found.scores["loss"] == pytest.approx(fits.scores["loss"])
    assert [text for text, length in zip(found.hypotheses.texts, lengths, strict=True) if length > longest] == [
        "" for length in lengths if length > longest
    ]


def test_a_challenge_tells_what_was_too_long(model: Model, tokenizers: Tokenizers) -> None:
    longest = sorted(len(tokenizers.source.encode(pair.source)) for pair in PAIRS)[len(PAIRS) // 2]
    evaluator = Evaluator(model, translator(model, tokenizers, longest=longest), METRICS, "en")
    found = evaluator.challenge(LoadedSplit("x", PAIRS))
    refused = sum(len(tokenizers.source.encode(pair.source)) > longest for pair in PAIRS)
    assert (found["sentences"], found["refused"]) == (len(PAIRS), refused)
    assert 0 < refused < len(PAIRS)
    said = challenge_table({"much": {**found, "aer": 0.0}})
    assert said.splitlines()[-1].startswith(f"much: {refused} sources were too long")


def test_translations_come_in_order(model: Model, tokenizers: Tokenizers) -> None:
    found = translate(translator(model, tokenizers), [pair.source for pair in PAIRS])
    assert isinstance(found, Hypotheses)
    assert len(found.texts) == len(PAIRS)
    assert found.refused == 0
    for i in (0, 5, 12):
        assert found.texts[i] == translate(translator(model, tokenizers), [PAIRS[i].source]).texts[0]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 15])
def test_validation_shows_different_sentences(model: Model, tokenizers: Tokenizers, tmp_path: Path, count: int) -> None:
    with Board(tmp_path) as board:
        split = LoadedSplit("x", PAIRS[:count])
        validator = Validator(
            model,
            References(split, tokenizers, longest=100),
            split,
            partial(translator, model, tokenizers),
            METRICS,
            "bleu",
            board,
        )
    assert len(set(validator.samples)) == len(validator.samples) == min(SAMPLES, count)


def test_validation_stops_a_run_whose_loss_is_no_number(model: Model, tokenizers: Tokenizers, tmp_path: Path) -> None:
    with torch.no_grad():
        model.decoder.bridge.bias.fill_(float("nan"))
    with Board(tmp_path) as board:
        split = LoadedSplit("x", PAIRS)
        references = References(split, tokenizers, longest=100)
        validator = Validator(model, references, split, partial(translator, model, tokenizers), METRICS, "bleu", board)
        with pytest.raises(InputError, match=r"step 30: .* training\.learning_rate"):
            validator(30, CPU)
