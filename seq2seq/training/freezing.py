"""Parts of a model that training leaves as they are."""

from collections.abc import Iterator, Sequence

from torch import nn

from seq2seq.nn.model import PARTS, Model


def freeze(model: Model, parts: Sequence[str]) -> None:
    """Freezes parts of the model, by their names in `PARTS`: their parameters need no gradient any more.

    So the optimiser has no state for them, weight decay does not change them, and their gradient is no part of the norm
    that is clipped. A matrix that several parts share is frozen with each of them.
    """
    for part in parts:
        for name in PARTS[part]:
            model.get_submodule(name).requires_grad_(False)


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that train."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def freezing_remarks(model: Model, parts: Sequence[str]) -> Iterator[str]:
    """What the log says of frozen parts: how many parameters train, and which matrix is frozen with another part."""
    if not parts:
        return
    everything, training = (
        sum(weight.numel() for weight in weights) for weights in (model.parameters(), trainable(model))
    )
    yield f"frozen: {', '.join(dict.fromkeys(parts))}; {training:,} of {everything:,} parameters train"
    if model.output.weight is model.target_embedding.weight and ("embeddings" in parts) != ("output" in parts):
        embeddings = "embeddings" if model.source_embedding is model.target_embedding else "target embeddings"
        yield f"frozen with them: the matrix that the {embeddings} and the output layer share (model.tie)"
