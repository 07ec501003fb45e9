"""Two processes are one that accumulates twice the batches; they share, stop and end together, and one speaks."""

import os
import signal
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from seq2seq import build_text, checkpoint
from seq2seq.commands import exit_status as program
from seq2seq.commands import train_and_score as run
from seq2seq.commands.exit_status import check_single_run
from seq2seq.commands.resume import plan_resume
from seq2seq.runtime.errors import InputError
from seq2seq.text.batches import Batch
from seq2seq.text.epochs import Epochs
from seq2seq.text.store import Filtered, Sequences, Store
from tests.support.programs import ROOT, write_corpus
from tests.support.runs import SHORT, configuration
from tests.support.soak import differences, outcome
from tests.support.warm import Warm

ALIKE = ["training.accumulate=1", "training.batch.size=400", "attention.distribution=softmax", "model.dropout=0"]
ALIKE += [
    "training.sample_subwords.source=0.2",
    "dataset.validation=train",
    "search.batch=50",
    "training.steps=12",
    "training.validate_every=6",
]
"""Subwords alone are drawn at random, the same in each process; two processes with one batch each are one process with
two. Each has several batches to validate."""
LONG = ["training.accumulate=1", "training.steps=50", "training.validate_every=25", "training.save_every=null"]

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
    pytest.mark.usefixtures("unchecked"),
]


