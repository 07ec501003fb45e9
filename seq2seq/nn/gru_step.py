"""One step of a GRU and its backward pass, in place on a buffer of four blocks.

The step is that of `torch.nn.GRU` (Cho et al. 2014, with the reset gate applied after the product):

    r  = sigmoid(W_r x + b_r + U_r h + c_r)
    z  = sigmoid(W_z x + b_z + U_z h + c_z)
    n  = tanh(W_n x + b_n + r * m),    m = U_n h + c_n
    h' = (1 - z) * n + z * h

Let r', z' and n' be the arguments of the sigmoids and of tanh. The last dimension of the buffer has four blocks, each
as wide as the state h:

    | W_n x + b_n |   r'    |   z'    | U_n h + c_n |     before `next_state`
    |      n      |   r     |   z     |      m      |     after `next_state`
    |   grad n'   | grad r' | grad z' |   grad m    |     after `step_backward`

The input x reaches the first three blocks, the state h the last three. So each matrix product is added where it is
needed, and no block is copied. With g the gradient of h', the backward pass is

    grad n' = g * (1 - z) * (1 - n^2)
    grad m  = grad n' * r
    grad r' = grad n' * m * r * (1 - r)
    grad z' = g * (h - n) * z * (1 - z)
    grad h  = g * z  +  [grad r', grad z', grad m] U
"""

import torch
from torch import Tensor

sigmoid_backward, tanh_backward = torch.ops.aten.sigmoid_backward.grad_input, torch.ops.aten.tanh_backward.grad_input


def next_state(buffer: Tensor, state: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The next state h'. The buffer (..., 4 width) has the first row of the table before, the second row after."""
    width = state.shape[-1]
    buffer[..., width : 3 * width].sigmoid_()
    candidate, reset, update, state_product = buffer.chunk(4, dim=-1)
    return torch.lerp(candidate.addcmul_(reset, state_product).tanh_(), state, update, out=out)


def step_backward(buffer: Tensor, state: Tensor, grad_next: Tensor) -> Tensor:
    """Overwrites the second row of the table in the buffer with the third. Returns `g * z`, where g is `grad_next`.

    The caller adds the rest of `grad h`: the product of the last three blocks and U.
    """
    width = state.shape[-1]
    candidate, reset, update, state_product = buffer.chunk(4, dim=-1)
    gates, grad_gates = buffer[..., width : 3 * width], torch.empty_like(buffer[..., : 2 * width])
    grad_reset, grad_update = grad_gates.chunk(2, dim=-1)
    direct_grad = grad_next * update
    torch.mul(grad_next, state - candidate, out=grad_update)
    grad_candidate = tanh_backward(grad_next - direct_grad, candidate, grad_input=candidate)
    torch.mul(grad_candidate, state_product, out=grad_reset)
    torch.mul(grad_candidate, reset, out=state_product)
    sigmoid_backward(grad_gates, gates, grad_input=gates)
    return direct_grad
