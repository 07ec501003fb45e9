"""What is wrong with an option, in a sentence, with the near names."""

import difflib
import json
from collections.abc import Iterable


def near(word: str, choices: Iterable[str]) -> str:
    """`did you mean X?` for a mistyped word; where nothing is near, all the choices of its section.

    `epochs` is near `training.epochs`, `model.dropuot` near `model.dropout` and not near `model`.
    """
    section, _, name = word.rpartition(".")
    choices = sorted(set(choices))
    if "." not in word and (exact := [choice for choice in choices if choice.rpartition(".")[2] == word]):
        return f"did you mean {' or '.join(exact[:3])}?"
    beside = [choice for choice in choices if choice.rpartition(".")[0] == section]
    for pool in (beside, choices):
        by_name = {choice: choice.rpartition(".")[2] for choice in pool}
        names = difflib.get_close_matches(name, set(by_name.values()), n=3, cutoff=0.6)
        if matches := [choice for choice in pool if by_name[choice] in names]:
            return f"did you mean {' or '.join(sorted(matches, key=lambda choice: names.index(by_name[choice]))[:3])}?"
    return f"choose one of {', '.join(beside or (choice for choice in choices if '.' not in choice))}"


def show(value: object) -> str:
    return shorten(json.dumps(value, ensure_ascii=False, default=str))


def shorten(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"
