"""`training.guide`: a run that was cut goes on to the bit, two processes are one, and other alignments are refused."""

import json
from pathlib import Path

import pytest
import torch

from seq2seq import checkpoint
from seq2seq.commands import train_and_score as run
from seq2seq.commands.resume import plan_resume
from seq2seq.runtime.errors import InputError
from tests.commands.test_distributed import ALIKE
from tests.commands.test_resume import cut_in_validation
from tests.support.programs import write_corpus
from tests.support.runs import SHORT, configuration
from tests.support.soak import differences, outcome
from tests.support.warm import Warm

pytestmark = pytest.mark.usefixtures("unchecked")

GUIDED = ["training.guide.alignments=train.align", "training.guide.loss=squared_error", "training.guide.epochs=1"]
GUIDED += ["training.batch.size=600"]  # so that guidance ends within the run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with links, and `runs/whole`, a guided run that was never stopped."""
    folder = tmp_path_factory.mktemp("guided")
    write_corpus(folder)
    sides = [(folder / f"train.{language}").read_text().splitlines() for language in ("de", "en")]
    lengths = [min(len(source.split()), len(target.split())) for source, target in zip(*sides, strict=True)]
    lines = [
        "" if line % 5 == 0 else " ".join(f"{i}-{i}" for i in range(length)) for line, length in enumerate(lengths)
    ]
    (folder / "train.align").write_text("\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run.train(configuration(*GUIDED), folder / "runs" / "whole")
    return folder


def test_the_guide_has_a_curve_for_its_epochs(folder: Path) -> None:
    whole = folder / "runs" / "whole"
    epochs = json.loads((whole / "results.json").read_text())["train"]["epochs"]
    curves = outcome(whole)["curves"]
    last = max(step for step, _ in curves["train/loss"])
    guided = [step for step, _ in curves["train/guide"]]
    assert epochs > 1
    assert guided
    assert max(guided) < last  # the epoch ends between two lines


def test_wherever_it_is_cut_it_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for call in (1, 2):  # within the guided epoch, and after it
        cut = folder / "runs" / f"cut-{call}"
        cut_in_validation(call, cut, *GUIDED)
        plan = plan_resume(cut, {})
        assert plan is not None
        run.train(plan[0], cut, plan[1])
        assert list(differences(outcome(folder / "runs" / "whole"), outcome(cut))) == []


def test_other_alignments_are_refused_on_resume(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    cut = folder / "runs" / "changed"
    cut_in_validation(2, cut, *GUIDED)
    text = Path("train.align").read_text()
    plan = plan_resume(cut, {})
    assert plan is not None
    try:
        Path("train.align").write_text(text.replace("0-0", "0-0 1-0", 1))
        with pytest.raises(InputError, match=r"the text has changed .* \(split: alignments\)"):
            run.train(plan[0], cut, plan[1])
    finally:
        Path("train.align").write_text(text)


def test_two_processes_are_one_that_accumulates_two_batches(
    warm: Warm, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    options = [*ALIKE, "training.sample_subwords.source=null", "training.guide.alignments=train.align"]
    one, two = folder / "runs" / "accumulated", folder / "runs" / "shared"
    run.train(configuration(*options, "training.accumulate=2"), one)
    warm("train", *SHORT, *options, f"hydra.run.dir={two}", folder=folder, status=0, processes=2)
    expected, shared = (checkpoint.load(path / "checkpoints" / "last") for path in (one, two))
    for key, weight in expected.weights.items():
        torch.testing.assert_close(shared.weights[key], weight, rtol=1e-3, atol=1e-4)
    curves = [[value for _, value in outcome(path)["curves"]["train/guide"]] for path in (one, two)]
    assert curves[0] == pytest.approx(curves[1], rel=1e-3)
