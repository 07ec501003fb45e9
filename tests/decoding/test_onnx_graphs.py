"""ONNX Runtime computes what PyTorch computes, for every rule, distribution and decoder kind."""

import numpy as np
import pytest
import torch
from torch import Tensor

from seq2seq.attention.scores import Dot, General
from seq2seq.nn.decoder_base import Memory, State
from seq2seq.runtime.errors import InputError
from seq2seq.text.batches import Batch, batch_pairs
from tests.support.tiny import EVERYWHERE, ragged_batch, sentences, tiny_model

pytest.importorskip("onnx", reason="onnx is not installed: pip install -e '.[dev]'")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install -e '.[dev]'")

from seq2seq.decoding.onnx_graphs import interface, onnx_graphs, sessions

pytestmark = pytest.mark.usefixtures("unchecked")

BATCHES = [ragged_batch(), batch_pairs([[7]], [[8, 9]]), batch_pairs(sentences([15, 0], seed=3), [[4] * 20, []])]
"""A ragged batch, one sentence, and the longest source that the model reads."""


def step_by_step(graphs: list[bytes], batch: Batch, beam: int) -> dict[str, np.ndarray]:
    """Log-probabilities and attention of the batch's targets, `beam` rows of each, one step of ONNX Runtime a token."""
    encoder, decoder = sessions(graphs)
    inputs = dict(
        zip(interface(graphs[0])["outputs"], encoder.run(None, {"source": batch.source.numpy()}), strict=True)
    )
    of_state = [name for name in State._fields if name in inputs]
    for name in of_state:
        inputs[name] = inputs[name].repeat(beam, axis=0)
    names, results = interface(graphs[1])["outputs"], []
    for tokens in batch.target_input.t().numpy():
        inputs["tokens"] = tokens.repeat(beam, axis=0)
        results.append(dict(zip(names, decoder.run(None, inputs), strict=True)))
        inputs |= {name: results[-1][f"next_{name}"] for name in of_state}
    return {name: np.stack([step[name] for step in results], axis=1) for name in ("log_probabilities", "attention")}


@pytest.mark.parametrize(("place", "rule", "distribution"), EVERYWHERE)
@torch.no_grad()
def test_steps_of_onnx_runtime_equal_teacher_forcing(place: str, rule: str, distribution: str) -> None:
    model = tiny_model(place, rule, distribution, tie="none" if place == "luong" else "target").eval()
    graphs = list(onnx_graphs(model))
    for batch, beam in zip(BATCHES, (1, 1, 2), strict=True):
        outputs, attention = model(batch.source, batch.source_mask, batch.target_input)
        results = step_by_step(graphs, batch, beam)
        for result, expected in (
            (results["log_probabilities"], model.output(outputs).log_softmax(dim=-1)),
            (results["attention"], attention.weights),
        ):
            np.testing.assert_allclose(result, expected.numpy().repeat(beam, axis=0), rtol=1e-4, atol=1e-5)


def test_the_graphs_have_what_the_decoder_reads() -> None:
    encoder, decoder = map(interface, onnx_graphs(tiny_model("luong", "concat")))
    assert encoder == {"inputs": ["source"], "outputs": ["folded", "mask", "hidden", "step"]}
    assert decoder["inputs"] == ["tokens", *encoder["outputs"]]
    assert decoder["outputs"] == ["log_probabilities", "attention", "next_hidden", "next_step"]
    decoder = interface(onnx_graphs(tiny_model("bahdanau", "additive")).decoder)
    assert decoder["inputs"] == ["tokens", *Memory._fields, "hidden", "step"]
    decoder = interface(onnx_graphs(tiny_model("luong_input_feeding", "additive")).decoder)
    assert decoder["outputs"] == ["log_probabilities", "attention", "next_hidden", "next_step", "next_attentional"]


class Bessel(Dot):
    """A rule with an operation that ONNX lacks."""

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        return torch.special.bessel_j0(super().forward(query, key))


class Constant(General):
    """A rule with a number that Python computes, so that it is a constant of the graph."""

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        return super().forward(query, key) * float(query.sum())


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Bessel, "Bessel, Softmax cannot be written as ONNX: UnsupportedOperatorError: "),
        (Constant, "Constant, Softmax cannot be written as ONNX: ONNX Runtime computes other numbers than PyTorch ("),
    ],
)
def test_a_rule_that_onnx_cannot_hold_is_refused_by_name(
    rule: type[Dot], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    model = tiny_model("luong", "dot" if rule is Bessel else "general")
    model.decoder.attention.score.__class__ = rule
    with pytest.raises(InputError) as refused:
        onnx_graphs(model)
    assert str(refused.value).startswith(f"the model with RecurrentEncoder, Luong, {message}")
    assert "\n" not in str(refused.value)
    assert capfd.readouterr().out == ""
