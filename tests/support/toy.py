"""A toy in place of a model, and the beam search over Python lists that the real one is compared with."""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from seq2seq.decoding.beam_search import Candidates, beam_search
from seq2seq.decoding.hypotheses import Hypothesis
from seq2seq.decoding.penalties import Penalties
from seq2seq.decoding.prefix import start_prefixes, with_prefixes

VOCABULARY, END, START, SOURCE = 4, 3, 0, 5


class Rows(NamedTuple):
    """A number for each row: the words so far in the state, the sentence in the memory."""

    number: Tensor

    def select(self, rows: Tensor) -> Self:
        return type(self)(self.number[rows])


class Toy:
    """Random log-probabilities and weights for each sentence and each beginning of a translation."""

    def __init__(self, seed: int, *, end: float = 0.0) -> None:
        """`end` is added to what END would have scored: the greater, the shorter the translations."""
        torch.manual_seed(seed)
        logits = 2 * torch.randn(7, 1000, VOCABULARY, dtype=torch.float64)
        logits[..., END] += end
        self.log_probabilities = logits.log_softmax(dim=-1)
        self.weights = torch.randn(7, 1000, SOURCE).softmax(dim=-1)

    def step(self, tokens: Tensor, state: Rows, memory: Rows) -> tuple[list[Tensor], Rows, Tensor]:
        beginning = (5 * state.number + tokens + 1) % 997  # a number for the words so far
        sentence = memory.number.repeat_interleave(len(tokens) // len(memory.number))
        blocks = self.log_probabilities[sentence, beginning].split(2 * len(tokens) // len(memory.number))
        return list(blocks), Rows(beginning), self.weights[sentence, beginning]

    def replay(self, sentence: int, tokens: list[int]) -> tuple[float, Tensor]:
        """Teacher forcing: the log-probability of the tokens, and a row of weights for each."""
        total, rows, state, memory = 0.0, [], Rows(torch.tensor([0])), Rows(torch.tensor([sentence]))
        for before, token in itertools.pairwise([START, *tokens]):
            (log_probabilities,), state, weights = self.step(torch.tensor([before]), state, memory)
            total += float(log_probabilities[0, token])
            rows.append(weights[0])
        return total, torch.stack(rows)

    def search(
        self,
        chosen: list[int],
        *,
        limits: list[int],
        size: int,
        length_penalty: float = 1.0,
        n_best: int = 1,
        prefixes: Sequence[Sequence[int]] | None = None,
        observe: Callable[[Candidates], object] | None = None,
    ) -> list[list[Hypothesis]]:
        """The real search; without `prefixes` also without the code for them."""
        first = torch.full((len(chosen),), START)
        start, memory = Rows(torch.zeros(len(chosen), dtype=torch.long)), Rows(torch.tensor(chosen))
        options = {"limits": limits, "end": END, "size": size, "n_best": n_best, "penalties": Penalties(length_penalty)}
        if prefixes is None:
            return beam_search(self.step, first, start, memory, **options, observe=observe)  # type: ignore[arg-type]
        prefixed = start_prefixes(start, prefixes, torch.device("cpu"))
        return beam_search(with_prefixes(self.step), first, prefixed, memory, **options, observe=observe)  # type: ignore[arg-type]


class Scored(NamedTuple):
    """A hypothesis of `plain_search`."""

    tokens: list[int]
    score: float


class Considered(NamedTuple):
    """A candidate of `plain_search`."""

    status: str
    rank: int
    total: float


def plain_search(
    toy: Toy,
    sentence: int,
    *,
    limit: int,
    size: int,
    length_penalty: float,
    n_best: int,
    prefix: Sequence[int] = (),
) -> tuple[list[Scored], dict[tuple[int, ...], Considered]]:
    """The search over Python lists, one sentence at a time: the hypotheses, best first, and every candidate."""
    considered: dict[tuple[int, ...], Considered] = {}

    def consider(candidate: tuple[list[int], float], status: str, rank: int) -> None:
        considered[tuple(candidate[0])] = Considered(status, rank, candidate[1])

    for length in range(1, len(prefix) + 1):
        tokens = [*prefix[:length]]
        consider((tokens, toy.replay(sentence, tokens)[0]), "cut" if length == limit else "kept", 1)
    start = [*prefix], toy.replay(sentence, [*prefix])[0] if prefix else 0.0
    beam: list[tuple[list[int], float]] = [start]
    complete: list[tuple[list[int], float]] = []
    cut = [start] if len(prefix) == limit else []
    for length in range(len(prefix) + 1, limit + 1):
        candidates = []
        for tokens, _ in beam:
            for token in range(VOCABULARY):
                candidates.append(([*tokens, token], toy.replay(sentence, [*tokens, token])[0]))
        candidates.sort(key=lambda candidate: candidate[1], reverse=True)
        candidates = candidates[: 2 * size]
        complete += [candidate for candidate in candidates[:size] if candidate[0][-1] == END]
        if length == limit:
            cut = [candidate for candidate in candidates[:size] if candidate[0][-1] != END]
        beam = [candidate for candidate in candidates if candidate[0][-1] != END][:size]
        scores = sorted((total / len(tokens) ** length_penalty for tokens, total in complete), reverse=True)
        finished = len(complete) >= size and scores[n_best - 1] >= beam[0][1] / length**length_penalty
        for rank, candidate in enumerate(candidates, start=1):
            if candidate in complete:
                status = "ended"
            elif candidate in cut:
                status = "cut"
            elif candidate in beam and length < limit:
                status = "open" if finished else "kept"
            else:
                status = "dropped"
            consider(candidate, status, rank)
        if finished:
            break
    scored = [
        [Scored(tokens, total / len(tokens) ** length_penalty) for tokens, total in group] for group in (complete, cut)
    ]
    return [each for group in scored for each in sorted(group, key=lambda each: each.score, reverse=True)], considered
