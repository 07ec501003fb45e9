"""Batches: every sentence once, little padding, and every token in the tensors."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.text import epochs as epochs_module
from seq2seq.text.batches import Batch, batch_sentences, collate, padding_share, plan
from seq2seq.text.epochs import Epochs
from seq2seq.text.sources.multi30k import multi30k
from seq2seq.text.store import Filtered, Sequences, Store, prepare
from seq2seq.text.tokenizer import BOS, EOS, PAD


def sequences(sentences: list[list[int]]) -> Sequences:
    offsets = np.cumsum([0, *map(len, sentences)])
    return Sequences(np.concatenate([np.array(ids, dtype=np.uint16) for ids in sentences]), offsets)


def lengths(size: int, *, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 41, size).astype(np.int32)


def test_a_batch_by_eye() -> None:
    store = Store(sequences([[7, 8, 9], [4], [5, 6]]), sequences([[11], [12, 13, 14, 15], [16]]), Filtered(0, 0))
    batch = collate(store, np.array([1, 0]))
    assert batch.source.tolist() == [[4, EOS, PAD, PAD], [7, 8, 9, EOS]]
    assert batch.source_mask.tolist() == [[True, True, False, False], [True, True, True, True]]
    assert batch.target_input.tolist() == [[BOS, 12, 13, 14, 15], [BOS, 11, PAD, PAD, PAD]]
    assert batch.target_output.tolist() == [[12, 13, 14, 15, EOS], [11, EOS, PAD, PAD, PAD]]
    assert batch.target_mask.tolist() == [[True] * 5, [True, True, False, False, False]]
    assert (batch.source_tokens, batch.target_tokens) == (6, 7)
    assert padding_share(batch) == (2 + 3, 8 + 10)
    assert {tensor.dtype for tensor in (batch.source, batch.target_input, batch.target_output)} == {torch.int64}
    assert {batch.source_mask.dtype, batch.target_mask.dtype} == {torch.bool}


@given(sentences=st.lists(st.lists(st.integers(4, 70_000), max_size=12), min_size=1, max_size=9))
def test_sentences_can_be_read_off_their_batch(sentences: list[list[int]]) -> None:
    for form in (sentences, [np.array(ids, dtype=np.int32) for ids in sentences]):
        source, mask = batch_sentences(form)
        assert [row[row_mask].tolist() for row, row_mask in zip(source, mask, strict=True)] == [
            [*ids, EOS] for ids in sentences
        ]
        assert source.shape == mask.shape == (len(sentences), max(map(len, sentences)) + 1)
        assert (source[~mask] == PAD).all()
        assert mask.sum(dim=1).tolist() == [len(ids) + 1 for ids in sentences]


@given(pairs=st.lists(st.tuples(*[st.lists(st.integers(4, 99), min_size=1, max_size=9)] * 2), min_size=1, max_size=7))
def test_the_input_is_the_output_one_step_later(pairs: list[tuple[list[int], list[int]]]) -> None:
    store = Store(sequences([pair[0] for pair in pairs]), sequences([pair[1] for pair in pairs]), Filtered(0, 0))
    batch = collate(store, np.arange(len(pairs)))
    assert (batch.target_input[:, 0] == BOS).all()
    mask = batch.target_mask[:, 1:]
    assert torch.equal(batch.target_input[:, 1:][mask], batch.target_output[:, :-1][mask])
    assert (batch.target_input[~batch.target_mask] == PAD).all()
    assert EOS not in batch.target_input
    assert batch.target_tokens == sum(len(target) + 1 for _, target in pairs) == batch.target_mask.sum()


def test_a_batch_moves_as_a_whole() -> None:
    store = Store(sequences([[5]]), sequences([[6, 7]]), Filtered(0, 0))
    moved = collate(store, np.array([0])).to(torch.device("meta"), non_blocking=True)
    assert isinstance(moved, Batch)
    assert [part.device.type for part in moved if isinstance(part, torch.Tensor)] == ["meta"] * 5
    assert moved.source_tokens == 2
    assert moved.target_tokens == 3


@given(
    sides=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=200),
    size=st.integers(1, 200),
    unit=st.sampled_from(["tokens", "sentences"]),
    seed=st.integers(0, 2**64),
)
def test_every_sentence_is_in_one_batch_that_is_not_too_large(
    sides: list[tuple[int, int]], size: int, unit: str, seed: int
) -> None:
    source, target = (np.array([pair[side] for pair in sides], dtype=np.int32) for side in (0, 1))
    batches = plan(source, target, size=size, unit=unit, seed=seed, epoch=3)
    assert sorted(index for batch in batches for index in batch.tolist()) == list(range(len(sides)))
    for batch in batches:
        longest = max(source[batch].max(), target[batch].max()) + 1
        assert len(batch) == 1 or len(batch) * (longest if unit == "tokens" else 1) <= size
    if unit == "sentences":
        assert len(batches) == -(-len(sides) // size)


def test_batches_are_full() -> None:
    source, target = lengths(20_000, seed=0), lengths(20_000, seed=1)
    batches = plan(source, target, size=1500, unit="tokens", seed=0, epoch=0)
    costs = [len(batch) * (max(source[batch].max(), target[batch].max()) + 1) for batch in batches]
    assert np.mean(costs) > 0.95 * 1500


def test_a_batch_may_cost_all_of_its_size() -> None:
    ten = np.full(10, 4)
    assert [len(batch) for batch in plan(ten, ten, size=25, unit="tokens", seed=0, epoch=0)] == [5, 5]


def test_the_plan_is_a_function_of_its_arguments() -> None:
    source, target = lengths(3_000, seed=2), lengths(3_000, seed=3)

    def planned(*, seed: int, epoch: int) -> list[list[int]]:
        batches = plan(source, target, size=700, unit="tokens", seed=seed, epoch=epoch)
        return [batch.tolist() for batch in batches]

    first = planned(seed=5, epoch=1)
    np.random.default_rng().random()
    assert planned(seed=5, epoch=1) == first
    different = [planned(seed=5, epoch=2), planned(seed=6, epoch=1), planned(seed=1, epoch=5)]
    assert all(batches != first for batches in different)
    sets = {frozenset(batch) for batch in first}
    assert all(len(sets & {frozenset(batch) for batch in batches}) < 0.2 * len(sets) for batches in different)


def test_batches_come_in_no_order_of_length() -> None:
    source, target = lengths(10_000, seed=4), lengths(10_000, seed=5)
    batches = plan(source, target, size=500, unit="tokens", seed=0, epoch=0)
    means = np.array([target[batch].mean() for batch in batches])
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.15  # about 4 standard deviations
    assert np.corrcoef(means[:-1], means[1:])[0, 1] < 0.15


def test_planning_takes_no_step_for_each_sentence() -> None:
    source, target = lengths(1_000_000, seed=6), lengths(1_000_000, seed=7)
    start = time.perf_counter()
    batches = plan(source, target, size=4096, unit="tokens", seed=0, epoch=0)
    assert time.perf_counter() - start < 3.0  # takes 0.3 s on an idle core
    assert sum(map(len, batches)) == 1_000_000


@pytest.mark.parametrize("accumulate", [1, 4])
def test_a_run_is_its_epochs_one_after_the_other(accumulate: int) -> None:
    """Each epoch's steps hold each sentence once; a run that stops early is the start of the longer one."""
    sentences = [[4 + index] * int(length) for index, length in enumerate(lengths(97, seed=8))]
    store = Store(sequences(sentences), sequences(sentences), Filtered(0, 0))
    epochs = Epochs(store, size=100, unit="tokens", accumulate=accumulate, seed=1)
    steps = list(epochs.steps(2 * epochs.steps_per_epoch + 1))
    orders = []
    for epoch in range(2):
        first = epoch * epochs.steps_per_epoch
        batches = [batch for step in steps[first : first + epochs.steps_per_epoch] for batch in step]
        orders.append([index - 4 for batch in batches for index in batch.source[:, 0].tolist()])
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(97))
    assert orders[0] != orders[1]
    assert all(len(step) == accumulate for step in steps[: epochs.steps_per_epoch - 1])
    assert [[batch.source.tolist() for batch in step] for step in epochs.steps(3)] == [
        [batch.source.tolist() for batch in step] for step in steps[:3]
    ]


