"""A model as two ONNX graphs: the encoder, and one step of the decoder. Both have dynamic axes."""

import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
from jaxtyping import Int
from torch import Tensor, nn

from seq2seq.nn.decoder_base import Memory, State
from seq2seq.nn.model import Model
from seq2seq.runtime.errors import InputError
from seq2seq.text.batches import batch_sentences
from seq2seq.text.tokenizer import BOS, EOS, PAD

OPSET = 17
"""The version of the operators. ONNX Runtime reads it from version 1.12 on."""
TOLERANCE = 1e-3
"""The greatest difference between PyTorch and ONNX Runtime. Rounding makes differences of 1e-6 to 1e-4."""
AXES = {
    "source": ("batch", "source"),
    "tokens": ("rows",),
    "key": ("batch", "source"),
    "value": ("batch", "source"),
    "folded": ("batch", "heads_source"),
    "mask": ("batch", "source"),
    "hidden": ("rows",),
    "step": ("rows",),
    "attentional": ("rows",),
    "history": ("rows", "source"),
    "log_probabilities": ("rows",),
    "attention": ("rows", "source"),
    "next_hidden": ("rows",),
    "next_step": ("rows",),
    "next_attentional": ("rows",),
    "next_history": ("rows", "source"),
}
"""The first axes of all inputs and outputs: those of any length.

`rows` is a multiple of `batch`: the hypotheses of a sentence are adjacent rows, as in `beam_search`.
"""


class Graphs(NamedTuple):
    """The encoder and the step of the decoder, as serialised ONNX models."""

    encoder: bytes
    decoder: bytes


class _Encoder(nn.Module):
    """Padded sources to the parts of memory and state that `names` has."""

    def __init__(self, model: Model, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, source: Int[Tensor, "batch source"]) -> tuple[Tensor, ...]:
        memory, state = self.model.encode(source, source != PAD)
        parts = memory._asdict() | state.tensors()
        return tuple(parts[name] for name in self.names)


class _Decoder(nn.Module):
    """The last token of each hypothesis to the log-probabilities of the next, the attention, and the next state."""

    def __init__(self, model: Model, names: Sequence[str]) -> None:
        """`names` are those of the parts of memory and state."""
        super().__init__()
        self.model, self.names = model, names

    def forward(self, tokens: Int[Tensor, "batch"], *parts: Tensor) -> tuple[Tensor, ...]:
        by_name = dict(zip(self.names, parts, strict=True))
        memory = Memory(**{name: by_name.pop(name) for name in Memory._fields})
        outputs, state, attention = self.model.decode(tokens.unsqueeze(1), State(**by_name), memory)
        log_probabilities = self.model.output(outputs.squeeze(1)).log_softmax(dim=-1)
        return log_probabilities, attention.weights.squeeze(1), *state.tensors().values()


@torch.no_grad()
def onnx_graphs(model: Model) -> Graphs:
    """The graphs of a model on the CPU, whose results equal PyTorch's up to rounding.

    A part of the memory that the decoder does not read is in neither graph.
    Raises InputError where ONNX lacks an operation of the model, or where ONNX Runtime computes other results.
    """
    model = model.eval()
    example, _ = batch_sentences([[EOS + 1] * 4, [EOS + 1] * 2])
    memory, state = model.encode(example, example != PAD)
    tokens = torch.full((len(example),), BOS)
    parts = memory._asdict() | state.tensors()
    try:
        decoder = _export(
            _Decoder(model, list(parts)),
            (tokens, *parts.values()),
            ["tokens", *parts],
            ["log_probabilities", "attention", *(f"next_{name}" for name in state.tensors())],
        )
        names = [name for name in interface(decoder)["inputs"] if name != "tokens"]
        graphs = Graphs(_export(_Encoder(model, names), (example,), ["source"], names), decoder)
    except (
        RuntimeError,
        LookupError,
        ValueError,
        TypeError,
    ) as error:  # the exporter has many errors, and no class for all
        first_line = str(error).strip().partition("\n")[0]
        raise InputError(
            f"{_describe(model)} cannot be written as ONNX: {type(error).__name__}: {first_line}"
        ) from error
    _check_results(model, graphs)
    return graphs


