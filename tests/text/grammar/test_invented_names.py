"""Invented names: the same corpus, but for the names of training."""

import re
from collections import Counter
from collections.abc import Callable

import pytest

from seq2seq.config import Train, load
from seq2seq.runtime.errors import InputError
from seq2seq.text.grammar import Example, Grammar, training_frame
from seq2seq.text.grammar.corpus import LEXICON
from seq2seq.text.grammar.lexicon import read_lexicon
from tests.support.readers import composed

NAMES = {name.text for name in read_lexicon(LEXICON).names}
SHARE = 0.7


@pytest.fixture(scope="module")
def corpora(generated: Callable[..., Grammar]) -> tuple[Grammar, Grammar]:
    return generated("tiny"), generated("tiny", invented_names=SHARE)


def changed(corpora: tuple[Grammar, Grammar]) -> list[tuple[Example, Example]]:
    return [pair for pair in zip(corpora[0].train, corpora[1].train, strict=True) if pair[0] != pair[1]]


def differences(one: str, other: str) -> dict[str, str]:
    """The words that differ, without punctuation."""
    pairs = zip(one.split(), other.split(), strict=True)
    return {first.strip(",.?!"): second.strip(",.?!") for first, second in pairs if first != second}


def test_all_splits_but_training_are_the_same(corpora: tuple[Grammar, Grammar]) -> None:
    plain, invented = corpora
    assert (plain.validation, plain.test, plain.challenges) == (
        invented.validation,
        invented.test,
        invented.challenges,
    )
    assert plain.key != invented.key


def test_only_names_differ_and_both_sides_have_the_same(corpora: tuple[Grammar, Grammar]) -> None:
    for plain, invented in changed(corpora):
        source, target = differences(plain.source, invented.source), differences(plain.target, invented.target)
        by_name = {name.removesuffix("'s"): new.removesuffix("'s") for name, new in target.items()}
        assert by_name.keys() <= NAMES
        assert not NAMES & set(by_name.values())
        for word, new in source.items():
            name = word if word in by_name else re.sub("[s']$", "", word)
            assert new in (by_name[name], by_name[name] + "s"), (plain.source, invented.source)
        assert (plain.links, plain.tags) == (invented.links, invented.tags)
        assert len(plain.acceptable) == len(invented.acceptable)


def test_the_share_of_names_that_are_invented(corpora: tuple[Grammar, Grammar]) -> None:
    named = [example for example in corpora[0].train if NAMES & set(re.findall(r"\w+", example.target))]
    assert len(changed(corpora)) / len(named) == pytest.approx(SHARE, abs=0.1)
    words = Counter(word for pair in changed(corpora) for word in differences(pair[0].target, pair[1].target).values())
    assert max(words.values()) <= 2  # hardly any name is invented twice


def test_one_sentence_is_the_same_in_each_process() -> None:
    """The frame of a training sentence with a name, and the same sentence drawn again."""
    drawn = [training_frame(11, "tiny", seed=1, invented_names=1.0) for _ in range(2)]
    assert drawn[0].source == drawn[1].source
    assert drawn[0].source != training_frame(11, "tiny", seed=1).source == "Wird ein fleißiger Mann mit Greta sprechen?"


def test_the_option() -> None:
    assert load(Train, composed("train")).dataset.invented_names == 0
    with pytest.raises(InputError, match=r"dataset\.invented_names"):
        load(Train, composed("train", "dataset.invented_names=2"))
