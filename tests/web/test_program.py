"""`seq2seq serve` as a person starts it: its options, its errors, and its end."""

import os
import re
import shutil
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import httpx
import pytest
from omegaconf import OmegaConf

from seq2seq.commands.composition import compose_options
from seq2seq.config import Search, Serve, load
from seq2seq.runtime.errors import InputError
from seq2seq.web import serve
from seq2seq.web.loading import check_search
from seq2seq.web.server import listen
from tests.support.programs import ROOT
from tests.support.server import Process, server

OLD = ROOT / "tests" / "data" / "old_run" / "run"
SENTENCE = "Die Frau kauft dem Kind einen Apfel."


@pytest.fixture(params=[1, 2], ids=["one process", "worker processes"])
def started(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Process]:
    """A server with two runs, in a folder that no answer may name."""
    for name in ("one", "two"):
        shutil.copytree(OLD, tmp_path / "secret" / name)
    runs = "checkpoint=[secret/one,secret/two/checkpoints/best]"
    with server(runs, "limits.beam_size=30", folder=tmp_path, threads=request.param) as process:
        yield process


@pytest.mark.program
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_once_the_requests_in_work_are_answered(started: Process, number: int, status: int) -> None:
    assert started.line == f"{started.url} serves one, two; Ctrl-C ends it\n"

    def ask(i: int) -> httpx.Response:
        body = {"texts": [SENTENCE] * 70, "beam_size": 20 + i, "model": ["one", "two"][i % 2]}
        return httpx.post(f"{started.url}/translate", json=body, timeout=60)

    with httpx.Client(base_url=started.url) as idle, ThreadPoolExecutor(4) as pool:
        models = idle.get("/models")
        assert [model["name"] for model in models.json()["models"]] == ["one", "two"]
        answers = [pool.submit(ask, i) for i in range(4)]
        wait(answers, return_when=FIRST_COMPLETED)  # the others are in work or in a queue
        ended, errors = started.end(number)
        assert [answer.result().status_code for answer in answers] == [200] * 4
        assert [len(answer.result().json()["translations"]) for answer in answers] == [70] * 4
    assert ended == status
    lines = [line.partition(" ")[2] for line in errors.splitlines()]
    announced = lines.index(f"{signal.Signals(number).name}: the requests in work are answered, then the server ends")
    assert lines[0].startswith("GET /models 200 ")
    assert len([line for line in lines if line.startswith("POST /translate 200 ")]) == 4
    assert lines[announced + 1].startswith("POST /translate 200 ")
    assert len(lines) == 6
    assert "secret" not in models.text
    assert SENTENCE not in errors


@pytest.mark.program
def test_a_second_signal_ends_it_at_once(started: Process) -> None:
    """Requests in work are refused or left, and the log has no traceback."""

    def ask(_: int) -> int:
        body = {"texts": [" ".join([SENTENCE] * 20)] * 60, "beam_size": 30}
        try:
            return httpx.post(f"{started.url}/translate", json=body, timeout=60).status_code
        except httpx.HTTPError:
            return 0

    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(ask, i) for i in range(4)]
        wait(answers, timeout=1)
        os.killpg(started.process.pid, signal.SIGINT)
        wait(answers, timeout=0.5)
        ended, errors = started.end(signal.SIGINT)
        assert {answer.result() for answer in answers} <= {0, 200, 503}
    assert ended == 130
    assert "Traceback" not in errors
    assert "Exception" not in errors


def options(*arguments: str) -> Serve:
    """The options of a command line."""
    values, _ = compose_options("serve", arguments, Serve)
    return load(Serve, OmegaConf.to_container(values, resolve=True, throw_on_missing=True))


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("prot=1", "prot: no such option, did you mean port?"),
        ("port=70000", "port: should be less than or equal to 65535, found 70000"),
        ("port=http", "port: should be a valid integer"),
        ("limits.text=3", "did you mean limits.texts?"),
        ("limits.request_seconds=0", "limits.request_seconds: should be greater than 0"),
        ("allowed_origins=[example.org]", "expected an origin such as https://example.org"),
        ("allowed_origins=['*']", "expected an origin"),
        ("allowed_origins=['https://example.org/']", "expected an origin"),
        ("checkpoint=[]", "checkpoint: "),
        ("runs/a", "runs/a: expected KEY=VALUE, such as checkpoint=runs/NAME"),
        ("--port=7", "written without dashes, port=VALUE"),
        ("search=bean", "did you mean beam?"),
    ],
)
def test_a_mistaken_option_is_explained(option: str, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        options("checkpoint=runs/a", option)


def test_the_options_are_those_of_the_yaml() -> None:
    chosen = options("checkpoint=[a,b]", "allowed_origins=['https://Example.org']")
    assert (chosen.host, chosen.port) == ("127.0.0.1", 8000)
    assert chosen.allowed_origins == ("https://example.org",)
    assert chosen.checkpoint == (Path("a"), Path("b"))


def test_an_address_that_cannot_be_used_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"^port={port}: address already in use; port=0 takes a free one$"):
            listen("127.0.0.1", port)
    for host in ("no such host", "192.0.2.1", "a" * 200, "\0"):
        with pytest.raises(InputError, match="this machine has no such address; host="):
            listen(host, 0)


def test_a_search_without_a_tree_is_refused() -> None:
    beam = load(Search, OmegaConf.to_container(OmegaConf.load(ROOT / "configs" / "search" / "beam.yaml")))
    check_search("one", beam)
    for changes, words in (
        ({"method": "sample"}, "search.method=sample, of the model one: a server shows the tree of one beam search"),
        ({"rank_by": "chrf"}, "give search.rank_by=score"),
        ({"groups": 5}, "give search.groups=1"),
    ):
        with pytest.raises(InputError, match=re.escape(words)):
            check_search("one", beam.model_copy(update=changes))


def test_without_its_packages_a_sentence_says_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    serve.check_packages()
    monkeypatch.setattr(serve, "find_spec", lambda name: None if name == "uvicorn" else object())
    with pytest.raises(InputError, match=r"^serve needs uvicorn, .*: pip install starlette uvicorn$"):
        serve.check_packages()
