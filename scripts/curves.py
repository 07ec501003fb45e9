"""Draw validation curves of several runs: `python scripts/curves.py curves.svg dot=runs/A concat=runs/B`."""

import argparse
from pathlib import Path

from matplotlib.figure import Figure

from seq2seq.reporting.curves import read_curve
from seq2seq.reporting.heatmap import save
from seq2seq.runtime.errors import InputError, print_errors


def main() -> None:
    """Draws one line for each run; the legend has its name and last value."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path, help=".png, .svg or .pdf")
    parser.add_argument("runs", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--tag", default="validation/bleu", help="scalar to draw (default: %(default)s)")
    parser.add_argument(
        "--across", choices=["steps", "seconds"], default="steps", help="horizontal axis (default: %(default)s)"
    )
    parser.add_argument(
        "--label", default="BLEU (validation, greedy)", help="label of the vertical axis (default: %(default)s)"
    )
    options = parser.parse_args()

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for run in options.runs:
        name, _, folder = run.partition("=")
        if not folder:
            raise InputError(f"{run}: expected NAME=FOLDER, a name for the legend and a run folder")
        steps, values = read_curve(Path(folder), options.tag)
        x_values: list[int] | list[float] = steps
        if options.across == "seconds":
            seconds = dict(zip(*read_curve(Path(folder), "train/seconds"), strict=True))
            if missing := [step for step in steps if step not in seconds]:
                raise InputError(
                    f"{folder}: {options.tag} has a point at step {missing[0]}, but train/seconds has none"
                )
            x_values = [seconds[step] for step in steps]
        axes.plot(x_values, values, marker="o", markersize=3, label=f"{name}: {values[-1]:.1f}")
    axes.set_xlabel("optimiser steps" if options.across == "steps" else "seconds of training")
    axes.set_ylabel(options.label)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    save(figure, options.picture)


if __name__ == "__main__":
    with print_errors():
        main()
