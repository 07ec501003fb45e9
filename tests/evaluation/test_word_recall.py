"""The recall of function and content words, by hand."""

import pytest

from seq2seq.evaluation.word_recall import FUNCTION_WORDS, word_recall


def test_counts_are_clipped_by_sentence() -> None:
    hypotheses = ["The dog sees the the cat.", "", "dog dog"]
    references = ["the Dog and the cat, the end", "A cat!", "I see a dog"]
    # function words: the the the and | a | i a; content words: dog cat end | cat | see dog
    assert word_recall(hypotheses, references, "en") == {"function": 3 / 7, "content": 3 / 6}


def test_the_parts_of_a_contraction_and_other_letters_count() -> None:
    assert word_recall(["He doesn't sing"], ["he doesn’t sing"], "en-GB") == {"function": 1, "content": 1}
    assert word_recall(["Über die Größe"], ["über DIE größe"], "de_AT") == {"function": 1, "content": 1}


def test_a_class_without_words_and_another_language_have_no_recall() -> None:
    assert word_recall(["x"], ["dog"], "en") == {"content": 0}
    assert word_recall(["", "?"], ["", "!"], "en") == {}
    assert word_recall(["dog"], ["dog"], "zh") == {}
    assert word_recall(["dog"], ["dog"], "eng") == {}


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_lists_are_words_in_lower_case(language: str) -> None:
    words = FUNCTION_WORDS[language]
    assert len(words) > 150
    assert all(word == word.lower() and word.isalpha() for word in words)
