"""One step of a GRU and its backward pass, on a buffer of four parts.

The step is that of `torch.nn.GRU` (Cho et al. 2014, with the reset gate behind the product):

    r  = sigmoid(W_r x + b_r + U_r h + c_r)
    z  = sigmoid(W_z x + b_z + U_z h + c_z)
    n  = tanh(W_n x + b_n + r * m),    m = U_n h + c_n
    h' = (1 - z) * n + z * h

The parts of a step stand side by side, each as wide as the state:

    | W_n x + b_n |   r sums   |   z sums   | U_n h + c_n |     before `next_state`
    |      n      |     r      |     z      |      m      |     after it
    | grad of n's | grad of r's| grad of z's| grad of m   |     after `step_backward`
    |     sum     |    sum     |    sum     |             |

Inputs reach the first three parts and the state the last three. So each product is written where it is added, and no
part is moved. With g the gradient of h', the backward pass is

    grad n' = g * (1 - z) * (1 - n^2)        (n' is the sum inside tanh)
    grad m  = grad n' * r
    grad r' = grad n' * m * r * (1 - r)      (r' and z' are the sums inside the sigmoids)
    grad z' = g * (h - n) * z * (1 - z)
    grad h  = g * z  +  what comes through U: [grad r', grad z', grad m] U
"""

import torch
from torch import Tensor

sigmoid_backward, tanh_backward = torch.ops.aten.sigmoid_backward.grad_input, torch.ops.aten.tanh_backward.grad_input


def next_state(parts: Tensor, before: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The next state from the sums in `parts`, which become n, r and z in place."""
    width = before.shape[-1]
    parts[..., width : 3 * width].sigmoid_()
    candidate, reset, update, state_part = parts.chunk(4, dim=-1)
    return torch.lerp(candidate.addcmul_(reset, state_part).tanh_(), before, update, out=out)


def step_backward(parts: Tensor, before: Tensor, grad_next: Tensor) -> Tensor:
    """Replaces `parts` by the gradients of its sums; returns `g * z`, the part of `grad h` that does not pass U."""
    width = before.shape[-1]
    candidate, reset, update, state_part = parts.chunk(4, dim=-1)
    gates, grad_gates = parts[..., width : 3 * width], torch.empty_like(parts[..., : 2 * width])
    grad_reset, grad_update = grad_gates.chunk(2, dim=-1)
    grad_before = grad_next * update
    torch.mul(grad_next, before - candidate, out=grad_update)
    grad_candidate = tanh_backward(grad_next - grad_before, candidate, grad_input=candidate)
    torch.mul(grad_candidate, state_part, out=grad_reset)
    torch.mul(grad_candidate, reset, out=state_part)
    sigmoid_backward(grad_gates, gates, grad_input=gates)
    return grad_before
