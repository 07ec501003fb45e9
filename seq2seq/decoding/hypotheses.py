"""Hypotheses, and their paths through the steps of a search."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class Hypothesis(NamedTuple):
    """One translation. `tokens` and the rows of `weights` exclude BOS and include EOS, where it was reached."""

    tokens: list[int]
    log_probability: float
    score: float
    weights: Float[np.ndarray, "target source"]


class Row(NamedTuple):
    """One step of the search. For each row: the token that it reads, and its parent row in the step before."""

    tokens: Int[np.ndarray, "_rows"]
    parents: Int[np.ndarray, "_rows"]


class End(NamedTuple):
    """The end of a hypothesis: its last token, and the row of step `length` that emitted it.

    `complete` is False where the length limit cut it. The score is that of `beam_search`.
    """

    length: int
    row: int
    token: int
    log_probability: float
    complete: bool
    score: float


def best_ends(ends: Sequence[End], n_best: int) -> list[End]:
    """The best ends, best first; complete hypotheses rank before cut ones."""
    return sorted(ends, key=lambda end: (end.complete, end.score), reverse=True)[:n_best]


def trace(
    ends: Sequence[End], rows: Sequence[Row], weights: Sequence[Float[np.ndarray, "_rows source"]]
) -> list[Hypothesis]:
    """Walks from the last tokens back to the first, in all hypotheses at once."""
    lengths, row = np.array([end.length for end in ends], dtype=int), np.array([end.row for end in ends], dtype=int)
    longest = max(lengths, default=0)
    tokens = np.zeros((len(ends), longest), dtype=int)
    paths = np.zeros((len(ends), longest, weights[0].shape[1]), dtype=weights[0].dtype)
    for step in range(longest - 1, -1, -1):
        reached = (lengths > step).nonzero()[0]
        paths[reached, step] = weights[step][row[reached]]
        tokens[reached, step] = rows[step].tokens[row[reached]]
        row[reached] = rows[step].parents[row[reached]]
    return [
        Hypothesis(
            tokens=[*words[1 : end.length], end.token],  # without BOS
            log_probability=end.log_probability,
            score=end.score,
            weights=path[: end.length],
        )
        for end, words, path in zip(ends, tokens.tolist(), paths, strict=True)
    ]
