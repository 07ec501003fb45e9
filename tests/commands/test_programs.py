"""The programs as a person types them: what a run leaves, what can be asked of it, that it repeats."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seq2seq import checkpoint
from seq2seq.config import Train, load
from tests.conftest import RUN
from tests.support.programs import SIZES, SMALL, TEXT, choices, command, start, write_corpus
from tests.support.warm import Warm


def results(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "results.json").read_text())
    return found


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of `attention=general`, trained as in the sweep but by a new process; its imports are listed."""
    folder = tmp_path_factory.mktemp("alone")
    write_corpus(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPROFILEIMPORTTIME", "1")
        (folder / "imports").write_bytes(start("train", *RUN, "attention=general", folder=folder).stderr)
    (found,) = (folder / "runs").iterdir()
    return found


@pytest.fixture(scope="session")
def patient(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a run that cannot learn and is stopped, with all that the other runs are not."""
    folder = tmp_path_factory.mktemp("patient")
    write_corpus(folder)
    for name in SIZES:
        columns = [(folder / f"{name}.{language}").read_text().splitlines() for language in ("de", "en")]
        rows = ["\t".join(pair) + "\n" for pair in zip(*columns, strict=True)]
        (folder / f"{name}.tsv").write_text("".join(rows))
    text = ["dataset=tsv", *(f"dataset.{key}={file}.tsv" for key, file in zip(SPLITS, SIZES, strict=True))]
    text += ["dataset.source=de", "dataset.target=en", "dataset.vocabulary=300", "dataset.tokenizer=bpe"]
    text += ["dataset.joint=false", "dataset.cache=cache", "model.tie=target", "model.decoder_hidden=48"]
    training = ["learning_rate=1e-12", "patience=2", "validate_every=1", "accumulate=3", "batch.unit=sentences"]
    training += ["batch.size=8", "decay=constant", "clip=null", "warmup=0"]
    choices = ["attention=uniform", "decoder=luong", "hydra.run.dir=runs/patient"]
    warm("train", *text, *SMALL[:3], *choices, *(f"training.{value}" for value in training), folder=folder, status=0)
    return folder / "runs" / "patient"


SPLITS = ("train", "validation", "test")


def test_a_run_folder_holds_what_a_run_leaves(sweep: Path) -> None:
    for name in ("general", "concat"):
        run = sweep / "runs" / name
        names = {path.name for path in run.iterdir()}
        assert names == {".hydra", "train.log", "tensorboard", "checkpoints", "results.json", "results.test.en"}
        assert {path.name for path in (run / "checkpoints").iterdir()} == {"best", "best-2", "last", ".last.old"}
        assert f"attention={name}" in yaml.safe_load((run / ".hydra" / "overrides.yaml").read_text())
        assert yaml.safe_load((run / ".hydra" / "config.yaml").read_text())["attention"]["score"] == name
        assert yaml.safe_load((run / ".hydra" / "hydra.yaml").read_text())["hydra"]["job"]["name"] == "train"
    assert not list(sweep.rglob("*.partial"))


def test_results_hold_the_scores_and_what_they_cost(sweep: Path) -> None:
    run = sweep / "runs" / "concat"
    found = results(run)
    best, second, last = (checkpoint.load(run / "checkpoints" / name) for name in ("best", "best-2", "last"))
    assert found["best"]["step"] == best.step
    assert {best.step, second.step} <= {25, 50, 60}
    assert best.scores["loss"] < second.scores["loss"]
    assert last.step == found["train"]["steps"] == 60
    assert found["parameters"] == sum(weight.numel() for weight in best.weights.values())
    assert found["train"]["seconds"] > 0
    assert found["train"]["target_tokens_per_second"] == found["train"]["target_tokens"] / found["train"]["seconds"]
    assert found["decoding"]["sentences_per_second"] == SIZES["test"] / found["decoding"]["seconds"] > 0
    for split, size in (("validation", SIZES["dev"]), ("test", SIZES["test"])):
        assert found[split]["sentences"] == size
        assert 0 <= found[split]["bleu"] <= 100
        assert 10 < found[split]["chrf"] <= 100  # it has learnt something
        assert "tok:13a" in found[split]["signature"]


def test_lines_are_plain_where_no_terminal_is(sweep: Path) -> None:
    printed = (sweep / "printed").read_bytes()
    assert b"\r" not in printed
    assert b"\x1b" not in printed
    logs = [(sweep / "runs" / name / "train.log").read_bytes() for name in ("general", "concat")]
    assert all(log in printed for log in logs)
    for words in ("300 training pairs", "step 20/60", "perplexity", "tokens/s", "left", "validation  loss", "BLEU"):
        assert words.encode() in logs[0]


def test_a_curve_without_a_clock_is_told(warm: Warm, sweep: Path, tmp_path: Path) -> None:
    words = ["curves.svg", f"a={sweep / 'runs' / 'general'}", "--across=seconds", "--tag=final/test_bleu"]
    ended = warm("scripts/curves", *words, folder=tmp_path, status=2)
    assert "final/test_bleu has a point at step 0, but train/seconds has none" in ended.told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("across", ["steps", "seconds"])
def test_curves_of_runs_are_drawn(warm: Warm, sweep: Path, tmp_path: Path, across: str) -> None:
    runs = [f"{name}={sweep / 'runs' / name}" for name in ("general", "concat")]
    picture = tmp_path / "curves.svg"
    warm("scripts/curves", str(picture), *runs, f"--across={across}", folder=tmp_path, status=0)
    lines = re.findall(r'<path d="M ([-\d. L\n]+)" clip-path', picture.read_text())
    curves = [[float(point.split()[0]) for point in re.split(" ?\n?L ", line.strip())] for line in lines]
    curves = [places for places in curves if len(places) == 3]  # of three validations; the grid's have two
    steps = [[places[1] - places[0], places[2] - places[1]] for places in curves]
    assert len(curves) == 2
    assert (steps[0] == pytest.approx(steps[1]) and steps[0][0] == pytest.approx(2.5 * steps[0][1])) == (
        across == "steps"
    )
    for wrong, because in ((f"none={tmp_path}", "no curve validation/bleu"), (str(tmp_path), "expected NAME=FOLDER")):
        said = warm("scripts/curves", str(picture), wrong, folder=tmp_path, status=2).told
        assert because in said


def test_a_validation_draws_four_sentences(alone: Path) -> None:
    events = EventAccumulator(str(alone / "tensorboard")).Reload()
    assert events.Tags()["images"] == [f"attention/{number}" for number in range(1, 5)]
    assert {event.step for event in events.Images("attention/4")} <= {25, 50, 60}


def test_tensorboard_holds_curves_pictures_and_settings(sweep: Path) -> None:
    events = EventAccumulator(str(sweep / "runs" / "general" / "tensorboard")).Reload()
    tags = events.Tags()
    train = ("loss", "perplexity", "learning_rate", "gradient_norm", "target_tokens_per_second", "padding", "seconds")
    for name in train:
        assert [event.step for event in events.Scalars(f"train/{name}")] == [20, 25, 40, 50, 60]
    for name in ("loss", "perplexity", "bleu", "chrf"):
        assert [event.step for event in events.Scalars(f"validation/{name}")] == [25, 50, 60]
    seconds = [event.value for event in events.Scalars("train/seconds")]
    assert all(0 < earlier < later for earlier, later in pairwise(seconds))
    took = results(sweep / "runs" / "general")["train"]["seconds"]
    assert seconds[-1] <= took + 1e-5  # a curve is in single precision
    assert seconds[-1] == pytest.approx(took, abs=0.1)  # what came after the last line
    losses = [event.value for event in events.Scalars("train/loss")]
    assert all(later < earlier for earlier, later in pairwise(losses))
    assert [tag for tag in tags["images"] if tag.startswith("attention/")]
    assert [tag for tag in tags["tensors"] if tag.startswith("translations")]
    assert "_hparams_/session_start_info" in events.summary_metadata
    found = results(sweep / "runs" / "general")
    assert events.Scalars("final/test_bleu")[0].value == pytest.approx(found["test"]["bleu"], rel=1e-5)


def test_a_seed_fixes_everything(sweep: Path, alone: Path) -> None:
    one, other = results(alone), results(sweep / "runs" / "general")
    for found in (one, other):
        for name in ("seconds", "target_tokens_per_second"):
            del found["train"][name]
        del found["decoding"]
    assert one == other
    for name in ("best", "best-2", "last"):
        weights = Path("checkpoints") / name / "weights.safetensors"
        assert (alone / weights).read_bytes() == (sweep / "runs" / "general" / weights).read_bytes()
    assert one["test"] != results(sweep / "runs" / "concat")["test"]


def test_training_does_not_import_a_compiler(alone: Path) -> None:
    imports = (alone.parents[1] / "imports").read_text()
    assert "torch.optim.adamw\n" in imports
    assert "torch._dynamo\n" not in imports


def test_patience_ends_a_run_that_does_not_get_better(patient: Path) -> None:
    found = results(patient)
    assert found["train"]["steps"] == 3  # the first validation is the best yet, two more are waited for
    assert found["best"]["step"] == 1
    assert {path.name for path in (patient / "checkpoints").iterdir()} == {"best", "last", ".last.old"}
    log = (patient / "train.log").read_text()
    assert "stopped: bleu has not improved for 2 validations" in log
    assert "scores of the checkpoint of step 1, the best by validation bleu" in log


def test_validation_is_greedy_whatever_the_search(warm: Warm, corpus: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(corpus, tmp_path / "here"))
    options = ["search.size=4", "search.groups=4", "training.steps=2", "training.validate_every=1", "search.n_best=2"]
    warm("train", *TEXT, *SMALL, *options, "hydra.run.dir=run", folder=folder, status=0)
    assert results(folder / "run")["best"]["step"] in (1, 2)


def test_batches_are_accumulated_and_vocabularies_kept_apart(patient: Path) -> None:
    found = checkpoint.load(patient / "checkpoints" / "best")
    assert not found.tokenizers.joint
    events = EventAccumulator(str(patient / "tensorboard")).Reload()
    assert len(events.Scalars("train/padding")) == 3
    assert results(patient)["train"]["epochs"] == pytest.approx(3 * 3 * 8 / 300, abs=0.01)  # 3 steps of 3 x 8 pairs


def test_help_says_what_to_type(tmp_path: Path) -> None:
    printed = start("train", "--help", folder=tmp_path).stdout.decode()
    for words in ("python train.py attention=dot", "attention: additive, concat", "batch:", "hydra.run.dir"):
        assert words in printed
    assert "Hydra" not in printed
    assert max(map(len, printed.splitlines())) <= 120
    assert not list(tmp_path.iterdir())


def test_help_of_the_other_programs_names_their_groups(warm: Warm, tmp_path: Path) -> None:
    searches, devices = (", ".join(choices(group)) for group in ("search", "device"))
    for program in ("evaluate", "translate"):
        printed = warm(program, "--help", folder=tmp_path, status=0).printed.decode()
        for words in (f"python {program}.py checkpoint=runs/NAME", f"search: {searches}\n", f"device: {devices}\n"):
            assert words in printed


def test_cfg_shows_the_configuration(warm: Warm, tmp_path: Path) -> None:
    printed = warm("train", "--cfg", "job", "attention=dot", folder=tmp_path, status=0).printed
    assert load(Train, yaml.safe_load(printed)).attention.score == "dot"
    assert not list(tmp_path.iterdir())


# --- evaluate.py ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 64])
def test_evaluate_finds_the_score_of_the_run_again(warm: Warm, sweep: Path, tmp_path: Path, batch: int) -> None:
    run = sweep / "runs" / "general"
    options = [f"checkpoint={run}/checkpoints/best", f"search.batch={batch}", f"output={tmp_path}/new/{batch}"]
    ended = warm("evaluate", *options, folder=sweep, status=0)
    found = json.loads((tmp_path / "new" / str(batch) / "evaluation.json").read_text())
    assert found["test"] == results(run)["test"]
    hypotheses = (tmp_path / "new" / str(batch) / "hypotheses.test.en").read_text()
    assert hypotheses.count("\n") == SIZES["test"]
    assert hypotheses == (run / "results.test.en").read_text()
    printed = ended.printed.decode()
    assert f"{found['test']['bleu']:.2f}" in printed
    assert found["test"]["signature"] in printed
    assert ended.told == ""


# --- translate.py -----------------------------------------------------------------------------------------------------


def test_a_pipe_gives_what_evaluate_wrote(sweep: Path, tmp_path: Path) -> None:
    best = f"checkpoint={sweep}/runs/concat/checkpoints/best"
    start("evaluate", best, f"output={tmp_path}", "source=test.de", "target=test.en", folder=sweep)
    ended = start("translate", best, folder=tmp_path, given=(sweep / "test.de").read_bytes())
    assert ended.stdout == (tmp_path / "hypotheses.files.en").read_bytes()
    assert ended.stderr == b""


@pytest.mark.parametrize("program", ["translate", "evaluate"])
def test_a_warning_reaches_the_error_stream(sweep: Path, tmp_path: Path, warm: Warm, program: str) -> None:
    shutil.copytree(sweep / "runs" / "general" / "checkpoints", tmp_path / "checkpoints")
    (tmp_path / "checkpoints" / "last" / "weights.safetensors").unlink()
    output = ["output=."] if program == "evaluate" else []
    ended = warm(program, "checkpoint=checkpoints/last", "device=cpu", *output, folder=tmp_path, given=b"Der Hund.\n")
    assert ended.told.count("took the one before it, of step") == 1, ended.told


def test_a_line_is_translated_before_the_next_is_sent(sweep: Path) -> None:
    words = command("translate", f"checkpoint={sweep}/runs/general/checkpoints/best")
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        for line in (b"Der Hund sieht heute das Brot.\n", b"\n", b"Das Pferd kauft nie den Apfel.\n"):
            running.stdin.write(line)
            running.stdin.flush()
            answer = running.stdout.readline()  # would wait for ever
            assert answer.endswith(b"\n")
            assert bool(answer.strip()) == bool(line.strip())
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 0
    assert errors == b""


def test_a_reader_that_leaves_is_no_error(sweep: Path) -> None:
    words = command("translate", f"checkpoint={sweep}/runs/general/checkpoints/best")
    with (sweep / "test.de").open("rb") as text:
        running = subprocess.Popen(words, stdin=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        with running.stderr as errors:
            assert errors.read() == b""
        assert running.wait(timeout=60) == 1


def test_a_terminal_gets_a_prompt(sweep: Path) -> None:
    ours, theirs = pty.openpty()
    words = command("translate", f"checkpoint={sweep}/runs/concat/checkpoints/best")
    with subprocess.Popen(words, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        os.close(theirs)
        assert running.stdout is not None
        os.write(ours, b"Der Hund.\n")
        assert running.stdout.readline().strip()
        os.write(ours, b"\x04")  # Ctrl-D
        _, errors = running.communicate(timeout=60)
    os.close(ours)
    assert running.returncode == 0
    assert errors == b"de> de> \n"


def test_output_is_utf_8_whatever_the_locale(sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    moved = shutil.copytree(sweep / "runs/general/checkpoints/best", tmp_path / "größer")  # where it stands is all one
    ended = start("translate", f"checkpoint='{moved}'", "scores=true", folder=tmp_path, given="Müller 😀\n".encode())
    assert ended.stdout.decode().count("\t") == 1
    assert ended.stderr == b""


def test_scores_are_printed_in_any_locale(sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    moved = shutil.copytree(sweep / "runs/general", tmp_path / "größer")
    ended = start("evaluate", f"checkpoint='{moved}'", "device=cpu", "attention.intervene=uniform", folder=sweep)
    assert b"gr\\xf6\\xdfer" in ended.stdout
    assert ended.stderr == b""


@pytest.mark.parametrize(("ignored", "status", "errors"), [(False, 130, b"error: interrupted\n"), (True, 3, b"")])
def test_interrupted_while_it_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ignored: bool, status: int, errors: bytes
) -> None:
    """An import that Ctrl-C turns into another error, as C extensions do. After `nohup` Ctrl-C is ignored."""
    lines = ["import signal, sys", "try: signal.raise_signal(signal.SIGINT)", "except BaseException: raise ImportError"]
    (tmp_path / "torch.py").write_text("\n".join([*lines, "sys.exit(3)"]))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
    try:
        ended = subprocess.run(command("train"), cwd=tmp_path, capture_output=True, timeout=60)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, b"", errors)
