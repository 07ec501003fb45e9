"""The best continuations of the hypotheses of each sentence, among all words of the vocabulary."""

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

PART = 64
"""The number of words in a part of the vocabulary. Search skips parts whose best word cannot be among the best."""

FEW = 20_000
"""Log-probabilities that `topk` compares faster than it skips parts of them."""


def best_of_blocks(
    total: Float[Tensor, "count beam"], blocks: Iterable[Float[Tensor, "_rows vocabulary"]], number: int
) -> tuple[Float[Tensor, "count best"], Int[Tensor, "count best"], Int[Tensor, "count best"]]:
    """`best_words` of all sentences, block by block."""
    start, results = 0, []
    for block in blocks:
        end = start + len(block) // total.shape[1]
        best, row, token = best_words(total[start:end], block, number)
        results.append((best, row + start * total.shape[1], token))
        start = end
    assert start == len(total), f"{start} of {len(total)} sentences have log-probabilities"
    best, row, token = (torch.cat(tensors) for tensors in zip(*results, strict=True))
    return best, row, token


def best_words(
    total: Float[Tensor, "count beam"], log_probabilities: Float[Tensor, "rows vocabulary"], number: int
) -> tuple[Float[Tensor, "count best"], Int[Tensor, "count best"], Int[Tensor, "count best"]]:
    """The `number` best sums of each sentence (all, if there are fewer), best first: the sums, their rows and tokens.

    They are in the `number` parts of the vocabulary with the best maxima. So `topk` runs over these parts only, where
    there are many words: over all of them it would take as long as the output layer.
    """
    (count, beam), vocabulary = total.shape, log_probabilities.shape[1]
    first_row = beam * torch.arange(count, device=total.device).unsqueeze(1)
    if log_probabilities.numel() <= FEW:
        sums = (total.unsqueeze(2) + log_probabilities.view(count, beam, -1)).flatten(1)
        best, index = sums.topk(min(number, beam * vocabulary))
        return best, first_row + index // vocabulary, index % vocabulary
    if vocabulary % PART:
        log_probabilities = pad(log_probabilities, (0, -vocabulary % PART), value=float("-inf"))
    parts = log_probabilities.view(count, beam, -1, PART)
    maxima = (total.unsqueeze(2) + parts.amax(dim=3)).flatten(1)
    chosen = maxima.topk(min(number, maxima.shape[1])).indices
    words = parts.flatten(1, 2).gather(1, chosen.unsqueeze(2).expand(-1, -1, PART))
    sums = (total.gather(1, chosen // parts.shape[2]).unsqueeze(2) + words).flatten(1)
    best, index = sums.topk(min(number, beam * vocabulary))
    part = chosen.gather(1, index // PART)
    row = first_row + part // parts.shape[2]
    token = part % parts.shape[2] * PART + index % PART
    return best, row, token.clamp(max=vocabulary - 1)  # where few words are possible, padding is among the best
