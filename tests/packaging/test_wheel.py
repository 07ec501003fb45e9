"""The wheel, built from the sdist and installed outside the checkout: the command `seq2seq` does the main job."""

import os
import signal
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.support.programs import ROOT
from tests.support.server import server

TRAIN = ["dataset.preset=tiny", "dataset.vocabulary=1000", "model=tiny", "training.steps=20", "search=greedy"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("built")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    result = subprocess.run(build, capture_output=True, timeout=300)
    assert result.returncode == 0, result.stdout.decode() + result.stderr.decode()
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel is installed in. Other packages come from this environment."""
    (wheel,) = built.glob("*.whl")
    folder = tmp_path_factory.mktemp("installed")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(folder)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True, timeout=300)
    return folder


def seq2seq(installed: Path, *arguments: str, folder: Path, given: bytes = b"", status: int = 0) -> str:
    """What the installed command prints, in a folder outside the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    program = str(installed / "bin" / "seq2seq")
    result = subprocess.run(
        [sys.executable, program, *arguments],
        cwd=folder,
        input=given,
        capture_output=True,
        env=environment,
        timeout=300,
    )
    assert result.returncode == status, result.stderr.decode()
    return (result.stdout if status == 0 else result.stderr).decode()


def test_the_wheel_has_configurations_lexicon_templates_and_types(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, inside in (("configs", "configs"), ("data/lexicon", "lexicon"), ("seq2seq", "")):
        for file in (ROOT / folder).rglob("*"):
            if file.suffix in (".yaml", ".tsv", ".jinja", ".py", ".typed", ".html", ".css", ".js", ".svg"):
                assert str(Path("seq2seq") / inside / file.relative_to(ROOT / folder)) in names
    assert not any(name.startswith(("tests", "scripts", "docs", "train.py")) for name in names)


def test_the_sdist_has_what_the_readme_speaks_of(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= {"README.md", "LICENSE", "train.py", "scripts/check", "tests/conftest.py", "docs/usage.md"}
    assert not any(name.startswith(("runs/", "data/cache/", "data/multi30k/")) for name in names)


def test_train_evaluate_translate_and_compare_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    """In a folder of its own, in which a folder called seq2seq must not matter."""
    (tmp_path / "seq2seq").mkdir()
    (tmp_path / "seq2seq" / "__init__.py").write_text("raise SystemExit('the wrong package')\n", encoding="utf-8")
    printed = seq2seq(installed, "train", *TRAIN, "hydra.run.dir=runs/first", folder=tmp_path)
    assert f"results in {tmp_path}/runs/first/results.json" in printed
    seq2seq(installed, "train", "resume=runs/first", folder=tmp_path)
    best = "checkpoint=runs/first/checkpoints/best"
    assert "BLEU" in seq2seq(installed, "evaluate", best, folder=tmp_path)
    lines = seq2seq(installed, "translate", best, folder=tmp_path, given="Der Hund schläft.\n\n".encode())
    assert lines.count("\n") == 2
    report = seq2seq(installed, "compare", *TRAIN, "attention=dot,general", "output=both", folder=tmp_path)
    assert "both/report.html" in report
    html = (tmp_path / "both" / "report.html").read_text(encoding="utf-8")
    assert "seq2seq compare" in html
    assert "compare.py" not in html
    serve_the_page(installed, tmp_path)


def serve_the_page(installed: Path, folder: Path) -> None:
    """`seq2seq serve` has its page and its options."""
    command = [sys.executable, str(installed / "bin" / "seq2seq")]
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    with server("checkpoint=runs/first", folder=folder, command=command, environment=environment) as process:
        with urllib.request.urlopen(f"{process.url}/") as page:
            assert b"static/" in page.read()
        status, errors = process.end(signal.SIGTERM)
    assert status == 143
    assert "GET / 200" in errors


def test_help_and_errors_name_the_command(installed: Path, tmp_path: Path) -> None:
    helped = seq2seq(installed, folder=tmp_path)
    for name in ("train", "evaluate", "translate", "compare", "average", "grammar", "serve"):
        assert f"seq2seq {name}" in helped
        text = seq2seq(installed, name, "--help", folder=tmp_path)
        assert f"seq2seq {name}" in text
        assert ".py " not in text
    assert seq2seq(installed, "--version", folder=tmp_path).startswith("seq2seq 0.")
    assert "did you mean train" in seq2seq(installed, "trian", folder=tmp_path, status=2)
    refused = seq2seq(installed, "translate", "text.de", folder=tmp_path, status=2)
    assert "seq2seq translate checkpoint=" in refused
    assert not list(tmp_path.iterdir())
