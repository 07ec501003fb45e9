"""Diverse beam search: groups of hypotheses, each of which avoids the tokens of the groups before it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.decoding.beam_search import Candidates, Memory, State, Step, beam_search
from seq2seq.decoding.hypotheses import Hypothesis
from seq2seq.decoding.penalties import Penalties

Uses = list[Counter[tuple[int, int]]]
"""For each step: how many hypotheses of the earlier groups end with a token at it, by sentence and token."""


@dataclass
class GroupState(Generic[State]):
    """The state of a search, the sentence of each row, and the number of tokens that all rows have."""

    state: State
    sentences: Int[Tensor, "rows"]
    length: int = 0

    def select(self, rows: Int[Tensor, "rows"]) -> "GroupState[State]":
        """The state of these rows, in this order. A row may occur more than once."""
        return GroupState(self.state.select(rows), self.sentences.index_select(0, rows), self.length)


def diverse_beam_search(
    step: Step[State, Memory],
    first: Int[Tensor, "batch"],
    state: State,
    memory: Memory,
    *,
    limits: Sequence[int],
    end: int,
    size: int,
    groups: int,
    diversity: float,
    penalties: Penalties,
    sources: Sequence[int] = (),
    n_best: int = 1,
) -> list[list[Hypothesis]]:
    """The `n_best` best hypotheses of each sentence that `groups` beams of `size / groups` find, best first.

    A beam ranks its candidates by `log p(y_1..t) - diversity * sum_i uses_i(y_i)`. `uses_i(w)` is how many hypotheses
    of the beams before it chose the token w at step i: the Hamming diversity of Vijayakumar et al. 2018, "Diverse Beam
    Search for Improved Description of Complex Scenes", section 4, summed over the steps of a path.

    The groups do not depend on later ones, so they are searched one after the other. Log-probabilities and scores of
    the result are the model's. A hypothesis that several beams find counts once, so there may be fewer than `n_best`.
    The other arguments are those of `beam_search`. The result of a sentence does not depend on the others.
    """
    uses: Uses = []
    ranked: list[dict[tuple[int, ...], Hypothesis]] = [{} for _ in limits]
    for _ in range(groups):
        steps: list[Candidates] = []
        beams = beam_search(
            _with_diversity(step, uses, diversity),
            first,
            GroupState(state, torch.arange(len(limits), device=first.device)),
            memory,
            limits=limits,
            end=end,
            size=size // groups,
            penalties=penalties,
            sources=sources,
            n_best=size // groups,
            observe=steps.append,
        )
        for sentence, hypotheses in enumerate(beams):
            for hypothesis in hypotheses:
                path = zip(uses, hypothesis.tokens, strict=False)
                penalty = diversity * sum(used[sentence, token] for used, token in path)
                ranked[sentence].setdefault(tuple(hypothesis.tokens), _without(hypothesis, penalty, penalties))
        _count(steps, uses)
    return [
        sorted(found.values(), key=lambda each: (each.tokens[-1] == end, each.score), reverse=True)[:n_best]
        for found in ranked
    ]


def _without(hypothesis: Hypothesis, penalty: float, penalties: Penalties) -> Hypothesis:
    """The hypothesis with the model's log-probability in place of one that is lower by `penalty`."""
    return hypothesis._replace(
        log_probability=hypothesis.log_probability + penalty,
        score=hypothesis.score + penalty / penalties.divisor(len(hypothesis.tokens)),
    )


def _count(steps: Sequence[Candidates], uses: Uses) -> None:
    """Adds the tokens of a group: at each step those of its open hypotheses, and of those that end."""
    uses.extend(Counter() for _ in range(len(steps) - len(uses)))
    for used, candidates in zip(uses, steps, strict=False):
        chosen = candidates.ends.copy()
        open_rows, column = np.isfinite(candidates.beam_totals).nonzero()
        chosen[open_rows, candidates.beam[open_rows, column]] = True
        rows, columns = chosen.nonzero()
        used.update(zip(candidates.sentences[rows].tolist(), candidates.tokens[rows, columns].tolist(), strict=True))


def _with_diversity(step: Step[State, Memory], uses: Uses, diversity: float) -> Step[GroupState[State], Memory]:
    """The step function in which each earlier use of a token at the same step costs `diversity`."""

    def penalized_step(
        tokens: Int[Tensor, "rows"], state: GroupState[State], memory: Memory
    ) -> tuple[Iterable[Float[Tensor, "_rows vocabulary"]], GroupState[State], Float[Tensor, "rows source"]]:
        blocks, after, weights = step(tokens, state.state, memory)
        if state.length < len(uses):
            blocks = _penalized(blocks, state.sentences, uses[state.length], diversity)
        return blocks, GroupState(after, state.sentences, state.length + 1), weights

    return penalized_step


def _penalized(
    blocks: Iterable[Float[Tensor, "_rows vocabulary"]],
    sentences: Int[Tensor, "rows"],
    used: Counter[tuple[int, int]],
    diversity: float,
) -> Iterator[Float[Tensor, "_rows vocabulary"]]:
    tokens_of: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for (sentence, token), count in used.items():
        tokens_of[sentence].append((token, count))
    cells = [(row, *use) for row, sentence in enumerate(sentences.tolist()) for use in tokens_of[sentence]]
    rows, tokens, counts = torch.tensor(cells, dtype=torch.long, device=sentences.device).view(-1, 3).unbind(dim=1)
    start = 0
    for block in blocks:
        inside = (rows >= start) & (rows < start + len(block))
        costs = diversity * counts[inside].to(block.dtype)
        yield block.index_put((rows[inside] - start, tokens[inside]), -costs, accumulate=True)
        start += len(block)
