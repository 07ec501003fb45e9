"""Attention as a picture: a heat map of target words against source words."""

import io
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from seq2seq.reporting import fonts
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.files import replacing

SUFFIXES = (".png", ".svg", ".pdf")
LONGEST_LABEL = 24  # characters
LONGEST_TITLE = 90
PAD, GAP, BAR = 0.15, 0.08, 0.14  # inches: around the picture, between a label and its cells, the colour bar's width


class Attention(NamedTuple):
    """What one heat map shows: attention between words, `weights[target word, source word]`."""

    source: Sequence[str]
    target: Sequence[str]
    weights: Float[np.ndarray, "target source"]

    @property
    def is_right_to_left(self) -> bool:
        """Whether most letters of the source are of a script, such as Arabic or Hebrew, that runs to the left."""
        directions = [unicodedata.bidirectional(letter) for word in self.source for letter in word]
        return sum(direction in ("R", "AL") for direction in directions) > directions.count("L")


def heatmap(attention: Attention, title: str | None = None) -> Figure:
    """Draw source words along the top, target words down the side, weights from 0 (light) to 1 (dark).

    A source that is read from right to left begins at the right, and the whole picture is mirrored with it.
    The figure grows with the words, so that labels stay readable from 1 to 60 of them; with more it grows no further.
    Nothing of pyplot is touched.
    """
    columns, rows = max(len(attention.source), 1), max(len(attention.target), 1)
    assert attention.weights.shape == (len(attention.target), len(attention.source))
    cell, size = _scale(max(columns, rows))
    mirrored = attention.is_right_to_left
    near, far = ("right", "left") if mirrored else ("left", "right")
    across, across_font = _labels(attention.source, LONGEST_LABEL, size)
    down, down_font = _labels(attention.target, LONGEST_LABEL, size)
    (caption,), caption_font = _labels([title or ""], LONGEST_TITLE, size + 1)
    upright = all(_width(label, across_font) <= 0.9 * cell for label in across)

    left = PAD + _widest(down, down_font) + GAP
    above = PAD + (0.35 if caption else 0) + (size / 72 if upright else _widest(across, across_font)) + GAP
    scale = 3 * GAP + BAR + GAP + _width("0.00", FontProperties(size=size))
    width = max(left + columns * cell + scale + PAD, _width(caption, caption_font) + 2 * PAD)
    height = above + max(rows * cell, 0.8) + PAD
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)

    def box(x: float, y: float, w: float, h: float) -> tuple[float, float, float, float]:
        return (width - x - w if mirrored else x) / width, (height - y - h) / height, w / width, h / height

    axes = figure.add_axes(box(left, above, columns * cell, rows * cell))
    canvas = np.zeros((rows, columns))
    canvas[: len(down), : len(across)] = attention.weights
    image = axes.imshow(canvas, cmap="magma_r", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.xaxis.tick_top()
    if mirrored:
        axes.invert_xaxis()
        axes.yaxis.tick_right()
    axes.set_xticks(
        range(len(across)), across, rotation=0 if upright else 90, fontproperties=across_font, parse_math=False
    )
    axes.set_yticks(range(len(down)), down, fontproperties=down_font, parse_math=False)
    axes.tick_params(length=0, pad=GAP * 72 / 2)
    for axis, count in ((axes.xaxis, columns), (axes.yaxis, rows)):  # fine lines between the cells, to follow a word by
        axis.set_ticks(np.arange(1, count) - 0.5, minor=True)
        axis.set_tick_params(which="minor", length=0)
        axis.grid(which="minor", color="white", linewidth=0.05 * size)
    bar = figure.add_axes(box(left + columns * cell + 3 * GAP, above, BAR, min(max(rows * cell, 0.8), 2.5)))
    figure.colorbar(image, cax=bar, ticks=[0, 0.5, 1], ticklocation=far).ax.tick_params(labelsize=size, length=2)
    if caption:
        x = (width - PAD if mirrored else PAD) / width
        figure.text(x, 1 - PAD / height, caption, ha=near, va="top", fontproperties=caption_font, parse_math=False)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write the figure as .png, .svg or .pdf, whole or not at all.

    Raises:
        InputError: another suffix, or a place that cannot be written.
    """
    suffix = check_format(path)
    try:
        with replacing(path) as partial:
            figure.savefig(partial, format=suffix[1:], dpi=150)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error


def check_format(path: Path) -> str:
    """The suffix of a picture's name; another one than .png, .svg, .pdf is an InputError."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: a picture's name ends with {', '.join(SUFFIXES)}, not with {path.suffix!r}")
    return suffix


def pixels(figure: Figure) -> np.ndarray:
    """The figure as bytes `[height, width, RGBA]`, at 100 dots per inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="rgba", dpi=figure.dpi)
    width, height = figure.canvas.get_width_height()
    return np.frombuffer(buffer.getvalue(), dtype=np.uint8).reshape(height, width, 4)


def _scale(words: int) -> tuple[float, float]:
    """A cell's side in inches and the letters' size in points, by the longer side's number of words."""
    if words <= 20:
        return 0.36, 10.0
    if words <= 40:
        return 0.26, 9.0
    if words <= 60:
        return 0.2, 8.0
    return 12 / words, max(8 * 60 / words, 1.0)


def _labels(words: Sequence[str], longest: int, size: float) -> tuple[list[str], FontProperties]:
    """The words in one line each, as they can be drawn and not too long; and the fonts that draw them."""
    choice = fonts.choose("".join(words))
    labels = [choice.drawable("".join(" " if letter.isspace() else letter for letter in word)) for word in words]
    cut = [label if len(label) <= longest else label[: longest - 1] + "…" for label in labels]
    return cut, FontProperties(family=choice.families, size=size)


def _widest(labels: Sequence[str], font: FontProperties) -> float:
    return max((_width(label, font) for label in labels), default=0.0)


def _width(label: str, font: FontProperties) -> float:
    """In inches."""
    width, _, _ = text_to_path.get_text_width_height_descent(label, font, ismath=False)
    return float(width) / 72
