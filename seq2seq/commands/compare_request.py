"""Parses the command line of a comparison: the overrides that all runs share, and the options that are compared."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from seq2seq.runtime.errors import InputError

SEED = "training.seed"


class Axis(NamedTuple):
    """An option and its compared values."""

    key: str
    values: list[str]


class Request(NamedTuple):
    """`fixed` are the overrides that all runs share. `axes` are the compared options. `jobs` runs go on in parallel.

    `interventions` are the options `intervene` and `intervene.KEY` with their values: how each trained model is scored
    again.
    """

    fixed: list[str]
    axes: list[Axis]
    interventions: dict[str, str]
    output: Path
    jobs: int


def parse_request(arguments: list[str]) -> Request:
    """Raises InputError if an argument is invalid or no option has several values, and Hydra's errors of syntax."""
    fixed: dict[str, str] = {}
    axes: dict[str, Axis] = {}
    interventions: dict[str, str] = {}
    output, jobs = Path("runs") / f"compare-{datetime.now():%Y-%m-%d_%H-%M-%S}", 1
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if argument.startswith("-"):
            raise InputError(f"{argument}: no such option; expected KEY=VALUE (several values need no -m)")
        if name == "resume":
            raise InputError("resume: to continue a comparison, repeat its command with output=FOLDER")
        if name.startswith("hydra."):
            raise InputError(f"{name}: the comparison chooses the run folders; set their parent with output=FOLDER")
        if name == "output" and equals:
            if not value:
                raise InputError("output: empty, expected output=FOLDER")
            output = Path(value)
            continue
        if name == "jobs" and equals:
            if not value.isdecimal() or int(value) == 0:
                raise InputError(f"jobs: found '{value}', expected the number of parallel runs, such as 2")
            jobs = int(value)
            continue
        (parsed,) = OverridesParser.create().parse_overrides([f"{SEED}={value}" if name == "seeds" else argument])
        key, values = parsed.get_key_element(), _values(parsed)
        if key in fixed or key in axes or key in interventions:
            raise InputError(f"{key}: given twice")
        if key == "intervene" or key.startswith("intervene."):
            interventions[key] = f"[{','.join(values)}]" if len(values) > 1 else "".join(values)
        elif len(values) > 1:
            axes[key] = Axis(key, values)
        else:
            fixed[key] = f"{key}={values[0]}" if values else argument
    if axes.keys() <= {SEED} and not interventions:
        raise InputError(
            "nothing to compare: give an option several values, such as attention=concat,dot, or interventions"
        )
    return Request(list(fixed.values()), list(axes.values()), interventions, output, jobs)


def _values(parsed: Override) -> list[str]:
    """The values of an override; none for a deletion, `~key`."""
    if not parsed.is_sweep_override():
        return [] if parsed.is_delete() else [parsed.get_value_element_as_str()]
    if not parsed.is_discrete_sweep():
        raise InputError(f"{parsed.input_line}: expected single values separated by commas")
    return list(dict.fromkeys(parsed.sweep_string_iterator()))
