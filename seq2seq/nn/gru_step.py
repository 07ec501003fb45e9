"""One step of a GRU and its backward pass, for a CPU."""

import torch
from torch import Tensor

sigmoid_backward, tanh_backward = torch.ops.aten.sigmoid_backward.grad_input, torch.ops.aten.tanh_backward.grad_input


# A step has four parts, side by side: candidate n, reset r, update z, and `W_h h + b_h` of the candidate. Inputs reach
# the first three and the state the last three, so each product lands where it is added and nothing is moved. Backward,
# the gradients by these sums take their place.


def next_state(parts: Tensor, before: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The next state, from sums of products, of which it makes what they stand for."""
    width = before.shape[-1]
    parts[..., width : 3 * width].sigmoid_()
    candidate, reset, update, of_state = parts.chunk(4, dim=-1)
    return torch.lerp(candidate.addcmul_(reset, of_state).tanh_(), before, update, out=out)


def step_backward(parts: Tensor, before: Tensor, by_next: Tensor) -> Tensor:
    """Puts gradients by the sums of products in the parts' place; returns that by `before`, the products apart."""
    width = before.shape[-1]
    candidate, reset, update, of_state = parts.chunk(4, dim=-1)
    switches, by_switches = parts[..., width : 3 * width], torch.empty_like(parts[..., : 2 * width])
    by_reset, by_update = by_switches.chunk(2, dim=-1)
    kept = by_next * update
    torch.mul(by_next, before - candidate, out=by_update)
    by_candidate = tanh_backward(by_next - kept, candidate, grad_input=candidate)
    torch.mul(by_candidate, of_state, out=by_reset)
    torch.mul(by_candidate, reset, out=of_state)
    sigmoid_backward(by_switches, switches, grad_input=switches)
    return kept
