"""scripts/compare.py as a person types it: what it trains, does not train again, reports, and refuses."""

import json
import shlex
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from seq2seq.commands import compare as program
from seq2seq.commands.cli import cli_errors
from seq2seq.commands.comparison import Planned
from seq2seq.config import Train
from tests.support.pages import check_alone
from tests.support.programs import ROOT, SIZES, SMALL, TEXT, write_corpus

PROGRAM = ROOT / "scripts" / "compare.py"
SHORT = [*TEXT, *SMALL, "training.steps=24", "training.validate_every=12", "training.learning_rate=0.01"]
BOTH = "runs/it's (größer), a = {b}"  # signs that mean something to shells, to Hydra and in HTML
COMPARED = ["attention=dot,general", *SHORT, "jobs=2", f"output={BOTH}"]
NAMES = ["attention=dot,training.seed=1", "attention=general,training.seed=1"]


def compare(folder: Path, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, str(PROGRAM), *arguments]
    ended = subprocess.run(command, cwd=folder, capture_output=True, timeout=180)
    assert ended.returncode == status, (ended.returncode, ended.stderr.decode())
    return ended


def written(folder: Path) -> dict[str, int]:
    """When each file was written; of what the cache holds, nothing."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the corpus, the comparison, and what was `printed`. Only to be read."""
    folder = tmp_path_factory.mktemp("compared")
    write_corpus(folder)
    (folder / "printed").write_bytes(compare(folder, *COMPARED).stdout)
    return folder


@pytest.fixture
def copied(compared: Path, tmp_path: Path) -> Path:
    """The same, to be spoilt."""
    return Path(shutil.copytree(compared, tmp_path / "copied"))


def test_there_is_a_run_for_each_rule_and_seed(compared: Path) -> None:
    runs = compared / BOTH / "runs"
    assert sorted(path.name for path in runs.iterdir()) == sorted(NAMES)  # and no log, since none failed
    for name in NAMES:
        overrides = yaml.safe_load((runs / name / ".hydra" / "overrides.yaml").read_text())
        assert name.split(",")[0] in overrides
        assert json.loads((runs / name / "results.json").read_text())["test"]["sentences"] == SIZES["test"]


def test_the_report_says_what_the_runs_found(compared: Path) -> None:
    both = compared / BOTH
    text = (both / "report.md").read_text()
    found = check_alone((both / "report.html").read_text())
    for name in NAMES:
        results = json.loads((both / "runs" / name / "results.json").read_text())
        bleu = f"{results['test']['bleu']:.2f}"
        assert bleu in text
        assert bleu in found.text
        assert results["test"]["signature"] in text
    for words in ("seeds: 1", "attention=dot,general", shlex.quote(f"output={BOTH}"), f"{SIZES['test']} sentences"):
        assert words in text
        assert words in " ".join(found.text).replace("seeds 1", "seeds: 1")
    assert len(found.all("figure")) == 2 * 3
    assert len(found.all("polyline")) == 2 + 2  # the legend
    printed = (compared / "printed").read_text()
    assert text.partition("## Runs")[0] in printed
    assert "2 of 2: general, seed 1: trained" in printed
    assert f"{BOTH}/report.html" in printed


def test_what_is_done_is_not_done_again_and_what_was_half_done_is(copied: Path) -> None:
    runs = copied / BOTH / "runs"
    before = json.loads((runs / NAMES[1] / "results.json").read_text())
    half = runs / NAMES[1]
    (half / "results.json").unlink()
    times = written(runs)
    printed = compare(copied, *COMPARED).stdout.decode()
    assert printed.count("done before") == 1
    assert printed.count("trained and scored") == 1
    now = written(runs)
    of_the_other = {path for path in times if Path(path).is_relative_to(runs / NAMES[0])}
    assert of_the_other <= {path for path, time in times.items() if now.get(path) == time}
    assert "resumed after step 24" in (half / "train.log").read_text()
    assert json.loads((half / "results.json").read_text())["test"] == before["test"]  # a seed fixes everything


