"""Several models as one: the mean of their probabilities. Search and forced decoding use it like a model."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.attention.distributions import Attention
from seq2seq.nn.cross_entropy import Loss
from seq2seq.nn.decoder_base import Memory, State
from seq2seq.nn.model import Model
from seq2seq.text.batches import batch_sentences
from seq2seq.text.tokenizer import Tokenizer

ROWS = 1024
"""Target tokens whose log-probabilities over the vocabulary exist at one time."""


class Member(NamedTuple):
    """A model of an ensemble, with the tokenizer and the normalisation of its source text."""

    model: Model
    source: Tokenizer
    normalize: Callable[[str], str]


class JointMemory(NamedTuple):
    """The memory of each model. `mask` is that of the first."""

    parts: tuple[Memory, ...]

    @property
    def mask(self) -> Bool[Tensor, "batch source"]:
        return self.parts[0].mask

    def select(self, rows: Int[Tensor, "rows"]) -> "JointMemory":
        """The memory of these rows, in this order. A row may occur more than once."""
        return JointMemory(tuple(part.select(rows) for part in self.parts))


class JointState(NamedTuple):
    """The state of each model."""

    parts: tuple[State, ...]

    def select(self, rows: Int[Tensor, "rows"]) -> "JointState":
        """The state of these rows, in this order. A row may occur more than once."""
        return JointState(tuple(part.select(rows) for part in self.parts))


class Ensemble(nn.Module):
    """`p(y_i | y_<i, x) = 1/M sum_m p_m(y_i | y_<i, x)` for M models with the same target vocabulary.

    Sources are token ids of the first model. A model with another source tokenizer reads the text of these ids, in its
    own subwords; a source that is too long for its location-based rule is cut for it. Attention is the mean over the
    models that have the source tokenizer of the first.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        self.members = tuple(members)
        self.models = nn.ModuleList(member.model for member in members)
        first = members[0].source
        self.shares_source = [member.source.model == first.model for member in members]

    def with_models(self, change: Callable[[Model], Model]) -> "Ensemble":
        """The ensemble of the changed models."""
        return type(self)([member._replace(model=change(member.model)) for member in self.members])

    @property
    def longest_source(self) -> int | None:
        """The greatest source length in tokens, EOS counted, or None if no rule has a limit."""
        limits = [
            member.model.longest_source
            for member, shares in zip(self.members, self.shares_source, strict=True)
            if shares
        ]
        return min((limit for limit in limits if limit is not None), default=None)

    def encode(
        self, source: Int[Tensor, "batch source"], mask: Bool[Tensor, "batch source"]
    ) -> tuple[JointMemory, JointState]:
        """The memories of the sources and the first states of the decoders."""
        encoded = [
            member.model.encode(*((source, mask) if shares else self._batch_of(member, source, mask)))
            for member, shares in zip(self.members, self.shares_source, strict=True)
        ]
        memories, states = zip(*encoded, strict=True)
        return JointMemory(memories), JointState(states)

    def decode(
        self, target: Int[Tensor, "batch target"], state: JointState, memory: JointMemory
    ) -> tuple[Float[Tensor, "batch target embeddings"], JointState, Attention]:
        """The outputs of all decoders side by side, the states after the last word, and the attention of each word."""
        decoded = [
            member.model.decode(target, own_state, own_memory)
            for member, own_state, own_memory in zip(self.members, state.parts, memory.parts, strict=True)
        ]
        outputs, states, attention = zip(*decoded, strict=True)
        weights = [each.weights for each, shares in zip(attention, self.shares_source, strict=True) if shares]
        return torch.cat(outputs, dim=2), JointState(states), Attention(torch.stack(weights).mean(dim=0))

    def output(self, outputs: Float[Tensor, "rows embeddings"]) -> Float[Tensor, "rows vocabulary"]:
        """The logarithm of the mean probability of each word."""
        widths = [member.model.output_size for member in self.members]
        log_probabilities = [
            member.model.output(part).log_softmax(dim=-1)
            for member, part in zip(self.members, outputs.split(widths, dim=1), strict=True)
        ]
        return torch.stack(log_probabilities).logsumexp(dim=0) - math.log(len(self.members))

    def loss(
        self,
        outputs: Float[Tensor, "batch target embeddings"],
        target: Int[Tensor, "batch target"],
        mask: Bool[Tensor, "batch target"],
        *,
        smoothing: float,
    ) -> Loss:
        """The negative log-likelihood of the targets, with EOS and without padding."""
        assert smoothing == 0, "an ensemble is not trained"
        rows = zip(outputs[mask].split(ROWS), target[mask].unsqueeze(1).split(ROWS), strict=True)
        total = -torch.stack([self.output(part).gather(1, ids).sum() for part, ids in rows]).sum()
        return Loss(total, total)

    def forward(
        self,
        source: Int[Tensor, "batch source"],
        mask: Bool[Tensor, "batch source"],
        target: Int[Tensor, "batch target"],
    ) -> tuple[Float[Tensor, "batch target embeddings"], Attention]:
        """Teacher forcing: the decoder outputs and the attention of every target word."""
        memory, state = self.encode(source, mask)
        outputs, _, attention = self.decode(target, state, memory)
        return outputs, attention

    def _batch_of(
        self, member: Member, source: Int[Tensor, "batch source"], mask: Bool[Tensor, "batch source"]
    ) -> tuple[Int[Tensor, "batch own"], Bool[Tensor, "batch own"]]:
        """The sources in the subwords of a model with another source tokenizer."""
        rows = zip(source.tolist(), mask.sum(dim=1).tolist(), strict=True)
        texts = [self.members[0].source.decode(ids[: length - 1]) for ids, length in rows]  # without EOS
        sentences = member.source.encode_batch([member.normalize(text) for text in texts])
        if (positions := member.model.longest_source) is not None:
            sentences = [ids[: positions - 1] for ids in sentences]
        own_source, own_mask = batch_sentences(sentences)
        return own_source.to(source.device), own_mask.to(source.device)
