"""Raw text in, raw text out: in order, line for line, whatever the batch, and told what cannot be done."""

import random
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from seq2seq.decoding.options import SearchOptions
from seq2seq.decoding.printable import printable
from seq2seq.decoding.search_model import for_search
from seq2seq.decoding.translator import FEWEST, TooLong, Translation, Translator
from seq2seq.decoding.translator import POSITIONS as POSITIONS_OF_BATCH
from seq2seq.nn.decoder import DECODERS
from seq2seq.nn.decoder_base import DecoderSizes
from seq2seq.nn.encoder import RecurrentEncoder
from seq2seq.nn.model import Model
from seq2seq.text.batches import batch_pairs
from seq2seq.text.tokenizer import BOS, EOS, Tokenizers, train_tokenizer
from seq2seq.text.vocabulary import train_vocabulary
from seq2seq.training.learning_rate import Schedule
from seq2seq.training.objective import Objective
from seq2seq.training.optimizer import make_optimizer
from seq2seq.training.step import updates
from tests.support.tiny import tiny_rule
from tests.support.unchecked import unchecked

POSITIONS = 40
WORDS = ["".join(random.Random(seed).choices("abdegilmnorstü", k=3 + seed % 4)) for seed in range(40)]


def line(seed: int) -> str:
    draw = random.Random(seed)
    return " ".join(draw.choices(WORDS, k=1 + seed % 6))


LINES = [line(seed) for seed in range(11)]


def turned(text: str) -> str:
    """The words in reverse order: what the model learns."""
    return " ".join(reversed(text.split()))


@pytest.fixture(scope="module")
def tokenizers() -> Tokenizers:
    lines = [line(seed) for seed in range(400)]
    return Tokenizers(
        train_tokenizer(lines, vocabulary_size=314, kind="unigram"),
        train_tokenizer(lines, vocabulary_size=360, kind="bpe"),
    )


def model(tokenizers: Tokenizers, rule: str) -> Model:
    torch.manual_seed(1)
    widths = DecoderSizes(embedding=24, value=40, hidden=36, positions=POSITIONS)
    return Model(
        RecurrentEncoder(embedding_size=24, hidden_size=20, layers=1, dropout=0.0),
        DECODERS["luong"](tiny_rule(rule), widths, dropout=0.0),
        source_vocabulary=len(tokenizers.source),
        target_vocabulary=len(tokenizers.target),
        embedding_size=24,
        embedding_scale=2.0,
        tie="target",
        dropout=0.1,
        positions=POSITIONS,
    )


@pytest.fixture(scope="module")
def trained(tokenizers: Tokenizers) -> Model:
    """A model that knows by heart what each line is turned around."""
    found = model(tokenizers, "additive")
    batch = batch_pairs(
        tokenizers.source.encode_batch(LINES), tokenizers.target.encode_batch([turned(text) for text in LINES])
    )
    found.dropout = nn.Dropout(0.0)
    for update in updates(
        found,
        make_optimizer(found, betas=(0.9, 0.98), weight_decay=0.0),
        [[batch]] * 300,
        schedule=Schedule(peak=0.02, warmup=10, total=300, decay="linear"),
        objective=Objective(0.0),
        clip=1.0,
    ):
        if float(update.loss.smoothed) / update.tokens < 0.03:
            break
    return found


def translator(
    found: Model,
    tokenizers: Tokenizers,
    *,
    size: int = 1,
    n_best: int = 1,
    batch: int = 4,
    longest_source: int = 100,
    too_long: str = "refuse",
    int8: bool = False,
) -> Translator:
    return Translator(
        found,
        tokenizers,
        SearchOptions(
            size=size,
            length_penalty=1.0,
            n_best=n_best,
            batch=batch,
            longest_source=longest_source,
            too_long=too_long,
        ),
        device=torch.device("cpu"),
        int8=int8,
    )


def texts(results: list[list[Translation] | TooLong]) -> list[str]:
    return [result[0].text if isinstance(result, list) else "" for result in results]


def test_a_translation_of_characters_may_be_longer_than_one_of_subwords(tokenizers: Tokenizers) -> None:
    characters = train_vocabulary(LINES, largest=400, kind="char")
    found = []
    for sides in (tokenizers, Tokenizers(characters, characters)):
        endless = model(sides, "general")
        with torch.no_grad():
            endless.output.bias[EOS] = -1e9
        (result,) = translator(endless, sides)([LINES[0]])
        assert isinstance(result, list)
        found.append((len(result[0].source_pieces), len(result[0].target_pieces)))
    (subwords, of_subwords), (letters, of_letters) = found
    assert (of_subwords, of_letters) == (2 * subwords + 10, 5 * letters + 10)