def test_a_run_is_taken_up_at_any_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of an epoch and in later epochs, whose numbers of batches differ; earlier batches are not made."""
    sentences = [[4 + index] * int(length) for index, length in enumerate(lengths(97, seed=8))]
    store = Store(sequences(sentences), sequences(sentences), Filtered(0, 0))
    epochs = Epochs(store, size=100, unit="tokens", accumulate=2, seed=1)
    total = 3 * epochs.steps_per_epoch
    expected = [[batch.source.tolist() for batch in step] for step in epochs.steps(total)]
    collated: list[int] = []
    monkeypatch.setattr(epochs_module, "collate", lambda *arguments: collated.append(1) or collate(*arguments))
    for start in range(total + 1):
        collated.clear()
        resumed = [[batch.source.tolist() for batch in step] for step in epochs.steps(total, start=start)]
        assert resumed == expected[start:]
        assert len(collated) == sum(map(len, expected[start:]))


@pytest.mark.slow
@pytest.mark.data
def test_real_text_has_little_padding(real_data: Path, tmp_path: Path) -> None:
    corpus = multi30k(folder=real_data / "multi30k", source="de", target="en")
    options = {"vocabulary_size": 8_000, "kind": "bpe", "joint": False, "longest": 100}
    store = prepare(corpus.train, folder=tmp_path, **options).store  # type: ignore[arg-type]
    batches = plan(store.source.lengths, store.target.lengths, size=2048, unit="tokens", seed=0, epoch=0)
    shares = np.array([padding_share(collate(store, batch)) for batch in batches]).sum(axis=0)
    assert shares[0] / shares[1] < 0.05
