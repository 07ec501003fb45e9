"""Errors of Hydra, OmegaConf and YAML, as one sentence in the words of the other messages."""

import re
import shlex
import traceback
from collections.abc import Sequence
from pathlib import Path

from seq2seq.attention.distributions import DISTRIBUTIONS
from seq2seq.commands.hydra_quotes import quoted
from seq2seq.config import Section, Serve, Train, Translate, keys, near
from seq2seq.runtime.program_name import program
from seq2seq.runtime.resources import CONFIGS

OUTSIDE_CONFIGURATION = ("experiment", "resume")
"""Options of `train.py` that are not part of its configuration."""


def is_hydra_error(error: Exception) -> bool:
    """Whether Hydra, OmegaConf or YAML raised the error, also a ValueError. Hydra is not imported here."""
    modules = {type(error).__module__.split(".")[0]}
    if isinstance(error, ValueError) and error.__traceback__ is not None:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        modules.add(str(frame.f_globals.get("__name__", "")).split(".")[0])
    return not modules.isdisjoint(("hydra", "omegaconf", "yaml"))


def explain_hydra_error(error: Exception, kind: type[Section]) -> str:
    """An error of Hydra's, OmegaConf's or YAML's, as one sentence in the words of the other messages."""
    message = str(error)
    if (override := getattr(error, "override", None)) is not None:  # Hydra could not parse an argument
        key, equals, value = override.partition("=")
        if not equals:
            return _explain_missing_key(override, kind)
        return (
            f"{override}: cannot be parsed; put the value and the whole option in quotes: {_quote_option(key, value)}"
        )
    if match := re.search(r"Ambiguous value for argument '(.+?)'\n", message):
        key, _, value = match[1].partition("=")
        takes_all = {
            "dataset.train": "takes all in order",
            "checkpoint": "is an ensemble of all",
            "attention.intervene": "scores with each",
        }.get(key)
        concatenated = f", {shlex.quote(f'{key}=[{value}]')} {takes_all}" if takes_all else ""
        return (
            f"{match[1]}: more than one value; -m starts a run for each{concatenated}, and a comma that is part of one "
            f"value needs quotes: {_quote_option(key, value)}"
        )
    if match := re.search(r"Could not override '([^']+)'", message):
        return f"{match[1]}: no such option, {_suggest_key(match[1], kind)}"
    if choices := getattr(error, "options", None):  # of a configuration group
        group, _, name = str(getattr(error, "missing_cfg_file", "")).rpartition("/")
        more = "; `pip install '.[launchers]'` installs more" if group == "hydra/launcher" else ""
        return f"{group}={name}: no such choice, {_suggest_choice(group, name, choices)}{more}"
    if (mark := getattr(error, "problem_mark", None)) is not None:  # a syntax error in YAML
        return f"{mark.name}, line {mark.line + 1}: {error.problem}"  # type: ignore[attr-defined]
    if message.startswith("Config group override must be"):
        return "null is no choice of experiment, model or another group of options: leave the group out"
    key, first_line = getattr(error, "full_key", None), message.split("\n")[0]
    return f"{key}: {first_line}" if key else first_line


def _quote_option(key: str, value: str) -> str:
    """The option quoted for the shell, with a value quoted for Hydra."""
    return shlex.quote(f"{key}={quoted(value)}")


def _explain_missing_key(word: str, kind: type[Section]) -> str:
    """The message for an argument without `=`, often a file or a folder, as other programs take it."""
    quoted, folder = shlex.quote(word), Path(word).is_dir()
    if kind is Train:
        return f"{word}: expected KEY=VALUE" + (f"; `resume={quoted}` resumes a run" if folder else "")
    if folder:
        return f"{word}: expected KEY=VALUE; a checkpoint is given as checkpoint={quoted}"
    if kind is Translate:
        how = f"{program('translate')} checkpoint=runs/NAME/checkpoints/best < {quoted}"
        return f"{word}: expected KEY=VALUE; text comes from standard input: `{how}`"
    if kind is Serve:
        return f"{word}: expected KEY=VALUE, such as checkpoint=runs/NAME"
    return f"{word}: expected KEY=VALUE; files to score are given as source=FILE target=FILE"


def _suggest_choice(group: str, name: str, choices: Sequence[str]) -> str:
    """What follows "no such choice" of a configuration group: the option that has this choice, or similar choices."""
    if (group, name) == ("device", "gpu"):
        return "did you mean cuda?"
    others = sorted(f"{file.parent.name}={name}" for file in CONFIGS.glob("*/*.yaml") if file.stem == name)
    if group == "attention" and name in DISTRIBUTIONS:
        others.append(f"attention.distribution={name}")
    similar = near(name, choices)
    if not others:
        return similar
    start = f"{similar.removesuffix('?')} or" if similar.endswith("?") else "did you mean"
    return f"{start} {' or '.join(others)}?"


def _suggest_key(key: str, kind: type[Section]) -> str:
    """What follows "no such option" in the message: similar options, or why the option is not there."""
    if key.startswith("hydra."):
        return "`--cfg hydra` shows those of Hydra"
    options = [name for name in keys(kind) if name.startswith(f"{key}.")]
    if kind is not Train and "." not in key and options:  # such as attention=dot for translate.py
        return f"give its values one by one: {', '.join(options)}"
    if kind is Translate and key in ("source", "input", "target", "output"):
        how = f"{program('translate')} ... < SOURCE > TARGET"
        return f"since translations go from standard input to standard output: `{how}`"
    if key in keys(kind):  # such as dataset.folder with a dataset that has no folder
        group = key.partition(".")[0]
        return f"because of the {group} chosen: another {group}=CHOICE has it"
    return near(key, [*keys(kind), *OUTSIDE_CONFIGURATION] if kind is Train else keys(kind))
