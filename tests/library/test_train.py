"""Training and evaluation within a Python program: the results and the sentences are those of the programs."""

import json
import logging
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

import seq2seq
from seq2seq.library import training
from seq2seq.runtime.run_folder import RunFolder
from tests.support.programs import SMALL, TEXT, write_corpus
from tests.support.warm import Warm

pytestmark = pytest.mark.usefixtures("unchecked")

OPTIONS = [*TEXT, *SMALL, "training.steps=12", "training.validate_every=6", "training.log_every=5", "search=greedy"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a small corpus."""
    write_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def without_times(value: Any) -> Any:
    """Scores without the numbers that depend on the clock."""
    if not isinstance(value, dict):
        return value
    return {key: without_times(inner) for key, inner in value.items() if "second" not in key}


def settings() -> tuple[object, ...]:
    tiny = torch.tensor(1e-40)
    return (
        torch.get_num_threads(),
        bool(tiny * 1 > 0),
        torch.backends.cudnn.rnn.fp32_precision,
        torch.backends.cuda.matmul.fp32_precision,
        torch.are_deterministic_algorithms_enabled(),
        torch.get_rng_state().tolist(),
        signal.getsignal(signal.SIGINT),
        logging.getLogger("seq2seq").level,
        logging.getLogger("seq2seq").handlers[:],
    )


def test_a_run_is_the_programs_run(folder: Path, warm: Warm, capfd: pytest.CaptureFixture[str]) -> None:
    before = settings()
    results = seq2seq.train(*OPTIONS, folder="runs/library", progress=False)
    assert capfd.readouterr() == ("", "")
    assert settings() == before
    assert warm("train", *OPTIONS, "hydra.run.dir=runs/program", folder=folder).status == 0
    assert results.folder == folder / "runs" / "library"
    ours, its = RunFolder(results.folder), RunFolder(folder / "runs" / "program")
    assert results.scores == json.loads(ours.results.read_text())
    assert without_times(results.scores) == without_times(json.loads(its.results.read_text()))
    assert ours.translations("en").read_bytes() == its.translations("en").read_bytes()
    files, others = ({str(path.relative_to(run.path)) for path in run.path.rglob("*.*")} for run in (ours, its))
    assert {name for name in files if "events" not in name} == {name for name in others if "events" not in name}
    lines = [[line[9:].split("  ")[0] for line in run.log.read_text().splitlines()] for run in (ours, its)]
    own = ("run folder", " s in all", "font")  # a process warns of a missing font once, and this one may have done so
    both = [[line for line in log if not any(words in line for words in own)] for log in lines]
    assert both[0][:-1] == both[1][:-1]  # the last one names the folder
    assert len(lines[0]) > 5

    with (folder / "test.de").open(encoding="utf-8") as file:
        texts = [one.text for one in results.translator.translate(file)]
    assert "".join(f"{text}\n" for text in texts) == ours.translations("en").read_text(encoding="utf-8")
    # The record of a run has where it was started, so that its text is found from another folder.
    scores = seq2seq.evaluate(results.folder, "device=cpu", output=folder / "scored")
    assert scores == json.loads((folder / "scored" / "evaluation.json").read_text())
    assert scores["test"]["bleu"] == results.scores["test"]["bleu"]
    assert settings() == before


def test_a_run_is_stopped_by_ctrl_c_and_resumed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = seq2seq.train(*OPTIONS, folder="whole", progress=False)
    make_bar, steps = training.auto_tqdm, 0

    def interrupting(*arguments: Any, **options: Any) -> Any:
        """A bar that sends Ctrl-C in the third step."""
        bar = make_bar(*arguments, **options)
        update = bar.update

        def interrupt() -> None:
            nonlocal steps
            steps += 1
            if steps == 3:
                signal.raise_signal(signal.SIGINT)
            update()

        bar.update = interrupt
        return bar

    monkeypatch.setattr(training, "auto_tqdm", interrupting)
    with pytest.raises(
        KeyboardInterrupt, match=r"by SIGINT after step 3: to continue, run `seq2seq train resume=.*stopped`"
    ):
        seq2seq.train(*OPTIONS, folder="stopped", progress=False)
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert RunFolder(folder / "stopped").last.is_dir()
    resumed = seq2seq.train("training.log_every=4", resume="stopped", progress=False)
    assert without_times(resumed.scores) == without_times(whole.scores)
    log = RunFolder(resumed.folder).log.read_text()
    assert "resumed after step 3" in log
    assert seq2seq.train(resume=folder / "stopped").scores == resumed.scores  # it is finished
    assert seq2seq.train("resume=stopped").scores == resumed.scores
    with pytest.raises(seq2seq.InputError, match="folder: a run is resumed in its own folder"):
        seq2seq.train(folder="other", resume="stopped")
    with pytest.raises(seq2seq.InputError, match=r"train\.de: file exists$"):
        seq2seq.train(*OPTIONS, folder="train.de", progress=False)
    with pytest.raises(seq2seq.InputError, match="resume=nothing: no such folder; give a run folder, resume=runs/NAME"):
        seq2seq.train(resume="nothing")


WRONG = {
    "attention=dott": "attention=dott: no such choice, did you mean dot?",
    "trainig.epochs=3": "trainig.epochs: no such option, did you mean training.epochs?",
    "--attention=dot": "--attention=dot: written without dashes, attention=VALUE",
    "attention=dot,general": "attention=dot,general: more than one value; -m starts a run for each",
    "-m": "-m: expected KEY=VALUE",
    "training.steps=[1": "training.steps=[1: cannot be parsed; put the value and the whole option in quotes",
    "+x.y=1": "x: no such option, choose one of attention",
    "training.steps=abc": 'training.steps: should be a valid integer, found "abc"',
    "dataset.train=nothing": "nothing.de",
}


@pytest.mark.parametrize("option", WRONG)
def test_a_wrong_option_has_the_programs_sentence(folder: Path, warm: Warm, option: str) -> None:
    with pytest.raises(seq2seq.InputError) as error:
        seq2seq.train(*OPTIONS, option, folder="runs/wrong", progress=False)
    assert WRONG[option] in str(error.value)
    assert not (folder / "runs" / "wrong").exists()
    if option != "-m":  # the program starts several runs
        ended = warm("train", *[option] * option.startswith("-"), *OPTIONS, option, folder=folder)
        assert ended.told == f"error: {error.value}\n"


def test_a_folder_with_a_run_is_refused_and_left_alone(folder: Path) -> None:
    options = [*OPTIONS, "training.steps=1"]
    seq2seq.train(*options, "hydra.run.dir=runs/named", progress=False)
    before = {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*")}
    with pytest.raises(seq2seq.InputError, match="already holds a run: name another folder"):
        seq2seq.train(*options, folder="runs/named", progress=False)
    assert {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*")} == before


@pytest.mark.parametrize(
    ("options", "keywords", "sentence"),
    [
        (["split=all"], {}, "split: no such choice 'all', choose one of test, train, validation"),
        ([], {"source": "a.de"}, "source=FILE and target=FILE must be set together"),
        (["search.sise=3"], {}, "search.sise: no such option, did you mean search.size?"),
        ([], {"source": "a.de", "target": "a.en"}, "a.de"),
    ],
)
def test_a_wrong_evaluation_has_the_programs_sentence(
    folder: Path, warm: Warm, checkpoint: Path, options: list[str], keywords: dict[str, str], sentence: str
) -> None:
    with pytest.raises(seq2seq.InputError) as error:
        seq2seq.evaluate(checkpoint, *options, **keywords)
    assert sentence in str(error.value)
    typed = [*options, *(f"{key}={value}" for key, value in keywords.items())]
    ended = warm("evaluate", f"checkpoint={checkpoint}", *typed, folder=folder)
    assert ended.told == f"error: {error.value}\n"


def test_one_run_at_a_time_and_from_any_thread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, go = threading.Event(), threading.Event()

    def waiting(*_: Any, **__: Any) -> None:
        started.set()
        assert go.wait(60)
        raise seq2seq.InputError("enough")

    monkeypatch.setattr(training, "train_and_score", waiting)
    errors: list[BaseException] = []

    def train() -> None:
        try:
            seq2seq.train(*OPTIONS, folder="runs/first", progress=False)
        except seq2seq.InputError as error:
            errors.append(error)

    thread = threading.Thread(target=train)
    thread.start()
    assert started.wait(60)
    with pytest.raises(seq2seq.InputError, match="this process trains a run already"):
        seq2seq.train(*OPTIONS, folder="runs/second", progress=False)
    go.set()
    thread.join(60)
    assert [str(error) for error in errors] == ["enough"]
    assert not list((folder / "runs").iterdir())
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    done: list[seq2seq.Results] = []
    other = threading.Thread(target=lambda: done.append(seq2seq.train(*OPTIONS, folder="runs/third", progress=False)))
    other.start()
    other.join(120)
    assert [results.folder.name for results in done] == ["third"]


def test_progress_is_a_bar_of_steps(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    seq2seq.train(*OPTIONS, folder="runs/shown")
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "12/12" in printed.err
    assert "loss=" in printed.err
    assert "BLEU" not in printed.err  # the log is in train.log
    assert "BLEU" in RunFolder(folder / "runs" / "shown").log.read_text()
