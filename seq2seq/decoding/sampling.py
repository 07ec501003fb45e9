"""Sampling: translations that are drawn from the model, token by token."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.decoding.beam_search import Memory, State, Step
from seq2seq.decoding.hypotheses import End, Hypothesis, Row, best_ends, trace
from seq2seq.decoding.penalties import Coverage, Penalties


class Distribution(NamedTuple):
    """What a token is drawn from: `softmax(log p / temperature)`, cut to its most probable tokens.

    `top_k` keeps so many tokens (Fan, Lewis and Dauphin 2018); 0 keeps all. Of these, `top_p` keeps the smallest set
    of most probable ones whose probabilities sum to at least `top_p`, the nucleus (Holtzman et al. 2020, section 3.1).
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def draw(
        self, log_probabilities: Float[Tensor, "rows vocabulary"], uniforms: Float[Tensor, "rows"]
    ) -> Int[Tensor, "rows"]:
        """A token for each row: the first, by id, where the cumulative probability exceeds `uniforms`.

        Ids have the same order whatever the rounding, so a rounding error of a probability hardly ever changes a token;
        an order by probability would. A row with NaN has token 0.
        """
        logits = log_probabilities.double() / self.temperature
        if self.top_k or self.top_p < 1:
            ranked, order = logits.sort(dim=1, descending=True, stable=True)
            if self.top_k:
                ranked[:, self.top_k :] = float("-inf")
            probabilities = ranked.softmax(dim=1)
            dropped = probabilities == 0
            if self.top_p < 1:
                dropped |= probabilities.cumsum(dim=1) - probabilities >= self.top_p
            logits = logits.masked_fill(torch.zeros_like(dropped).scatter(1, order, dropped), float("-inf"))
        cumulative = logits.softmax(dim=1).cumsum(dim=1)
        total = cumulative[:, -1:]
        token = (cumulative <= uniforms.unsqueeze(1) * total).sum(dim=1)
        return token.minimum((cumulative < total).sum(dim=1))  # at most the last possible one, after rounding


def uniform_numbers(
    seed: int, source: Sequence[int], prefix: Sequence[int], *, samples: int, limit: int
) -> Float[np.ndarray, "limit samples"]:
    """The random numbers of a sentence. They depend on its source and prefix alone, and more samples begin alike."""
    digest = hashlib.sha256(repr((seed, list(source), list(prefix))).encode()).digest()
    generators = [np.random.Generator(np.random.Philox(key=_key(digest, number))) for number in range(samples)]
    return np.stack([generator.random(limit) for generator in generators], axis=1)


def _key(digest: bytes, number: int) -> int:
    return int.from_bytes(hashlib.sha256(digest + number.to_bytes(8)).digest()[:16])


def sample(
    step: Step[State, Memory],
    first: Int[Tensor, "batch"],
    state: State,
    memory: Memory,
    *,
    distribution: Distribution,
    uniforms: Sequence[Float[np.ndarray, "_limit samples"]],
    end: int,
    penalties: Penalties,
    sources: Sequence[int] = (),
    n_best: int = 1,
) -> list[list[Hypothesis]]:
    """The `n_best` samples of each sentence with the best scores, best first. Samples may be equal.

    `first` holds the BOS of each sentence. `uniforms` has, for each sentence, a number between 0 and 1 for each step up
    to its greatest length and for each of its samples. Log-probabilities and scores are the model's, whatever the
    distribution. `penalties` and `sources` are those of `beam_search`. The result of a sentence does not depend on the
    others.
    """
    size, device = uniforms[0].shape[1], first.device
    sentences = list(range(len(uniforms)))  # those with an open sample, in the order of their rows
    ends: list[list[End]] = [[] for _ in uniforms]
    coverage = Coverage(penalties, sources) if penalties.coverage else None
    parents = np.arange(len(sentences)).repeat(size)
    state, tokens = state.select(torch.from_numpy(parents).to(device)), first.repeat_interleave(size)
    rows = [Row(tokens.cpu().numpy(), parents)]
    totals, is_open = np.zeros(len(parents)), np.ones(len(parents), dtype=bool)
    weights: list[Float[np.ndarray, "_rows source"]] = []
    while True:
        blocks, state, step_weights = step(tokens, state, memory)
        weights.append(step_weights.cpu().numpy())
        length = len(weights)
        if coverage is not None:
            coverage.add(weights[-1], rows[-1].parents)
        numbers = np.concatenate([uniforms[sentence][length - 1] for sentence in sentences])
        drawn, log_probabilities = _draw(blocks, distribution, torch.from_numpy(numbers).to(device))
        totals = totals + log_probabilities
        is_end = drawn == end
        is_last = np.array([len(uniforms[sentence]) <= length for sentence in sentences]).repeat(size)
        for row in np.flatnonzero(is_open & (is_end | is_last)).tolist():
            sentence, total = sentences[row // size], float(totals[row])
            if np.isfinite(total):
                score = total / penalties.divisor(length)
                if coverage is not None:
                    score += coverage.of_row(row, sentence)
                ends[sentence].append(End(length, row, int(drawn[row]), total, bool(is_end[row]), score))
        is_open &= ~(is_end | is_last)
        indices = np.flatnonzero(is_open.reshape(-1, size).any(axis=1))  # of sentences that go on, with all their rows
        if not len(indices):
            break
        parents = (indices[:, None] * size + np.arange(size)).ravel()
        if len(indices) < len(sentences):
            memory = memory.select(torch.from_numpy(indices).to(device))
        sentences = [sentences[index] for index in indices]
        totals, is_open = totals[parents], is_open[parents]
        rows.append(Row(drawn[parents], parents))
        tokens, state = torch.from_numpy(rows[-1].tokens).to(device), state.select(torch.from_numpy(parents).to(device))
    chosen = [best_ends(candidates, n_best) for candidates in ends]
    traced = iter(trace([end for best in chosen for end in best], rows, weights))
    return [[next(traced) for _ in best] for best in chosen]


def _draw(
    blocks: Iterable[Float[Tensor, "_rows vocabulary"]], distribution: Distribution, uniforms: Float[Tensor, "rows"]
) -> tuple[Int[np.ndarray, "rows"], Float[np.ndarray, "rows"]]:
    """A token for each row, and its log-probability under the model."""
    tokens, log_probabilities, start = [], [], 0
    for block in blocks:
        drawn = distribution.draw(block, uniforms[start : start + len(block)])
        start += len(block)
        tokens.append(drawn)
        log_probabilities.append(block.gather(1, drawn.unsqueeze(1)).squeeze(1))
    return torch.cat(tokens).cpu().numpy(), torch.cat(log_probabilities).double().cpu().numpy()
