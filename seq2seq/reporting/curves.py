"""Learning curves: read from a run's TensorBoard files, and drawn as SVG that takes its colours from the page."""

from collections.abc import Callable, Sequence
from html import escape
from math import ceil, floor, log10
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from seq2seq.runtime.errors import InputError
from seq2seq.runtime.run_folder import RunFolder

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 52, 30, 12, 62  # margins: room for the labels of the axes
COLOURS = 8
"""A page gives the classes `series-0` to `series-7` a stroke; further series are dashed."""


Projection = Callable[[int | float, int | float], tuple[float, float]]
"""From a step and a value to the place in the picture."""


class Curve(NamedTuple):
    """One scalar of one run."""

    steps: list[int]
    values: list[float]


class Series(NamedTuple):
    """The curves of the same thing from several seeds."""

    name: str
    curves: Sequence[Curve]


def curve(folder: Path, tag: str) -> Curve:
    """One scalar of a run folder. Raises InputError where the run has no such curve."""
    from tensorboard.backend.event_processing import event_accumulator as events

    # Pictures and texts are passed over as far as it can be had: one of each is kept.
    kept = {events.SCALARS: 0, events.IMAGES: 1, events.TENSORS: 1}
    path = RunFolder(folder).tensorboard
    found = events.EventAccumulator(str(path), size_guidance=kept)
    if not path.is_dir() or tag not in found.Reload().Tags()["scalars"]:
        raise InputError(f"{path} has no curve {tag}")
    points = found.Scalars(tag)
    return Curve([point.step for point in points], [point.value for point in points])


def average(curves: Sequence[Curve]) -> Curve:
    """The mean at the steps that every curve has."""
    points = [dict(zip(one.steps, one.values, strict=True)) for one in curves]
    steps = sorted(set.intersection(*(set(one) for one in points))) if points else []
    return Curve(steps, [mean(one[step] for one in points) for step in steps])


def chart(series: Sequence[Series], *, across: str, up: str) -> str:
    """An SVG element: each curve as a thin line, and where there are several of a series, their mean as a thick one.

    Both axes begin at 0. `across` and `up` are their labels.
    """
    curves = [one for each in series for one in each.curves]
    widest = max((step for one in curves for step in one.steps), default=1) or 1
    highest = max((value for one in curves for value in one.values), default=1.0)
    columns, rows = [step for step in ticks(widest) if step <= widest], ticks(highest)
    top = max(rows[-1], highest)

    def project(step: int | float, value: int | float) -> tuple[float, float]:
        x = LEFT + step / widest * (WIDTH - LEFT - RIGHT)
        return round(x, 1), round(HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM), 1)

    parts = [_grid_row(project(0, value), f"{value:g}") for value in rows]
    parts += [_column_label(project(step, 0), f"{step:,g}") for step in columns]
    for number, each in enumerate(series):
        style = f"series-{number % COLOURS}" + (" dashed" if number >= COLOURS else "")
        several = len(each.curves) > 1
        for one in each.curves:
            parts.append(_line(one, project, f"{style} seed" if several else f"{style} mean", each.name))
        if several:
            parts.append(_line(average(each.curves), project, f"{style} mean", each.name))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(across)}</text>')
    label = escape(f"{up} against {across}: " + ", ".join(each.name for each in series))
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def ticks(greatest: int | float) -> list[float]:
    """From 0 in equal steps of 1, 2 or 5 times a power of ten, up to the first that is not below `greatest`."""
    if greatest <= 0:
        return [0.0, 1.0]
    power = 10.0 ** floor(log10(greatest / 4))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= greatest / 5)
    return [number * step for number in range(ceil(greatest / step - 1e-9) + 1)]


def _line(one: Curve, project: Projection, style: str, name: str) -> str:
    points = [project(step, value) for step, value in zip(one.steps, one.values, strict=True)]
    title = f"<title>{escape(name)}</title>"
    if len(points) == 1:
        return f'<circle class="{style}" cx="{points[0][0]}" cy="{points[0][1]}" r="3">{title}</circle>'
    return f'<polyline class="{style}" points="{" ".join(f"{x},{y}" for x, y in points)}">{title}</polyline>'


def _grid_row(at: tuple[float, float], label: str) -> str:
    x, y = at
    line = f'<line class="grid" x1="{x}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}"/>'
    return f'{line}<text x="{x - 6}" y="{y}" dy="0.35em" text-anchor="end">{label}</text>'


def _column_label(at: tuple[float, float], label: str) -> str:
    x, y = at
    return f'<text x="{x}" y="{y}" dy="1.3em" text-anchor="middle">{label}</text>'
