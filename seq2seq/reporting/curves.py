"""Learning curves: read from a run's TensorBoard files, and laid out as a chart for the HTML report."""

from collections.abc import Sequence
from math import ceil, floor, log10
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from seq2seq.runtime.errors import InputError
from seq2seq.runtime.run_folder import RunFolder

WIDTH, HEIGHT = 640, 360  # SVG user units, as are all coordinates
LEFT, RIGHT, TOP, BOTTOM = 52, 30, 12, 62  # margins for the labels of the axes
COLOURS = 8
"""The report has a colour for each class `series-0` to `series-7`. Further series reuse the colours, dashed."""


class Curve(NamedTuple):
    """One scalar of one run."""

    steps: list[int]
    values: list[float]


class Series(NamedTuple):
    """The curves of one variant, one for each seed."""

    name: str
    curves: Sequence[Curve]


class Label(NamedTuple):
    """The text at a tick of an axis."""

    x: float
    y: float
    text: str


class Line(NamedTuple):
    """A drawn curve; `style` lists CSS classes."""

    style: str
    name: str
    points: Sequence[tuple[float, float]]


class Chart(NamedTuple):
    """The layout of a line chart, which the template `chart.svg.jinja` draws.

    `legend` has the style and the name of each series. `has_means` is true if a series has several curves.
    """

    description: str
    x_label: str
    rows: Sequence[Label]
    columns: Sequence[Label]
    lines: Sequence[Line]
    legend: Sequence[tuple[str, str]]
    has_means: bool
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT


def read_curve(folder: Path, tag: str) -> Curve:
    """One scalar of a run folder. Raises InputError if the run has no such curve."""
    from tensorboard.backend.event_processing import event_accumulator as events

    # 0 keeps all scalars. 1 is the least that pictures and texts allow.
    size_guidance = {events.SCALARS: 0, events.IMAGES: 1, events.TENSORS: 1}
    path = RunFolder(folder).tensorboard
    accumulator = events.EventAccumulator(str(path), size_guidance=size_guidance)
    if not path.is_dir() or tag not in accumulator.Reload().Tags()["scalars"]:
        raise InputError(f"{path} has no curve {tag}")
    points = accumulator.Scalars(tag)
    return Curve([point.step for point in points], [point.value for point in points])


def average(curves: Sequence[Curve]) -> Curve:
    """The mean at the steps that all curves have."""
    points = [dict(zip(curve.steps, curve.values, strict=True)) for curve in curves]
    steps = sorted(set.intersection(*map(set, points))) if points else []
    return Curve(steps, [mean(values[step] for values in points) for step in steps])


def chart(series: Sequence[Series], *, x_label: str, y_label: str) -> Chart:
    """Each curve as a thin line, and the mean of a series with several curves as a thick one. Both axes begin at 0."""
    curves = [curve for variant in series for curve in variant.curves]
    last_step = max((step for curve in curves for step in curve.steps), default=1) or 1
    greatest = max((value for curve in curves for value in curve.values), default=1.0)
    columns, rows = [step for step in ticks(last_step) if step <= last_step], ticks(greatest)
    top = max(rows[-1], greatest)

    def project(step: int | float, value: int | float) -> tuple[float, float]:
        x = LEFT + step / last_step * (WIDTH - LEFT - RIGHT)
        return round(x, 1), round(HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM), 1)

    def line(curve: Curve, style: str, name: str) -> Line:
        return Line(style, name, [project(*point) for point in zip(curve.steps, curve.values, strict=True)])

    lines: list[Line] = []
    legend = [(_style(number), variant.name) for number, variant in enumerate(series)]
    for (style, name), variant in zip(legend, series, strict=True):
        if len(variant.curves) > 1:
            lines += [line(curve, f"{style} seed", name) for curve in variant.curves]
        lines.append(line(average(variant.curves), f"{style} mean", name))
    return Chart(
        description=f"{y_label} against {x_label}: {', '.join(variant.name for variant in series)}",
        x_label=x_label,
        rows=[Label(*project(0, value), f"{value:g}") for value in rows],
        columns=[Label(*project(step, 0), f"{step:,g}") for step in columns],
        lines=lines,
        legend=legend,
        has_means=any(len(variant.curves) > 1 for variant in series),
    )


def ticks(greatest: int | float) -> list[float]:
    """From 0 in equal steps of 1, 2 or 5 times a power of ten, up to the first tick that is at least `greatest`."""
    if greatest <= 0:
        return [0.0, 1.0]
    power = 10.0 ** floor(log10(greatest / 4))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= greatest / 5)
    return [number * step for number in range(ceil(greatest / step - 1e-9) + 1)]


def _style(number: int) -> str:
    return f"series-{number % COLOURS}" + (" dashed" if number >= COLOURS else "")
