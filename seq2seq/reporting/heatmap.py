"""Draws attention as a heat map of target words against source words."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from seq2seq.reporting import fonts
from seq2seq.reporting.attention import Attention
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.files import replacing

SUFFIXES = (".png", ".svg", ".pdf")
LONGEST_LABEL = 24  # characters
LONGEST_TITLE = 90
PAD, GAP, BAR = 0.15, 0.08, 0.14  # inches: margin, gap between labels and cells, width of the colour bar


def heatmap(attention: Attention, title: str | None = None) -> Figure:
    """Draw source words along the top, target words down the side, weights from 0 (light) to 1 (dark).

    A source in a right-to-left script begins at the right, and the whole picture is mirrored.
    The figure grows with the number of words up to 60, so that labels stay readable, and no further.
    The function does not use pyplot, which has global state.
    """
    columns, rows = max(len(attention.source), 1), max(len(attention.target), 1)
    assert attention.weights.shape == (len(attention.target), len(attention.source))
    cell, font_size = _sizes(max(columns, rows))
    mirrored = attention.is_right_to_left
    near, far = ("right", "left") if mirrored else ("left", "right")
    source, source_font = _labels(attention.source, LONGEST_LABEL, font_size)
    target, target_font = _labels(attention.target, LONGEST_LABEL, font_size)
    (caption,), caption_font = _labels([title or ""], LONGEST_TITLE, font_size + 1)
    is_horizontal = all(_width(label, source_font) <= 0.9 * cell for label in source)

    left = PAD + _max_width(target, target_font) + GAP
    top = PAD + (0.35 if caption else 0) + (font_size / 72 if is_horizontal else _max_width(source, source_font)) + GAP
    colour_bar = 3 * GAP + BAR + GAP + _width("0.00", FontProperties(size=font_size))
    width = max(left + columns * cell + colour_bar + PAD, _width(caption, caption_font) + 2 * PAD)
    height = top + max(rows * cell, 0.8) + PAD
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)

    def box(x: float, y: float, w: float, h: float) -> tuple[float, float, float, float]:
        return (width - x - w if mirrored else x) / width, (height - y - h) / height, w / width, h / height

    axes = figure.add_axes(box(left, top, columns * cell, rows * cell))
    canvas = np.zeros((rows, columns))  # at least one cell, even if a sentence is empty
    canvas[: len(target), : len(source)] = attention.weights
    image = axes.imshow(canvas, cmap="magma_r", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.xaxis.tick_top()
    if mirrored:
        axes.invert_xaxis()
        axes.yaxis.tick_right()
    axes.set_xticks(
        range(len(source)), source, rotation=0 if is_horizontal else 90, fontproperties=source_font, parse_math=False
    )
    axes.set_yticks(range(len(target)), target, fontproperties=target_font, parse_math=False)
    axes.tick_params(length=0, pad=GAP * 72 / 2)
    thin = 0.05 * font_size  # lines between the cells; a grid of ticks takes longer
    axes.vlines(np.arange(1, columns) - 0.5, -0.5, rows - 0.5, color="white", linewidth=thin)
    axes.hlines(np.arange(1, rows) - 0.5, -0.5, columns - 0.5, color="white", linewidth=thin)
    bar = figure.add_axes(box(left + columns * cell + 3 * GAP, top, BAR, min(max(rows * cell, 0.8), 2.5)))
    figure.colorbar(image, cax=bar, ticks=[0, 0.5, 1], ticklocation=far).ax.tick_params(labelsize=font_size, length=2)
    if caption:
        x = (width - PAD if mirrored else PAD) / width
        figure.text(x, 1 - PAD / height, caption, ha=near, va="top", fontproperties=caption_font, parse_math=False)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write the figure atomically as .png, .svg or .pdf.

    Raises:
        InputError: the suffix is another one, or the path cannot be written.
    """
    suffix = check_format(path)
    try:
        with replacing(path) as partial:
            figure.savefig(partial, format=suffix[1:], dpi=150)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error


def check_format(path: Path) -> str:
    """The suffix of a picture's name. Raises InputError if it is not .png, .svg or .pdf."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: found the suffix '{path.suffix}', expected one of: {', '.join(SUFFIXES)}")
    return suffix


def pixels(figure: Figure) -> np.ndarray:
    """The figure as bytes `[height, width, RGBA]`, by default at 100 dots per inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="rgba", dpi=figure.dpi)
    width, height = figure.canvas.get_width_height()
    return np.frombuffer(buffer.getvalue(), dtype=np.uint8).reshape(height, width, 4)


def _sizes(words: int) -> tuple[float, float]:
    """The side of a cell in inches and the font size in points, from the number of words on the longer axis."""
    if words <= 20:
        return 0.36, 10.0
    if words <= 40:
        return 0.26, 9.0
    if words <= 60:
        return 0.2, 8.0
    return 12 / words, max(8 * 60 / words, 1.0)


def _labels(words: Sequence[str], max_length: int, font_size: float) -> tuple[list[str], FontProperties]:
    """The words as labels of one line and at most `max_length` characters, and the fonts that draw them."""
    choice = fonts.choose("".join(words))
    labels = [choice.drawable("".join(" " if letter.isspace() else letter for letter in word)) for word in words]
    shortened = [label if len(label) <= max_length else label[: max_length - 1] + "…" for label in labels]
    return shortened, FontProperties(family=choice.families, size=font_size)


def _max_width(labels: Sequence[str], font: FontProperties) -> float:
    return max((_width(label, font) for label in labels), default=0.0)


def _width(label: str, font: FontProperties) -> float:
    """The width of a label in inches."""
    width, _, _ = text_to_path.get_text_width_height_descent(label, font, ismath=False)
    return float(width) / 72