@pytest.mark.parametrize("size", [1, 5])
def test_what_is_learnt_comes_out_as_text_in_order(trained: Model, tokenizers: Tokenizers, size: int) -> None:
    assert texts(translator(trained, tokenizers, size=size)(LINES)) == [turned(text) for text in LINES]


@pytest.mark.parametrize("size", [1, 3])
@unchecked()
def test_any_batch_gives_the_same_texts(trained: Model, tokenizers: Tokenizers, size: int) -> None:
    """Also of lines that the model has never seen, whose translations are nonsense of many lengths."""
    lines = [*LINES, *(line(seed) for seed in range(500, 512)), ""]
    wanted = translator(trained, tokenizers, size=size, batch=len(lines))(lines)
    assert len(set(texts(wanted))) > 8
    for batch in (1, 3, 7):
        found = translator(trained, tokenizers, size=size, batch=batch)(lines)
        assert texts(found) == texts(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert isinstance(one, list)
            assert isinstance(other, list)
            assert one[0].score == pytest.approx(other[0].score, rel=1e-4, abs=1e-5)
            np.testing.assert_allclose(one[0].weights, other[0].weights, atol=1e-4)


def test_blank_lines_stay_blank(trained: Model, tokenizers: Tokenizers) -> None:
    blanks = ["", " ", "\t \u00a0", " " * 1000]
    results = translator(trained, tokenizers, size=3, n_best=3)([blanks[0], LINES[0], *blanks[1:]])
    assert isinstance(results[1], list)
    assert results[1][0].text == turned(LINES[0])
    for result in (results[0], *results[2:]):
        assert isinstance(result, list)
        ((text, score, log_probability, source_pieces, target_pieces, weights),) = result
        assert (text, score, log_probability, source_pieces, target_pieces) == ("", 0.0, 0.0, [], [])
        assert weights.size == 0
    assert translator(trained, tokenizers)([]) == []


def test_a_line_too_long_is_refused_or_cut(trained: Model, tokenizers: Tokenizers) -> None:
    length = len(tokenizers.source.encode(LINES[5]))
    lines = [LINES[0], LINES[5], LINES[1]]
    assert len(tokenizers.source.encode(LINES[0])) < length > len(tokenizers.source.encode(LINES[1]))
    first, refused, last = translator(trained, tokenizers, longest_source=length - 1)(lines)
    assert refused == TooLong(length, length - 1)
    assert f"{length} subwords, more than the {length - 1} that this model reads" in str(refused)
    assert texts([first, last]) == [turned(LINES[0]), turned(LINES[1])]
    (_, just_fits, _) = translator(trained, tokenizers, longest_source=length)(lines)
    assert isinstance(just_fits, list)
    (_, cut, _) = translator(trained, tokenizers, longest_source=length - 1, too_long="truncate")(lines)
    assert isinstance(cut, list)
    assert cut[0].source_pieces == tokenizers.source.pieces(tokenizers.source.encode(LINES[5])[:-1])


def test_rule_1_reads_as_many_subwords_as_it_has_positions_but_one(tokenizers: Tokenizers) -> None:
    """EOS takes the last position."""
    found = translator(model(tokenizers, "concat"), tokenizers)
    assert found.longest == POSITIONS - 1
    long = "\u2603" * POSITIONS  # three bytes each
    (refused,) = found([long])
    assert isinstance(refused, TooLong)
    assert refused.longest == POSITIONS - 1
    ((translation,),) = translator(model(tokenizers, "concat"), tokenizers, too_long="truncate")([long])
    assert len(translation.source_pieces) == POSITIONS - 1
    assert translation.weights.shape[1] == POSITIONS
    assert translator(model(tokenizers, "general"), tokenizers, longest_source=99).longest == 99
    assert translator(model(tokenizers, "concat"), tokenizers, longest_source=9).longest == 9


def test_pieces_and_weights_line_up(trained: Model, tokenizers: Tokenizers) -> None:
    lines = [*LINES, *(line(seed) for seed in range(500, 505))]
    found = translator(trained, tokenizers, size=4, n_best=3)(lines)
    for text, translations in zip(lines, found, strict=True):
        assert isinstance(translations, list)
        assert len(translations) == 3
        ranks = [(len(each.weights) > len(each.target_pieces), each.score) for each in translations]  # what ended first
        assert ranks == sorted(ranks, reverse=True)
        for translation in translations:
            assert translation.source_pieces == tokenizers.source.pieces(tokenizers.source.encode(text))
            rows, columns = translation.weights.shape
            assert columns == len(translation.source_pieces) + 1
            assert rows - len(translation.target_pieces) in (0, 1)
            np.testing.assert_allclose(translation.weights.sum(axis=1), 1, rtol=1e-5)
            joined = "".join(translation.target_pieces).replace("\u2581", " ").strip()
            if "<0x" not in joined:
                assert translation.text == joined


def score_of(found: Model, tokenizers: Tokenizers, source: str, target: list[int]) -> tuple[float, Tensor]:
    """Teacher forcing: the log-probability of the tokens, and the weights."""
    batch = batch_pairs([tokenizers.source.encode(source)], [target])
    with torch.no_grad():
        outputs, (weights, _) = found(batch.source, batch.source_mask, batch.target_input)
        log_probabilities = found.output(outputs[0]).log_softmax(dim=-1)
    return float(log_probabilities.gather(1, batch.target_output[0].unsqueeze(1)).sum()), weights[0]


def test_a_translation_is_what_teacher_forcing_makes_of_its_text(trained: Model, tokenizers: Tokenizers) -> None:
    for text, translations in zip(LINES, translator(trained, tokenizers, size=5)(LINES), strict=True):
        assert isinstance(translations, list)
        target = tokenizers.target.encode(turned(text))
        assert translations[0].target_pieces == tokenizers.target.pieces(target)
        log_probability, weights = score_of(trained, tokenizers, text, target)
        assert translations[0].log_probability == pytest.approx(log_probability, rel=1e-3, abs=1e-4)
        assert translations[0].score == pytest.approx(log_probability / (len(target) + 1), rel=1e-3, abs=1e-4)
        np.testing.assert_allclose(translations[0].weights, weights.numpy(), atol=1e-4)


def test_a_translation_is_one_line(tokenizers: Tokenizers) -> None:
    """Whatever the model puts out: bytes could spell a line end, and special pieces have no text."""
    newline = tokenizers.target.encode("a\nb")
    (piece,) = [token for token in newline if tokenizers.target.decode([token]) == "\n"]
    found = model(tokenizers, "general")
    with torch.no_grad():
        found.output.weight.zero_()
        found.output.bias[[piece, BOS]] = 20.0
        found.output.bias[EOS] = 19.0
    ((best, *_),) = translator(found, tokenizers, size=4, n_best=4)([LINES[3]])
    assert "\n" not in best.text


def spelling(tokenizers: Tokenizers, *tokens: int) -> Model:
    """A model that puts out these tokens and no other, as likely as one another."""
    found = model(tokenizers, "general")
    with torch.no_grad():
        found.output.weight.zero_()
        found.output.bias.fill_(-20.0)
        found.output.bias[list(tokens)] = 20.0
    return found


@pytest.mark.parametrize(
    ("spelled", "shown"),
    [(spelled, "\ufffd") for spelled in "\0\x01\x07\x08\x0e\x1b\x7f"]
    + [(spelled, " ") for spelled in "\t\n\x0b\x0c\r\x1c\x1f"],
)
def test_control_characters_that_bytes_spell_are_not_written(tokenizers: Tokenizers, spelled: str, shown: str) -> None:
    (piece,) = [index for index in range(4, 260) if tokenizers.target.decode([index]) == spelled]
    ((best,),) = translator(spelling(tokenizers, piece), tokenizers)([LINES[3]])
    assert len(best.target_pieces) > 9
    assert best.text == shown * len(best.target_pieces)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a\x85b\x9bc\u2028d\u2029e", "a b\ufffdc d e"),
        ("\u200d\u200c\u200e\u202b\u00ad\ufeff", "\u200d\u200c\u200e\u202b\u00ad\ufeff"),
    ],
)
def test_control_characters_of_several_bytes(tokenizers: Tokenizers, text: str, written: str) -> None:
    """Joiners and marks of direction are no control characters: scripts and emoji need them."""
    found = tokenizers.target.decode(tokenizers.target.encode(text))
    assert found == text
    assert printable(found, tokenizers.target.pieces(tokenizers.target.encode(text))) == written


