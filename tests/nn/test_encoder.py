"""The encoder: a GRU in both directions that never reads padding."""

import pytest
import torch
from torch import Tensor

from seq2seq.nn.encoder import RecurrentEncoder

EMBEDDING, HIDDEN, LONGEST = 5, 3, 6
LENGTHS = [4, 6, 1, 3]


def encoder(*, layers: int = 1, dropout: float = 0.0, hidden: int = HIDDEN) -> RecurrentEncoder:
    torch.manual_seed(1)
    return RecurrentEncoder(embedding_size=EMBEDDING, hidden_size=hidden, layers=layers, dropout=dropout)


def inputs(*, longest: int = LONGEST) -> tuple[Tensor, Tensor]:
    torch.manual_seed(2)
    return torch.randn(len(LENGTHS), longest, EMBEDDING), torch.arange(longest) < torch.tensor(LENGTHS).unsqueeze(1)


def gru(module: RecurrentEncoder, embedded: Tensor, *, layer: int, reverse: bool) -> list[Tensor]:
    """One direction over one sentence, as the equations of Cho et al. 2014 have it (with PyTorch's reset gate)."""
    suffix = f"_l{layer}" + ("_reverse" if reverse else "")
    input_weight, hidden_weight, input_bias, hidden_bias = (
        getattr(module.gru, name + suffix).chunk(3) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    state, states = torch.zeros(HIDDEN), []
    for vector in reversed(embedded) if reverse else embedded:
        from_input = [weight @ vector + bias for weight, bias in zip(input_weight, input_bias, strict=True)]
        from_state = [weight @ state + bias for weight, bias in zip(hidden_weight, hidden_bias, strict=True)]
        reset, update = ((one + other).sigmoid() for one, other in zip(from_input[:2], from_state[:2], strict=True))
        state = (1 - update) * torch.tanh(from_input[2] + reset * from_state[2]) + update * state
        states.append(state)
    return states[::-1] if reverse else states


@pytest.mark.parametrize("layers", [1, 2])
def test_the_equations(layers: int) -> None:
    module, (embedded, mask) = encoder(layers=layers), inputs()
    outputs, final = module(embedded, mask)
    assert outputs.shape == (len(LENGTHS), LONGEST, 2 * HIDDEN)
    assert module.output_size == 2 * HIDDEN
    for b, length in enumerate(LENGTHS):
        hidden = embedded[b, :length]
        for layer in range(layers):
            forward = gru(module, hidden, layer=layer, reverse=False)
            backward = gru(module, hidden, layer=layer, reverse=True)
            hidden = torch.cat((torch.stack(forward), torch.stack(backward)), dim=1)
        torch.testing.assert_close(outputs[b, :length], hidden)
        torch.testing.assert_close(final[b], torch.cat((forward[-1], backward[0])))


@pytest.mark.parametrize("layers", [1, 2])
def test_what_stands_in_the_padding_changes_nothing(layers: int) -> None:
    module, (embedded, mask) = encoder(layers=layers), inputs()
    found = []
    for filling in (0.0, 1e4, float("nan")):
        filled = embedded.masked_fill(~mask.unsqueeze(2), filling).requires_grad_()
        outputs, final = module(filled, mask)
        loss = outputs.square().sum() + final.sum()
        found.append((outputs, final, *torch.autograd.grad(loss, [filled, *module.parameters()])))
    for several in zip(*found, strict=True):
        assert all(torch.equal(one, several[0]) for one in several)


def test_outputs_on_padding_are_0() -> None:
    outputs, _ = encoder()(*inputs())
    for b, length in enumerate(LENGTHS):
        assert (outputs[b, length:] == 0).all()
        assert (outputs[b, :length] != 0).all()


@pytest.mark.parametrize("layers", [1, 2])
def test_a_sentence_alone_is_as_in_a_batch(layers: int) -> None:
    module, (embedded, mask) = encoder(layers=layers), inputs()
    outputs, final = module(embedded, mask)
    for b, length in enumerate(LENGTHS):
        alone, alone_final = module(embedded[b : b + 1, :length], mask[b : b + 1, :length])
        torch.testing.assert_close(alone[0], outputs[b, :length])
        torch.testing.assert_close(alone_final[0], final[b])


def test_a_mask_may_be_wider_than_its_longest_sentence() -> None:
    # Of a width that the processor's vectors divide: else what is rounded how depends on where it lies.
    module = encoder(hidden=8)
    outputs, final = module(*inputs(longest=LONGEST))
    embedded, mask = inputs(longest=LONGEST)
    wide = torch.cat((embedded, torch.randn(len(LENGTHS), 3, EMBEDDING)), dim=1)
    wide_outputs, wide_final = module(wide, torch.cat((mask, torch.zeros(len(LENGTHS), 3, dtype=torch.bool)), dim=1))
    assert torch.equal(wide_outputs[:, :LONGEST], outputs)
    assert (wide_outputs[:, LONGEST:] == 0).all()
    assert torch.equal(wide_final, final)


def test_every_parameter_gets_a_gradient() -> None:
    module = encoder(layers=2)
    outputs, _ = module(*inputs())
    outputs.sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in module.parameters())


def test_dropout_acts_between_layers_and_in_training_only() -> None:
    given = inputs()
    one, two = encoder(layers=1, dropout=0.5), encoder(layers=2, dropout=0.5)
    assert torch.equal(one(*given)[0], one(*given)[0])
    assert not torch.equal(two(*given)[0], two(*given)[0])
    two.eval()
    assert torch.equal(two(*given)[0], two(*given)[0])
