"""Forced decoding: the log-probability of each token of a given target, where it attends, and its alternatives."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from seq2seq.decoding.ensemble import ROWS, Ensemble
from seq2seq.nn.model import Model
from seq2seq.runtime.memory import memory_or
from seq2seq.text.batches import batch_pairs

LONGEST_TARGET = 4000
"""The most subwords of a target, four times the default for a source: 64 longer ones may not fit in memory."""
PAIRS = 64
"""The most pairs in a batch."""
POSITIONS = 2**18
"""The most entries of a batch's attention: pairs x target tokens x source tokens. A larger pair is a batch."""


class ForcedTarget(NamedTuple):
    """A target's tokens and EOS: the log-probability of each, and its attention weights on source tokens and EOS."""

    log_probabilities: Float[np.ndarray, "target"]
    weights: Float[np.ndarray, "target source"]


@memory_or("no memory to read a source and a target of this length: split them")
def force_targets(
    model: Model | Ensemble, device: torch.device, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> list[ForcedTarget]:
    """Reads each target under teacher forcing, with its source. Both are token ids without BOS and EOS."""
    results: dict[int, ForcedTarget] = {}
    for indices in _batches(sources, targets):
        batch = _force(model, device, [sources[i] for i in indices], [targets[i] for i in indices])
        results.update(zip(indices, batch, strict=True))
    return [results[i] for i in range(len(sources))]


class BestTokens(NamedTuple):
    """The most probable tokens after each beginning of a target, the whole target included; the best come first."""

    tokens: Int[np.ndarray, "target number"]
    log_probabilities: Float[np.ndarray, "target number"]


@memory_or("no memory to read a source and a target of this length: split them")
@torch.inference_mode()
def best_tokens(
    model: Model | Ensemble, device: torch.device, source: Sequence[int], target: Sequence[int], number: int
) -> BestTokens:
    """The `number` most probable tokens at each position of a target and at its end; all, if there are fewer."""
    batch = batch_pairs([source], [target]).to(device)
    outputs, _ = model(batch.source, batch.source_mask, batch.target_input)
    best = [
        log_probabilities.topk(min(number, log_probabilities.shape[1]))
        for log_probabilities in (model.output(rows).log_softmax(dim=-1) for rows in outputs[0].split(ROWS))
    ]
    return BestTokens(
        torch.cat([rows.indices for rows in best]).cpu().numpy(),
        torch.cat([rows.values for rows in best]).float().cpu().numpy(),
    )


def _batches(sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """The indices of each batch: pairs of similar length, within `PAIRS` and `POSITIONS`."""
    indices: list[int] = []
    longest_source = longest_target = 0
    for i in sorted(range(len(targets)), key=lambda i: (len(targets[i]), len(sources[i]))):
        longest_source, longest_target = max(longest_source, len(sources[i]) + 1), len(targets[i]) + 1
        positions = (len(indices) + 1) * longest_source * longest_target
        if indices and (len(indices) == PAIRS or positions > POSITIONS):
            yield indices
            indices, longest_source = [], len(sources[i]) + 1
        indices.append(i)
    if indices:
        yield indices


@torch.inference_mode()
def _force(
    model: Model | Ensemble, device: torch.device, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> list[ForcedTarget]:
    batch = batch_pairs(sources, targets).to(device)
    outputs, attention = model(batch.source, batch.source_mask, batch.target_input)
    tokens = batch.target_output[batch.target_mask].split(ROWS)
    chosen = [
        model.output(rows).log_softmax(dim=-1).gather(1, ids.unsqueeze(1)).squeeze(1)
        for rows, ids in zip(outputs[batch.target_mask].split(ROWS), tokens, strict=True)
    ]
    ends = np.cumsum([len(target) + 1 for target in targets])
    log_probabilities = np.split(torch.cat(chosen).float().cpu().numpy(), ends[:-1])
    weights = attention.weights.float().cpu().numpy()
    return [
        ForcedTarget(log_probabilities[i], weights[i, : len(target) + 1, : len(source) + 1])
        for i, (source, target) in enumerate(zip(sources, targets, strict=True))
    ]