def test_control_characters_of_the_training_text_are_written_but_for_line_ends() -> None:
    lines = [text.replace("e", "\x92").replace("a", "\t") for text in (line(seed) for seed in range(400))]
    target = train_tokenizer(lines, vocabulary_size=314, kind="unigram")
    ids = target.encode("b\x92\td\x1b")
    assert printable(target.decode(ids), target.pieces(ids)) == "b\x92\td\ufffd"
    assert printable("a\nb", ["a\n", "b"]) == "a b"  # from nobody's text, but a stranger's


def test_a_single_string_is_refused(trained: Model, tokenizers: Tokenizers) -> None:
    """A string is a sequence of strings as well: each of its letters would be translated."""
    with pytest.raises(TypeError, match=r"expected a list of texts, found the string 'Ein Satz\.'"):
        translator(trained, tokenizers)("Ein Satz.")


def test_a_model_without_numbers_translates_nothing(tokenizers: Tokenizers) -> None:
    found = model(tokenizers, "general")
    with torch.no_grad():
        found.output.bias.fill_(float("nan"))
    for result in translator(found, tokenizers, size=2, n_best=2)(LINES[:3]):
        assert isinstance(result, list)
        assert [translation.text for translation in result] == [""]


def test_translating_leaves_dropout_off_and_the_model_as_it_is(tokenizers: Tokenizers) -> None:
    found = model(tokenizers, "general")
    found.dropout = nn.Dropout(0.5)
    found.train()
    translate, strides = translator(found, tokenizers), [weight.stride() for weight in found.parameters()]
    once = texts(translate(LINES))
    assert found.training
    assert texts(translate(LINES)) == once == texts(translator(found.eval(), tokenizers)(LINES))
    assert [weight.stride() for weight in found.parameters()] == strides


