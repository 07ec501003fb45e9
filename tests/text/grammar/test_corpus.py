"""The corpus as a whole: splits, challenge sets, links."""

import pytest

from seq2seq.text.grammar import Grammar, generate


@pytest.fixture(scope="session")
def tiny() -> Grammar:
    return generate("tiny", seed=1)


def test_no_sentence_stands_in_two_sets(tiny: Grammar) -> None:
    sets = [tiny.train, tiny.validation, tiny.test, *tiny.challenges.values()]
    for side in ("source", "target"):
        seen: set[str] = set()
        for examples in sets:
            here = {getattr(example, side) for example in examples}
            assert here
            assert not here & seen
            seen |= here
