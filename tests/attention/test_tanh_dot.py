"""`v.tanh(Q + K_j)` against PyTorch's own tanh and its gradients."""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from seq2seq.attention.tanh_dot import tanh_dot
from seq2seq.runtime.static_shapes import static_shapes


def _vectors(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("entries", [1, 3 * 4 * 5, 2 * 3 * 4 * 5 + 1, 2**17])
@pytest.mark.parametrize("target", [1, 3])
def test_chunks_change_neither_scores_nor_gradients(entries: int, target: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In chunks of one sentence, of two with one left over, and at once."""
    torch.manual_seed(1)
    tensors = query, key, v = [_vectors(5, target, 5), _vectors(5, 4, 5), _vectors(5)]
    for tensor in tensors:
        tensor.requires_grad_(True)
    wanted = torch.tanh(query.unsqueeze(2) + key.unsqueeze(1)) @ v
    weights = _vectors(*wanted.shape)
    wanted_grads = torch.autograd.grad((wanted * weights).sum(), tensors)
    monkeypatch.setattr("seq2seq.attention.tanh_dot.CHUNK_SIZE", entries)
    for context in (nullcontext(), static_shapes()):
        with context:
            found = tanh_dot(query, key, v)
            grads = torch.autograd.grad((found * weights).sum(), tensors)
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(grads, wanted_grads)
    with torch.no_grad():
        torch.testing.assert_close(tanh_dot(query, key, v), wanted)


def test_tanh_dot_is_exact_to_rounding_from_tiny_to_huge_sums() -> None:
    """A query and a key whose sum is small, and sums far beyond the range of exponentials."""
    query = torch.tensor([[[0.0, 1e-6, 0.3, -4.0, 300.0, -300.0, 1e4, -1e30]]], requires_grad=True)
    key = torch.tensor([[[0.0, -2e-6, 0.1, 3.5, -299.5, -300.0, 1e4, 1e4]]], requires_grad=True)
    v = torch.full((8,), 0.5, requires_grad=True)
    score = tanh_dot(query, key, v)
    grads = torch.autograd.grad(score.sum(), (query, key, v))
    exact = [tensor.detach().double().requires_grad_(True) for tensor in (query, key, v)]
    wanted = torch.tanh(exact[0] + exact[1])[:, 0] @ exact[2]
    wanted_grads = torch.autograd.grad(wanted.sum(), exact)
    torch.testing.assert_close(score.detach().double().flatten(), wanted.detach(), rtol=0, atol=2e-6)
    for grad, wanted_grad in zip(grads, wanted_grads, strict=True):
        torch.testing.assert_close(grad.double(), wanted_grad, rtol=0, atol=1e-6)
