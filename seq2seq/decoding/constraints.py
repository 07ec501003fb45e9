"""Constraints on translations: a step function without the tokens that they forbid."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.decoding.beam_search import Memory, State, Step


@dataclass
class ConstrainedState(Generic[State]):
    """The state of a search, and the tokens that each row has read, BOS included."""

    state: State
    tokens: Int[Tensor, "rows length"]

    def select(self, rows: Int[Tensor, "rows"]) -> "ConstrainedState[State]":
        """The state of these rows, in this order. A row may occur more than once."""
        return ConstrainedState(self.state.select(rows), self.tokens.index_select(0, rows))


def start_constraints(state: State, first: Int[Tensor, "rows"]) -> ConstrainedState[State]:
    """The first state of a search with constraints."""
    return ConstrainedState(state, first.new_empty(len(first), 0))


def with_constraints(
    step: Step[State, Memory], *, min_length: int, no_repeat_ngram: int, end: int
) -> Step[ConstrainedState[State], Memory]:
    """The step function in which forbidden tokens have a probability of 0.

    - `end` is forbidden until a translation has `min_length` tokens.
    - A token is forbidden if it would complete an n-gram of `no_repeat_ngram` tokens that the translation already has
      (Paulus, Xiong and Socher 2018, section 2.5, with n = 3). 0 forbids none. An n-gram may repeat where nothing else
      is possible: so does a prefix, if `step` permits only its tokens.

    The log-probabilities of the other tokens stay the model's, so a hypothesis is scored as without constraints.
    """

    def constrained_step(
        tokens: Int[Tensor, "rows"], state: ConstrainedState[State], memory: Memory
    ) -> tuple[Iterable[Float[Tensor, "_rows vocabulary"]], ConstrainedState[State], Float[Tensor, "rows source"]]:
        history = torch.cat([state.tokens, tokens.unsqueeze(1)], dim=1)
        blocks, after, weights = step(tokens, state.state, memory)
        target = history[:, 1:]
        permitted = _permitted(blocks, target, end if target.shape[1] < min_length else None, no_repeat_ngram)
        return permitted, ConstrainedState(after, history), weights

    return constrained_step


def _permitted(
    blocks: Iterable[Float[Tensor, "_rows vocabulary"]],
    target: Int[Tensor, "rows length"],
    end: int | None,
    no_repeat_ngram: int,
) -> Iterator[Float[Tensor, "_rows vocabulary"]]:
    start = 0
    for block in blocks:
        if end is not None:
            block = block.index_fill(1, torch.tensor(end, device=block.device), float("-inf"))
        if 0 < no_repeat_ngram <= target.shape[1]:
            repeated = _repeated(target[start : start + len(block)], no_repeat_ngram, block.shape[1])
            others = block.masked_fill(repeated, float("-inf"))
            block = torch.where(others.isfinite().any(dim=1, keepdim=True), others, block)
        start += len(block)
        yield block


def _repeated(target: Int[Tensor, "rows length"], size: int, vocabulary: int) -> Bool[Tensor, "rows vocabulary"]:
    """The tokens that complete an n-gram of `size` tokens for a second time."""
    ngrams = target.unfold(1, size, 1)
    last = target[:, target.shape[1] - size + 1 :].unsqueeze(1)
    row, position = (ngrams[:, :, :-1] == last).all(dim=2).nonzero(as_tuple=True)
    repeated = torch.zeros(len(target), vocabulary, dtype=torch.bool, device=target.device)
    repeated[row, ngrams[row, position, -1]] = True
    return repeated
