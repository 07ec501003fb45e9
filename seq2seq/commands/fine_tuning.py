"""Fine-tuning, `init=CHECKPOINT`: a run that starts from a checkpoint, and which of the two decides an option.

The checkpoint decides the model and the tokenizers (`DECIDED`), since its weights mean nothing without them. Every
other option is the run's. An option that the command line sets to another value than the checkpoint has is refused. A
default of `configs/` is no such option: the checkpoint's value replaces it.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, flag_override

from seq2seq import checkpoint
from seq2seq.checkpoint import Checkpoint
from seq2seq.checkpoint.state import Origin
from seq2seq.commands.composition import load_options
from seq2seq.config import Init, Train
from seq2seq.config.loading import flat
from seq2seq.config.suggestions import show
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.resources import CONFIGS
from seq2seq.trained_model import checkpoint_folder, trained_configuration

MODEL = ("attention", "decoder", "encoder", "model")
TOKENIZERS = tuple(
    f"dataset.{name}"
    for name in ("normalization", "vocabulary", "tokenizer", "min_frequency", "character_coverage", "symbols", "joint")
)
DECIDED = (*MODEL, *TOKENIZERS)
"""The sections and options that the checkpoint decides."""

FREE = (
    "dropout",
    "recurrent_dropout",
    "source_word_dropout",
    "target_word_dropout",
    "estimator",
    "temperature",
    "soft",
)
"""Names of options of the model that a run may set; else they are the checkpoint's. They concern training only, but for
the temperature of softmax: a run may train on with another one."""

LANGUAGES = ("dataset.source", "dataset.target")


class Source(NamedTuple):
    """The checkpoint that a run starts from. `remarks` say for the log what the run takes from it."""

    checkpoint: Checkpoint
    folder: Path
    origin: Origin
    remarks: list[str]


def load_run(values: DictConfig, overrides: Sequence[str]) -> tuple[Train, Source]:
    """The options of a new run with `init`, and the checkpoint that it starts from.

    `values` are Hydra's, composed with `overrides`, the arguments as typed. What the checkpoint decides is put into
    `values`. Raises InputError where there is no such checkpoint, and for an option that contradicts it.
    """
    typed = load_options(Init, OmegaConf.masked_copy(values, "init")).init
    assert typed is not None
    folder = checkpoint_folder(typed)
    try:
        loaded = checkpoint.load(folder)
        trained = trained_configuration(loaded, folder).model_dump(mode="json")
    except InputError as error:
        raise InputError(f"init={typed}: {error}") from None
    chosen = _chosen(overrides)
    composed: Any = OmegaConf.to_container(values, resolve=True)
    _check_model_and_tokenizers(typed, chosen, composed, trained)
    languages = list(_languages(typed, chosen, composed, trained))
    free = {key for key in flat(composed) if key in chosen and key.rpartition(".")[2] in FREE}
    with flag_override(values, ["struct", "readonly"], False):
        for key in DECIDED:
            OmegaConf.update(values, key, value_at(trained, key), merge=False)
        for key in free:
            if value_at(trained, key.rpartition(".")[0]) is not None:
                OmegaConf.update(values, key, value_at(composed, key))
    effective: Any = OmegaConf.to_container(values, resolve=True)
    taken = [f"{key}={_show(value_at(effective, key))}" for key in differing_keys(composed, effective, DECIDED)]
    remarks = [f"starts from {folder}, step {loaded.step}: its weights, its model and its tokenizers", *languages]
    if taken:
        remarks.append(f"taken from it, in place of the defaults: {', '.join(taken)}")
    if mistakes := [name for name in trained["mistake"] if name not in effective["mistake"]]:
        remarks.append(f"it was trained with mistake=[{','.join(mistakes)}], which this run does not make")
    origin = Origin(checkpoint=str(typed), step=loaded.step, weights=checkpoint.hash_weights(loaded))
    return load_options(Train, values), Source(loaded._replace(training=None), folder, origin, remarks)


def _check_model_and_tokenizers(
    typed: Path, chosen: Mapping[str, str], composed: Mapping[str, Any], trained: Mapping[str, Any]
) -> None:
    """Raises InputError where an argument asks for another model or other tokenizers than the checkpoint has."""
    for argument in dict.fromkeys(chosen.values()):
        keys = [key for key, chosen_by in chosen.items() if chosen_by == argument and _is_decided(key)]
        differences = [key for key in differing_keys(composed, trained, keys) if key.rpartition(".")[2] not in FREE]
        if differences:
            part = "tokenizers" if differences[0].startswith("dataset.") else "model"
            values = [
                f"{key}={_show(value_at(trained, key))} and not {_show(value_at(composed, key))}"
                for key in differences[:3]
            ]
            more = f" ({len(differences) - 3} more differ)" if len(differences) > 3 else ""
            raise InputError(
                f"{argument}: the checkpoint of init={typed} has {', '.join(values)}{more}, and a run that starts from "
                f"it keeps its {part}: leave {argument} out, or train without init="
            )


def _languages(
    typed: Path, chosen: Mapping[str, str], composed: Mapping[str, Any], trained: Mapping[str, Any]
) -> Iterator[str]:
    """A remark for each language that the checkpoint lacks. InputError where it is only a default of the dataset."""
    both = value_at(trained, "dataset.both_directions")
    for key in LANGUAGES:
        before, now = value_at(trained, key), value_at(composed, key)
        if now in (before, "???"):
            continue
        if key not in chosen:
            raise InputError(
                f"{key}: the checkpoint of init={typed} has {key}={before}, and this dataset has {now}: give {key}="
                f"{before}, or {key}={now} if another language is meant"
            )
        if not both or now not in (value_at(trained, language) for language in LANGUAGES):
            yield f"warning: the checkpoint was trained with {key}={before}, and this run has {now}"


def _is_decided(key: str) -> bool:
    return any(key == decided or key.startswith(f"{decided}.") for decided in DECIDED)


def differing_keys(here: Mapping[str, Any], there: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    """The full keys, among `keys` and in their sections, whose values differ."""
    different: list[str] = []
    for key in keys:
        one, other = value_at(here, key), value_at(there, key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            different += differing_keys(here, there, [f"{key}.{name}" for name in {**one, **other}])
        elif one != other:
            different.append(key)
    return different


def value_at(values: Mapping[str, Any], key: str) -> Any:
    """The value of a full key such as `model.dropout`; None where there is none."""
    value: Any = values
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _show(value: Any) -> str:
    """A value as a person types it; a section is too long for that."""
    return "a section" if isinstance(value, Mapping) else value if isinstance(value, str) else show(value)


# --- which keys the command line sets ---------------------------------------------------------------------------------


def _chosen(overrides: Sequence[str]) -> dict[str, str]:
    """The full keys that the arguments set, each with its argument. A group sets the keys of its file."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return {key: override.input_line or key for override in parsed for key in _keys(override)}


def _keys(override: Override) -> Iterator[str]:
    group, package, choice = override.key_or_group, override.package or override.key_or_group, override.value()
    if not (isinstance(choice, str) and (CONFIGS / group).is_dir()):
        yield package
    elif group == "experiment" or group in MODEL:  # a dataset's choice sets its tokenizers for want of others
        yield from _group_keys(group, choice, package)


def _group_keys(group: str, choice: str, package: str) -> Iterator[str]:
    """The keys that a file of `configs/` sets, with those of the files and groups in its defaults."""
    content = yaml.safe_load((CONFIGS / group / f"{choice}.yaml").read_text(encoding="utf-8")) or {}
    for entry in content.pop("defaults", []):
        if isinstance(entry, str) and entry != "_self_":
            yield from _group_keys(group, entry, package)
        for name, inner in entry.items() if isinstance(entry, Mapping) else ():
            if (inner_group := name.removeprefix("override ").strip("/")) in MODEL:
                yield from _group_keys(inner_group, inner, inner_group)
    yield from flat(content, "" if group == "experiment" else package)