def test_sigterm_stops_the_runs_and_the_same_command_goes_on(corpus: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(corpus, tmp_path / "here"))
    long = [word for word in SHORT if not word.startswith(("training.steps", "training.validate_every"))]
    words = ["attention=dot,general", *long, "training.epochs=10000", "jobs=2", "output=out"]
    logs = [folder / "out" / "runs" / f"{name}.log" for name in NAMES]
    process = subprocess.Popen([sys.executable, str(PROGRAM), *words], cwd=folder, stderr=subprocess.PIPE)
    while not all(log.is_file() and "step " in log.read_text() for log in logs):
        assert process.poll() is None
        time.sleep(0.1)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert b"stopped by SIGTERM: the same command with output=FOLDER goes on" in errors
    assert all("stopped by SIGTERM after step" in log.read_text() for log in logs)


@pytest.mark.parametrize("jobs", [1, 2])
def test_so_many_runs_at_a_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, jobs: int) -> None:
    asked = program.request(["attention=dot,general,additive,concat", f"output={tmp_path}", f"jobs={jobs}"])
    with program.initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        planned = dict(program.plan(asked))
    beside, now, most = threading.Barrier(jobs, timeout=20), 0, 0
    lock = threading.Lock()

    def train(run: Planned, words: list[str]) -> str:
        nonlocal now, most
        assert planned[run] == words
        with lock:
            now += 1
            most = max(most, now)
        beside.wait()  # for all that go on at the same time
        with lock:
            now -= 1
        return f"{run.variant} failed"

    monkeypatch.setattr(program, "train", train)
    names = ["dot", "general", "additive", "concat"]
    assert program.train_all(planned, asked.jobs) == [f"{name} failed" for name in names]
    assert most == jobs


def test_a_failed_run_is_named_and_the_rest_reported(copied: Path) -> None:
    runs = copied / BOTH / "runs"
    (runs / NAMES[1] / "results.json").unlink()
    (copied / "train.de").write_text("Zu kurz.\n")
    ended = compare(copied, *COMPARED, status=1)
    (line,) = ended.stderr.decode().splitlines()
    assert line.startswith("error: general, seed 1, failed: ")
    log = runs / f"{NAMES[1]}.log"
    assert str(log.relative_to(copied)) in line
    assert "train.de" in log.read_text()
    found = check_alone((copied / BOTH / "report.html").read_text())
    assert line.removeprefix("error: ") in found.text
    assert len(found.all("figure")) == 3
    text = (copied / BOTH / "report.md").read_text()
    assert "failed: general, seed 1" in text
    assert "| dot " in text
    assert "| general " not in text


def test_where_nothing_came_to_its_end_there_is_no_report(corpus: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(corpus, tmp_path / "here"))
    (folder / "train.de").write_text("Zu kurz.\n")
    ended = compare(folder, "attention=dot,general", *SHORT, "output=out", status=1)
    assert len(ended.stderr.decode().splitlines()) == 3
    assert "nothing to report" in ended.stderr.decode()
    assert not list((folder / "out").glob("report*"))


