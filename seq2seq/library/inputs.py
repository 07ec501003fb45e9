"""What a Python program passes to the library: checked, and read in groups."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

import numpy as np

GROUP = 512
"""The number of sentences that are read and translated together; in a group, those of similar length share a batch."""

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
