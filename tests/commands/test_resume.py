"""A run that was stopped, however and wherever, and went on is the run that was never stopped, to the bit."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from seq2seq import checkpoint
from seq2seq.checkpoint import best, storage
from seq2seq.checkpoint.ranking import ValidationRanking
from seq2seq.commands import train_and_score as run
from seq2seq.commands.resume import parse_resume, plan_resume
from seq2seq.evaluation.metrics import Metrics
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.lock import exclusive_lock
from seq2seq.text.subword_sampling import SubwordSampler
from tests.support.programs import command, snapshot, write_corpus
from tests.support.runs import SHORT, configuration
from tests.support.soak import differences, outcome, soak
from tests.support.spoil import reseal
from tests.support.warm import Warm

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, and `runs/whole`, a run that was never stopped."""
    found = tmp_path_factory.mktemp("resume")
    write_corpus(found)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(found)
        run.train(configuration(), found / "runs" / "whole")
    return found


def go_on(place: Path, **options: object) -> None:
    found = plan_resume(place, {f"training.{name}": value for name, value in options.items()})
    assert found is not None
    run.train(found[0], place, found[1])


class Cut(Exception):  # noqa: N818
    """The process is gone."""


def at_call(number: int, function: Callable[..., Any], *, before: bool = False) -> Callable[..., Any]:
    """The function, which is the process's last act when it is called for that time; `before`: it is not done."""
    calls = 0

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and before:
            raise Cut
        result = function(*arguments, **options)
        if calls == number:
            raise Cut
        return result

    return counted


def cut_in_validation(number: int, folder: Path, *options: str) -> None:
    """Starts a run in the folder whose process is gone in the validation with this number, counted from 1."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Metrics, "quick_scores", at_call(number, Metrics.quick_scores))
        with pytest.raises(Cut):
            run.train(configuration(*options), folder)


@pytest.mark.parametrize(
    ("module", "name", "call"),
    [
        (Metrics, "quick_scores", 3),
        (checkpoint, "store", 1),
        (storage, "write", 3),
        (storage, "swap", 3),
        (best, "write", 1),
        (best, "swap", 1),
        (checkpoint, "keep_best", 4),
        (run, "write_text", 1),
        (run, "write_json", 1),
    ],
)
def test_wherever_a_run_is_cut_it_goes_on(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    module: Any,
    name: str,
    call: int,
) -> None:
    """While it validates, while it saves, while it keeps the best, after training, and before its results."""
    monkeypatch.chdir(folder)
    place = folder / "runs" / f"{name}-{call}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, at_call(call, getattr(module, name), before=name == "write_json"))
        with pytest.raises(Cut):
            run.train(configuration(), place)
    go_on(place)
    assert "so far and on" not in caplog.text  # a device that is the same is not spoken of
    assert list(differences(outcome(folder / "runs" / "whole"), outcome(place))) == []


@pytest.mark.parametrize("attention", ["general", "concat"])
def test_sampled_subwords_are_the_same_after_a_cut(
    folder: Path, monkeypatch: pytest.MonkeyPatch, attention: str
) -> None:
    """In the middle of a later epoch; earlier epochs are not drawn again. A location-based rule limits the source."""
    monkeypatch.chdir(folder)
    options = [f"attention={attention}", "attention.distribution=softmax", "training.batch.size=400"]
    options += [f"training.sample_subwords.{side}" for side in ("source=0.1", "target=0.3")]
    whole, place = (folder / "runs" / f"sampled-{attention}-{name}" for name in ("whole", "cut"))
    run.train(configuration(*options), whole)
    cut_in_validation(2, place, *options)
    stopped = checkpoint.load(place / "checkpoints" / "last", training=True)
    assert stopped.training is not None
    counts = stopped.training.state.step_counts
    assert len(counts) > 1
    assert sum(counts[:-1]) < stopped.step < sum(counts)
    epochs: list[int] = []
    draw = SubwordSampler.__call__
    monkeypatch.setattr(SubwordSampler, "__call__", lambda self, epoch: epochs.append(epoch) or draw(self, epoch))
    go_on(place)
    assert epochs == list(range(len(counts) - 1, epochs[-1] + 1))
    assert list(differences(outcome(whole), outcome(place))) == []
    assert stopped.configuration["training"]["sample_subwords"] == {"source": 0.1, "target": 0.3}


def test_an_outcome_is_of_something(folder: Path) -> None:
    found = outcome(folder / "runs" / "whole")
    assert found["folders"] == ["best", "best-2", "best-3", "last"]
    assert [step for step, _ in found["curves"]["train/loss"]] == [9, 10, 18, 20, 22]
    assert [step for step, _ in found["curves"]["validation/bleu"]] == [10, 20, 22]
    assert len(found["curves"]["final/test_bleu"]) == 1
    assert len(found["files"]) == 4 * 2 + 1 + 1
    assert found["state"]["standing"]["ranking"]


def test_patience_that_has_ended_has_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    whole, place = folder / "runs" / "patience", folder / "runs" / "patience-cut"
    impatient = configuration("training.patience=1", "training.learning_rate=1e-12", "training.metric=bleu")
    assert run.train(impatient, whole)["train"]["steps"] == 20
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "write_json", at_call(1, run.write_json, before=True))
        with pytest.raises(Cut):
            run.train(impatient, place)
    go_on(place)
    assert list(differences(outcome(whole), outcome(place))) == []


def test_what_a_run_took_is_all_that_it_took(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped between two log lines, and resumed with a patience that has ended by now."""
    monkeypatch.chdir(folder)
    place = folder / "runs" / "took"
    cut_in_validation(3, place, "training.learning_rate=1e-12", "training.save_every=21")
    counts = json.loads((place / "checkpoints" / "last" / "checkpoint.json").read_text())["state"]["counts"]
    assert counts["since"]["tokens"] > 0
    go_on(place, patience=1)
    took = json.loads((place / "results.json").read_text())["train"]
    assert took["steps"] == 21
    assert took["target_tokens"] == counts["tokens"] + counts["since"]["tokens"]
    assert took["seconds"] == counts["seconds"] + counts["since"]["seconds"]


