"""The lessons run from top to bottom, and what they show in the repository is what they show.

A cell with the tag `varies` shows a trained model: here it is trained for less time, so that its outputs differ.
"""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.support.programs import ROOT

FOLDER = ROOT / "docs" / "lessons"
LESSONS = sorted(FOLDER.glob("*.ipynb"))
NUMBER = re.compile(r"-?\d+\.\d+(e-?\d+)?")
SHORT = '"dataset.preset=tiny", "dataset.vocabulary=1000", "training.steps=60", "search=greedy", "device.threads=1"'
LONGEST_READING = 15 * 200
"""Words that are read in 15 minutes."""


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def shorten(notebook: Any) -> None:
    """Makes the trainings of a notebook short."""
    for cell in notebook.cells:
        cell.source = cell.source.replace('train("attention=additive",', f'train("attention=additive", {SHORT},')
        cell.source = cell.source.replace('"training.steps=150"', '"training.steps=30"')


def printed(notebook: Any) -> list[str]:
    """What each cell prints, without numbers that rounding changes, and the kinds of its other outputs."""
    results = []
    for cell in notebook.cells:
        if "varies" in cell.metadata.get("tags", []):
            continue
        outputs = cell.get("outputs", [])
        assert not [output for output in outputs if output.get("name") == "stderr"], outputs
        text = "".join(output.get("text", "") for output in outputs)  # a busy machine delivers it in several parts
        results += [NUMBER.sub("#", text), *(" ".join(sorted(output.data)) for output in outputs if "data" in output)]
    return results


def test_every_lesson_is_in_the_list() -> None:
    links = re.findall(r"\]\(([^)]*\.ipynb)\)", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert links == [path.name for path in LESSONS]
    assert LESSONS


@pytest.mark.program
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_runs_and_prints_what_it_shows(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    stored, notebook = read(path), read(path)
    shorten(notebook)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert printed(notebook) == printed(stored)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_is_short_and_asks_questions(path: Path) -> None:
    text = " ".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    assert len(text.split()) < LONGEST_READING
    assert "**Question.**" in text
    assert text.startswith(f"# Lesson {path.name[0]}: ")
    assert "/tmp" not in path.read_text(encoding="utf-8")
    assert text.rstrip().rpartition("## ")[2].startswith("What to change next")


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_links_of_a_lesson_lead_to_files(path: Path) -> None:
    text = " ".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert link.startswith("https://") or (FOLDER / link).exists(), link
