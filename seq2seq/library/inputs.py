"""What a Python program passes to the library: checked, and read in groups."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, repeat
from typing import Any, TypedDict, TypeVar

import numpy as np

from seq2seq.config import Intervention, InterventionValues, Search, load, near, search_as_given
from seq2seq.decoding.prefix import prefix_ids
from seq2seq.decoding.translator import Translator
from seq2seq.runtime.errors import InputError

GROUP = 1024
"""The number of sentences that are read and translated together; in a group, those of similar length share a batch."""

Pair = tuple[str, str]
Prefix = str | Sequence[str]
"""The start of a translation: a text, or subwords."""


class SearchOptions(TypedDict, total=False):
    """The keyword arguments of `Translator.translate`; None stands for "as trained"."""

    beam_size: int | None
    n_best: int | None
    length_penalty: float | None
    too_long: str | None
    batch: int | None
    method: str | None
    groups: int | None
    diversity: float | None
    rank_by: str | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    seed: int | None
    min_length: int | None
    no_repeat_ngram: int | None
    length_form: str | None
    coverage_penalty: float | None


class ScoreOptions(TypedDict, total=False):
    """The keyword arguments of `Translator.score` and `Translator.attend`."""

    length_penalty: float | None
    length_form: str | None
    coverage_penalty: float | None
    too_long: str | None


SEARCH_OPTIONS = {name: name for name in SearchOptions.__annotations__} | {"beam_size": "size"}
"""The option of `search` in the programs that each keyword argument is."""
SCORE_OPTIONS = {name: name for name in ScoreOptions.__annotations__}


Item = TypeVar("Item")
Result = TypeVar("Result")


def in_groups(
    items: Iterable[Item], work: Callable[[list[Item], Callable[[int], str]], Iterator[Result]], title: str
) -> Iterator[Result]:
    """The results of `items`, `GROUP` of which are read at a time.

    `work` gives the results of a group. Its second argument names an item of the group for messages: "sentence 3",
    counted from 0 over all groups. Raises TypeError at once where `items` cannot be iterated.
    """
    if isinstance(items, str | bytes) or not isinstance(items, Iterable):
        raise TypeError(f"expected a {title}, or a list or an iterator of them, found {describe(items)}")
    iterator = iter(items)

    def results() -> Iterator[Result]:
        first = 0
        while group := list(islice(iterator, GROUP)):
            yield from work(group, lambda i: f"{title} {first + i}")  # noqa: B023  # used before the next group
            first += len(group)

    return results()


def prefix_of_each(texts: object, prefixes: object) -> Iterator[Any]:
    """The prefix of each text; None is none. Raises InputError where texts and prefixes do not belong together."""
    if prefixes is None:
        return repeat(None)
    if not isinstance(texts, list | tuple):
        raise InputError("prefix: an iterator of sentences takes no prefixes; give the sentences as a list")
    if isinstance(prefixes, str) or not isinstance(prefixes, Sequence):
        raise TypeError(f"prefix: expected a list with a prefix or None for each sentence, found {describe(prefixes)}")
    if len(prefixes) != len(texts):
        raise InputError(f"prefix: expected one for each sentence, found {len(prefixes)} for {len(texts)} sentences")
    return iter(prefixes)


def ids_of_prefix(translator: Translator, prefix: Any, name: str) -> list[int]:
    """The ids of the prefix of the sentence with this name."""
    title = f"the prefix of {name}"
    if prefix is None:
        return []
    if isinstance(prefix, str):
        prefix = translator.normalize(text_line(prefix, title))
    elif not (isinstance(prefix, Sequence) and all(isinstance(subword, str) for subword in prefix)):
        raise TypeError(f"{title}: expected text or a list of subwords, found {describe(prefix)}")
    return prefix_ids(prefix, translator.tokenizers.target, title)


def search_values(options: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The options of `search` that keyword arguments set. Raises TypeError for an argument that does not exist."""
    for name in options:
        if name not in names:
            raise TypeError(f"unexpected keyword argument {name!r}, {near(name, names)}")
    return {names[name]: plain(value) for name, value in options.items() if value is not None}


def search_of(values: Mapping[str, Any], trained: Search) -> Search:
    """The options of a search, replaced by those of `values`. Raises InputError in the words of Python."""
    try:
        return search_as_given(values, trained)
    except InputError as error:
        raise in_python(error) from None


def in_python(error: InputError) -> InputError:
    """The error in the words of Python's keyword arguments: `beam_size` for `search.size`."""
    message = re.sub(r"\bsearch\.size\b", "beam_size", str(error))
    message = re.sub(r"\bsearch\.(too_long|rank_by|method|length_form)=(\w+)", r"\1='\2'", message)
    return InputError(re.sub(r"\bsearch=(\w+)", r"method='\1'", re.sub(r"\bsearch\.(?=\w)", "", message)))


def intervention(name: object, values: Mapping[str, Any]) -> Intervention:
    """The options of an intervention. Raises TypeError for an argument that does not exist."""
    if not isinstance(name, str):
        raise TypeError(f"expected the name of an intervention, such as 'permute', found {describe(name)}")
    options: dict[str, Any] = dict.fromkeys(InterventionValues.model_fields)
    for key, value in values.items():
        if key not in options:
            raise TypeError(f"unexpected keyword argument {key!r}, {near(key, options)}")
        options[key] = os.fspath(value) if isinstance(value, os.PathLike) else plain(value)
        if not isinstance(options[key], str | int | float | None):
            raise TypeError(f"{key}: expected a number or a path, found {describe(value)}")
    return load(Intervention, {**options, "intervene": name}, prefix="attention.")


def text_line(text: object, name: str) -> str:
    """The text without its line end. Raises TypeError for anything but text."""
    if not isinstance(text, str):
        raise TypeError(f"{name}: expected text, found {describe(text)}")
    return text.removesuffix("\n").removesuffix("\r")


def plain(value: Any) -> Any:
    """A number of numpy's as one of Python's."""
    return value.item() if isinstance(value, np.generic) else value


def describe(value: object) -> str:
    """A value of the wrong type, for a message."""
    text = repr(value)
    return f"{text if len(text) <= 40 else text[:39] + '…'} of type {type(value).__name__}"


def check_overrides(overrides: Iterable[object]) -> None:
    """Raises TypeError where an option is no text."""
    for override in overrides:
        if not isinstance(override, str):
            raise TypeError(f"expected options as text, such as 'attention=dot', found {describe(override)}")
