"""scripts/compare.py at the prompt: what it trains, resumes, reports and refuses."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from seq2seq.commands import compare as program
from seq2seq.commands.exit_status import cli_errors
from seq2seq.commands.hydra_quotes import quoted
from seq2seq.commands.planned_run import PlannedRun
from seq2seq.config import Train
from seq2seq.runtime.errors import InputError
from tests.support.pages import check_alone
from tests.support.programs import ROOT, SIZES, SMALL, TEXT, write_corpus
from tests.support.runs import configuration
from tests.support.warm import Warm

PROGRAM = ROOT / "scripts" / "compare.py"
SHORT = [*TEXT, *SMALL, "training.steps=24", "training.validate_every=12", "training.learning_rate=0.01"]
BOTH = "runs/it's (größer), a = {b}"  # signs that mean something to shells, to Hydra and in HTML
COMPARED = ["attention=dot,general", *SHORT, "jobs=2", f"output={BOTH}"]
NAMES = ["attention=dot,training.seed=1", "attention=general,training.seed=1"]


def written(folder: Path) -> dict[str, int]:
    """When each file was written; of what the cache holds, nothing."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def compared(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the corpus, the comparison, and what was `printed`. Only to be read."""
    folder = tmp_path_factory.mktemp("compared")
    write_corpus(folder)
    (folder / "numbers.py").write_text("raise SystemExit('a file of the current folder was imported')\n")
    (folder / "printed").write_bytes(warm("scripts/compare", *COMPARED, folder=folder, status=0).printed)
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
    parsed = check_alone((both / "report.html").read_text())
    for name in NAMES:
        results = json.loads((both / "runs" / name / "results.json").read_text())
        bleu = f"{results['test']['bleu']:.2f}"
        assert bleu in text
        assert bleu in parsed.text
        assert results["test"]["signature"] in text
    for words in ("seeds: 1", "attention=dot,general", shlex.quote(f"output={BOTH}"), f"{SIZES['test']} sentences"):
        assert words in text
        assert words in " ".join(parsed.text).replace("seeds 1", "seeds: 1")
    assert len(parsed.all("figure")) == 2 * 3
    assert len(parsed.all("polyline")) == 2 + 2  # the legend
    printed = (compared / "printed").read_text()
    assert text.partition("## Runs")[0] in printed
    assert "2 of 2: general, seed 1: trained" in printed
    assert f"{BOTH}/report.html" in printed


def test_finished_runs_are_kept_and_unfinished_runs_are_resumed(warm: Warm, copied: Path) -> None:
    runs = copied / BOTH / "runs"
    before = json.loads((runs / NAMES[1] / "results.json").read_text())
    half = runs / NAMES[1]
    (half / "results.json").unlink()
    times = written(runs)
    printed = warm("scripts/compare", *COMPARED, folder=copied, status=0).printed.decode()
    assert printed.count("already finished") == 1
    assert printed.count("trained and scored") == 1
    now = written(runs)
    of_the_other = {path for path in times if Path(path).is_relative_to(runs / NAMES[0])}
    assert of_the_other <= {path for path, time in times.items() if now.get(path) == time}
    assert "resumed after step 24" in (half / "train.log").read_text()
    assert json.loads((half / "results.json").read_text())["test"] == before["test"]  # a seed fixes everything


def test_runs_of_a_version_with_fewer_options_are_kept(warm: Warm, copied: Path) -> None:
    for name in NAMES:
        path = copied / BOTH / "runs" / name / ".hydra" / "config.yaml"
        values = yaml.safe_load(path.read_text())
        del values["dataset"]["both_directions"], values["training"]["r_drop"]
        path.write_text(yaml.safe_dump(values))
    printed = warm("scripts/compare", *COMPARED, folder=copied, status=0).printed.decode()
    assert printed.count("already finished") == 2