def test_a_translator_has_the_weights_of_now(tokenizers: Tokenizers) -> None:
    """Validation keeps its translator while the model learns."""
    found = model(tokenizers, "general")
    translate = translator(found, tokenizers)
    before = translate(LINES)
    with torch.no_grad():
        found.output.bias[7] += 20.0
    assert texts(translate(LINES)) == texts(translator(found, tokenizers)(LINES)) != texts(before)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_weights_are_laid_out_for_search_on_a_cpu_alone(tokenizers: Tokenizers, device: str) -> None:
    """cuDNN refuses a GRU whose weights are transposed views; "meta" stands for every device that is no CPU."""
    given = model(tokenizers, "general").to(device).train()
    laid_out = for_search(given)
    weights = {
        name: weight for name, weight in laid_out.named_parameters() if weight.dim() == 2 and "embedding" not in name
    }
    assert "encoder.gru.weight_hh_l0" in weights
    for name, weight in weights.items():
        assert weight.is_contiguous() == (device != "cpu"), name
        assert weight.t().is_contiguous() == (device == "cpu"), name
    assert not laid_out.training
    assert given.training


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 4])
def test_threads_give_the_same_texts(trained: Model, tokenizers: Tokenizers, size: int) -> None:
    lines = [line(seed) for seed in range(60)]
    alone = translator(trained, tokenizers, size=size)(lines)
    before, interval = torch.get_num_threads(), sys.getswitchinterval()
    torch.set_num_threads(3)
    try:
        together = translator(trained, tokenizers, size=size)(lines)
        assert torch.get_num_threads() == 3
        assert sys.getswitchinterval() == interval
    finally:
        torch.set_num_threads(before)
    assert texts(together) == texts(alone)


@given(lengths=st.lists(st.integers(0, 400), max_size=300), batch=st.integers(1, 320), threads=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_batches_on_a_cpu_are_small_where_sources_are_long(
    trained: Model, tokenizers: Tokenizers, lengths: list[int], batch: int, threads: int
) -> None:
    todo = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        batches = translator(trained, tokenizers, batch=batch)._batches(todo, lengths)
    finally:
        torch.set_num_threads(before)
    assert [i for each in batches for i in each] == todo
    assert all(batches)
    assert max(map(len, batches), default=0) <= batch
    for each in batches:
        assert len(each) <= FEWEST or len(each) * (lengths[each[0]] + 1) <= POSITIONS_OF_BATCH
    assert len(batches) >= min(threads, len(lengths) // FEWEST)


@pytest.mark.parametrize("size", [1, 4])
def test_8_bit_weights_give_nearly_the_same_scores_in_any_batch(
    trained: Model, tokenizers: Tokenizers, size: int
) -> None:
    exact = translator(trained, tokenizers, size=size)(LINES)
    rounded = translator(trained, tokenizers, size=size, int8=True)
    results = rounded(LINES)
    assert texts(results) == texts(exact) == [turned(text) for text in LINES]
    for one, other in zip(results, exact, strict=True):
        assert isinstance(one, list)
        assert isinstance(other, list)
        assert one[0].score != other[0].score
        assert one[0].score == pytest.approx(other[0].score, abs=0.05)
    for text, result in zip(LINES, results, strict=True):
        ((best, *_),) = rounded([text])
        assert isinstance(best, Translation)
        assert isinstance(result, list)
        assert (best.text, best.score) == (result[0].text, pytest.approx(result[0].score, abs=1e-4))
