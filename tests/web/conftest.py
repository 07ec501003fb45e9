"""Servers in this process, on a free port, with the model of `tests/data/old_run`."""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest

from seq2seq.config import Serve, load
from seq2seq.trained_model import TrainedModel, load_trained_model
from seq2seq.web.batching import Workers
from seq2seq.web.connection import Settings
from seq2seq.web.inference import ModelInference
from seq2seq.web.models import ServedModel
from seq2seq.web.server import Server, guarded, listen
from tests.support.programs import CPU, ROOT

BEST = ROOT / "tests" / "data" / "old_run" / "run" / "checkpoints" / "best"
LIMITS = {"characters": 300, "texts": 11, "bytes": 20_000, "beam_size": 7, "n_best": 6, "requests": 64}
SECONDS = {"request_seconds": 10, "answer_seconds": 30}
SEARCH = dict.fromkeys(("size", "length_penalty", "n_best", "batch", "longest_source", "too_long"))


class Client(httpx.Client):
    """A client of a server, whose lines of the log are in `lines`."""

    port: int
    models: dict[str, ServedModel]
    lines: list[str]

    def ask(self, path: str, status: int = 200, **body: Any) -> Any:
        """The answer to a request, which must have the status."""
        response = self.post(path, json=body)
        assert response.status_code == status, response.text
        return response.json()

    def raw(self, *parts: bytes, pause: float = 0) -> bytes:
        """What the server answers to bytes, until it closes the connection. There is a pause after each part."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            with contextlib.suppress(ConnectionError):
                for part in parts:
                    connection.sendall(part)
                    time.sleep(pause)
            return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """What arrives until the other side closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(2**16):
            received += chunk
    return received


class _Server(Server):
    """A server in a thread, where no signal can be handled."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return contextlib.nullcontext()


class _Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())


def options(**values: Any) -> Serve:
    """The options of a server; those of `limits` replace single ones."""
    limits = {**LIMITS, **SECONDS, **values.pop("limits", {})}
    defaults = {"checkpoint": str(BEST), "host": "127.0.0.1", "port": 0, "allowed_origins": [], "device": CPU}
    return load(Serve, {**defaults, "search": SEARCH, "limits": limits, **values})


@contextlib.contextmanager
def serving(trained: TrainedModel, *, names: tuple[str, ...] = ("one", "two"), **values: Any) -> Iterator[Client]:
    """A server, and its client."""
    workers = Workers(values.pop("threads", 1))
    models = {name: ServedModel(name, trained, ModelInference(name, trained, BEST), workers) for name in names}
    chosen = options(**values)
    logger, lines = logging.getLogger("seq2seq.web"), list[str]()
    handler = _Lines(lines)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    with listen(chosen.host, chosen.port) as listener:
        address, port = listener.getsockname()[:2]
        server = _Server(Settings(guarded(models, chosen, address), chosen.limits))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            with Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                client.port, client.models, client.lines = port, models, lines
                yield client
        finally:
            server.should_exit = True
            thread.join(30)
            logger.removeHandler(handler)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def trained() -> TrainedModel:
    """The checkpoint, on the CPU."""
    return load_trained_model(BEST, device=options().device)


@pytest.fixture(scope="module")
def client(trained: TrainedModel) -> Iterator[Client]:
    """A server that the tests of a module share."""
    with serving(trained) as shared:
        yield shared


@pytest.fixture
def start(trained: TrainedModel) -> Callable[..., AbstractContextManager[Client]]:
    """Starts a server with options of its own."""

    def started(**values: Any) -> AbstractContextManager[Client]:
        return serving(trained, **values)

    return started
