"""Translations that begin with a given prefix: a step function that permits only its tokens, then all."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.decoding.beam_search import Memory, State, Step
from seq2seq.runtime.errors import InputError
from seq2seq.text.tokenizer import BOS, EOS, PAD, SPECIAL, UNK, Tokenizer

ANY = -1
"""In place of a token: every token is permitted."""


@dataclass
class PrefixState(Generic[State]):
    """The state of a search, and the tokens of the prefix that each row has not read yet, padded by `ANY`."""

    state: State
    prefix: Int[Tensor, "rows remaining"]

    def select(self, rows: Int[Tensor, "rows"]) -> "PrefixState[State]":
        """The state of these rows, in this order. A row may occur more than once."""
        return PrefixState(self.state.select(rows), self.prefix.index_select(0, rows))


def start_prefixes(state: State, prefixes: Sequence[Sequence[int]], device: torch.device) -> PrefixState[State]:
    """The first state of a search with a prefix for each sentence, without BOS. A prefix may be empty."""
    longest = max(map(len, prefixes), default=0)
    padded = [[*prefix, *[ANY] * (longest - len(prefix))] for prefix in prefixes]
    return PrefixState(state, torch.tensor(padded, dtype=torch.long, device=device).view(len(prefixes), longest))


def with_prefixes(step: Step[State, Memory]) -> Step[PrefixState[State], Memory]:
    """The step function under teacher forcing while a prefix lasts: all other tokens have a probability of 0.

    The log-probability of the permitted token is the model's. So a hypothesis is scored as without a prefix.
    """

    def prefixed_step(
        tokens: Int[Tensor, "rows"], state: PrefixState[State], memory: Memory
    ) -> tuple[Iterable[Float[Tensor, "_rows vocabulary"]], PrefixState[State], Float[Tensor, "rows source"]]:
        blocks, after, weights = step(tokens, state.state, memory)
        if not state.prefix.shape[1]:
            return blocks, PrefixState(after, state.prefix), weights
        return _permitted(blocks, state.prefix[:, 0]), PrefixState(after, state.prefix[:, 1:]), weights

    return prefixed_step


def _permitted(
    blocks: Iterable[Float[Tensor, "_rows vocabulary"]], permitted: Int[Tensor, "rows"]
) -> Iterator[Float[Tensor, "_rows vocabulary"]]:
    start = 0
    for block in blocks:
        token = permitted[start : start + len(block)].unsqueeze(1)
        start += len(block)
        vocabulary = torch.arange(block.shape[1], device=block.device)
        yield block.masked_fill((token != ANY) & (vocabulary != token), float("-inf"))


def prefix_ids(prefix: str | Sequence[str], tokenizer: Tokenizer, title: str) -> list[int]:
    """The ids of a prefix: a text, whose spaces at the end belong to the next word, or subwords.

    Raises InputError for a subword or word that the vocabulary does not have, and for PAD, BOS and EOS. `title` names
    the prefix.
    """
    if isinstance(prefix, str):
        if unknown := tokenizer.unknown(prefix.rstrip()):
            raise InputError(f"{title} has {unknown[0]!r}, which is not in the target vocabulary")
        return tokenizer.encode(prefix.rstrip())
    ids = tokenizer.ids(prefix)
    for subword, index in zip(prefix, ids, strict=True):
        if index == UNK and subword != SPECIAL[UNK]:
            raise InputError(f"{title} has {subword!r}, which is no subword of the target vocabulary")
        if index in (PAD, BOS):
            raise InputError(f"{title} has {subword!r}, which is in no translation")
        if index == EOS:
            raise InputError(f"{title} has {subword!r}, which ends a translation: give the subwords before it")
    return ids