def test_seconds_and_log_go_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    place = folder / "runs" / "seconds"
    cut_in_validation(2, place)
    path = place / "checkpoints" / "last" / "checkpoint.json"
    saved = json.loads(path.read_text())
    assert 0 < saved["state"]["counts"]["seconds"] < 100
    saved["state"]["counts"]["seconds"] += 1000.0
    path.write_text(json.dumps(saved))
    reseal(path.parent)
    go_on(place)
    assert 1000 < json.loads((place / "results.json").read_text())["train"]["seconds"] < 1100


def test_another_text_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Path(shutil.copytree(folder, tmp_path / "here"))
    monkeypatch.chdir(here)
    (here / "runs" / "whole" / "results.json").unlink()
    for name in ("dev.en", "train.de"):
        text = (here / name).read_text()
        (here / name).write_text(text.replace("a", "e", 1))
        with pytest.raises(InputError, match="resume=runs/whole: the text has changed"):
            go_on(Path("runs/whole"))
        (here / name).write_text(text)
    go_on(Path("runs/whole"))


def test_training_that_goes_astray_stops_with_a_sentence(warm: Warm, folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "astray"
    wild = ["training.learning_rate=1e30", "training.clip=null", "training.warmup=0", f"hydra.run.dir={place}"]
    ended = warm("train", *SHORT, *wild, folder=folder, status=2)
    (sentence,) = ended.told.splitlines()
    assert "in 3 steps in a row the loss or its gradient was infinite or NaN; lower training.learning_rate" in sentence
    assert "step 4:" in sentence
    assert checkpoint.load(place / "checkpoints" / "last").step == 0


def test_a_run_that_was_killed_at_random_goes_on(tmp_path: Path) -> None:
    assert len(soak(tmp_path, kills=2, seed=5, steps=60)) == 2


# --- the program ------------------------------------------------------------------------------------------------------


def stop(folder: Path, place: Path, *signals: signal.Signals) -> tuple[int, str]:
    """The exit status and the error stream of a run that gets the signals after its first line of training."""
    words = command("train", *SHORT, "training.steps=10000", f"hydra.run.dir={place}")
    log = place / "train.log"
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while not (log.exists() and "step 9/" in log.read_text()):
            assert process.poll() is None
            time.sleep(0.01)
        for number in signals:
            process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    return process.returncode, errors.decode()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_the_step_and_says_how_to_go_on(
    folder: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    place = tmp_path / "a run"
    returned, errors = stop(folder, place, number)
    step = checkpoint.load(place / "checkpoints" / "last", training=True).step
    assert 9 <= step < 10_000
    assert returned == status
    advice = f"to continue, run `python train.py resume='{place}'`"
    assert errors == f"stopped by {number.name} after step {step}: {advice}\n"


def test_a_signal_before_the_first_step_is_told(folder: Path, tmp_path: Path) -> None:
    """It comes while text is prepared, or, where that is quicker than the signal, after the first steps."""
    words = command("train", *SHORT, f"hydra.run.dir={tmp_path / 'run'}")
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while not (tmp_path / "run" / ".hydra" / "overrides.yaml").exists():
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert errors.decode().startswith(("error: stopped by SIGTERM", "stopped by SIGTERM after step"))
    assert errors.count(b"\n") == 1


def test_a_run_is_resumed_where_it_was_started(warm: Warm, folder: Path, tmp_path: Path) -> None:
    run_folder = tmp_path / "run"
    warm("train", *SHORT, f"hydra.run.dir={run_folder}", folder=folder, status=0)
    (run_folder / "results.json").unlink()
    ended = warm("train", f"resume={run_folder}", folder=tmp_path, status=2)
    assert ended.told == (
        f"error: resume={run_folder}: its text, dev, is not in the current folder; the run was started in {folder}: "
        "resume it there\n"
    )
    here = Path(shutil.copytree(folder, tmp_path / "here"))
    warm("train", *SHORT, "hydra.run.dir=run", folder=here, status=0)
    (here / "run" / "results.json").unlink()
    for path in here.glob("dev.*"):
        path.unlink()
    told = warm("train", "resume=run", folder=here, status=2).told
    assert told.endswith("its text, dev, is not in the current folder, where the run was started\n")
    (tmp_path / "text").mkdir()
    assert "it is not a run folder" in warm("train", "resume=text", folder=tmp_path, status=2).told


def test_a_finished_run_says_so(warm: Warm, folder: Path) -> None:
    before = (folder / "runs" / "whole" / "results.json").read_bytes()
    ended = warm("train", "resume=runs/whole", folder=folder, status=0)
    assert ended.printed.decode() == "runs/whole is finished: runs/whole/results.json holds its scores\n"
    assert (folder / "runs" / "whole" / "results.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["resume="], "give one run folder"),
        (["resume=runs/whole", "resume=runs/other"], "give one run folder"),
        (["-m", "resume=runs/whole"], "-m: with resume=FOLDER only KEY=VALUE is allowed"),
        (["resume=runs/whole", "training.epochs"], "training.epochs: with resume=FOLDER only KEY=VALUE"),
    ],
    ids=" ".join,
)
def test_what_may_stand_beside_resume(arguments: list[str], words: str) -> None:
    assert parse_resume(["resume=runs/both/attention=dot"]) == (Path("runs/both/attention=dot"), [])
    assert parse_resume(["a=1", "resume=runs/whole"]) == (Path("runs/whole"), ["a=1"])
    with pytest.raises(InputError, match=words):
        parse_resume(arguments)


@pytest.fixture(scope="module")
def longer(folder: Path) -> Path:
    """A run with a learning rate that does not depend on the number of steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run.train(configuration("training.decay=inverse_sqrt"), folder / "runs" / "inverse")
    return folder / "runs" / "inverse"


@pytest.mark.parametrize("cut", [True, False])
def test_a_run_can_go_on_for_longer(
    folder: Path, longer: Path, tmp_path: Path, cut: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finished, or cut off in its last scores: it becomes the longer run, to the bit, and is finished when that is."""
    monkeypatch.chdir(folder)
    place = tmp_path / "longer"
    with pytest.MonkeyPatch.context() as patch:
        if cut:
            patch.setattr(run, "write_json", at_call(1, run.write_json, before=True))
        with pytest.raises(Cut) if cut else nullcontext():
            run.train(configuration("training.decay=inverse_sqrt", "training.steps=20"), place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Metrics, "quick_scores", at_call(1, Metrics.quick_scores))
        with pytest.raises(Cut):
            go_on(place, steps=22)
    assert not (place / "results.json").exists()
    go_on(place)  # what was asked for stands in the checkpoint
    assert list(differences(outcome(longer), outcome(place))) == []
    assert plan_resume(place, {}) is None


def test_options_that_change_nothing_are_taken(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    place = tmp_path / "run"
    cut_in_validation(2, place)
    go_on(place, save_every=2, log_every=7, keep_best=5, patience=90)
    whole, found = outcome(folder / "runs" / "whole"), outcome(place)
    assert found["curves"]["validation/bleu"] == whole["curves"]["validation/bleu"]
    weights = "checkpoints/last/weights.safetensors"
    assert (place / weights).read_bytes() == (folder / "runs" / "whole" / weights).read_bytes()
    assert checkpoint.load(place / "checkpoints" / "last").configuration["training"]["keep_best"] == 5


def test_the_number_of_threads_may_change(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is warned of a busy machine can continue with fewer threads."""
    monkeypatch.chdir(folder)
    stopped = tmp_path / "run"
    cut_in_validation(2, stopped)
    plan = plan_resume(stopped, {"device.threads": 2})
    assert plan is not None
    assert plan[0].device.threads == 2
    assert plan[0].model_dump(exclude={"device"}) == configuration().model_dump(exclude={"device"})


def test_a_finished_run_goes_on_only_where_its_end_changes(longer: Path) -> None:
    for same in ({"device.threads": 2}, {"training.log_every": 7}, {"training.keep_best": 9}):
        assert plan_resume(longer, same) is None
    for other in ({"training.patience": 90}, {"training.steps": 10**6}):
        assert plan_resume(longer, other) is not None


def test_a_damaged_best_is_written_again_where_it_is_the_last(
    longer: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(folder)
    place = Path(shutil.copytree(longer, tmp_path / "damaged"))
    weights = "checkpoints/best/weights.safetensors"
    (place / weights).write_bytes(b"")
    go_on(place, patience=90)
    assert "best is damaged: weights.safetensors is not what was written" in caplog.text
    assert (place / weights).read_bytes() == (longer / weights).read_bytes()
    assert (place / "results.json").exists()


def test_a_damaged_best_is_told_before_anything_is_lost(
    longer: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    place = Path(shutil.copytree(longer, tmp_path / "damaged"))
    for path in (place / "checkpoints").glob("best-*"):
        shutil.rmtree(path)
    last = checkpoint.load(place / "checkpoints" / "last", training=True)
    assert last.training is not None
    earlier = ValidationRanking(ranking=((99.0, last.step - 1, 0.1),))
    state = last.training.state.model_copy(update={"standing": earlier})
    checkpoint.store(last._replace(training=last.training._replace(state=state)), place / "checkpoints" / "last")
    (place / "checkpoints" / "best" / "weights.safetensors").write_bytes(b"")
    before = snapshot(place)
    with pytest.raises(InputError, match=r"^resume=.*damaged: checkpoint .*best is damaged: .*; put an intact copy"):
        go_on(place, patience=90)
    after = snapshot(place)
    assert all(after[path] == content for path, content in before.items() if "tensorboard" not in path)
    assert str(place / "results.json") in after


def test_a_file_in_place_of_the_last_checkpoint_is_told(longer: Path, tmp_path: Path) -> None:
    place = Path(shutil.copytree(longer, tmp_path / "file"))
    shutil.rmtree(place / "checkpoints" / "last")
    (place / "checkpoints" / "last").write_text("hi")
    with pytest.raises(InputError, match=r"checkpoints/last is a file and no checkpoint: remove it$"):
        plan_resume(place, {"training.steps": 10**6})


def test_a_number_of_steps_that_is_none_is_told_as_such(folder: Path) -> None:
    with pytest.raises(InputError, match=r"^training\.steps: should be a valid integer"):
        plan_resume(folder / "runs" / "whole", {"training.steps": "abc"})


def test_completed_steps_keep_their_share_of_gold_words(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    options = ["training.decay=constant", "training.steps=4", "training.epochs=9", "training.batch.size=500"]
    for name, last in (("falling", 0.5), ("same", 1.0)):
        run.train(configuration(*options, f"training.teacher_forcing.last={last}"), tmp_path / name)
    assert plan_resume(tmp_path / "same", {"training.steps": 6}) is not None
    with pytest.raises(InputError, match=r"^training\.steps: with training\.teacher_forcing the shares of gold words"):
        plan_resume(tmp_path / "falling", {"training.steps": 6})


def test_a_run_that_another_process_trains_is_not_planned(warm: Warm, longer: Path, folder: Path) -> None:
    with exclusive_lock(longer):
        for arguments in ([], ["training.steps=10000"]):
            told = warm("train", f"resume={longer}", *arguments, folder=folder, status=2).told
            assert told == f"error: {longer}: another process is training in it\n"


def test_what_is_so_already_is_no_change(folder: Path) -> None:
    begun = configuration().training
    same = {"training.epochs": begun.epochs, "training.steps": begun.steps, "training.save_every": begun.save_every}
    assert plan_resume(folder / "runs" / "whole", same) is None


def test_a_run_becomes_no_shorter(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    place = tmp_path / "run"
    few = ["training.batch.size=500", "training.epochs=2", "training.steps=6"]
    assert run.train(configuration("training.decay=constant", *few), place)["train"]["steps"] == 6
    for options in ({"training.steps": 5}, {"training.epochs": 1}):
        with pytest.raises(InputError, match="can only become longer"):
            plan_resume(place, options)
    go_on(place, steps=None)  # so that epochs are its end
    for options in ({"training.steps": 10**6}, {"training.epochs": 1}):
        with pytest.raises(InputError, match="can only become longer"):
            plan_resume(place, options)


def test_where_the_last_checkpoint_is_spoilt_the_run_goes_on_from_the_one_before(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(folder)
    place = Path(shutil.copytree(folder / "runs" / "whole", tmp_path / "run"))
    (place / "results.json").unlink()
    weights = place / "checkpoints" / "last" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    go_on(place)
    assert "took the one before it, of step 21, instead" in caplog.text
    assert list(differences(outcome(folder / "runs" / "whole"), outcome(place))) == []
    shutil.rmtree(place / "checkpoints" / ".last.old")
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"run: checkpoint .*last is damaged: .*; what is in checkpoints/best can"):
        plan_resume(place, {"training.patience": 3})


def test_a_run_may_change_its_device_and_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, warm: Warm
) -> None:
    monkeypatch.chdir(folder)
    place = folder / "runs" / "moved"
    cut_in_validation(2, place, "device=auto")
    last = checkpoint.load(place / "checkpoints" / "last", training=True)
    assert last.training is not None
    last.training.tensors["random.cuda"] = torch.zeros(16, dtype=torch.uint8)  # as if a GPU had trained it
    checkpoint.store(last, place / "checkpoints" / "last")
    if not torch.cuda.is_available():
        (place / "train.log").touch()  # the program has one
        refused = warm.refused("train", "resume=runs/moved", "device=cuda", folder=folder)
        assert "device=cuda: PyTorch finds no GPU on this machine; use device=cpu or device=auto" in refused
    found = plan_resume(place, {"device": "cpu"})
    assert found is not None
    run.train(found[0], place, found[1])
    assert "trained on a GPU so far and on a CPU from here on" in caplog.text
    ended = checkpoint.load(place / "checkpoints" / "last", training=True)
    assert ended.training is not None
    assert ended.configuration["device"]["kind"] == "cpu"
    assert "random.cuda" not in ended.training.tensors


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("hydra.run.dir=runs/other", "hydra.run.dir: cannot change when a run is resumed"),
        (
            "training.learning_rate=1",
            "training.learning_rate: cannot change when a run is resumed; only training.epochs,",
        ),
        ("device.precision=float32", "device.precision: cannot change when a run is resumed"),
        ("device=gpu", "device.kind"),
        ("attention=general", "attention=general: a resumed run keeps its configuration: leave attention out"),
        ("experiment=multi30k_de_en", "a resumed run keeps its configuration: leave experiment out"),
        ("training.epochs=9", "training.epochs: with training.decay=linear the learning rates of completed steps"),
        ("training.epoch=9", "training.epoch: no such option, did you mean training.epochs?"),
        ("training.save_every=many", "training.save_every"),
        ("training.save_every=", "training.save_every"),
        (
            "training.save_every=1,2",
            "training.save_every=1,2: with resume=FOLDER only KEY=VALUE is allowed, with one value",
        ),
        ("~training.patience=1", "~training.patience=1: with resume=FOLDER only KEY=VALUE is allowed, with one value"),
    ],
)
def test_options_that_would_change_the_run_are_refused(warm: Warm, folder: Path, option: str, words: str) -> None:
    before = (folder / "runs" / "whole" / "results.json").read_bytes()
    assert words in warm.refused("train", "resume=runs/whole", option, folder=folder)
    assert (folder / "runs" / "whole" / "results.json").read_bytes() == before


def test_options_may_be_given_again(warm: Warm, folder: Path) -> None:
    again = ["device=cpu", "training.decay=linear", "dataset.test=test", "model.embedding=32"]
    said = warm("train", "resume=runs/whole", *again, folder=folder, status=0).printed.decode()
    assert said.startswith("runs/whole is finished")


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("resume=runs/nothing", "resume=runs/nothing: no such folder; give a run folder, resume=runs/NAME"),
        ("resume=train.de", "resume=train.de: no such folder"),
        ("resume=runs", "resume=runs: it is not a run folder; give one"),
        ("resume=runs/whole/checkpoints/best", "expected a run folder, not a part of one: resume=runs/whole"),
        ("resume=runs/whole/checkpoints/last/", "expected a run folder, not a part of one: resume=runs/whole"),
        ("resume=runs/whole/checkpoints", "expected a run folder, not a part of one: resume=runs/whole"),
        ("resume=runs/whole/results.json", "expected a run folder, not a part of one: resume=runs/whole"),
        ("--resume=runs/whole", "written without dashes"),
        ("resum=runs/whole", "did you mean resume?"),
    ],
)
def test_what_resume_cannot_do_is_told(warm: Warm, folder: Path, argument: str, words: str) -> None:
    assert words in warm.refused("train", argument, folder=folder)
