"""The heat map shows each weight in its place, readable at any length, whatever the words are."""

import itertools
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import imread
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from seq2seq.reporting.attention import Attention
from seq2seq.reporting.heatmap import heatmap, pixels, save
from seq2seq.runtime.errors import InputError


def attention(source: int, target: int, word: str = "word") -> Attention:
    weights = np.random.default_rng(source).dirichlet(np.ones(source), target)
    return Attention([f"{word}{n}" for n in range(source)], [f"{word}{n}" for n in range(target)], weights)


def labels(figure: Figure) -> tuple[list[Text], list[Text]]:
    axes = figure.axes[0]
    across = [tick.label2 for tick in axes.xaxis.get_major_ticks()]
    return across, list(axes.get_yticklabels())


def test_each_weight_stands_at_its_words() -> None:
    weights = np.array([[0.0, 0.25, 0.75], [1.0, 0.0, 0.0]])
    figure = heatmap(Attention(["a", "b", "c"], ["x", "y"], weights), "title")
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), weights)
    across, down = labels(figure)
    assert [(text.get_text(), text.get_position()[0]) for text in across] == [("a", 0), ("b", 1), ("c", 2)]
    assert [(text.get_text(), text.get_position()[1]) for text in down] == [("x", 0), ("y", 1)]
    assert axes.yaxis_inverted()  # the first target word is on top
    assert [text.get_text() for text in figure.texts] == ["title"]


def test_the_picture_is_darker_where_the_weight_is_greater() -> None:
    row = np.linspace(0, 1, 11)
    figure = heatmap(Attention(["w"] * 11, ["t"], row[None]))
    picture = pixels(figure)[..., :3].astype(float)
    box = figure.axes[0].get_window_extent()
    middle = len(picture) - int((box.y0 + box.y1) / 2)
    centres = box.x0 + box.width * (np.arange(11) + 0.5) / 11
    light = picture[middle, centres.astype(int)] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light) < 0).all()
    assert light[0] > 230
    assert light[-1] < 10


@pytest.mark.slow
@pytest.mark.parametrize(("source", "target"), [(1, 1), (3, 2), (12, 14), (40, 7), (5, 40), (60, 60)])
@pytest.mark.parametrize("word", ["w", "Donaudampfschifffahrtsgesellschaft", "学校", "विद्यालय", "المدرسة"])
def test_labels_are_whole_apart_and_readable(source: int, target: int, word: str) -> None:
    figure = heatmap(attention(source, target, word), "a title " * 9)
    renderer = FigureCanvasAgg(figure).get_renderer()
    across, down = labels(figure)
    assert (len(across), len(down)) == (source, target)
    for texts in (across, down):
        boxes = [text.get_window_extent(renderer) for text in texts]
        assert not any(one.overlaps(other) for one, other in itertools.pairwise(boxes))
        assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
        assert all(figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1 for box in boxes)
        assert all(text.get_fontsize() >= 8 for text in texts)
    caption = figure.texts[0].get_window_extent(renderer)
    assert caption.x1 <= figure.bbox.x1
    assert not any(caption.overlaps(text.get_window_extent(renderer)) for text in across)
    assert max(figure.get_size_inches()) < 16


@pytest.mark.parametrize(
    ("source", "leftwards"),
    [
        (["نحن", "نذهب", "."], True),
        (["אנחנו", "GPU", "2", "הולכים"], True),
        (["We", "read", "נ"], False),
        (["1", "."], False),
        ([], False),
        (["我们", "今天"], False),
    ],
)
def test_the_axis_of_the_source_runs_as_its_script(source: list[str], leftwards: bool) -> None:
    weights = np.zeros((2, len(source)))
    weights[0, :1] = 1  # the first target word attends to the first source word
    attention = Attention(source, ["המדרסה", "y"], weights)
    assert attention.is_right_to_left == leftwards
    figure = heatmap(attention, "a title")
    picture = pixels(figure)[..., :3].sum(axis=2, dtype=int)
    across, down = labels(figure)
    edges = [text.get_window_extent().x0 for text in across]
    assert edges == sorted(edges, reverse=leftwards)
    grid, bar = (axes.get_window_extent() for axes in figure.axes)
    beside = [text.get_window_extent() for text in down]
    assert all(box.x0 >= grid.x1 if leftwards else box.x1 <= grid.x0 for box in beside)
    assert bar.x1 < grid.x0 if leftwards else bar.x0 > grid.x1
    if len(source) > 1:
        left, right = picture[len(picture) - int(grid.y1 - grid.height / 4), [int(grid.x0 + 12), int(grid.x1 - 12)]]
        assert (right < 100 < left) if leftwards else (left < 100 < right)


