"""Adding an attention rule, or a distribution, is what CONTRIBUTING.md says: shown on a copy of the project."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import ROOT, SMALL, TEXT, write_corpus

RULE = '''

class Nearest(Score):
    """`-|Q - K_j|^2`: scores by distance."""

    direct = True

    def forward(
        self, query: Float[Tensor, "batch target query"], key: Float[Tensor, "batch source query"]
    ) -> Float[Tensor, "batch target source"]:
        return -torch.cdist(query, key).square()

'''
DISTRIBUTION = '''

class Linear(Distribution):
    """Weights as the positive parts of the scores."""

    def forward(self, scores: Scores, mask: Mask, query: Query, step: Step) -> Attention:
        parts = (scores.sigmoid() * mask) + 1e-9 * mask
        return Attention(parts / parts.sum(dim=-1, keepdim=True))

'''


def add(path: Path, code: str, table: str, line: str) -> None:
    """The class before the table, and the line in it."""
    text = path.read_text(encoding="utf-8")
    before, start, after = text.partition(f"\n{table}: ")
    assert start, table
    first, brace, rest = after.partition("{\n")
    path.write_text(f"{before.rstrip()}\n{code}{start}{first}{brace}    {line}\n{rest}", encoding="utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with a rule and a distribution more."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("seq2seq", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "train.py", folder)
    write_corpus(folder)
    add(folder / "seq2seq" / "attention" / "scores.py", RULE, "SCORES", '"nearest": Nearest,')
    (folder / "configs" / "attention" / "nearest.yaml").write_text("score: nearest\n")
    add(folder / "seq2seq" / "attention" / "distributions.py", DISTRIBUTION, "DISTRIBUTIONS", '"linear": Linear,')
    return folder


@pytest.mark.parametrize("places", [["decoder=bahdanau"], ["decoder=luong", "attention.distribution=linear"]])
def test_one_class_one_line_one_file_and_it_trains(project: Path, places: list[str]) -> None:
    run = f"runs/{len(places)}"
    arguments = ["attention=nearest", *places, *TEXT, *SMALL, "training.steps=3", f"hydra.run.dir={run}"]
    command = [sys.executable, "train.py", *arguments]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    results = json.loads((project / run / "results.json").read_text())
    assert results["train"]["steps"] == 3
    trained = json.loads((project / run / "checkpoints" / "best" / "checkpoint.json").read_text())
    assert trained["configuration"]["attention"]["score"] == "nearest"
