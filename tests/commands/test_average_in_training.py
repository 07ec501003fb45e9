"""`training.average`: the averaged weights are validated, kept where they are better, and exact over resume."""

from pathlib import Path

import pytest
import torch

from seq2seq import checkpoint
from seq2seq.checkpoint import best
from seq2seq.commands import train_and_score as run
from seq2seq.commands.resume import plan_resume
from seq2seq.evaluation.metrics import Metrics
from tests.commands.test_resume import Cut, at_call
from tests.support.programs import write_corpus
from tests.support.runs import configuration
from tests.support.soak import differences, outcome

pytestmark = pytest.mark.usefixtures("unchecked")

AVERAGE = ["training.average=0.8", "training.learning_rate=0.1", "training.decay=constant", "training.steps=20"]
"""A rate at which weights jump to and fro, so that their average is better."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, and `runs/whole`, a run with an average that was never stopped."""
    folder = tmp_path_factory.mktemp("average")
    write_corpus(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run.train(configuration(*AVERAGE), folder / "runs" / "whole")
    return folder


def test_the_average_is_kept_where_it_is_better(folder: Path) -> None:
    whole = folder / "runs" / "whole"
    last = checkpoint.load(whole / "checkpoints" / "last", training=True)
    kept = checkpoint.load(whole / "checkpoints" / "best")
    assert last.training is not None
    averages = {name: last.training.tensors[f"average.{name}"] for name in last.weights}
    assert kept.step == last.step  # else the comparison below is of nothing
    assert all(torch.equal(kept.weights[name], average) for name, average in averages.items())
    assert not any(torch.equal(last.weights[name], average) for name, average in averages.items())
    assert kept.scores == last.training.state.average
    assert kept.scores["loss"] < last.scores["loss"]
    curves = outcome(whole)["curves"]
    for name, scores in (("validation", last.scores), ("validation_average", kept.scores)):
        assert curves[f"{name}/loss"][-1][1] == pytest.approx(scores["loss"], rel=1e-6)
        assert [step for step, _ in curves[f"{name}/bleu"]] == [10, 20]


def test_without_it_the_weights_are_the_same_and_with_it_training_does_not_change(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    run.train(configuration(*AVERAGE, "training.average=null"), folder / "runs" / "plain")
    plain, whole = (
        checkpoint.load(folder / "runs" / name / "checkpoints" / "last", training=True) for name in ("plain", "whole")
    )
    assert all(torch.equal(weight, whole.weights[name]) for name, weight in plain.weights.items())
    assert plain.training is not None
    assert plain.training.state.average == {}
    assert not any(name.startswith("average.") for name in plain.training.tensors)


@pytest.mark.parametrize(("module", "name", "call"), [(Metrics, "quick_scores", 4), (best, "write", 2)])
def test_wherever_it_is_cut_it_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, module: object, name: str, call: int
) -> None:
    """In the validation of the average, and before the average is kept as best."""
    monkeypatch.chdir(folder)
    cut = folder / "runs" / f"{name}-{call}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, at_call(call, getattr(module, name), before=module is best))
        with pytest.raises(Cut):
            run.train(configuration(*AVERAGE), cut)
    plan = plan_resume(cut, {})
    assert plan is not None
    run.train(plan[0], cut, plan[1])
    assert list(differences(outcome(folder / "runs" / "whole"), outcome(cut))) == []


def test_the_decay_is_a_number_between_0_and_1() -> None:
    for value in ("1", "0", "1.5", "-0.1", "true"):
        with pytest.raises(run.InputError, match=r"training\.average: "):
            configuration(f"training.average={value}")
