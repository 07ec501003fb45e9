"""Text in other formats: trained on, scored and refused by the real programs as aligned files are."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tests.support.programs import SMALL, write_corpus
from tests.support.warm import Warm

pytestmark = [pytest.mark.program, pytest.mark.slow]

Pairs = list[tuple[str, str]]


def json_lines(pairs: Pairs) -> str:
    return "".join(json.dumps({"translation": {"de": source, "en": target}}) + "\n" for source, target in pairs)


def memory(pairs: Pairs) -> str:
    units = (
        f'<tu><tuv xml:lang="de-DE"><seg>{source}</seg></tuv><tuv xml:lang="en"><seg>{target}</seg></tuv></tu>\n'
        for source, target in pairs
    )
    return f'<tmx version="1.4"><header/><body>{"".join(units)}</body></tmx>'


def catalogue(pairs: Pairs) -> str:
    return "".join(f'msgid "{source}"\nmsgstr "{target}"\n\n' for source, target in pairs)


FORMATS: dict[str, tuple[Callable[[Pairs], str], list[str]]] = {
    "jsonl": (json_lines, ["dataset.fields=[translation.de,translation.en]"]),
    "tmx": (memory, []),
    "gettext": (catalogue, []),
}


SHARED = [*SMALL, "dataset.source=de", "dataset.target=en", "dataset.vocabulary=330", "dataset.cache=cache"]
SHARED += ["dataset.train=train", "dataset.validation=dev", "dataset.test=test", "training.steps=8", "search=greedy"]


def train(warm: Warm, folder: Path, *options: str) -> float:
    """Trains `run`, and returns its loss of the test split."""
    warm("train", *SHARED, *options, "hydra.run.dir=run", folder=folder, status=0)
    return float(json.loads((folder / "run" / "results.json").read_text())["test"]["loss"])


@pytest.fixture(scope="module")
def loss_of_files(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> float:
    """The loss where two aligned files held the text."""
    folder = tmp_path_factory.mktemp("files")
    write_corpus(folder)
    return train(warm, folder, "dataset=files")


@pytest.mark.parametrize("dataset", FORMATS)
def test_a_model_is_the_same_whatever_held_its_text(
    warm: Warm, tmp_path: Path, loss_of_files: float, dataset: str
) -> None:
    write, options = FORMATS[dataset]
    write_corpus(tmp_path)
    for name in ("train", "dev", "test"):
        sides = ((tmp_path / f"{name}.{language}").read_text().splitlines() for language in ("de", "en"))
        (tmp_path / name).write_text(write(list(zip(*sides, strict=True))), encoding="utf-8")
    (tmp_path / "test").write_bytes(zstandard.compress((tmp_path / "test").read_bytes()))
    assert train(warm, tmp_path, f"dataset={dataset}", *options) == loss_of_files
    ended = warm("evaluate", "checkpoint=run/checkpoints/best", "device=cpu", "output=.", folder=tmp_path, status=0)
    assert ended.told == ""
    assert json.loads((tmp_path / "evaluation.json").read_text())["test"]["loss"] == loss_of_files


def test_a_damaged_file_is_one_sentence(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "train").write_text('{"de": "Ja", "en": "Yes"}\n{"de": "Nein"}\n')
    options = ["dataset.source=de", "dataset.target=en", "dataset.validation=train", "dataset.test=null"]
    refused = warm.refused("train", "dataset=jsonl", "dataset.train=train", *options, *SMALL, folder=tmp_path)
    assert refused.startswith("error: train, line 2: no field 'en'; its fields are 'de'")
