"""Beam search over a step function. It depends on no model: states are rows that can be selected."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

Selected = TypeVar("Selected")


@runtime_checkable
class Rows(Protocol):
    """A batch whose rows can be reordered, repeated and dropped."""

    def select(self: Selected, rows: Int[Tensor, "rows"]) -> Selected: ...


State = TypeVar("State", bound=Rows)
Memory = TypeVar("Memory", bound=Rows)
Step = Callable[
    [Int[Tensor, "rows"], State, Memory],
    tuple[Iterable[Float[Tensor, "_rows vocabulary"]], State, Float[Tensor, "rows source"]],
]
"""(last tokens, state, memory) -> (log-probabilities of the next token, next state, attention weights).

Tokens and states have a row for each hypothesis; those of one sentence are neighbours. The memory has a row for each
sentence. Log-probabilities come in blocks of rows, each of whole sentences, so that a processor's cache can hold a
block.
"""


PART = 64
"""The number of words in a part of the vocabulary. Search skips parts whose best word cannot be among the best."""


class Hypothesis(NamedTuple):
    """One translation. `tokens` and the rows of `weights` exclude BOS and include EOS, where it was reached."""

    tokens: list[int]
    log_probability: float
    score: float
    weights: Float[np.ndarray, "target source"]


class Candidates(NamedTuple):
    """The candidates of one step: of each sentence, its hypotheses extended by one token, best first.

    `totals` are log-probabilities of whole paths, and `rows` the rows that `tokens` extend. `ends` marks the candidates
    that are hypotheses now: complete, or cut by the length limit. Row i of the next step is candidate `beam[:, i]`; its
    total is `beam_totals[:, i]`. A total that is not finite stands for no candidate.
    """

    totals: Float[Tensor, "sentences best"]
    rows: Int[Tensor, "sentences best"]
    tokens: Int[Tensor, "sentences best"]
    ends: Bool[Tensor, "sentences best"]
    beam: Int[Tensor, "sentences size"]
    beam_totals: Float[Tensor, "sentences size"]


class _Row(NamedTuple):
    """One step of the search. For each row: the token that it reads, and its parent row in the step before."""

    tokens: Int[np.ndarray, "_rows"]
    parents: Int[np.ndarray, "_rows"]


class _End(NamedTuple):
    """The end of a hypothesis: its last token, and the row of step `length` that emitted it.

    `complete` is False where the length limit cut it.
    """

    length: int
    row: int
    token: int
    log_probability: float
    complete: bool

    def score(self, length_penalty: float) -> float:
        return self.log_probability / self.length**length_penalty


def beam_search(
    step: Step[State, Memory],
    first: Int[Tensor, "batch"],
    state: State,
    memory: Memory,
    *,
    limits: Sequence[int],
    end: int,
    size: int,
    length_penalty: float,
    n_best: int = 1,
    observe: Callable[[Candidates], object] | None = None,
) -> list[list[Hypothesis]]:
    """The `n_best` best hypotheses of each sentence, best first, by `log p(y) / |y|^length_penalty`.

    |y| is the number of tokens, including EOS. `first` holds the BOS of each sentence, `limits` its greatest |y|.
    A beam of size 1 is greedy search.

    A sentence is finished when `size` of its hypotheses have ended and `n_best` of them score better than all open
    ones, or at its limit. Hypotheses without EOS at the limit are cut, and rank behind complete ones. A finished
    sentence leaves the batch at once. The result of a sentence does not depend on the others.

    `observe` is called with the candidates of each step.
    """
    sentences = list(range(len(limits)))  # the unfinished ones, in the order of their rows
    ends: list[list[_End]] = [[] for _ in limits]
    tokens, total = first, torch.zeros(len(limits), 1, device=first.device)
    rows = [_Row(tokens.cpu().numpy(), np.arange(len(sentences)))]
    weights: list[Float[np.ndarray, "_rows source"]] = []
    while True:
        log_probabilities, state, step_weights = step(tokens, state, memory)
        weights.append(step_weights.cpu().numpy())
        count, length = len(total), len(weights)
        # Each row has one EOS, so at least `size` of 2 x size candidates are open hypotheses (if there are as many).
        best, row, token = _best_of_blocks(total, log_probabilities, 2 * size)
        is_end = token == end
        at_limit = torch.tensor([limits[sentence] <= length for sentence in sentences], device=best.device)
        stops = is_end | at_limit.unsqueeze(1)
        ending = stops & best.isfinite()
        ending[:, size:] = False
        ended = ending.nonzero()[:, 0], row[ending], token[ending], best[ending], is_end[ending]
        for index, *values in zip(*(column.tolist() for column in ended), strict=True):
            ends[sentences[index]].append(_End(length, *values))
        total, order = best.masked_fill(stops, float("-inf")).topk(min(size, best.shape[1]))
        if observe is not None:
            observe(Candidates(best, row, token, ending, order, total))
        # Without rivals, `size` short and poor hypotheses could end the search before a good one is complete.
        rivals = (total[:, 0] / length**length_penalty).tolist()
        indices = [
            index
            for index, (sentence, rival) in enumerate(zip(sentences, rivals, strict=True))
            if length < limits[sentence]
            and (
                len(ends[sentence]) < size
                or _best(ends[sentence], n_best, length_penalty)[-1].score(length_penalty) < rival
            )
        ]
        if not indices:
            break
        if len(indices) < count:
            unfinished = torch.tensor(indices, device=best.device)
            total, order = total[unfinished], order[unfinished]
            row, token, memory = row[unfinished], token[unfinished], memory.select(unfinished)
        sentences = [sentences[index] for index in indices]
        parents, tokens = row.gather(1, order).flatten(), token.gather(1, order).flatten()
        state = state.select(parents)
        rows.append(_Row(tokens.cpu().numpy(), parents.cpu().numpy()))

    chosen = [_best(candidates, n_best, length_penalty) for candidates in ends]
    traced = iter(_trace([end for best in chosen for end in best], rows, weights, length_penalty))
    return [[next(traced) for _ in best] for best in chosen]


def _best_of_blocks(
    total: Float[Tensor, "count beam"], blocks: Iterable[Float[Tensor, "_rows vocabulary"]], number: int
) -> tuple[Float[Tensor, "count best"], Int[Tensor, "count best"], Int[Tensor, "count best"]]:
    """`_best_words` of all sentences, block by block."""
    start, results = 0, []
    for block in blocks:
        end = start + len(block) // total.shape[1]
        best, row, token = _best_words(total[start:end], block, number)
        results.append((best, row + start * total.shape[1], token))
        start = end
    assert start == len(total), f"{start} of {len(total)} sentences have log-probabilities"
    best, row, token = (torch.cat(tensors) for tensors in zip(*results, strict=True))
    return best, row, token


def _best_words(
    total: Float[Tensor, "count beam"], log_probabilities: Float[Tensor, "rows vocabulary"], number: int
) -> tuple[Float[Tensor, "count best"], Int[Tensor, "count best"], Int[Tensor, "count best"]]:
    """The `number` best sums of each sentence (all, if there are fewer), best first: the sums, their rows and tokens.

    They are in the `number` parts of the vocabulary with the best maxima. So `topk` runs over these parts only: over
    all words it would take as long as the output layer.
    """
    (count, beam), vocabulary = total.shape, log_probabilities.shape[1]
    if vocabulary % PART:
        log_probabilities = pad(log_probabilities, (0, -vocabulary % PART), value=float("-inf"))
    parts = log_probabilities.view(count, beam, -1, PART)
    maxima = (total.unsqueeze(2) + parts.amax(dim=3)).flatten(1)
    chosen = maxima.topk(min(number, maxima.shape[1])).indices
    words = parts.flatten(1, 2).gather(1, chosen.unsqueeze(2).expand(-1, -1, PART))
    sums = (total.gather(1, chosen // parts.shape[2]).unsqueeze(2) + words).flatten(1)
    best, index = sums.topk(min(number, beam * vocabulary))
    part = chosen.gather(1, index // PART)
    row = part // parts.shape[2] + beam * torch.arange(count, device=index.device).unsqueeze(1)
    token = part % parts.shape[2] * PART + index % PART
    return best, row, token.clamp(max=vocabulary - 1)  # where few words are possible, padding is among the best


def _best(ends: list[_End], n_best: int, length_penalty: float) -> list[_End]:
    """The best ends, best first; complete hypotheses rank before cut ones."""
    return sorted(ends, key=lambda end: (end.complete, end.score(length_penalty)), reverse=True)[:n_best]


def _trace(
    ends: list[_End], rows: list[_Row], weights: list[Float[np.ndarray, "_rows source"]], length_penalty: float
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
            score=end.score(length_penalty),
            weights=path[: end.length],
        )
        for end, words, path in zip(ends, tokens.tolist(), paths, strict=True)
    ]
