"""The command line of a comparison, taken apart: what is the same for all runs, and what differs."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from seq2seq.runtime.errors import InputError

SEED = "training.seed"


class Axis(NamedTuple):
    """An option and the values that are compared."""

    key: str
    values: list[str]


class Request(NamedTuple):
    """The command line taken apart: the same for all runs, what differs, where it goes, and how many run at a time."""

    fixed: list[str]
    axes: list[Axis]
    output: Path
    jobs: int


def request(arguments: list[str]) -> Request:
    """Raises InputError, or what Hydra raises, where the words are not understood or leave nothing to compare."""
    fixed: dict[str, str] = {}
    axes: dict[str, Axis] = {}
    output, jobs = Path("runs") / f"compare-{datetime.now():%Y-%m-%d_%H-%M-%S}", 1
    for word in arguments:
        name, equals, value = word.partition("=")
        if word.startswith("-"):
            raise InputError(f"{word}: no such option; options are given as KEY=VALUE, and several values need no -m")
        if name == "resume":
            raise InputError("resume: the same command with output=FOLDER goes on where it was stopped")
        if name.startswith("hydra."):
            raise InputError(f"{name}: the run folders are compare.py's own; output=FOLDER says where they go")
        if name == "output" and equals:
            if not value:
                raise InputError("output: empty; give output=FOLDER")
            output = Path(value)
            continue
        if name == "jobs" and equals:
            if not value.isdecimal() or int(value) == 0:
                raise InputError(f"jobs: found '{value}', expected how many runs go on at a time, such as 2")
            jobs = int(value)
            continue
        (parsed,) = OverridesParser.create().parse_overrides([f"{SEED}={value}" if name == "seeds" else word])
        key, values = parsed.get_key_element(), _values(parsed)
        if key in fixed or key in axes:
            raise InputError(f"{key}: given twice")
        if len(values) > 1:
            axes[key] = Axis(key, values)
        else:
            fixed[key] = f"{key}={values[0]}" if values else word
    if axes.keys() <= {SEED}:
        raise InputError("nothing to compare: give an option several values, such as attention=concat,dot")
    return Request(list(fixed.values()), list(axes.values()), output, jobs)


def _values(parsed: Override) -> list[str]:
    """One or more values; none where it is no KEY=VALUE, as `~key` is none."""
    if not parsed.is_sweep_override():
        return [] if parsed.is_delete() else [parsed.get_value_element_as_str()]
    if not parsed.is_discrete_sweep():
        raise InputError(f"{parsed.input_line}: no list of values; give them one by one, with commas between")
    return list(dict.fromkeys(parsed.sweep_string_iterator()))