@pytest.mark.parametrize("word", ["نحن", "المدرسة", "السلام"])
def test_arabic_letters_are_joined(word: str) -> None:
    """Joined letters are narrower than the same letters apart, which U+200C keeps them."""
    font = FontProperties(family=["DejaVu Sans"], size=10)
    joined, apart = (
        text_to_path.get_text_width_height_descent(text, font, False)[0] for text in (word, "\u200c".join(word))
    )
    assert joined < 0.9 * apart


def test_a_very_long_sentence_makes_no_giant() -> None:
    assert max(heatmap(attention(150, 3)).get_size_inches()) < 16


def test_long_words_are_shortened() -> None:
    across, _ = labels(heatmap(Attention(["x" * 10_000], ["y"], np.ones((1, 1)))))
    assert across[0].get_text().startswith("xxx")
    assert across[0].get_text().endswith("x…")
    assert len(across[0].get_text()) < 30


HOSTILE = [
    "$x$",
    r"$\frac$",
    "$",
    r"\$$",
    "_a",
    "a\nb",
    "\0",
    "\t",
    "\u00a0",
    "你好",
    "العربية",
    "👩‍🚀",
    "\U0010ffff",
    "\ud800",
    "",
]


def test_hostile_words_are_drawn_as_text(tmp_path: Path) -> None:
    count = len(HOSTILE)
    figure = heatmap(Attention(HOSTILE, HOSTILE[::-1], np.full((count, count), 1 / count)), " ".join(HOSTILE))
    across, _ = labels(figure)
    shown = [text.get_text() for text in across]
    assert shown[:5] == HOSTILE[:5]
    assert shown[5:9] == ["a b", "U+0000", " ", " "]
    assert shown[-3:] == ["U+10FFFF", "U+D800", ""]
    assert not any(text.get_parse_math() for text in [*across, *labels(figure)[1], *figure.texts])
    for suffix in ("png", "svg", "pdf"):
        save(figure, tmp_path / f"hostile.{suffix}")


@pytest.mark.slow
@settings(max_examples=25)
@given(st.lists(st.text(max_size=9), min_size=1, max_size=4))
def test_any_word_can_be_drawn(words: list[str]) -> None:
    assert pixels(heatmap(Attention(words, words[:1], np.ones((1, len(words))) / len(words)))).any()


@pytest.mark.parametrize(("source", "target"), [(0, 3), (3, 0), (0, 0)])
def test_an_empty_sentence_can_be_drawn(source: int, target: int) -> None:
    assert pixels(heatmap(Attention(["a"] * source, ["b"] * target, np.zeros((target, source))))).any()


def test_a_swapped_axis_is_our_own_mistake() -> None:
    with pytest.raises(AssertionError):
        heatmap(Attention(["a"] * 3, ["b"] * 2, np.zeros((3, 2))))


def test_files_are_what_their_suffix_says(tmp_path: Path) -> None:
    figure = heatmap(attention(3, 2), "title")
    for name in ("a.png", "a.svg", "a.pdf", "B.PNG"):
        save(figure, tmp_path / name)
    height, width, _ = imread(tmp_path / "a.png").shape
    assert (width, height) == pytest.approx(figure.get_size_inches() * 150, abs=1)
    assert (tmp_path / "B.PNG").read_bytes() == (tmp_path / "a.png").read_bytes()
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF-")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["B.PNG", "a.pdf", "a.png", "a.svg"]


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.png.part", ".png"])
def test_another_suffix_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"\.png, \.svg, \.pdf"):
        save(heatmap(attention(3, 2)), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.png: cannot be written"):
        save(heatmap(attention(3, 2)), tmp_path / "absent" / "a.png")
    (tmp_path / "a.png").mkdir()
    with pytest.raises(InputError, match=r"a\.png: cannot be written"):
        save(heatmap(attention(3, 2)), tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_pyplot_and_its_global_state_stay_out() -> None:
    program = (
        "import sys, numpy; from seq2seq.reporting.attention import Attention; "
        "from seq2seq.reporting.heatmap import heatmap, pixels; "
        "pixels(heatmap(Attention(['a'], ['b'], numpy.ones((1, 1))))); "
        "assert 'matplotlib.pyplot' not in sys.modules; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)
