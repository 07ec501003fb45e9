"""Greedy search: beam search with a beam of one hypothesis, without what a beam needs.

A sentence alone spends half of its time between matrix products, so a step has few operations here.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.decoding.beam_search import Memory, State, Step
from seq2seq.decoding.hypotheses import Hypothesis
from seq2seq.decoding.penalties import Penalties


class _Step(NamedTuple):
    """The results of one step: a row for each sentence that is not finished before it."""

    sentences: Int[np.ndarray, "rows"]
    tokens: Int[np.ndarray, "rows"]
    weights: Float[np.ndarray, "rows source"]


def _best_word(
    log_probabilities: Float[Tensor, "rows vocabulary"],
) -> tuple[Float[Tensor, "rows"], Int[Tensor, "rows"]]:
    """The largest log-probability of each row and its word. On a CPU NumPy takes a tenth of PyTorch's time."""
    if log_probabilities.device.type != "cpu":
        largest, tokens = log_probabilities.max(dim=1)
        return largest, tokens
    tokens = torch.from_numpy(log_probabilities.numpy().argmax(axis=1))
    return log_probabilities.gather(1, tokens.unsqueeze(1)).squeeze(1), tokens


def greedy_search(
    step: Step[State, Memory],
    first: Int[Tensor, "batch"],
    state: State,
    memory: Memory,
    *,
    limits: Sequence[int],
    end: int,
    penalties: Penalties,
) -> list[list[Hypothesis]]:
    """The hypothesis of each sentence that `beam_search` finds with `size=1`, but for ties. It has no coverage penalty.

    The list of a sentence is empty where no token has a finite log-probability.
    """
    steps: list[_Step] = []
    lengths, log_probabilities = np.zeros(len(limits), dtype=int), np.zeros(len(limits))
    sentences, most = np.arange(len(limits)), np.array(limits)  # of the rows: the sentence, and its limit
    tokens, total = first, torch.zeros(len(limits), device=first.device)
    while True:
        blocks, state, weights = step(tokens, state, memory)
        best = [_best_word(block) for block in blocks]
        largest, tokens = best[0] if len(best) == 1 else map(torch.cat, zip(*best, strict=True))
        total = total + largest
        steps.append(_Step(sentences, tokens.cpu().numpy(), weights.cpu().numpy()))
        totals = total.cpu().numpy()
        is_finite = np.isfinite(totals)
        stops = (steps[-1].tokens == end) | (most <= len(steps)) | ~is_finite
        if not stops.any():
            continue
        ended = stops & is_finite
        lengths[sentences[ended]], log_probabilities[sentences[ended]] = len(steps), totals[ended]
        if stops.all():
            break
        (open_rows,) = (~stops).nonzero()
        sentences, most = sentences[open_rows], most[open_rows]
        rows = torch.from_numpy(open_rows).to(first.device)
        tokens, total, state, memory = tokens[rows], total[rows], state.select(rows), memory.select(rows)

    paths = np.zeros((len(limits), len(steps)), dtype=int)
    attention = np.zeros((*paths.shape, steps[0].weights.shape[1]), dtype=steps[0].weights.dtype)
    for i, one in enumerate(steps):
        paths[one.sentences, i], attention[one.sentences, i] = one.tokens, one.weights
    return [
        [Hypothesis(path[:length], log_probability, log_probability / penalties.divisor(length), weights[:length])]
        if length
        else []
        for path, length, log_probability, weights in zip(
            paths.tolist(), lengths.tolist(), log_probabilities.tolist(), attention, strict=True
        )
    ]
