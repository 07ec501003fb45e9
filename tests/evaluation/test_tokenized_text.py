"""Tokenised text is told from text as people write it, whatever their language."""

import pytest

from seq2seq.evaluation.tokenized_text import SIGNS, tokenization_warning

TOKENISED = [
    "The dog sees the bread .",
    "The dog &apos;s bread",
    "&quot; No ! &quot; said the miller",
    "bread &amp; water",
    "they can 't see it",
    "They don ’t see it",
    "they ca n't see it",
    "It is n't here",
]
WRITTEN = [
    "The dog sees the bread.",
    "They can't see it, they don’t!",
    "Qui est là ? Le chien !",  # spaces that French has
    "Le chien\u202f: « non »",
    "Het brood ligt in 't huis, van 't paard.",
    "'s Morgens ziet hij ’n hond.",
    "Wait ...",
    "Wait . . . no",
    "AT&T; R&D & more",
    "Version 2 .5",
    "",
    " ",
    ".",
]


@pytest.mark.parametrize("line", TOKENISED)
def test_signs_of_tokenised_text(line: str) -> None:
    assert SIGNS.search(line)


@pytest.mark.parametrize("line", WRITTEN)
def test_text_as_people_write_it_has_none(line: str) -> None:
    assert not SIGNS.search(line)


@pytest.mark.parametrize(
    ("references", "hypotheses", "words"),
    [
        (8, 0, "test: 8 of 80 references look tokenised, such as 'a dog .'; scores are of detokenised text"),
        (8, 80, "test: 8 of 80 references and 80 of 80 translations look tokenised"),
        (0, 9, "test: 9 of 80 translations look tokenised"),
        (7, 7, None),
        (0, 0, None),
    ],
)
def test_many_lines_are_said_in_one_sentence(references: int, hypotheses: int, words: str | None) -> None:
    lines = [["a dog ."] * count + ["A dog."] * (80 - count) for count in (references, hypotheses)]
    said = tokenization_warning("test", *lines)
    assert (said is None) == (words is None)
    assert said is None or (words is not None and words in said)


def test_a_hundred_of_many_are_many() -> None:
    assert tokenization_warning("dev", ["a &amp; b"] * 99 + ["a"] * 5000, []) is None
    said = tokenization_warning("dev", ["a &amp; b"] * 100 + ["a"] * 5000, [])
    assert said is not None
    assert said.startswith("dev: 100 of 5,100 references look tokenised")
