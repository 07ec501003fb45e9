"""Attention as a picture: a heat map of target words against source words."""

import io
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from seq2seq.errors import InputError

SUFFIXES = (".png", ".svg", ".pdf")
LONGEST_LABEL = 24  # characters
LONGEST_TITLE = 90
MISSING = "□"
# Tried in this order, where installed: matplotlib's own DejaVu Sans, which it always brings, has no CJK and few emoji.
FAMILIES = ("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans Devanagari", "Noto Sans Thai")
PAD, GAP, BAR = 0.15, 0.08, 0.14  # inches: around the picture, between a label and its cells, the colour bar's width


class Attention(NamedTuple):
    """What one heat map shows: attention between words, `weights[target word, source word]`."""

    source: Sequence[str]
    target: Sequence[str]
    weights: Float[np.ndarray, "target source"]


def heatmap(attention: Attention, title: str | None = None) -> Figure:
    """Draw source words along the top, target words down the side, weights from 0 (light) to 1 (dark).

    The figure grows with the words, so that labels stay readable from 1 to 60 of them; with more it grows no further.
    Nothing of pyplot is touched.
    """
    columns, rows = max(len(attention.source), 1), max(len(attention.target), 1)
    assert attention.weights.shape == (len(attention.target), len(attention.source))
    cell, size = _scale(max(columns, rows))
    font, heading = _font(size), _font(size + 1)
    across = [_label(word, LONGEST_LABEL) for word in attention.source]
    down = [_label(word, LONGEST_LABEL) for word in attention.target]
    upright = all(_width(label, font) <= 0.9 * cell for label in across)
    caption = _label(title or "", LONGEST_TITLE)

    left = PAD + _widest(down, font) + GAP
    above = PAD + (0.35 if caption else 0) + (size / 72 if upright else _widest(across, font)) + GAP
    scale = 3 * GAP + BAR + GAP + _width("0.00", font)
    width = max(left + columns * cell + scale + PAD, _width(caption, heading) + 2 * PAD)
    height = above + max(rows * cell, 0.8) + PAD
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)

    def place(x: float, y: float, w: float, h: float) -> tuple[float, float, float, float]:
        return x / width, (height - y - h) / height, w / width, h / height

    axes = figure.add_axes(place(left, above, columns * cell, rows * cell))
    canvas = np.zeros((rows, columns))
    canvas[: len(down), : len(across)] = attention.weights
    image = axes.imshow(canvas, cmap="magma_r", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(across)), across, rotation=0 if upright else 90, fontproperties=font, parse_math=False)
    axes.set_yticks(range(len(down)), down, fontproperties=font, parse_math=False)
    axes.tick_params(length=0, pad=GAP * 72 / 2)
    for axis, count in ((axes.xaxis, columns), (axes.yaxis, rows)):  # fine lines between the cells, to follow a word by
        axis.set_ticks(np.arange(1, count) - 0.5, minor=True)
        axis.set_tick_params(which="minor", length=0)
        axis.grid(which="minor", color="white", linewidth=0.05 * size)
    bar = figure.add_axes(place(left + columns * cell + 3 * GAP, above, BAR, min(max(rows * cell, 0.8), 2.5)))
    figure.colorbar(image, cax=bar, ticks=[0, 0.5, 1]).ax.tick_params(labelsize=size, length=2)
    if caption:
        figure.text(PAD / width, 1 - PAD / height, caption, va="top", fontproperties=heading, parse_math=False)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write the figure as .png, .svg or .pdf, whole or not at all.

    Raises:
        InputError: another suffix, or a place that cannot be written.
    """
    suffix = check_format(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        figure.savefig(part, format=suffix[1:], dpi=150)
        part.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        part.unlink(missing_ok=True)


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


def _label(word: str, longest: int) -> str:
    """The word as it can be drawn: every character has a glyph, and there are not too many."""
    shown = "".join(
        " " if character.isspace() else character if ord(character) in _glyphs() else MISSING for character in word
    )
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def _widest(labels: Sequence[str], font: FontProperties) -> float:
    return max((_width(label, font) for label in labels), default=0.0)


def _width(label: str, font: FontProperties) -> float:
    """In inches."""
    width, _, _ = text_to_path.get_text_width_height_descent(label, font, ismath=False)
    return float(width) / 72


def _font(size: float) -> FontProperties:
    return FontProperties(family=list(_families()), size=size)


@cache
def _families() -> tuple[str, ...]:
    installed = set(font_manager.get_font_names())
    return tuple(family for family in FAMILIES if family in installed)


@cache
def _glyphs() -> frozenset[int]:
    paths = (font_manager.findfont(family) for family in _families())
    return frozenset(code for path in paths for code in font_manager.get_font(path).get_charmap())