def interface(graph: bytes) -> dict[str, list[str]]:
    """The names of a graph's inputs and outputs."""
    loaded = onnx.load_from_string(graph).graph
    return {
        "inputs": [value.name for value in loaded.input],
        "outputs": [value.name for value in loaded.output],
    }


def sessions(graphs: Graphs) -> list[onnxruntime.InferenceSession]:
    """Encoder and decoder in ONNX Runtime, on one thread of the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return [onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"]) for graph in graphs]


def _export(module: nn.Module, inputs: tuple[Tensor, ...], input_names: list[str], output_names: list[str]) -> bytes:
    """One graph. PyTorch's newer exporter (`dynamo=True`) makes wrong graphs of GRUs with dynamic axes."""
    graph = io.BytesIO()
    axes = {name: dict(enumerate(AXES[name])) for name in input_names + output_names}
    with warnings.catch_warnings(), _silent_stdout():
        warnings.simplefilter("ignore")  # the exporter is deprecated, and warns about asserts
        torch.onnx.export(
            module.eval(),
            inputs,
            graph,  # type: ignore[arg-type]
            dynamo=False,
            input_names=input_names,
            output_names=output_names,
            dynamic_axes=axes,
            opset_version=OPSET,
        )
    return graph.getvalue()


@contextmanager
def _silent_stdout() -> Iterator[None]:
    """Discards what is written to the process's standard output: before an error, the exporter prints its whole graph.

    It prints from C++, past `sys.stdout`, and no option of it stops that.
    """
    sys.stdout.flush()
    stdout, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
        os.close(null)


def _check_results(model: Model, graphs: Graphs) -> None:
    """Raises InputError where ONNX Runtime and PyTorch compute different results for some padded batches."""
    encoder, decoder = sessions(graphs)
    draw = np.random.default_rng(0)
    vocabularies = [embedding.num_embeddings for embedding in (model.source_embedding, model.target_embedding)]
    longest = min(model.longest_source or 12, 12) - 1
    for lengths in ([longest, 1, longest // 2], [0]):
        source, mask = batch_sentences([draw.integers(EOS + 1, vocabularies[0], length).tolist() for length in lengths])
        memory, state = model.encode(source, mask)
        names = [output.name for output in encoder.get_outputs()]
        parts = dict(zip(names, encoder.run(None, {"source": source.numpy()}), strict=True))
        expected: dict[str, Tensor] = memory._asdict() | state.tensors()
        _check_equal(model, parts, expected)
        tokens = torch.full((len(lengths),), BOS)
        for _ in range(4):
            names = [output.name for output in decoder.get_outputs()]
            results = dict(zip(names, decoder.run(None, {"tokens": tokens.numpy()} | parts), strict=True))
            outputs, state, attention = model.decode(tokens.unsqueeze(1), state, memory)
            expected = {f"next_{name}": value for name, value in state.tensors().items()}
            expected["log_probabilities"] = model.output(outputs.squeeze(1)).log_softmax(dim=-1)
            expected["attention"] = attention.weights.squeeze(1)
            _check_equal(model, results, expected)
            parts |= {name: results[f"next_{name}"] for name in state.tensors()}
            tokens = torch.from_numpy(draw.integers(EOS + 1, vocabularies[1], len(lengths)))


def _check_equal(model: Model, results: dict[str, np.ndarray], expected: dict[str, Tensor]) -> None:
    for name, result in results.items():
        reference = expected[name].numpy()
        if result.shape != reference.shape or not np.allclose(result, reference, rtol=TOLERANCE, atol=TOLERANCE):
            raise InputError(
                f"{_describe(model)} cannot be written as ONNX: ONNX Runtime computes other numbers than PyTorch "
                f"({name})"
            )


def _describe(model: Model) -> str:
    """The model's parts by their classes, as a person who added one knows them."""
    layers = [module for module in model.modules() if hasattr(module, "score") and hasattr(module, "distribution")]
    parts: list[type] = [type(model.encoder), type(model.decoder)]
    parts += [type(part) for layer in layers for part in (layer.score, layer.distribution)]
    return "the model with " + ", ".join(dict.fromkeys(part.__name__ for part in parts))
