"""GRUs on a GPU, where the number of kernels counts: apart from its products, a step is one kernel of PyTorch's.

The kernel reads `W x + b`, the gates of the input, and `U h + c`, the gates of the state, each with three blocks: for
the reset gate r, the update gate z and the candidate n. `seq2seq/nn/gru_step.py` has the formulas of a step. PyTorch
has this kernel for GPUs only.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

fused_gru = torch.ops.aten._thnn_fused_gru_cell
"""(gates of the input, gates of the state, h, b, c) -> (h', what the backward pass reads). b and c may be left out."""

fused_gru_backward = torch.ops.aten._thnn_fused_gru_cell_backward
"""(g, what it reads, False) -> the gradients of both gates, and `g * z`. g is the gradient of h'."""


class FusedLayer(torch.autograd.Function):
    """One layer: all steps of all directions, which share the kernels of a step.

    Two kernels forward and three backward for a step. cuDNN's GRU, which knows no padding, would run each direction
    by itself.
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Float[Tensor, "directions steps batch in"],
        state: Float[Tensor, "directions batch hidden"],
        input_weight: Float[Tensor, "directions gates in"],
        state_weight: Float[Tensor, "directions gates hidden"],
        input_bias: Float[Tensor, "directions gates"],
        state_bias: Float[Tensor, "directions gates"],
        padding: Bool[Tensor, "directions steps batch 1"] | None,
        mask: Float[Tensor, "directions batch hidden"] | None,
    ) -> Float[Tensor, "directions steps batch hidden"]:
        (directions, steps, batch, _), width = inputs.shape, state.shape[2]
        products = torch.baddbmm(input_bias.unsqueeze(1), inputs.flatten(1, 2), input_weight.mT)
        products = products.unflatten(1, (steps, batch))
        if padding is not None:  # an update gate z of 1 copies the state
            products[..., width : 2 * width].masked_fill_(padding, torch.inf)
        input_gates = products.transpose(0, 1).contiguous()
        state_gates = state_bias.unsqueeze(1).expand(steps, -1, batch, -1).contiguous()
        hidden, states, workspaces = state, [], []
        for of_input, of_state in zip(input_gates, state_gates, strict=True):
            read = hidden if mask is None else hidden * mask
            torch.baddbmm(of_state, read, state_weight.mT, out=of_state)
            rows, workspace = fused_gru(of_input.flatten(0, 1), of_state.flatten(0, 1), hidden.flatten(0, 1))
            hidden = rows.unflatten(0, (directions, batch))
            states.append(hidden)
            workspaces.append(workspace)
        result = torch.stack(states, dim=1)
        ctx.save_for_backward(inputs, state, input_weight, state_weight, mask, result, *workspaces)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, state, input_weight, state_weight, mask, states, *workspaces = ctx.saved_tensors
        shape = gradient.shape[0], gradient.shape[2]
        grad_state, by_input, by_state = torch.zeros_like(state), [], []
        for grad_step, workspace in zip(reversed(gradient.unbind(1)), reversed(workspaces), strict=True):
            grad_rows = (grad_state + grad_step).flatten(0, 1)
            tensors = fused_gru_backward(grad_rows, workspace, False)
            of_input, of_state, direct_grad = (tensor.unflatten(0, shape) for tensor in tensors[:3])
            if mask is None:
                grad_state = torch.baddbmm(direct_grad, of_state, state_weight, out=direct_grad)
            else:
                grad_state = direct_grad.addcmul_(of_state @ state_weight, mask)
            by_input.append(of_input)
            by_state.append(of_state)
        grad_input_gates, grad_state_gates = (
            torch.stack(gates[::-1], dim=1).flatten(1, 2) for gates in (by_input, by_state)
        )
        previous = torch.cat((state.unsqueeze(1), states[:, :-1]), dim=1)
        previous = previous if mask is None else previous * mask.unsqueeze(1)
        return (
            (grad_input_gates @ input_weight).view_as(inputs),
            grad_state,
            grad_input_gates.mT @ inputs.flatten(1, 2),
            grad_state_gates.mT @ previous.flatten(1, 2),
            grad_input_gates.sum(dim=1),
            grad_state_gates.sum(dim=1),
            None,
            None,
        )
