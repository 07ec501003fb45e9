"""Loads and checks a configuration from YAML, command line or checkpoint, and describes its errors."""

import itertools
import json
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import ValidationError

from seq2seq.config.dataset import DATASETS
from seq2seq.config.search import Search
from seq2seq.config.suggestions import near, shorten, show
from seq2seq.config.types import Section
from seq2seq.runtime.errors import InputError

Configuration = TypeVar("Configuration", bound=Section)


def load(kind: type[Configuration], values: Any, *, prefix: str = "") -> Configuration:
    """The typed configuration of `values`. Raises InputError with the full key, the value, and what is expected."""
    try:
        return kind.model_validate_json(json.dumps(values))  # in JSON a strict Path may be a string
    except ValidationError as error:
        # A value that may have several types (a number or "epoch") has one error for each type, in sequence.
        by_key = itertools.groupby(map(dict, error.errors()), lambda detail: _key(kind, detail, prefix))
        sentences = [_sentence(kind, key, list(details)) for key, details in by_key]
        ending = f"; and {len(sentences) - 3} more" if len(sentences) > 3 else ""
        raise InputError("; ".join(sentences[:3]) + ending) from None


def search_as_given(options: Mapping[str, Any], trained: Search) -> Search:
    """The search options of a checkpoint, replaced by those of `options` that are not None."""
    overrides = {key: value for key, value in options.items() if value is not None}
    return load(Search, {**trained.model_dump(), **overrides}, prefix="search.")


def keys(kind: Any, prefix: str = "") -> list[str]:
    """Every full key of a configuration, such as `training.batch.size`."""
    if kind == dict[str, Any]:  # the search of `Evaluate` and `Translate`
        return keys(Search, prefix)
    if get_origin(kind) in (Union, types.UnionType, Annotated):
        return [key for option in get_args(kind) for key in keys(option, prefix)]
    if not (isinstance(kind, type) and issubclass(kind, Section)):
        return []
    names = []
    for name, field in kind.model_fields.items():
        names += [f"{prefix}{name}", *keys(field.annotation, f"{prefix}{name}.")]
    return names


def _key(kind: type[Section], detail: dict[str, Any], prefix: str) -> str:
    """The full key of one of pydantic's errors."""
    parts = [shorten(str(part)) for part in detail["loc"]]
    if len(parts) > 1 and parts[0] == "dataset" and parts[1] in DATASETS:  # pydantic names the member of the union
        del parts[1]
    if detail["type"] != "extra_forbidden":
        options = set(keys(kind))
        while parts and ".".join(parts) not in options:  # the member of another union, or an index into a list
            del parts[-1]
    return prefix + ".".join(parts)


def _sentence(kind: type[Section], key: str, details: list[dict[str, Any]]) -> str:
    """One sentence for pydantic's errors about a key."""
    detail = details[0]
    value = show(detail["input"])
    inner_keys = [name for name in keys(kind) if name.startswith(f"{key}.")]
    match detail["type"]:
        case "extra_forbidden":
            return f"{key}: no such option, {near(key, keys(kind))}"
        case "missing" if isinstance(detail["input"], list | tuple):
            return f"{key}: expected {len(detail['input']) + len(details)} values, found {value}"
        case "tuple_type" if isinstance(detail["input"], str):
            return f"{key}: expected a list, {key}=[{shorten(detail['input'])}]"
        case "too_short" if isinstance(detail["input"], list | tuple):
            return f"{key}: expected at least one value, found {value}"
        case "missing":
            return f"{key}: not set; give {key}=VALUE"
        case "value_error":
            message = str(detail["ctx"]["error"])
            return f"{key}: {message}" if key and not isinstance(detail["input"], dict) else message
        case "union_tag_invalid":
            return f"{key}.name: no such dataset, choose one of {', '.join(sorted(DATASETS))}"
        case _ if inner_keys and not isinstance(detail["input"], dict):
            return f"{key}: expected a section with options such as {inner_keys[0]}, found {value}"
        case _:
            messages = [str(error["msg"]).removeprefix("Input ") for error in details if show(error["input"]) == value]
            return f"{key}: {' or '.join(message[0].lower() + message[1:] for message in messages)}, found {value}"


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, bool | int | float | str]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`; a list or null becomes JSON text."""
    return dict(_walk(values, prefix))


def _walk(value: Any, name: str) -> Iterator[tuple[str, bool | int | float | str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _walk(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value if isinstance(value, bool | int | float | str) else json.dumps(value)
