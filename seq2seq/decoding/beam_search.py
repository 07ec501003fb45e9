"""Beam search over a step function. It depends on no model: states are rows that can be selected."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.decoding.best_words import best_of_blocks
from seq2seq.decoding.hypotheses import End, Hypothesis, Row, best_ends, trace
from seq2seq.decoding.penalties import Coverage, Penalties

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


class Candidates(NamedTuple):
    """The candidates of one step: of each sentence, its hypotheses extended by one token, best first.

    `totals` are log-probabilities of whole paths, and `rows` the rows that `tokens` extend. `ends` marks the candidates
    that are hypotheses now: complete, or cut by the length limit. Row i of the next step is candidate `beam[:, i]`; its
    total is `beam_totals[:, i]`. A total that is not finite stands for no candidate. `scores` are those of hypotheses,
    and NaN for other candidates. `sentences` are the indices of the sentences, all of which are unfinished.
    """

    totals: Float[np.ndarray, "sentences best"]
    rows: Int[np.ndarray, "sentences best"]
    tokens: Int[np.ndarray, "sentences best"]
    ends: Bool[np.ndarray, "sentences best"]
    scores: Float[np.ndarray, "sentences best"]
    beam: Int[np.ndarray, "sentences size"]
    beam_totals: Float[np.ndarray, "sentences size"]
    sentences: Int[np.ndarray, "sentences"]


def beam_search(
    step: Step[State, Memory],
    first: Int[Tensor, "batch"],
    state: State,
    memory: Memory,
    *,
    limits: Sequence[int],
    end: int,
    size: int,
    penalties: Penalties,
    sources: Sequence[int] = (),
    n_best: int = 1,
    observe: Callable[[Candidates], object] | None = None,
) -> list[list[Hypothesis]]:
    """The `n_best` best hypotheses of each sentence by score, best first.

    `penalties` make the score of a log-probability, `log p(y) / |y|^length` if there is no coverage penalty. |y| is the
    number of tokens, including EOS. For a coverage penalty, `sources` are the numbers of source tokens without EOS. An
    open hypothesis counts as if it covered its source, since it may still do so.

    `first` holds the BOS of each sentence, `limits` its greatest |y|.
    A beam of size 1 is greedy search, but for ties.

    A sentence is finished when `size` of its hypotheses have ended and `n_best` of them score better than all open
    ones, or at its limit. Hypotheses without EOS at the limit are cut, and rank behind complete ones. A finished
    sentence leaves the batch at once. The result of a sentence does not depend on the others.

    `observe` is called with the candidates of each step.
    """
    sentences = np.arange(len(limits))  # the unfinished ones, in the order of their rows
    longest, ended = np.array(limits, dtype=int), np.zeros(len(limits), dtype=int)  # the limits, and how many ends
    ends: list[list[End]] = [[] for _ in limits]
    device = first.device
    coverage = Coverage(penalties, sources) if penalties.coverage else None
    tokens, total = first, torch.zeros(len(limits), 1, device=device)
    rows = [Row(tokens.cpu().numpy(), np.arange(len(sentences)))]
    weights: list[Float[np.ndarray, "_rows source"]] = []
    while True:
        log_probabilities, state, step_weights = step(tokens, state, memory)
        weights.append(step_weights.cpu().numpy())
        length = len(weights)
        divisor = penalties.divisor(length)
        if coverage is not None:
            coverage.add(weights[-1], rows[-1].parents)
        # Each row has one EOS, so at least `size` of 2 x size candidates are open hypotheses (if there are as many).
        # From here to the next step all is small: NumPy is faster with it than PyTorch, on a GPU too.
        best, row, token = (tensor.cpu().numpy() for tensor in best_of_blocks(total, log_probabilities, 2 * size))
        is_end = token == end
        stops = is_end | (longest[sentences] <= length)[:, np.newaxis]
        ending = stops & np.isfinite(best)
        ending[:, size:] = False
        scores = []
        columns = sentences[ending.nonzero()[0]], row[ending], token[ending], best[ending], is_end[ending]
        for sentence, end_row, end_token, log_probability, complete in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            score = log_probability / divisor
            if coverage is not None:
                score += coverage.of_row(end_row, sentence)
            ends[sentence].append(End(length, end_row, end_token, log_probability, complete, score))
            scores.append(score)
        ended[sentences] += ending.sum(axis=1)
        order = stops.argsort(axis=1, kind="stable")[:, :size]  # the open candidates, best first
        totals = np.take_along_axis(np.where(stops, -np.inf, best), order, axis=1)
        if observe is not None:
            score_of_each = np.full(best.shape, np.nan)
            score_of_each[ending] = scores
            observe(Candidates(best, row, token, ending, score_of_each, order, totals, sentences))
        # Without rivals, `size` short and poor hypotheses could end the search before a good one is complete.
        is_open = longest[sentences] > length
        for index in (is_open & (ended[sentences] >= size)).nonzero()[0].tolist():
            worst = best_ends(ends[sentences[index]], n_best)[-1]
            is_open[index] = worst.score < float(totals[index, 0]) / divisor  # in the precision of the scores
        if not is_open.any():
            break
        if not is_open.all():
            memory = memory.select(torch.from_numpy(is_open.nonzero()[0]).to(device))
            order, totals, row, token, sentences = (array[is_open] for array in (order, totals, row, token, sentences))
        rows.append(Row(*(np.take_along_axis(array, order, axis=1).ravel() for array in (token, row))))
        tokens, parents, total = (torch.from_numpy(array).to(device) for array in (*rows[-1], totals))
        state = state.select(parents)

    chosen = [best_ends(candidates, n_best) for candidates in ends]
    traced = iter(trace([end for best in chosen for end in best], rows, weights))
    return [[next(traced) for _ in best] for best in chosen]
