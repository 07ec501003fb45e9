"""Subwords drawn anew in each epoch: the same text, reproducible draws, the limits of the usual encoding."""

from pathlib import Path

import numpy as np
import pytest

from seq2seq.text import subword_sampling as module
from seq2seq.text.corpus import InMemory, Pair
from seq2seq.text.epochs import Epochs
from seq2seq.text.store import Prepared, Store, prepare
from seq2seq.text.subword_sampling import SideOptions, SubwordSampler
from tests.support.lines import made_up_text
from tests.support.unchecked import unchecked

KINDS = ["unigram", "bpe"]


def pairs() -> list[Pair]:
    complete = [Pair(*pair) for pair in zip(made_up_text(120), made_up_text(120, seed=1), strict=True)]
    return [*complete[:40], Pair("", "x"), Pair(" ", "y"), *complete[40:], Pair("z", "\t")]


def prepared(folder: Path, *, longest: int, kind: str = "unigram", symbols: tuple[str, ...] = ()) -> Prepared:
    train = InMemory(pairs(), "train")
    options = {"vocabulary_size": 400, "kind": kind, "joint": False, "longest": longest, "symbols": symbols}
    return prepare(train, folder=folder, **options)  # type: ignore[arg-type]


def sampler(
    text: Prepared,
    *,
    source: float | None = 0.2,
    target: float | None = 0.2,
    longest: int = 90,
    kind: str = "unigram",
    seed: int = 3,
) -> SubwordSampler:
    return SubwordSampler(
        InMemory(pairs(), "train"),
        text,
        source=SideOptions(source, longest),
        target=SideOptions(target, longest),
        kind=kind,
        symbols=(),
        seed=seed,
    )


def texts(store: Store, text: Prepared) -> list[Pair]:
    sides = [
        [tokenizer.decode(side[index].tolist()) for index in range(len(side))]
        for side, tokenizer in zip(store[:2], text.tokenizers, strict=True)
    ]
    return [Pair(*pair) for pair in zip(*sides, strict=True)]


def ids(store: Store) -> list[list[int]]:
    return [store[side].ids.tolist() for side in range(2)]


# --- an epoch ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk", [7, 10_000])
def test_an_epoch_has_all_pairs_with_other_subwords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, chunk: int
) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    text = prepared(tmp_path, longest=90, kind=kind)
    assert text.store.filtered.empty == 3
    draw = sampler(text, kind=kind)
    first, second = draw(0), draw(1)
    assert texts(first, text) == texts(second, text) == texts(text.store, text)
    assert ids(first) != ids(second) != ids(text.store)
    assert ids(draw(0)) == ids(sampler(text, kind=kind)(0)) == ids(first)
    assert ids(sampler(text, kind=kind, seed=4)(0)) != ids(first)
    assert first.source.ids.dtype == text.store.source.ids.dtype
    assert first.source.lengths.sum() == len(first.source.ids) > len(text.store.source.ids)


def test_a_side_without_sampling_keeps_its_subwords(tmp_path: Path) -> None:
    text = prepared(tmp_path, longest=90)
    one, other = sampler(text, target=None)(0), sampler(text, source=None)(0)
    assert ids(one)[1] == ids(text.store)[1]
    assert ids(other)[0] == ids(text.store)[0]
    assert ids(one)[0] == ids(sampler(text)(0))[0] != ids(text.store)[0]


def test_no_draw_is_longer_than_the_limit(tmp_path: Path) -> None:
    """Also where the limit leaves pairs out; a draw that is too long gives way to the usual subwords."""
    usual = prepared(tmp_path, longest=90)
    longest = int(np.median(usual.store.source.lengths))
    text = prepared(tmp_path, longest=longest)
    assert 0 < text.store.filtered.too_long < 120
    store = sampler(text, longest=longest)(0)
    assert texts(store, text) == texts(text.store, text)
    for side, stored in zip(store[:2], text.store[:2], strict=True):
        assert side.lengths.max() <= longest
        same = [np.array_equal(side[index], stored[index]) for index in range(len(side))]
        assert 0 < sum(same) < len(same)


# --- a run ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@unchecked()
def test_a_run_goes_on_without_drawing_earlier_epochs_again(tmp_path: Path) -> None:
    """The same batches from any step on; with the steps of each epoch known, only the epochs to come are drawn."""
    text = prepared(tmp_path, longest=90)
    options = {"size": 600, "unit": "tokens", "accumulate": 2, "seed": 1}
    epochs = Epochs(text.store, **options, resample=sampler(text))  # type: ignore[arg-type]
    total = 3 * epochs.steps_per_epoch
    expected = [[batch.source.tolist() for batch in group] for group in epochs.steps(total)]
    assert len(expected) == total > 9
    for start in range(total):
        drawn: list[int] = []

        def resample(epoch: int, drawn: list[int] = drawn) -> Store:
            drawn.append(epoch)
            return sampler(text)(epoch)

        resumed = Epochs(text.store, **options, resample=resample, step_counts=epochs.step_counts)  # type: ignore[arg-type]
        assert resumed.steps_per_epoch == epochs.steps_per_epoch
        assert drawn == []
        assert [[batch.source.tolist() for batch in group] for group in resumed.steps(total, start=start)] == expected[
            start:
        ]
        ends = np.cumsum(epochs.step_counts)
        assert total > ends[-2]  # no epoch is drawn after the last step
        assert drawn == list(range(int(np.searchsorted(ends, start, side="right")), len(ends)))


def test_each_epoch_has_each_pair_once(tmp_path: Path) -> None:
    text = prepared(tmp_path, longest=90)
    epochs = Epochs(text.store, size=300, unit="tokens", accumulate=1, seed=1, resample=sampler(text))
    list(epochs.indices(4 * epochs.steps_per_epoch))
    steps = iter(epochs.collated(lambda store, indices: (store, indices), sum(epochs.step_counts)))
    for epoch, count in enumerate(epochs.step_counts[:3]):
        groups = [next(steps) for _ in range(count)]
        assert sorted(np.concatenate([indices for group in groups for _, indices in group])) == list(range(120))
        assert {tuple(ids(store)[0]) for group in groups for store, _ in group} == {tuple(ids(sampler(text)(epoch))[0])}
