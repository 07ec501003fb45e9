"""A search with a prefix is the search among the translations that begin with it, whatever else is in the batch."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.decoding.beam_search import beam_search
from seq2seq.decoding.hypotheses import Hypothesis
from seq2seq.decoding.penalties import Penalties
from seq2seq.decoding.prefix import prefix_ids, start_prefixes, with_prefixes
from seq2seq.decoding.search_model import next_token
from seq2seq.runtime.errors import InputError
from seq2seq.text.batches import batch_sentences
from seq2seq.text.tokenizer import BOS, EOS, train_tokenizer
from tests.support.tiny import EVERY, TARGET_VOCABULARY, sentences, tiny_model
from tests.support.toy import END, Toy, plain_search
from tests.support.unchecked import unchecked

few = settings(max_examples=25, deadline=None)
prefixes = st.lists(st.integers(0, END - 1), max_size=4)


def same(some: list[Hypothesis], others: list[Hypothesis]) -> None:
    """The same hypotheses, to the bit."""
    for one, other in zip(some, others, strict=True):
        assert one[:3] == other[:3]
        np.testing.assert_array_equal(one.weights, other.weights)


@given(seed=st.integers(0, 2**32), prefix=prefixes, length_penalty=st.sampled_from([0.0, 0.6, 1.0, 2.0]))
@few
def test_a_large_beam_is_exhaustive_search(seed: int, prefix: list[int], length_penalty: float) -> None:
    """All translations of at most 4 words with the prefix, in the order of their scores: complete ones first."""
    toy, limit, scored = Toy(seed), 4, []
    for length in range(limit - len(prefix) + 1):
        for words in itertools.product(range(END), repeat=length):
            tokens = [*prefix, *words, END][:limit]  # cut at the limit
            scored.append((tokens, toy.replay(2, tokens)[0] / len(tokens) ** length_penalty))
    wanted = sorted(scored, key=lambda each: (each[0][-1] == END, each[1]), reverse=True)
    (found,) = toy.search([2], limits=[limit], size=200, length_penalty=length_penalty, n_best=200, prefixes=[prefix])
    assert [hypothesis.tokens for hypothesis in found] == [tokens for tokens, _ in wanted]
    assert [hypothesis.score for hypothesis in found] == pytest.approx([score for _, score in wanted])


@given(
    seed=st.integers(0, 2**32),
    prefix=prefixes,
    size=st.integers(1, 6),
    more=st.integers(0, 4),
    length_penalty=st.sampled_from([0.0, 0.7, 1.5]),
    n_best=st.integers(1, 6),
)
@settings(max_examples=60, deadline=None)
def test_the_search_by_hand(
    seed: int, prefix: list[int], size: int, more: int, length_penalty: float, n_best: int
) -> None:
    toy, n_best, limit = Toy(seed, end=1.0), min(n_best, size), max(1, len(prefix) + more)
    options = {"size": size, "length_penalty": length_penalty, "n_best": n_best}
    (found,) = toy.search([4], limits=[limit], prefixes=[prefix], **options)  # type: ignore[arg-type]
    wanted, _ = plain_search(toy, 4, limit=limit, prefix=prefix, **options)  # type: ignore[arg-type]
    assert [hypothesis.tokens for hypothesis in found] == [tokens for tokens, _ in wanted[:n_best]]
    assert [hypothesis.score for hypothesis in found] == pytest.approx([score for _, score in wanted[:n_best]])
    for hypothesis in found:
        log_probability, weights = toy.replay(4, hypothesis.tokens)
        assert hypothesis.log_probability == pytest.approx(log_probability)
        np.testing.assert_array_equal(hypothesis.weights, weights.numpy())


@given(seed=st.integers(0, 2**32), size=st.integers(1, 4), starts=st.lists(prefixes, min_size=5, max_size=5))
@few
def test_no_sentence_depends_on_the_others_and_no_prefix_changes_nothing(
    seed: int, size: int, starts: list[list[int]]
) -> None:
    toy, chosen, limits, starts = Toy(seed), [3, 0, 6, 1, 5], [9, 4, 5, 7, 6], [*starts[:4], []]
    together = toy.search(chosen, limits=limits, size=size, n_best=size, prefixes=starts)
    for i, prefix in enumerate(starts):
        (alone,) = toy.search(chosen[i : i + 1], limits=limits[i : i + 1], size=size, n_best=size, prefixes=[prefix])
        same(alone, together[i])
        assert all(hypothesis.tokens[: len(prefix)] == prefix for hypothesis in alone)
    (without,) = toy.search(chosen[4:], limits=limits[4:], size=size, n_best=size)
    same(without, together[4])


@given(seed=st.integers(0, 2**32), limit=st.integers(1, 9))
@few
def test_a_start_of_the_greedy_translation_gives_the_same(seed: int, limit: int) -> None:
    toy = Toy(seed)
    (greedy,) = toy.search([5], limits=[limit], size=1)
    words = [token for token in greedy[0].tokens if token != END]
    for length in range(len(words) + 1):
        (found,) = toy.search([5], limits=[limit], size=1, prefixes=[words[:length]])
        same(found, greedy)


SOURCES = sentences([3, 7, 1, 5, 0, 4], seed=8)


@pytest.mark.parametrize(("place", "rule"), EVERY)
@unchecked()
def test_every_model_reads_prefixes_of_a_batch_as_teacher_forcing_does(place: str, rule: str) -> None:
    torch.manual_seed(3)
    model = tiny_model(place, rule).double()
    starts = [torch.randint(EOS + 1, TARGET_VOCABULARY, (length,)).tolist() for length in (2, 0, 5, 1, 3, 7)]
    with torch.no_grad():
        memory, state = model.encode(*batch_sentences(SOURCES))
        hypotheses = beam_search(
            with_prefixes(next_token(model)),
            torch.full((len(SOURCES),), BOS),
            start_prefixes(state, starts, torch.device("cpu")),
            memory,
            limits=[9] * len(SOURCES),
            end=EOS,
            size=3,
            penalties=Penalties(1.0),
        )
        for source, prefix, (best,) in zip(SOURCES, starts, hypotheses, strict=True):
            assert best.tokens[: len(prefix)] == prefix
            assert len(best.tokens) > len(prefix)
            outputs, attention = model(*batch_sentences([source]), torch.tensor([[BOS, *best.tokens[:-1]]]))
            chosen = model.output(outputs[0]).log_softmax(dim=-1).gather(1, torch.tensor(best.tokens).unsqueeze(1))
            assert best.log_probability == pytest.approx(float(chosen.sum()))
            np.testing.assert_allclose(best.weights[:, : len(source) + 1], attention.weights[0].numpy())


def test_a_prefix_is_text_or_subwords() -> None:
    tokenizer = train_tokenizer(["the boy sees the girl"] * 9, vocabulary_size=280, kind="bpe")
    ids = tokenizer.encode("the boy")
    assert prefix_ids("the boy", tokenizer, "it") == prefix_ids("the boy \u3000", tokenizer, "it") == ids
    assert prefix_ids(tokenizer.pieces(ids), tokenizer, "it") == prefix_ids(
        tuple(tokenizer.pieces(ids)), tokenizer, "it"
    )
    assert prefix_ids(["<unk>", "<0x0A>"], tokenizer, "it") == [1, 14]
    assert prefix_ids("", tokenizer, "it") == prefix_ids(" ", tokenizer, "it") == prefix_ids([], tokenizer, "it") == []
    for subword in ("boys", "", "▁the boy"):
        with pytest.raises(InputError, match=f"^it has '{subword}', which is no subword of the target vocabulary$"):
            prefix_ids(["▁", subword], tokenizer, "it")
    with pytest.raises(InputError, match=r"^it has '</s>', which ends a translation: give the subwords before it$"):
        prefix_ids(["▁", "</s>"], tokenizer, "it")
    for subword in ("<pad>", "<s>"):
        with pytest.raises(InputError, match=f"^it has '{subword}', which is in no translation$"):
            prefix_ids(["▁", subword], tokenizer, "it")
