"""`seq2seq export`, and the program of docs/onnx.md, which translates without PyTorch and without this package."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from seq2seq import checkpoint
from seq2seq.commands import export
from seq2seq.runtime.errors import InputError
from tests.support.programs import ROOT
from tests.support.warm import Warm

for package in export.PACKAGES:
    pytest.importorskip(package, reason=f"{package} is not installed: pip install -e '.[dev]'")
graphs = importlib.import_module("seq2seq.decoding.onnx_graphs")

pytestmark = pytest.mark.usefixtures("unchecked")

PAGE = (ROOT / "docs" / "onnx.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
ABSENT = "import sys; sys.modules.update(torch=None, seq2seq=None)\n"
LINES = [
    "Der Hund sieht heute den Apfel.",
    "",
    "Hund",
    "狗今天看见苹果。",
    "الكلب يرى التفاحة اليوم.",
    "Die Schwester kauft im Winter kein Wasser.",
    "  e\u0301 \U0001f600 ",
    "Das Mädchen hört nie das Pferd.",
]
FILES = {"encoder.onnx", "decoder.onnx", "source.model", "target.model", "model.json"}


@pytest.fixture(scope="module")
def folder(sweep: Path, warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the exports `general` and `concat`."""
    folder = tmp_path_factory.mktemp("export")
    for name in ("general", "concat"):
        path = sweep / "runs" / name
        printed = warm("scripts/export", str(path), f"output={name}", folder=folder, status=0).printed.decode()
        assert printed == f"{name}: encoder.onnx, decoder.onnx, source.model, target.model, model.json\n"
    return folder


@pytest.mark.parametrize("name", ["general", "concat"])
def test_the_example_translates_as_translate_does(sweep: Path, warm: Warm, folder: Path, name: str) -> None:
    text = "".join(f"{line}\n" for line in LINES)
    best = sweep / "runs" / name / "checkpoints" / "best"
    options = [f"checkpoint='{best}'", "search=greedy", "search.too_long=truncate"]  # `concat` reads 27 subwords
    expected = warm("translate", *options, folder=folder, given=text.encode(), status=0)
    batch = f"print(*translate({[line for line in LINES if line]}), sep='\\n')"
    one_by_one, together = (
        subprocess.run(
            [sys.executable, "-c", ABSENT + program, name], input=given.encode(), cwd=folder, capture_output=True
        )
        for program, given in ((EXAMPLE, text), (f"{EXAMPLE}\n{batch}", ""))
    )
    assert (one_by_one.stderr, one_by_one.stdout) == (b"", expected.printed)
    assert (together.stderr, together.stdout) == (b"", expected.printed.replace(b"\n\n", b"\n"))


def test_the_example_has_forty_lines_and_leaves_out_pytorch() -> None:
    assert len([line for line in EXAMPLE.splitlines() if line]) <= 40
    imported = set(re.findall(r"^(?:import|from) (\w+)", EXAMPLE, re.MULTILINE))
    assert imported - sys.stdlib_module_names == {"numpy", "onnxruntime", "sentencepiece"}


def test_an_export_describes_itself(sweep: Path, folder: Path) -> None:
    assert {path.name for path in (folder / "general").iterdir()} == FILES
    assert {path.name for path in folder.iterdir()} == {"general", "concat"}
    general, concat = (
        json.loads((folder / name / "model.json").read_text(encoding="utf-8")) for name in ("general", "concat")
    )
    best = checkpoint.load(sweep / "runs" / "concat" / "checkpoints" / "best")
    assert (concat["step"], concat["longest_source"]) == (best.step, best.positions - 1)
    assert general["longest_source"] is None
    assert general["languages"] == {"source": "de", "target": "en"}
    assert (general["normalization"], general["format"]) == ("none", 1)
    assert general["ids"] == {"padding": 0, "unknown": 1, "begin": 2, "end": 3}
    assert (folder / "concat" / "target.model").read_bytes() == best.tokenizers.target.model
    assert (general["decoder"], general["encoder"]) != (concat["decoder"], concat["encoder"])
    rows = re.findall(r"^\| (`.*?) \| (?:batch|rows)", PAGE, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == graphs.AXES.keys()


NEW = "output=new"
REFUSED = {
    (NEW,): "expected one checkpoint, such as runs/NAME or runs/NAME/checkpoints/best, without options; found none",
    ("runs/general", "runs/concat", NEW): "without options; found runs/general runs/concat",
    ("runs/general",): "output: give the new folder once, output=FOLDER",
    ("runs/general", "output="): "output: give the new folder once",
    ("runs/general", NEW, "output=newer"): "output: give the new folder once",
    ("runs/general", "output=runs"): "output=runs: it exists already, and nothing is replaced: name a new folder",
    ("runs/general", "output=runs/general/checkpoints/best/onnx"): "it is inside the checkpoint",
    ("nothing", NEW): "no checkpoint at nothing: give a folder such as runs/NAME/checkpoints/best",
    ("runs", NEW): "runs is not a checkpoint",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_exported_is_refused(warm: Warm, sweep: Path, words: tuple[str, ...]) -> None:
    assert REFUSED[words] in warm.refused("scripts/export", *words, folder=sweep)


@pytest.mark.parametrize("words", [["[a,b]"], ["checkpoint=a"], ["a", "device=cpu"], []])
def test_an_export_is_of_one_checkpoint_without_options(words: list[str]) -> None:
    with pytest.raises(InputError, match=r"expected one checkpoint, such as runs/NAME .*, without options; found"):
        export.run([*words, "output=new"])


def test_a_missing_package_is_refused_with_its_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnxruntime" else name)
    with pytest.raises(InputError, match=r"^export needs onnxruntime, .*: `pip install onnx onnxruntime` installs it$"):
        export.export(tmp_path, tmp_path / "new")


def test_a_disk_that_is_full_leaves_nothing(sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "write_json", full)
    with pytest.raises(OSError, match=r"No space left on device: .*/deep/new'"):
        export.export(sweep / "runs" / "general", tmp_path / "deep" / "new")
    assert list((tmp_path / "deep").iterdir()) == []
