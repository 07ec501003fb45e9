"""The one door for YAML, command line and checkpoint: `load`, and what it says of a mistake."""

import itertools
import json
import types
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import (
    ValidationError,
)

from seq2seq.config.dataset import DATASETS
from seq2seq.config.messages import near, shorten, show
from seq2seq.config.schema import Search
from seq2seq.config.types import Section
from seq2seq.runtime.errors import InputError

Configuration = TypeVar("Configuration", bound=Section)


def load(kind: type[Configuration], values: Any, *, prefix: str = "") -> Configuration:
    """The typed configuration, or an InputError with the full key, what was found, and the choices."""
    try:
        return kind.model_validate_json(json.dumps(values))  # JSON's strict types have paths as strings
    except ValidationError as error:
        # A value of several types (a number or "epoch") has an error for each, one after the other.
        by_key = itertools.groupby(map(dict, error.errors()), lambda detail: _key(kind, detail, prefix))
        sentences = [_sentence(kind, key, list(details)) for key, details in by_key]
        more = f"; and {len(sentences) - 3} more" if len(sentences) > 3 else ""
        raise InputError("; ".join(sentences[:3]) + more) from None


def search_as_given(given: Mapping[str, Any], trained: Search) -> Search:
    """The search of a training run, with what a person asks for otherwise."""
    asked = {key: value for key, value in given.items() if value is not None}
    return load(Search, {**trained.model_dump(), **asked}, prefix="search.")


def keys(kind: Any, prefix: str = "") -> list[str]:
    """Every key of a configuration, in full: `training.batch.size`."""
    if kind == dict[str, Any]:  # the search of `Evaluate` and `Translate`
        return keys(Search, prefix)
    if get_origin(kind) in (Union, types.UnionType, Annotated):
        return [key for option in get_args(kind) for key in keys(option, prefix)]
    if not (isinstance(kind, type) and issubclass(kind, Section)):
        return []
    found = []
    for name, field in kind.model_fields.items():
        found += [f"{prefix}{name}", *keys(field.annotation, f"{prefix}{name}.")]
    return found


def _key(kind: type[Section], detail: dict[str, Any], prefix: str) -> str:
    """The key that one of pydantic's errors is about, in full."""
    parts = [shorten(str(part)) for part in detail["loc"]]
    if len(parts) > 1 and parts[0] == "dataset" and parts[1] in DATASETS:  # pydantic names the member of the union
        del parts[1]
    if detail["type"] != "extra_forbidden":
        known = set(keys(kind))
        while parts and ".".join(parts) not in known:  # the member of another union, the place in a list
            del parts[-1]
    return prefix + ".".join(parts)


def _sentence(kind: type[Section], key: str, details: list[dict[str, Any]]) -> str:
    """Pydantic's errors about one key as a person would say them."""
    detail = details[0]
    found = show(detail["input"])
    inside = [name for name in keys(kind) if name.startswith(f"{key}.")]
    match detail["type"]:
        case "extra_forbidden":
            return f"{key}: no such option, {near(key, keys(kind))}"
        case "missing" if isinstance(detail["input"], list | tuple):
            return f"{key}: found {found}, which has too few values"
        case "missing":
            return f"{key}: not set; give {key}=VALUE"
        case "value_error":
            message = str(detail["ctx"]["error"])
            return f"{key}: {message}" if key and not isinstance(detail["input"], dict) else message
        case "union_tag_invalid":
            return f"{key}.name: no such dataset, choose one of {', '.join(sorted(DATASETS))}"
        case _ if inside and not isinstance(detail["input"], dict):
            return f"{key}: holds values of its own, such as {inside[0]}, found {found}"
        case _:
            messages = [str(one["msg"]).removeprefix("Input ") for one in details if show(one["input"]) == found]
            return f"{key}: {' or '.join(message[0].lower() + message[1:] for message in messages)}, found {found}"
