"""Splits that are cut from the training text: what is in which part, whatever the order of the text."""

import random
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from seq2seq.runtime.errors import InputError
from seq2seq.text.corpus import Corpus, InMemory, Pair
from seq2seq.text.hold_out import Cut, Rest
from seq2seq.text.sources.own_text import corpus_of_files

pair = st.tuples(st.sampled_from("abcdefghij "), st.sampled_from("xyz ")).map(lambda each: Pair(*each))


def different(text: list[Pair]) -> set[Pair]:
    """The pairs that can be cut."""
    return {pair for pair in text if pair.has_both_sides}


def exchanged(text: Iterable[Pair]) -> list[Pair]:
    """The pairs with source and target exchanged."""
    return [each.exchanged for each in text]


@given(
    text=st.lists(pair),
    size=st.integers(1, 4),
    names=st.sampled_from([("validation",), ("test",), ("validation", "test")]),
    both_directions=st.booleans(),
)
@settings(deadline=None)
def test_every_pair_is_cut_or_left_or_repeats_a_sentence_that_was_cut(
    text: list[Pair], size: int, names: tuple[str, ...], both_directions: bool
) -> None:
    cut = Cut(InMemory(text, "train"), size, names)
    left = Rest(cut, both_directions)
    if len(different(text)) <= size * len(names):
        with pytest.raises(InputError, match=rf"more than {size * len(names)} different pairs"):
            list(left)
        return
    parts = {name: list(cut.part(name)) for name in names}
    held_out = [pair for part in parts.values() for pair in part]
    assert held_out == cut.pairs
    assert all(len(part) == size for part in parts.values())
    assert len({*held_out}) == len(held_out)
    assert all(pair.has_both_sides for pair in held_out)

    def repeats(one: Pair) -> bool:
        if both_directions:
            return any({*one} & {*other} for other in cut.pairs)
        return any(one.source == other.source for other in cut.pairs)

    expected = [each for each in text if not repeats(each)]
    if not different(expected):
        with pytest.raises(InputError, match="leaves no pair for training: each has the same source"):
            list(left)
        return
    assert list(left) == expected  # in the order of the text
    assert len(expected) + len(held_out) + left.repeated == len(text)


def test_a_pair_and_its_exchange_are_held_out_together() -> None:
    """Also where they are in different places of the text, and where only one of their sentences is in another pair."""
    text = [Pair(f"a{i}", f"b{i}") for i in range(50)]
    crossed = [*text, *exchanged(text), Pair("x", "a1"), Pair("b2", "")]
    rests = []
    for order in (crossed, crossed[::-1]):
        cut = Cut(InMemory(order, "train"), 20, ("validation", "test"))
        held_out = {*chain.from_iterable(cut.pairs)}
        rests.append((cut.pairs, {*Rest(cut, both_directions=True)}))
        assert len(held_out) == 80
        assert not held_out & {*chain.from_iterable(rests[-1][1])}
    assert rests[0] == rests[1]
    one_direction = {*Rest(cut)}
    assert (Pair("b2", "") in one_direction) != ("b2" in {pair.source for pair in cut.pairs})


@given(text=st.lists(pair, min_size=20), size=st.integers(1, 4))
@settings(deadline=None)
def test_the_same_pairs_are_cut_in_the_other_direction(text: list[Pair], size: int) -> None:
    """So that a model of both directions can go on in either."""
    assume(len(different(text)) > 2 * size)
    one, other = (Cut(InMemory(each, "train"), size, ("validation", "test")) for each in (text, exchanged(text)))
    assert one.pairs == exchanged(other.pairs)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_text_does_not_matter_and_more_text_changes_little(seed: int) -> None:
    text = [Pair(f"Satz {i}", f"sentence {i}") for i in range(300)]
    shuffled = random.Random(seed).sample(text, len(text))
    one, other = (Cut(InMemory(each, "train"), 20, ["validation", "test"]) for each in (text, shuffled))
    for name in ("validation", "test"):
        assert {*one.part(name)} == {*other.part(name)}
    assert {*Rest(one)} == {*Rest(other)}
    more = Cut(InMemory([*text, Pair("neu", "new")], "train"), 20, ["validation", "test"])
    assert len({*one.part("validation")} - {*more.part("validation")}) <= 1


def test_a_split_that_has_a_path_is_not_cut() -> None:
    def read(path: Path, name: str) -> InMemory:
        return InMemory([Pair(f"{path.name} {i}", "x") for i in range(9)], name)

    def corpus(**paths: Path | None) -> Corpus:
        return corpus_of_files(read, train=Path("train"), **paths, hold_out=2, source="de", target="en")  # type: ignore[arg-type]

    given_test, both = corpus(validation=None, test=Path("test")), corpus(validation=None, test=None)
    assert given_test.test is not None
    assert both.test is not None
    assert len(list(given_test.test)) == 9
    assert [len(list(split)) for split in (both.train, both.validation, both.test)] == [5, 2, 2]
    assert list(both.validation) == list(given_test.validation)  # cut first, so the test split does not change it
    fingerprints = {split.fingerprint() for each in (given_test, both) for split in each.splits().values()}
    assert len(fingerprints) == 5  # all but that of the common validation split differ


def test_several_paths_are_one_split() -> None:
    def read(path: Path, name: str) -> InMemory:
        return InMemory([Pair(path.name, name)], name)

    several, one = (Path("a"), Path("b")), (Path("c"),)
    corpus = corpus_of_files(read, train=one, validation=several, test=several, source="de", target="en")
    assert list(corpus.train) == [("c", "train")]
    assert list(corpus.validation) == [("a", "a"), ("b", "b")]  # each part is named by its path
    assert [split.name for split in corpus.splits().values()] == ["train", "validation", "test"]
