"""Parts of error messages: similar names, and short forms of values."""

import difflib
import json
from collections.abc import Iterable


def near(word: str, choices: Iterable[str]) -> str:
    """`did you mean X?` for a mistyped name, or all choices of its section where no name is similar.

    `epochs` is similar to `training.epochs`, and `model.dropuot` to `model.dropout`, but not to `model`.
    """
    section, _, name = word.rpartition(".")
    choices = sorted(set(choices))
    if "." not in word and (exact := [choice for choice in choices if choice.rpartition(".")[2] == word]):
        return f"did you mean {' or '.join(exact[:3])}?"
    section_of = {choice: choice.rpartition(".")[0] for choice in choices}
    similar = difflib.get_close_matches(section, set(section_of.values()), n=1) if section else []
    siblings, cousins = (
        [choice for choice in choices if section_of[choice] in names] for names in ([section], similar)
    )
    for pool in (siblings, cousins, choices):
        by_name = {choice: choice.rpartition(".")[2] for choice in pool}
        names = difflib.get_close_matches(name, set(by_name.values()), n=3, cutoff=0.6)
        if matches := [choice for choice in pool if by_name[choice] in names]:
            return f"did you mean {' or '.join(sorted(matches, key=lambda choice: names.index(by_name[choice]))[:3])}?"
    return f"choose one of {', '.join(siblings or (choice for choice in choices if '.' not in choice))}"


def show(value: object) -> str:
    """The value as JSON, shortened."""
    return shorten(json.dumps(value, ensure_ascii=False, default=str))


def shorten(text: str) -> str:
    """The text, or its first 79 characters and an ellipsis."""
    return text if len(text) <= 80 else f"{text[:79]}…"