def test_trained_models_are_scored_with_interventions(warm: Warm, copied: Path) -> None:
    words = [*COMPARED, "intervene=permute,shift", "intervene.shift=2"]
    printed = warm("scripts/compare", *words, folder=copied, status=0).printed.decode()
    assert printed.count("already finished") == printed.count("scoring with permute, shift") == 2
    both = copied / BOTH
    assert not list((both / "runs").glob("*.log"))
    text, parsed = (both / "report.md").read_text(), check_alone((both / "report.html").read_text())
    for name in NAMES:
        evaluation = json.loads((both / "runs" / name / "interventions" / "evaluation.json").read_text())
        results = json.loads((both / "runs" / name / "results.json").read_text())
        assert evaluation["test"]["bleu"] == results["test"]["bleu"]
        section = text.partition(f"### {name.split('=')[1].split(',')[0]}\n")[2].partition("#")[0]
        rows = {
            row[0]: row[1:]
            for row in ([cell.strip() for cell in line.split("|")[1:-1]] for line in section.split("\n"))
            if row
        }
        assert list(rows)[2:] == ["untouched", "permute (seed=1)", "shift (shift=2)"]
        for row, scores in (
            ("untouched", evaluation["test"]),
            ("permute (seed=1)", evaluation["interventions"]["permute"]["test"]),
            ("shift (shift=2)", evaluation["interventions"]["shift"]["test"]),
        ):
            assert rows[row][0] == f"{scores['bleu']:.1f}"
            assert rows[row][0] in parsed.text
    without = warm("scripts/compare", *COMPARED, folder=copied, status=0).printed.decode()
    assert "With changed attention" not in without
    times = written(both / "runs")
    again = warm("scripts/compare", *words, folder=copied, status=0).printed.decode()
    assert "scoring with" not in again  # the scores are kept
    assert written(both / "runs") == times
    assert again.split("\n")[3:] == [line for line in printed.split("\n") if "scor" not in line.partition("1:")[2]][3:]
    for damage in ('"word_recall": null', '"perplexity": "x"', '"bleu": []'):
        path = both / "runs" / NAMES[0] / "interventions" / "evaluation.json"
        key = damage.partition(":")[0]
        path.write_text(re.sub(rf"{key}: (?:{{[^}}]*}}|[\d.]+)", damage, path.read_text()))
        mended = warm("scripts/compare", *words, folder=copied, status=0).printed.decode()
        assert mended.count("scoring with permute, shift") == 1
    other = warm("scripts/compare", *words[:-1], "intervene.shift=3", folder=copied, status=0).printed.decode()
    assert other.count("scoring with permute, shift") == 2
    assert "shift (shift=3)" in other


def test_one_variant_may_be_scored_with_interventions(tmp_path: Path) -> None:
    request = program.parse_request(["attention=dot", "seeds=1,2", "intervene=hard", f"output={tmp_path}"])
    with program.initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        runs = list(program.plan(request))
    assert [(run.variant, run.seed) for run, _ in runs] == [("dot", 1), ("dot", 2)]


