"""Worker processes answer as the model in this process does, and one that ends is replaced."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from seq2seq.decoding.translator import TooLong
from seq2seq.runtime.errors import InputError
from seq2seq.trained_model import TrainedModel
from seq2seq.web.attention_change import Intervene
from seq2seq.web.batching import Sentence
from seq2seq.web.inference import ModelInference
from seq2seq.web.messages import AttendRequest, Options
from seq2seq.web.processes import RemoteInference, WorkerError, WorkerProcesses, _Worker
from tests.web.conftest import BEST

TEXTS = ("Die Frau liest.", "", "猫", "مرحبا", "Der alte Mann kauft dem Kind einen roten Apfel.")
SENTENCES = [*map(Sentence, TEXTS), Sentence("Die Frau liest.", (5, 7))]
OPTIONS = Options(3, 2, 1.0)


@pytest.fixture(scope="module")
def processes(trained: TrainedModel) -> Iterator[WorkerProcesses]:
    with closing(WorkerProcesses(2)) as started:
        short = replace(trained, search=trained.search.model_copy(update={"longest_source": 20}))
        started.load({"one": (trained, BEST), "short": (short, BEST)})
        yield started


def test_the_answers_are_those_of_the_model(trained: TrainedModel, processes: WorkerProcesses) -> None:
    here, there = ModelInference("one", trained, BEST), RemoteInference("one", processes)
    assert there.translate(OPTIONS, SENTENCES) == here.translate(OPTIONS, SENTENCES)
    request = AttendRequest(source=TEXTS[-1], tree=True)
    change = Intervene(name="shift", shift=2)
    changed = AttendRequest(source=TEXTS[-1], tree=True, intervene=change, attention=[None, None])
    for each in (request, changed):
        assert there.attend(each, OPTIONS) == here.attend(each, OPTIONS)
    assert here.attend(changed, OPTIONS) != here.attend(request, OPTIONS)


def test_a_text_that_is_too_long_is_explained(processes: WorkerProcesses) -> None:
    long, short = " ".join(TEXTS) * 9, RemoteInference("short", processes)
    first, second = short.translate(OPTIONS, [Sentence(TEXTS[0]), Sentence(long)])
    assert first.text
    assert isinstance(second, TooLong)
    with pytest.raises(InputError, match="subwords, more than the 20 that this model reads"):
        short.attend(AttendRequest(source=long), OPTIONS)


def test_an_error_of_our_own_has_its_traceback(processes: WorkerProcesses) -> None:
    with pytest.raises(WorkerError, match=r"(?s)Traceback .*AttributeError: .*sing"):
        processes.call("one", "sing")


def test_a_process_that_ends_is_replaced(processes: WorkerProcesses) -> None:
    remote, errors = RemoteInference("one", processes), []
    before = remote.translate(OPTIONS, SENTENCES)

    def call() -> None:
        try:
            remote.translate(Options(50, 1, 1.0), SENTENCES * 30)
        except WorkerError as error:
            errors.append(error)

    pids = [worker._process.pid for worker in processes._workers]
    thread = threading.Thread(target=call)
    thread.start()
    time.sleep(0.2)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    thread.join(60)
    assert [str(error) for error in errors] == ["a worker process ended during translate"]
    for worker in processes._workers:
        worker._process.join()
    for _ in range(3):  # the other process ended while it had nothing to do, so no call fails
        assert remote.translate(OPTIONS, SENTENCES) == before
    assert not {worker._process.pid for worker in processes._workers} & {*pids}


def test_a_replacement_that_ends_while_it_starts_is_replaced(
    processes: WorkerProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = RemoteInference("one", processes)
    before = remote.translate(OPTIONS, SENTENCES)
    for worker in processes._workers:
        os.kill(worker._process.pid, signal.SIGKILL)
        worker._process.join()
    with monkeypatch.context() as patched:
        patched.setattr(_Worker, "load", lambda worker, _: os.kill(worker._process.pid, signal.SIGKILL))
        for _ in range(5):  # both workers, then replacements
            with pytest.raises(WorkerError, match=r"^a worker process ended during translate$"):
                remote.translate(OPTIONS, SENTENCES)
    for _ in range(3):
        assert remote.translate(OPTIONS, SENTENCES) == before
    assert {child.pid for child in multiprocessing.active_children()} >= {
        worker._process.pid for worker in processes._workers
    }


def test_a_closed_pool_starts_no_process(trained: TrainedModel) -> None:
    processes = WorkerProcesses(1)
    processes.load({"one": (trained, BEST)})
    processes.close()
    before = multiprocessing.active_children()
    for _ in range(2):
        with pytest.raises(WorkerError):
            processes.call("one", "translate", OPTIONS, SENTENCES)
    assert multiprocessing.active_children() == before


def test_signals_to_all_processes_leave_the_workers(processes: WorkerProcesses) -> None:
    remote = RemoteInference("one", processes)
    for worker in processes._workers:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(worker._process.pid, number)
    for _ in range(2):
        assert remote.translate(OPTIONS, SENTENCES)


def test_a_process_that_cannot_start_is_explained(trained: TrainedModel) -> None:
    with closing(WorkerProcesses(1)) as processes:
        processes._workers[0]._process.kill()
        with pytest.raises(InputError, match=r"device\.threads=1 needs none$"):
            processes.load({"one": (trained, BEST)})
