"""`seq2seq average`: the mean of checkpoints of one model is a checkpoint like any other."""

import shutil
from pathlib import Path

import pytest
import torch

from seq2seq import checkpoint
from tests.support.programs import SMALL, TEXT
from tests.support.warm import Warm

pytestmark = pytest.mark.usefixtures("unchecked")

A, B, C = "general/checkpoints/best", "general/checkpoints/best-2", "general/checkpoints/last"


@pytest.fixture(scope="module")
def folder(sweep: Path, warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with its text, two runs of different rules, and one with other tokenizers."""
    folder = tmp_path_factory.mktemp("average")
    shutil.copytree(sweep, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("runs"))
    for name in ("general", "concat"):
        shutil.copytree(sweep / "runs" / name, folder / name)
    other = [*TEXT, *SMALL, "attention=general", "training.steps=1", "search=greedy", "dataset.train=dev"]
    warm("train", *other, "hydra.run.dir=other-text", folder=folder, status=0)
    shutil.copytree(folder / A, folder / "copy")
    shutil.copytree(folder / A, folder / "damaged")
    best = checkpoint.load(folder / A)
    attention, dataset = best.configuration["attention"], best.configuration["dataset"]
    for name, change in (
        ("mistaken", {"mistake": ["loss_counts_padding"]}),
        ("sharper", {"attention": {**attention, "temperature": 0.5}}),
        ("exchanged", {"dataset": {**dataset, "source": "en", "target": "de"}}),
    ):
        checkpoint.write(best._replace(configuration={**best.configuration, **change}), folder / name)
    (folder / "damaged" / "weights.safetensors").write_bytes(b"")
    return folder


def test_the_average_is_the_mean_and_a_checkpoint(warm: Warm, folder: Path) -> None:
    output = "general/checkpoints/average"
    printed = warm("scripts/average", A, B, C, f"output={output}", folder=folder, status=0).printed.decode()
    assert printed == f"{output}: the average of 3 checkpoints, up to step 60\n"
    mean, *parts = (checkpoint.load(folder / path) for path in (output, A, B, C))
    assert mean.step == 60
    assert len({part.step for part in parts}) > 1
    assert mean.configuration == parts[0].configuration
    for name, weight in mean.weights.items():
        expected = torch.stack([part.weights[name].double() for part in parts]).mean(dim=0)
        torch.testing.assert_close(weight.double(), expected, rtol=1e-7, atol=1e-9)
        assert weight.dtype == torch.float32
    warm("scripts/average", f"output={output}-2", C, A, B, folder=folder, status=0)
    again = checkpoint.load(folder / f"{output}-2")
    for name, weight in mean.weights.items():
        torch.testing.assert_close(again.weights[name], weight, rtol=1e-6, atol=1e-9)

    scored = warm("evaluate", f"checkpoint={output}", "split=validation", folder=folder, status=0)
    assert b"perplexity" in scored.printed
    text = "Der Hund sieht heute den Apfel.\n狗\nHund\n".encode()
    translated = warm("translate", f"checkpoint={output}", folder=folder, given=text, status=0)
    assert translated.printed.count(b"\n") == 3
    start = [f"init={output}", *TEXT[:-1], "device=cpu", "device.threads=1", "search=greedy", "training.steps=1"]
    warm("train", *start, "training.learning_rate=1e-30", "hydra.run.dir=from-average", folder=folder, status=0)
    weights = checkpoint.load(folder / "from-average" / "checkpoints" / "last").weights
    assert all(torch.equal(weights[name], weight) for name, weight in mean.weights.items())


def test_the_average_of_equals_is_equal(warm: Warm, folder: Path) -> None:
    warm("scripts/average", "general", "copy", "output=equal", folder=folder, status=0)
    mean, one = checkpoint.load(folder / "equal"), checkpoint.load(folder / A)
    assert all(torch.equal(mean.weights[name], weight) for name, weight in one.weights.items())


NEW = "output=new"
REFUSED = {
    ("general/checkpoints/best", NEW): "expected two checkpoints or more, found 1",
    (NEW,): "expected two checkpoints or more, found 0",
    (A, B): "output: give the folder of the average once, output=runs/NAME/checkpoints/average",
    (A, B, "output="): "output: give the folder of the average once",
    (A, B, NEW, "output=newer"): "output: give the folder of the average once",
    (A, B, "output=general"): "output=general: it exists already, and nothing is replaced: name a new folder",
    (A, B, "output=train.de"): "output=train.de: it exists already",
    (A, B, f"output={B}/average"): f"output={B}/average: it is inside the checkpoint {B}",
    (A, B, "output=general/checkpoints/best-7"): "training writes and removes its own checkpoints of such names",
    (A, B, A, NEW): f"{A}: the checkpoint is given twice, and would count twice",
    (A, "general", NEW): f"{A}: the checkpoint is given twice",
    (
        A,
        "concat",
        NEW,
    ): "concat/checkpoints/best: it has attention.score=concat, and general/checkpoints/best has general",
    (A, "other-text", NEW): "its tokenizers are not those of general/checkpoints/best, so the same weight stands for",
    (A, "nothing", NEW): "no checkpoint at nothing: give a folder such as runs/NAME/checkpoints/best",
    (A, "mistaken", NEW): "mistaken: it has mistake=['loss_counts_padding'], and general/checkpoints/best has []",
    (A, "sharper", NEW): "sharper: it has attention.temperature=0.5, and general/checkpoints/best has 1.0",
    (A, "exchanged", NEW): "exchanged: it has dataset.source=en, and general/checkpoints/best has de",
    (A, "damaged", NEW): "checkpoint damaged is damaged: weights.safetensors is not what was written",
}


def test_the_name_of_the_output_is_that_of_the_folder(warm: Warm, folder: Path) -> None:
    checkpoints = folder / "general" / "checkpoints"
    found = warm.refused("scripts/average", "best", "best", "output=best-9", folder=checkpoints)
    assert "training writes and removes its own checkpoints of such names" in found


def test_a_message_has_no_control_sequence(warm: Warm, folder: Path) -> None:
    assert "x\\x1b[31mred" in warm.refused("scripts/average", "x\x1b[31mred", B, NEW, folder=folder)


@pytest.mark.parametrize("words", REFUSED)
def test_what_has_no_average_is_refused(warm: Warm, folder: Path, words: tuple[str, ...]) -> None:
    assert REFUSED[words] in warm.refused("scripts/average", *words, folder=folder)
    assert not (folder / "new").exists()