def refused(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    *arguments: str,
) -> str:
    """The sentence, of a comparison that must leave the folder's runs as they were."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [str(PROGRAM), *arguments])
    before = written(folder)
    with pytest.raises(SystemExit) as ended, cli_errors(Train):
        program.run_comparison(list(arguments))
    assert ended.value.code == 2
    assert written(folder) == before
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["attention=dot"], ["nothing to compare", "attention=concat,dot"]),
        (["attention=dot", "seeds=1,2"], ["nothing to compare"]),
        (["attention=dot,general", "training.epoch=3"], ["training.epoch:", "did you mean training.epochs?"]),
        (["attention=dot,generl"], ["attention=generl: no such choice", "general"]),
        (["attention=dot,general", "seeds=1,x"], ["training.seed", '"x"']),
        (["attention=dot,general", "seeds=1", "training.seed=2"], ["training.seed: given twice"]),
        (["attention=dot,general", "hydra.run.dir=here"], ["hydra.run.dir", "output=FOLDER"]),
        (["attention=dot,general", "output="], ["output: empty"]),
        (["attention=dot,general", "resume=runs/both"], ["resume: ", "output=FOLDER"]),
        (["attention=dot,general", "jobs=0"], ["jobs: found '0'", "such as 2"]),
        (["attention=dot,general", "jobs=many"], ["jobs: found 'many'"]),
        (["-m", "attention=dot,general"], ["-m: no such option"]),
        (["--attention=dot,general"], ["attention=VALUE"]),
        (["attention=dot,general", "training"], ["training", "KEY=VALUE"]),
        (["training.clip=interval(1,2)"], ["training.clip", "one by one"]),
        (["dataset.test=dev,test"], ["dev and test have different test splits"]),
        (
            ["attention=dot,general", "dataset.test=null"],
            ["dot: a comparison is of the test split", "dataset.test=null"],
        ),
        (["dataset.test=test,null"], ["test=null: a comparison is of the test split", "dataset.test=null"]),
        (["training.dropout=0.1,0.2"], ["training.dropout: no such option"]),
        (["model.dropout=0.1,2.0"], ["model.dropout=2.0: ", "less than 1"]),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_trained(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: list[str],
) -> None:
    folder = Path(shutil.copytree(corpus, tmp_path / "here"))
    options = [word for word in SHORT if word.split("=")[0] not in {given.split("=")[0] for given in arguments}]
    said = refused(capsys, monkeypatch, folder, *arguments, *options)
    assert all(word in said for word in words), said


def test_a_run_made_otherwise_is_refused(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, monkeypatch, copied, *COMPARED, "training.clip=0.5")
    assert "training.clip is 1.0 there, 0.5 here" in said
    assert NAMES[0] in said
    assert "output=FOLDER" in said


def test_what_is_no_run_is_not_removed(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(copied / BOTH / "runs" / NAMES[1] / ".hydra")
    said = refused(capsys, monkeypatch, copied, *COMPARED)
    assert NAMES[1] in said
    assert "no run" in said


def test_a_test_split_that_is_another_now_is_refused(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (copied / "test.en").write_text("The dog sees the bread.\n" * SIZES["test"])
    assert "scored on other sentences" in refused(capsys, monkeypatch, copied, *COMPARED)


@pytest.mark.parametrize(
    ("name", "content"),
    [("results.json", b"\xff{"), ("results.json", b"{}"), ("results.json", b"[3]"), ("results.test.en", b"\xff{")],
)
def test_a_damaged_run_is_named(
    copied: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes,
) -> None:
    path = copied / BOTH / "runs" / NAMES[1] / name
    path.write_bytes(content)
    said = refused(capsys, monkeypatch, copied, *COMPARED)
    assert f"{NAMES[1]}/{name}" in said
    assert "is made anew" in said


def test_variants_are_the_product_of_the_options_and_named_by_them() -> None:
    words = ["attention=dot,additive", "model.dropout=0.1,0.3", "training.decay=linear", "seeds=3,4,3", "output=a b"]
    asked = program.request(words)
    with program.initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        planned = dict(program.plan(asked))
    names = ["dot, dropout=0.1", "dot, dropout=0.3", "additive, dropout=0.1", "additive, dropout=0.3"]
    assert [run.variant for run in planned] == names * 2
    assert [run.seed for run in planned] == [3] * 4 + [4] * 4
    assert {run.configuration.training.decay for run in planned} == {"linear"}
    run, given = list(planned.items())[-1]
    assert run.folder == Path("a b/runs/attention=additive,model.dropout=0.3,training.seed=4")
    assert given == ["training.decay=linear", "attention=additive", "model.dropout=0.3", "training.seed=4"]
    assert (run.configuration.attention.score, run.configuration.model.dropout) == ("additive", 0.3)


def test_without_output_the_folder_is_named_by_the_time() -> None:
    assert program.request(["attention=dot,general"]).output.match("runs/compare-????-??-??_??-??-??")


def test_help_says_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run_comparison(["--help"]) == 0
    printed = capsys.readouterr().out
    assert "attention=concat,dot,additive seeds=1,2,3" in printed
    assert "output=FOLDER" in printed
