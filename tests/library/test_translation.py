"""A translation's words, pictures and HTML, computed by hand, and what is stored of it."""

import copy
import pickle
from html.parser import HTMLParser

import numpy as np
import pytest

import seq2seq
from seq2seq.library.translation import Translation

PIECES = ("▁ein", "▁Ap", "fel", "<0x3C>")
TARGET = ("▁an", "▁apple")
WEIGHTS = np.array([[0.5, 0.1, 0.2, 0.1, 0.1], [0.0, 0.4, 0.2, 0.2, 0.2], [0, 0, 0, 0, 1.0]], dtype=np.float32)


def by_hand(text: str = "an apple", source: tuple[str, ...] = PIECES) -> Translation:
    return Translation(text, -0.5, -1.5, source, TARGET, WEIGHTS, ("de", "en"))


class Cells(HTMLParser):
    """The words and the weights of a table, and all tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.weights: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "td":
            self.weights.append(str(dict(attributes)["style"]))
        self.in_word = tag == "bdi"

    def handle_data(self, text: str) -> None:
        if self.in_word and text.strip():
            self.words.append(text)
        self.in_word = False


def test_words_are_merged_by_hand() -> None:
    translation = by_hand()
    assert translation.source_words == ("ein", "Apfel<")
    assert translation.target_words == ("an", "apple")
    assert translation.attention == pytest.approx(np.array([[0.5, 0.4], [0.0, 0.8]]))
    assert translation.alignment == [(0, 0), (1, 1)]
    assert (str(translation), repr(translation)) == ("an apple", "Translation('an apple', score=-0.500)")


def test_the_html_has_the_words_and_weights_and_is_escaped() -> None:
    cells = Cells(by_hand("an <b>apple</b> & {{ 7 * 7 }}")._repr_html_())
    assert cells.words[0] == "an <b>apple</b> & {{ 7 * 7 }}"
    assert cells.words[1:] == ["ein", "Apfel<", "an", "apple"]
    assert cells.weights == ["--weight:50%", "--weight:40%", "--weight:0%", "--weight:80%"]
    assert "b" not in cells.tags
    assert "script" not in cells.tags
    assert "prefers-color-scheme" not in by_hand()._repr_html_()  # colours are mixed from that of the text


def test_a_source_from_the_right_is_mirrored_and_a_large_one_has_no_table() -> None:
    assert 'dir="rtl"' in by_hand(source=("▁نحن", "▁نذ", "هب", "x"))._repr_html_()
    assert 'dir="ltr"' in by_hand()._repr_html_()
    many = Translation("a", -1.0, -1.0, ("▁a",) * 81, ("▁a",), np.ones((2, 82), dtype=np.float32) / 82, ("de", "en"))
    assert "td" not in Cells(many._repr_html_()).tags


def test_the_figure_has_a_label_for_each_word() -> None:
    figure = by_hand().figure()
    labels = [
        label.get_text() for axes in figure.axes[:1] for label in (*axes.get_xticklabels(), *axes.get_yticklabels())
    ]
    assert {"ein", "Apfel<", "an", "apple"} <= {*labels}


def test_it_is_frozen_and_is_copied_without_its_model(translator: seq2seq.Translator) -> None:
    found = translator.translate("Der Junge schlief.", beam_size=2, n_best=2)
    with pytest.raises(AttributeError, match="cannot assign"):
        found.text = "other"  # type: ignore[misc]
    stored = pickle.dumps(found)
    assert len(stored) < 20_000
    for other in (pickle.loads(stored), copy.deepcopy(found)):
        assert (other.text, other.alternatives[0].text) == (found.text, found.alternatives[0].text)
        assert other.token_log_probabilities == found.token_log_probabilities
        assert np.array_equal(other.attention, found.attention)
        with pytest.raises(seq2seq.InputError, match="a copied or pickled translation has no candidates"):
            other.candidates()
    assert found.candidates(2)
