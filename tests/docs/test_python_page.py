"""The examples of docs/python.md and of README.md run, in a folder of their own, one after the other."""

import contextlib
import io
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import seq2seq
from tests.support.programs import ROOT
from tests.support.unchecked import unchecked

PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
TINY = ["dataset.preset=tiny", "dataset.vocabulary=1000", "model=tiny"]
QUICK = ["training.steps=20", "search=greedy", "device=cpu", "device.threads=1"]


def examples(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in which training is short."""
    train = seq2seq.train

    def quick(*options: str, **arguments: Any) -> seq2seq.Results:
        return train(*options, *([] if "resume" in arguments else QUICK), **arguments, progress=False)

    monkeypatch.setattr(seq2seq, "train", quick)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.de").write_text("Der Hund schläft.\n\nDie Frau liest.\n", encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="module")
@unchecked()
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of the README's first example."""
    return seq2seq.train(*TINY, *QUICK, folder=tmp_path_factory.mktemp("trained") / "first", progress=False).folder


def run(blocks: list[str]) -> list[str]:
    """What each block prints. All share their variables."""
    variables: dict[str, Any] = {}
    printed = []
    for block in blocks:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(compile(block, "example", "exec"), variables)
        printed.append(output.getvalue())
    return printed


@unchecked()
def test_the_examples_of_the_page_run(folder: Path) -> None:
    blocks = examples(PAGE)
    printed = run(blocks)
    assert len(blocks) > 8
    assert (folder / "attention.png").stat().st_size > 1000
    assert len((folder / "my.en").read_text(encoding="utf-8").splitlines()) == 3
    (refused,) = (text for block, text in zip(blocks, printed, strict=True) if "InputError" in block)
    assert re.match(r"the sentence has \d+ subwords, more than the \d+ that this model reads", refused)
    assert all(text for block, text in zip(blocks, printed, strict=True) if "print(" in block and "file=" not in block)


def test_the_page_names_every_field_and_option() -> None:
    fields = {name for name in dir(seq2seq.Translation) if not name.startswith("_")}
    fields |= {name for name in seq2seq.Translation.__dataclass_fields__ if not name.startswith("_")}
    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("| `"))
    named = {*re.findall(r"`(\w+)(?:\(\))?`", rows)}
    assert fields <= named
    assert {"beam_size", "n_best", "length_penalty", "too_long", "batch", "prefix"} <= named
    assert {*seq2seq.SearchNode._fields} <= named


@unchecked()
def test_the_readmes_example_runs(trained: Path, folder: Path) -> None:
    (block,) = examples(README)
    shutil.copytree(trained, folder / "runs" / "first")
    assert run([block])[0].endswith("]\n")


def test_the_readmes_example_runs_in_a_notebook(trained: Path, folder: Path) -> None:
    """In a real kernel. The translation at the end of a cell is shown as HTML, and training as a bar."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: pip install -e '.[dev]'")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install -e '.[dev]'")
    from nbformat.v4 import new_code_cell, new_notebook

    shutil.copytree(trained, folder / "runs" / "first")
    (block,) = examples(README)
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r})"
    train = f"results = seq2seq.train(*{TINY + QUICK!r}, folder='runs/again')"
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in (start, block, "translation", train)])
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    _, example, shown, training = notebook.cells
    assert all(output["output_type"] != "error" for cell in notebook.cells for output in cell["outputs"])
    assert example["outputs"]
    (html,) = (output["data"]["text/html"] for output in shown["outputs"] if "data" in output)
    assert 'class="seq2seq-translation"' in html
    assert "20/20" in "".join(map(str, training["outputs"]))
    assert (folder / "runs" / "again" / "results.json").exists()
