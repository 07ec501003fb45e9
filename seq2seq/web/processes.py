"""Worker processes: they compute the answers, while the process of the server reads requests and writes answers.

A process has the copy of the models that it was sent, so all answer alike where a run replaces its checkpoint.
"""

import multiprocessing
import pickle
import queue
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from seq2seq.decoding.translator import TooLong
from seq2seq.runtime.device import set_up_device
from seq2seq.runtime.errors import InputError
from seq2seq.trained_model import TrainedModel
from seq2seq.web.batching import Sentence
from seq2seq.web.inference import ModelInference
from seq2seq.web.messages import AttendRequest, Options, Translated

MOST_PROCESSES = 8
"""One process reads and writes about as many requests as eight of them answer."""

START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"
"""With a fork server, workers share the memory of the imported modules: 70 MB for each in place of 220."""


class WorkerError(Exception):
    """A worker process made a mistake, which its traceback shows, or ended."""


class WorkerProcesses:
    """A pool of worker processes. A call takes one that is free; there must not be more calls at a time."""

    def __init__(self, number: int) -> None:
        """Starts the processes. They import their modules while the caller loads the models."""
        self._models = b""
        self._workers = [_Worker() for _ in range(number)]
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()  # indices of workers
        self._is_closed = False

    def load(self, models: Mapping[str, tuple[TrainedModel, Path]]) -> None:
        """Sends the models, by name, with their folders. Raises InputError where a process has ended."""
        self._models = pickle.dumps(dict(models))
        try:
            for worker in self._workers:
                worker.load(self._models)
            for index, worker in enumerate(self._workers):
                worker.result()
                self._free.put(index)
        except (EOFError, OSError):
            raise InputError(
                "a worker process ended while it started, perhaps for lack of memory: device.threads=1 needs none"
            ) from None

    def call(self, name: str, method: str, *arguments: Any) -> Any:
        """The result of a method of a model's inference. A process that has ended is replaced by the next call.

        Raises InputError as the method does, and WorkerError.
        """
        index = self._free.get()
        try:
            if self._workers[index].has_ended():
                self._replace(index)
            self._workers[index].call(name, method, arguments)
            return self._workers[index].result()
        except (EOFError, OSError):
            self._workers[index].close()
            raise WorkerError(f"a worker process ended during {method}") from None
        finally:
            self._free.put(index)

    def close(self) -> None:
        """Ends the processes, whatever they do."""
        self._is_closed = True
        for worker in self._workers:
            worker.close()

    def _replace(self, index: int) -> None:
        if self._is_closed:
            return
        self._workers[index] = worker = _Worker()
        if self._is_closed:  # `close` may have ended before this worker was in the list
            worker.close()
        worker.load(self._models)
        worker.result()


class RemoteInference:
    """The inference of a model in worker processes."""

    def __init__(self, name: str, processes: WorkerProcesses) -> None:
        self._name, self._processes = name, processes

    def translate(self, options: Options, sentences: Sequence[Sentence]) -> list[Translated | TooLong]:
        translations: list[Translated | TooLong] = self._processes.call(self._name, "translate", options, sentences)
        return translations

    def attend(self, request: AttendRequest, options: Options) -> bytes:
        plain = AttendRequest.model_validate(request.model_dump())  # the class with a server's limits has no module
        return bytes(self._processes.call(self._name, "attend", plain, options))


class _Worker:
    """One process, and the pipe to it."""

    def __init__(self) -> None:
        context: Any = multiprocessing.get_context(START_METHOD)
        context.set_forkserver_preload([__name__])
        self._connection, connection = context.Pipe()
        self._process = context.Process(target=_work, args=(connection,), name="model", daemon=True)
        with _blocked_signals():
            self._process.start()
        connection.close()  # so that the end of the process ends the pipe

    def load(self, models: bytes) -> None:
        """Its result is None, when the models are ready."""
        self._connection.send_bytes(models)

    def call(self, name: str, method: str, arguments: tuple[Any, ...]) -> None:
        self._connection.send((name, method, arguments))

    def result(self) -> Any:
        """The result of what was sent last. Raises its error, and EOFError or OSError where the process has ended."""
        result, error = self._connection.recv()
        if error is not None:
            raise error
        return result

    def has_ended(self) -> bool:
        """Whether the process has ended. It must have no call."""
        return self._connection.closed or self._connection.poll()  # a worker without a call sends nothing but its end

    def close(self) -> None:
        """Ends the process. It may be called again."""
        self._process.kill()
        self._process.join()
        self._connection.close()


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """Blocks SIGINT and SIGTERM in processes that start in the block: Ctrl-C reaches all processes of a terminal.

    The server ends its workers when the requests in work are answered.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    resource_tracker.ensure_running()  # when it starts, it unblocks them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection) -> None:
    """Answers calls until the server closes the pipe, or ends."""
    set_up_device(1)
    try:
        models = {
            name: ModelInference(name, trained, folder)
            for name, (trained, folder) in pickle.loads(connection.recv_bytes()).items()
        }
        connection.send((None, None))
        while True:
            name, method, arguments = connection.recv()
            connection.send(_answer(models[name], method, arguments))
    except (EOFError, OSError):
        return


def _answer(model: ModelInference, method: str, arguments: Sequence[Any]) -> tuple[Any, Exception | None]:
    """The result of a method, or its error."""
    try:
        return getattr(model, method)(*arguments), None
    except InputError as error:
        return None, error
    except Exception:
        return None, WorkerError(traceback.format_exc())
