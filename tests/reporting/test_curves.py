"""Curves are read as TensorBoard wrote them, and drawn to scale."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.reporting.curves import COLOURS, HEIGHT, WIDTH, Curve, Series, average, chart, read_curve, ticks
from seq2seq.reporting.html import templates
from seq2seq.reporting.tensorboard import Board
from seq2seq.runtime.errors import InputError

SVG = ElementTree.Element


def drawn(series: list[Series]) -> SVG:
    layout = chart(series, x_label="steps", y_label="BLEU")
    return ElementTree.fromstring(templates().get_template("chart.svg.jinja").render(chart=layout))


def points(line: SVG) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.attrib["points"].split())]


def test_a_curve_is_read_as_it_was_written(tmp_path: Path) -> None:
    with Board(tmp_path / "tensorboard") as board:
        for step in range(1, 30):
            board.scalars({"validation/bleu": step / 4, "train/loss": 1 / step}, step)
    assert read_curve(tmp_path, "validation/bleu") == Curve(list(range(1, 30)), [step / 4 for step in range(1, 30)])
    with pytest.raises(InputError, match="no curve validation/chrf"):
        read_curve(tmp_path, "validation/chrf")


def test_a_folder_without_events_has_no_curve(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no curve"):
        read_curve(tmp_path, "validation/bleu")


def test_the_average_is_over_the_steps_that_all_have() -> None:
    result = average([Curve([10, 20, 30], [1, 2, 3]), Curve([10, 30, 40], [3, 7, 9])])
    assert result == Curve([10, 30], [2, 5])
    assert average([]) == Curve([], [])


@given(st.floats(min_value=1e-6, max_value=1e9))
def test_ticks_are_few_round_and_cover(greatest: float) -> None:
    result = ticks(greatest)
    assert 3 <= len(result) <= 6
    assert result[0] == 0
    assert result[-2] < greatest * (1 + 1e-6) <= result[-1] * (1 + 2e-6)
    assert re.fullmatch(r"[125](\.?0*)(e[+-]\d+)?", f"{result[1]:.0e}".replace("10e", "1e"))


def test_lines_are_to_scale() -> None:
    """Ticks are 0, 20, ..., 100 across and 0, 10, ..., 40 up, so the ends of the axes are 100 and 40."""
    svg = drawn([Series("dot", [Curve([0, 50, 100], [0, 20, 40])])])
    (line,) = svg.iter("polyline")
    (left, bottom), (middle, half), (right, top) = points(line)
    assert middle == pytest.approx((left + right) / 2, abs=0.1)
    assert half == pytest.approx((bottom + top) / 2, abs=0.1)
    assert 0 < left < right < WIDTH
    assert 0 < top < bottom < HEIGHT
    grid = [float(row.attrib["y1"]) for row in svg.iter("line")]
    assert (max(grid), min(grid)) == (bottom, top)
    assert [text.text for text in svg.iter("text")] == ["0", "10", "20", "30", "40", *ACROSS, "steps"]


ACROSS = ["0", "20", "40", "60", "80", "100"]


def test_the_last_step_is_at_the_right_edge() -> None:
    svg = drawn([Series("dot", [Curve([700, 3200], [1, 2])])])
    (line,) = svg.iter("polyline")
    assert points(line)[-1][0] == float(next(svg.iter("line")).attrib["x2"])
    assert [text.text for text in svg.iter("text")][-4:] == ["1,000", "2,000", "3,000", "steps"]


def test_each_seed_is_a_thin_line_and_their_mean_a_thick_one() -> None:
    one = Series("one", [Curve([1, 2], [4, 8]), Curve([1, 2], [2, 6])])
    lines = list(drawn([one, Series("other", [Curve([1, 2], [3, 7])])]).iter("polyline"))
    styles = [line.attrib["class"] for line in lines]
    assert styles == ["series-0 seed", "series-0 seed", "series-0 mean", "series-1 mean"]
    assert points(lines[2]) == points(lines[3])  # the mean of the first is what the second is


def test_more_series_than_colours_are_dashed() -> None:
    many = [Series(f"{number}", [Curve([1, 2], [1, number])]) for number in range(COLOURS + 2)]
    styles = [line.attrib["class"] for line in drawn(many).iter("polyline")]
    assert len(set(styles)) == len(styles)
    assert [style for style in styles if "dashed" in style] == styles[COLOURS:]


@pytest.mark.parametrize("values", [[], [3.0], [0.0, 0.0]])
def test_hardly_anything_to_draw(values: list[float]) -> None:
    svg = drawn([Series("dot", [Curve(list(range(len(values))), values)])])
    assert len(list(svg.iter("circle"))) == (len(values) == 1)


def test_names_are_text() -> None:
    svg = drawn([Series('<script>"&', [Curve([1, 2], [1, 2])])])
    assert "script" not in [element.tag for element in svg.iter()]
    assert '<script>"&' in svg.attrib["aria-label"]
    assert [title.text for title in svg.iter("title")] == ['<script>"&']
