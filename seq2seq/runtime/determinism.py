"""Sums on a GPU: in an order that is the same each time, as `device.deterministic` asks, or in any order."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce

import torch
from torch import Tensor


@contextmanager
def unordered_additions() -> Iterator[None]:
    """Additions in the block may be in any order, with `device.deterministic` too, since the order has no effect.

    Deterministic `scatter_add_` sorts the indices, which a CUDA graph cannot contain.
    """
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("default")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)


LARGEST_PART = 1024
"""Indices that PyTorch's deterministic kernel reads at once. With more, versions before the repair of
pytorch/pytorch#187687 overwrite indices that other threads still need, and a sum is wrong once in a while."""


def sum_of_rows(rows: Tensor, indices: Tensor, number: int) -> Tensor:
    """A matrix of `number` rows: row j is the sum of all `rows[i]` with `indices[i] == j`."""
    if not torch.are_deterministic_algorithms_enabled():
        return rows.new_zeros(number, rows.shape[1]).index_add_(0, indices, rows)
    parts = zip(rows.split(LARGEST_PART), indices.split(LARGEST_PART), strict=True)
    first, *others = (torch.ops.aten.embedding_dense_backward(*part, number, -1, False) for part in parts)
    return reduce(torch.add, others, first)