def test_scores_with_the_weights_of_a_model_that_has_changed_do_not_count(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of the other model is the same."""
    monkeypatch.chdir(copied)
    shutil.copytree(Path(BOTH) / "runs" / NAMES[1] / "checkpoints" / "best", "donor")
    request = program.parse_request([*COMPARED, "intervene=checkpoint", "intervene.checkpoint=donor"])
    with program.initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        (run, _), _ = program.plan(request)
    interventions = program.parse_interventions(request.interventions)
    assert program.score_interventions(run, interventions) is None
    assert [*program.intervention_scores(run, interventions)] == ["untouched", "checkpoint (checkpoint=donor)"]
    later = time.time() + 10
    os.utime(Path("donor", "checkpoint.json"), (later, later))
    assert program.intervention_scores(run, interventions) == {}


def test_sigterm_stops_the_runs(corpus: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(corpus, tmp_path / "here"))
    long = [word for word in SHORT if not word.startswith(("training.steps", "training.validate_every"))]
    words = ["attention=dot,general", *long, "training.epochs=10000", "training.log_every=1", "jobs=2", "output=out"]
    logs = [folder / "out" / "runs" / f"{name}.log" for name in NAMES]
    process = subprocess.Popen([sys.executable, str(PROGRAM), *words], cwd=folder, stderr=subprocess.PIPE)
    while not all(log.is_file() and "step " in log.read_text() for log in logs):
        assert process.poll() is None
        time.sleep(0.1)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert b"stopped by SIGTERM: to continue, repeat the command with output=FOLDER" in errors
    assert all("stopped by SIGTERM after step" in log.read_text() for log in logs)


@pytest.mark.parametrize("jobs", [1, 2])
def test_jobs_runs_go_on_in_parallel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, jobs: int) -> None:
    request = program.parse_request(["attention=dot,general,additive,concat", f"output={tmp_path}", f"jobs={jobs}"])
    with program.initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        runs = dict(program.plan(request))
    beside, now, most = threading.Barrier(jobs, timeout=20), 0, 0
    lock = threading.Lock()

    def train(run: PlannedRun, overrides: list[str]) -> str:
        nonlocal now, most
        assert runs[run] == overrides
        with lock:
            now += 1
            most = max(most, now)
        beside.wait()  # for all that go on at the same time
        with lock:
            now -= 1
        return f"{run.variant} failed"

    monkeypatch.setattr(program, "train", train)
    names = ["dot", "general", "additive", "concat"]
    assert program.train_all(runs, program.parse_interventions({}), request.jobs) == [
        f"{name} failed" for name in names
    ]
    assert most == jobs


def test_a_failed_run_is_named_and_the_rest_reported(warm: Warm, copied: Path) -> None:
    runs = copied / BOTH / "runs"
    (runs / NAMES[1] / "results.json").unlink()
    (copied / "train.de").write_text("Zu kurz.\n")
    process = warm("scripts/compare", *COMPARED, folder=copied, status=1)
    (line,) = process.told.splitlines()
    assert line.startswith("error: general, seed 1, failed: ")
    log = runs / f"{NAMES[1]}.log"
    assert str(log.relative_to(copied)) in line
    assert "train.de" in log.read_text()
    parsed = check_alone((copied / BOTH / "report.html").read_text())
    assert line.removeprefix("error: ") in parsed.text
    assert len(parsed.all("figure")) == 3
    text = (copied / BOTH / "report.md").read_text()
    assert "failed: general, seed 1" in text
    assert "| dot " in text
    assert "| general " not in text


def test_without_a_finished_run_there_is_no_report(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(corpus, tmp_path / "here"))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(program, "train", lambda run, _: f"{run.variant}, seed {run.seed}, failed: because")
    assert program.run_comparison(["attention=dot,general", *SHORT, "output=out"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[:2] == [f"error: {rule}, seed 1, failed: because" for rule in ("dot", "general")]
    assert told[2:] == ["error: no run finished, so there is nothing to report"]
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
        (["attention=dot", "seeds=1,2", "intervene=hart"], ["did you mean hard?"]),
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
        (["training.clip=interval(1,2)"], ["training.clip", "separated by commas"]),
        (["dataset.test=dev,test"], ["dev and test have different test splits"]),
        (["evaluation.tokenize=13a,char"], ["evaluation.tokenize: 13a, char: ", "cannot be compared"]),
        (["evaluation.tokenize=char,null"], ["evaluation.tokenize: char, null: "]),
        (
            ["attention=dot,general", "dataset.test=null"],
            ["dot: dataset.test=null", "needs a test split"],
        ),
        (["dataset.test=test,null"], ["test=null: dataset.test=null", "needs a test split"]),
        (["training.dropout=0.1,0.2"], ["training.dropout: no such option"]),
        (["model.dropout=0.1,2.0"], ["model.dropout=2.0: ", "less than 1"]),
        (["attention=dot,general", "intervene=permut"], ["intervene: no such choice 'permut', did you mean permute?"]),
        (["attention=dot,general", "intervene=[hard,hard]"], ["intervene: hard is given twice"]),
        (["attention=dot,general", "intervene=hard", "intervene=uniform"], ["intervene: given twice"]),
        (
            ["attention=dot,general", "intervene=hard", "intervene.shift=2"],
            ["intervene.shift=2 is for intervene=shift"],
        ),
        (["attention=dot,general", "intervene.shft=2"], ["intervene.shft: ", "did you mean intervene.shift?"]),
        (["attention=dot,multihead", "intervene=head", "intervene.head=0"], ["multihead, and the rule of dot has one"]),
        (
            ["attention=multihead", "attention.heads=2,4", "intervene=head", "intervene.head=3"],
            ["intervene.head=3: the heads of heads=2 are 0 to 1"],
        ),
        (
            ["attention=dot,general", "intervene=checkpoint", "intervene.checkpoint=nowhere"],
            ["no checkpoint at nowhere"],
        ),
    ],
)
def test_mistakes_are_reported_before_training(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: list[str],
) -> None:
    folder = Path(shutil.copytree(corpus, tmp_path / "here"))
    options = [word for word in SHORT if word.split("=")[0] not in {argument.split("=")[0] for argument in arguments}]
    message = refused(capsys, monkeypatch, folder, *arguments, *options)
    assert all(word in message for word in words), message


def test_a_run_with_other_options_is_refused(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(capsys, monkeypatch, copied, *COMPARED, "training.clip=0.5")
    assert "training.clip is 1.0 there, 0.5 here" in message
    assert NAMES[0] in message
    assert "output=FOLDER" in message


def test_a_run_that_ended_before_its_first_checkpoint_is_started_again(copied: Path) -> None:
    run = copied / BOTH / "runs" / NAMES[1]
    for path in [*run.iterdir()]:
        if path.name not in (".hydra", "train.log"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (run / ".hydra" / "config.yaml").write_text("")
    program.check_folder(PlannedRun("general", run, configuration()))
    (run / "train.log").write_text("my notes\n")
    with pytest.raises(InputError, match=r"not a valid configuration"):
        program.check_folder(PlannedRun("general", run, configuration()))


def test_no_program_starts_after_sigterm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "STOPPED", threading.Event())
    program.STOPPED.set()
    run = PlannedRun("dot", tmp_path / "run", configuration())
    assert program.run_program(run, ["train"]) == "stopped"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["back\\slash", "a'b\\", 'q"\\"x', "plain", "größe, a = {b}"])
def test_any_folder_is_a_value_of_hydras(name: str) -> None:
    (parsed,) = OverridesParser.create().parse_overrides([f"output={quoted(Path(name))}"])
    assert parsed.value() == name


def test_a_folder_that_is_no_run_is_not_removed(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(copied / BOTH / "runs" / NAMES[1] / ".hydra")
    message = refused(capsys, monkeypatch, copied, *COMPARED)
    assert NAMES[1] in message
    assert "no run" in message


def test_a_changed_test_split_is_refused(
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
    message = refused(capsys, monkeypatch, copied, *COMPARED)
    assert f"{NAMES[1]}/{name}" in message
    assert "to train the run again" in message


def test_variants_are_the_product_of_the_options_and_have_their_names() -> None:
    words = ["attention=dot,additive", "model.dropout=0.1,0.3", "training.decay=linear", "seeds=3,4,3", "output=a b"]
    request = program.parse_request(words)
    with program.initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        runs = dict(program.plan(request))
    names = ["dot, dropout=0.1", "dot, dropout=0.3", "additive, dropout=0.1", "additive, dropout=0.3"]
    assert [run.variant for run in runs] == names * 2
    assert [run.seed for run in runs] == [3] * 4 + [4] * 4
    assert {run.configuration.training.decay for run in runs} == {"linear"}
    run, overrides = list(runs.items())[-1]
    assert run.folder == Path("a b/runs/attention=additive,model.dropout=0.3,training.seed=4")
    assert overrides == ["training.decay=linear", "attention=additive", "model.dropout=0.3", "training.seed=4"]
    assert (run.configuration.attention.score, run.configuration.model.dropout) == ("additive", 0.3)


def test_without_output_the_folder_is_named_by_the_time() -> None:
    assert program.parse_request(["attention=dot,general"]).output.match("runs/compare-????-??-??_??-??-??")


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run_comparison(["--help"]) == 0
    printed = capsys.readouterr().out
    assert "attention=concat,dot,additive seeds=1,2,3" in printed
    assert "output=FOLDER" in printed
