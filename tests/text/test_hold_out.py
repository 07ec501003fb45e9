"""Splits that are cut from the training text: what is in which part, whatever the order of the text."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.runtime.errors import InputError
from seq2seq.text.corpus import Corpus, InMemory, Pair
from seq2seq.text.hold_out import Cut, Rest
from seq2seq.text.sources.own_text import corpus_of_files

pairs = st.lists(st.tuples(st.sampled_from("abcdefghij "), st.sampled_from("xyz ")).map(lambda each: Pair(*each)))


def different(text: list[Pair]) -> set[str]:
    """The sources that can be cut."""
    return {pair.source for pair in text if pair.has_both_sides}


@given(text=pairs, size=st.integers(1, 4), names=st.sampled_from([("validation",), ("test",), ("validation", "test")]))
@settings(deadline=None)
def test_every_pair_is_in_one_part_or_repeats_a_source_that_was_cut(
    text: list[Pair], size: int, names: tuple[str, ...]
) -> None:
    cut = Cut(InMemory(text, "train"), size, names)
    if len(different(text)) <= size * len(names):
        with pytest.raises(InputError, match=rf"more than {size * len(names)} different sources"):
            list(Rest(cut))
        return
    rest, parts = list(Rest(cut)), {name: list(cut.part(name)) for name in names}
    held_out = [pair for part in parts.values() for pair in part]
    assert all(len(part) == size for part in parts.values())
    assert len({pair.source for pair in held_out}) == len(held_out)
    assert not {pair.source for pair in held_out} & different(rest)
    assert len(rest) + len(held_out) + cut.repeated == len(text)
    assert all(pair.has_both_sides for pair in held_out)
    assert rest == [pair for pair in text if pair in rest]  # in the order of the text


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