def begin(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """Two processes of training, started by torchrun."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [*torchrun, str(ROOT / "train.py"), *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def end(process: subprocess.Popen[bytes]) -> tuple[int, list[str]]:
    """The exit status, and the lines on the error stream that torchrun has not written in its own name."""
    try:
        _, errors = process.communicate(timeout=100)
    except subprocess.TimeoutExpired:
        process.terminate()  # torchrun ends those that it started
        process.communicate()
        raise
    return process.returncode, [line for line in errors.decode().splitlines() if line.startswith(("error", "stopped"))]


def wait_for(process: subprocess.Popen[bytes], log: Path, words: str) -> None:
    while not (log.exists() and words in log.read_text()):
        assert process.poll() is None, end(process)
        time.sleep(0.01)


def children(process: subprocess.Popen[bytes]) -> dict[int, int]:
    """The number of each process that torchrun started, by rank."""
    found = {}
    for path in Path(f"/proc/{process.pid}/task").glob("*/children"):
        for number in path.read_text().split():
            values = (Path("/proc") / number / "environ").read_bytes().split(b"\0")
            (rank,) = (value for value in values if value.startswith(b"RANK="))
            found[int(rank[5:])] = int(number)
    return found


@pytest.fixture(scope="module")
def folder(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, and `runs/two`, a run of two processes."""
    found = tmp_path_factory.mktemp("distributed")
    write_corpus(found)
    ended = warm("train", *SHORT, *LONG, "hydra.run.dir=runs/two", folder=found, status=0, processes=2)
    assert ended.told == ""
    return found


# --- batches ----------------------------------------------------------------------------------------------------------


def sentences(batches: list[Batch]) -> list[list[int]]:
    return [batch.source[:, 0].tolist() for batch in batches]


@pytest.mark.parametrize(("processes", "accumulate"), list(product([2, 3, 40], [1, 3])))
def test_processes_share_each_step_of_one_that_accumulates(processes: int, accumulate: int) -> None:
    """The same batches in the same steps, each with one of them; where there are too few, some have none."""
    lengths = np.random.default_rng(3).integers(1, 41, 97)
    side = Sequences(np.repeat(np.arange(97), lengths).astype(np.uint16), np.cumsum([0, *lengths]))
    store = Store(side, side, Filtered(0, 0))
    whole = Epochs(store, size=100, unit="tokens", accumulate=accumulate * processes, seed=1)
    parts = [
        Epochs(store, size=100, unit="tokens", accumulate=accumulate, seed=1, rank=rank, processes=processes)
        for rank in range(processes)
    ]
    total = 2 * whole.steps_per_epoch + 1
    assert {part.steps_per_epoch for part in parts} == {whole.steps_per_epoch}
    for wanted, *found in zip(whole.steps(total), *(part.steps(total) for part in parts), strict=True):
        assert max(map(len, found)) <= accumulate
        assert max(map(len, found)) - min(map(len, found)) <= 1
        shared = [batch for part in found for batch in sentences(part)]
        assert sorted(shared) == sorted(sentences(wanted))
    everything = [
        number for batches in whole.steps(whole.steps_per_epoch) for one in sentences(batches) for number in one
    ]
    assert sorted(everything) == list(range(97))


# --- runs -------------------------------------------------------------------------------------------------------------


def test_two_processes_are_one_that_accumulates_two_batches(
    warm: Warm, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where an epoch's last step has one batch, so that one process has none."""
    monkeypatch.chdir(folder)
    one, two = folder / "runs" / "accumulated", folder / "runs" / "shared"
    alone = configuration(*ALIKE, "training.accumulate=2")
    results = run.train(alone, one)
    prepared = build_text.prepared(alone.dataset, build_text.corpus(alone.dataset))
    size = alone.training.batch.size
    epochs = Epochs(prepared.store, size=size, unit="tokens", accumulate=2, seed=alone.training.seed)
    steps = list(epochs.steps(results["train"]["steps"]))
    assert {len(batches) for batches in steps} == {1, 2}
    warm("train", *SHORT, *ALIKE, f"hydra.run.dir={two}", folder=folder, status=0, processes=2)
    for name in ("best", "last"):
        wanted, found = (checkpoint.load(place / "checkpoints" / name) for place in (one, two))
        assert wanted.step == found.step
        assert wanted.scores == pytest.approx(found.scores, rel=1e-3)
        for key, weight in wanted.weights.items():
            torch.testing.assert_close(found.weights[key], weight, rtol=1e-3, atol=1e-4)
    wanted, found = outcome(one), outcome(two)
    assert wanted["curves"].keys() == found["curves"].keys()
    for tag, points in wanted["curves"].items():
        assert [step for step, _ in points] == [step for step, _ in found["curves"][tag]]
        values = [[value for _, value in outcome["curves"][tag]] for outcome in (wanted, found)]
        assert values[0] == pytest.approx(values[1], rel=1e-3, abs=1e-6), tag
    assert (one / "results.test.en").read_text() == (two / "results.test.en").read_text()
    for name in ("steps", "epochs", "target_tokens"):
        assert wanted["results"]["train"][name] == found["results"]["train"][name]
    assert found["results"]["test"]["bleu"] == wanted["results"]["test"]["bleu"]


def test_one_process_writes(folder: Path) -> None:
    place = folder / "runs" / "two"
    assert len(list((place / "tensorboard").iterdir())) == 1
    log = (place / "train.log").read_text()
    assert [log.count(words) for words in ("training pairs", "step 9/50", "test, greedy  BLEU")] == [1, 1, 1]
    numbers = checkpoint.load(place / "checkpoints" / "last", training=True).training
    assert numbers is not None
    one, other = numbers.tensors["random.cpu"]
    assert not torch.equal(one[:8], other[:8])  # where a generator's seed is: dropout differs


def stopped(folder: Path, place: Path) -> None:
    """Begins a run and ends it by a signal to one process, as good as one to torchrun, which sends it to all."""
    process = begin(folder, *SHORT, *LONG, f"hydra.run.dir={place}")
    wait_for(process, place / "train.log", "step 9/")
    os.kill(children(process)[1], signal.SIGTERM)
    status, errors = end(process)
    step = checkpoint.load(place / "checkpoints" / "last", training=True).step
    go_on = f"to continue, run `torchrun --nproc_per_node=2 train.py resume={place}`"
    assert 9 <= step < 50
    assert errors == [f"stopped by SIGTERM after step {step}: {go_on}"]
    assert status != 0


def killed(folder: Path, place: Path) -> None:
    """Takes the run up and kills one of its processes."""
    size = len((place / "train.log").read_text())
    process = begin(folder, f"resume={place}")
    while "step " not in (place / "train.log").read_text()[size:].replace("after step", ""):
        assert process.poll() is None, end(process)
        time.sleep(0.01)
    every = children(process)
    assert sorted(every) == [0, 1]
    os.kill(every[1], signal.SIGKILL)
    status, errors = end(process)
    assert status != 0
    assert len(errors) <= 1  # torchrun may end the other one before it can tell
    assert all(line.startswith("error: another process of this run has ended") for line in errors)
    for number in every.values():
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)
    checkpoint.load(place / "checkpoints" / "last", training=True)


def test_a_run_goes_on_as_if_nothing_had_stopped_it(folder: Path, tmp_path: Path) -> None:
    """Neither a signal, after which all have saved, nor the death of a process, after which none has; to the bit."""
    place = tmp_path / "stopped"
    stopped(folder, place)
    with pytest.raises(InputError, match=r"the run was started with 2 process\(es\) and needs as many; found 1"):
        plan_resume(place, {})
    killed(folder, place)
    assert end(begin(folder, f"resume={place}")) == (0, [])
    assert list(differences(outcome(folder / "runs" / "two"), outcome(place))) == []


def test_one_process_says_what_is_wrong_and_leaves_nothing(warm: Warm, tmp_path: Path) -> None:
    ended = warm("train", "training.epochs=many", folder=tmp_path, processes=2)
    assert ended.status == 2
    (line,) = ended.told.splitlines()
    assert line.startswith("error: training.epochs: ")
    assert list(tmp_path.glob("runs/*")) == []


@pytest.mark.parametrize("program", ["evaluate", "translate"])
def test_the_other_programs_are_one_process(warm: Warm, program: str, tmp_path: Path) -> None:
    ended = warm(program, f"checkpoint={tmp_path}", folder=tmp_path, status=2, processes=2)
    assert ended.told == "error: torchrun: only training can use several processes; start this program by itself\n"


def test_a_sweeper_needs_a_sweep() -> None:
    check_single_run(["-m", "hydra/sweeper=optuna"])
    with pytest.raises(InputError, match="hydra/sweeper=optuna chooses how several runs are planned: add -m"):
        check_single_run(["hydra/sweeper=optuna"])


def test_a_sweep_is_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    check_single_run(["-m", "attention=dot,general"])
    monkeypatch.setattr(program, "world_size", lambda: 2)
    check_single_run(["attention=dot"])
    for words in ("-m", "--multirun", "hydra.mode=MULTIRUN"):
        with pytest.raises(InputError, match=f"{words}: torchrun starts the processes of one run"):
            check_single_run(["attention=dot,general", words])
