"""A model with an intervention in the attention of its decoder. Weights are shared, and the model does not change."""

import copy
from collections.abc import Sequence
from functools import partial
from typing import TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seq2seq.attention.distributions import Attention
from seq2seq.attention.interventions import FromModel, Intervened, Intervention
from seq2seq.decoding.ensemble import Ensemble, JointMemory, JointState, Member
from seq2seq.nn.model import Model

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def with_intervention(model: Model, intervention: Intervention) -> Model:
    """The model with an intervention in its decoder's attention. Attention within the encoder stays as it is."""
    decoder, layer = model.decoder, model.decoder.attention
    distribution = Intervened(layer.distribution, intervention, heads=layer.score.heads)
    layer = _with_part(layer, "distribution", distribution)
    return _with_part(model, "decoder", _with_part(decoder, "attention", layer))


def intervene(model: Model | Ensemble, intervention: Intervention) -> Model | Ensemble:
    """The model with an intervention, or the ensemble with the same intervention in each of its models."""
    if isinstance(model, Ensemble):
        return model.with_models(partial(with_intervention, intervention=intervention))
    return with_intervention(model, intervention)


class AttentionTransfer(Ensemble):
    """A model with the attention weights of another model, the donor, which reads the same source and target words.

    `members` are the model and the donor. Both have the same tokenizers. Probabilities are the model's. All its heads
    have the donor's weights, which are the mean over the donor's heads.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__(members)
        assert len(members) == 2
        assert all(self.shares_source)

    def decode(
        self, target: Int[Tensor, "batch target"], state: JointState, memory: JointMemory
    ) -> tuple[Float[Tensor, "batch target embedding"], JointState, Attention]:
        """The outputs of the model, the states of both after the last word, and the donor's attention of each word."""
        model, donor = (member.model for member in self.members)
        _, donor_state, (weights, _) = donor.decode(target, state.parts[1], memory.parts[1])
        own_state, outputs = state.parts[0], []
        for word, word_weights in zip(target.split(1, dim=1), weights.split(1, dim=1), strict=True):
            changed = with_intervention(model, FromModel(word_weights))
            output, own_state, _ = changed.decode(word, own_state, memory.parts[0])
            outputs.append(output)
        return torch.cat(outputs, dim=1), JointState((own_state, donor_state)), Attention(weights)

    def output(self, outputs: Float[Tensor, "rows embedding"]) -> Float[Tensor, "rows vocabulary"]:
        """The log-probability of each word."""
        return self.members[0].model.output(outputs).log_softmax(dim=-1)


def _with_part(module: AnyModule, name: str, part: nn.Module) -> AnyModule:
    """A copy of the module with another submodule; all else is shared."""
    copied = copy.copy(module)
    copied._modules = {**module._modules, name: part}
    return copied
