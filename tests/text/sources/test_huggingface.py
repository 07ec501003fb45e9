"""Datasets of Hugging Face's library, from local folders and files, through the real program."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import SMALL
from tests.support.warm import Warm

RUN = [*SMALL, "training.steps=3", "search=greedy", "dataset=huggingface", "dataset.source=ar", "dataset.target=en"]
RUN += ["dataset.cache=cache", "dataset.vocabulary=300"]
WORDS = ["كلب", "قطة", "حصان", "طفل", "معلم", "بيت", "كتاب"]
PAIRS = [(f"{one} {other} {third}", f"{i} and {j} or {k}") for i, one in enumerate(WORDS)
         for j, other in enumerate(WORDS) for k, third in enumerate(WORDS)]  # fmt: skip

MAKE = """
import json, sys, datasets
datasets.disable_progress_bars()
pairs = json.load(open("pairs.json"))
rows = {"translation": [{"ar": source, "en": target} for source, target in pairs]}
whole = datasets.Dataset.from_dict(rows)
whole.to_parquet("all.parquet")
parts = {"train": range(0, 250), "validation": range(250, 300), "test": range(300, len(pairs))}
datasets.DatasetDict({name: whole.select(part) for name, part in parts.items()}).save_to_disk("saved")
datasets.Dataset.from_dict({"ar": ["one", None], "en": ["1", "2"]}).to_parquet("null.parquet")
"""

needs_datasets = pytest.mark.skipif(
    importlib.util.find_spec("datasets") is None, reason="needs the library datasets: pip install '.[huggingface]'"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("huggingface")
    (path / "pairs.json").write_text(json.dumps(PAIRS))
    environment = {**os.environ, "HF_HOME": str(path / "home"), "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-c", MAKE], cwd=path, env=environment, check=True, capture_output=True)
    return path


@needs_datasets
def test_a_saved_dataset_is_learned_and_scored(warm: Warm, folder: Path, tmp_path: Path) -> None:
    fields = "dataset.fields=[translation.ar,translation.en]"
    options = ["dataset.path=saved", fields, "hydra.run.dir=run"]
    log = warm("train", *RUN, *options, folder=folder, status=0).printed.decode()
    assert "250 training pairs; left out: 0 empty, 0 too long" in log
    assert len((folder / "run" / "results.test.en").read_text().splitlines()) == len(PAIRS) - 300
    trained = json.loads((folder / "run" / "results.json").read_text())
    evaluated = [f"checkpoint={folder}/run/checkpoints/best", "split=validation", "device=cpu", "output=."]
    warm("evaluate", *evaluated, "dataset.cache=cache", folder=tmp_path, status=0)
    scores = json.loads((tmp_path / "evaluation.json").read_text())
    assert scores["validation"]["bleu"] == trained["validation"]["bleu"]
    warm("train", "resume=run", folder=folder, status=0)


@needs_datasets
def test_a_parquet_file_is_divided(warm: Warm, folder: Path) -> None:
    options = ["dataset.path=all.parquet", "dataset.validation=null", "dataset.test=null", "dataset.hold_out=20"]
    fields = "dataset.fields=[translation.ar,translation.en]"
    log = warm("train", *RUN, *options, fields, "hydra.run.dir=cut", folder=folder, status=0).printed.decode()
    assert f"{len(PAIRS) - 40} training pairs" in log
    sliced = ["dataset.path=all.parquet", 'dataset.train="train[:200]"', 'dataset.validation="train[200:]"']
    log = warm(
        "train", *RUN, *sliced, "dataset.test=null", fields, "hydra.run.dir=sliced", folder=folder, status=0
    ).printed.decode()
    assert "200 training pairs" in log


@needs_datasets
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["dataset.path=saved"], "saved, split validation, row 1: no field 'ar'; its fields are 'translation'"),
        (["dataset.path=null.parquet", "dataset.validation=train"], "row 2: the field 'ar' must be text, found null"),
        (["dataset.path=pairs.json"], "dataset.path=pairs.json, split validation: "),
        (["dataset.path=saved", "dataset.validation=tset"], 'Unknown split "tset"'),
        (["dataset.path=saved", "dataset.subset=ar-en"], "'ar-en' not found"),
        (["dataset.path=./absent"], "and there is no such file or folder"),
    ],
)
def test_what_cannot_be_read_is_refused(warm: Warm, folder: Path, options: list[str], message: str) -> None:
    ended = warm("train", *RUN, "hydra.run.dir=refused", *options, folder=folder, status=2)
    assert message in ended.told
    assert ended.told.count("\n") == 1
    assert not (folder / "refused").exists()


@pytest.mark.skipif(importlib.util.find_spec("datasets") is not None, reason="the library is installed")
def test_a_missing_library_is_named(warm: Warm, tmp_path: Path) -> None:
    told = warm.refused("train", *RUN, "dataset.path=saved", "hydra.run.dir=refused", folder=tmp_path)
    assert "needs the library datasets: `pip install 'datasets>=4'`" in told
