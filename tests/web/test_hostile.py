"""Requests that are damaged, too large, too slow, or of a foreign page: each has its status, and the server goes on."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from tests.web.conftest import Client, read_all

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unchecked")]

Start = Callable[..., AbstractContextManager[Client]]
TEXT = "Der Hund schläft."
BODY = json.dumps({"texts": [TEXT]}).encode()


def post(body: bytes, *headers: str, path: str = "/translate", length: int | None = None) -> bytes:
    """The bytes of a request, after whose answer the connection ends."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        "Connection: close",
        *headers,
    ]
    if not any(line.startswith("Transfer-Encoding") for line in headers):
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def refused(answer: bytes, status: int) -> str:
    """The sentence of an answer, which must have the status and the headers."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()), answer
    assert b"content-security-policy: default-src 'none'" in head.lower()
    sentence = json.loads(body)["error"]
    assert sentence.isprintable()
    assert "Traceback" not in sentence
    return str(sentence)


def is_well(client: Client) -> None:
    (translation,) = client.ask("/translate", texts=[TEXT])["translations"]
    assert translation["text"]


BODIES = [
    (b"", 400),
    (b"{", 400),
    (b"\xff\xfe", 400),
    (b'{"texts": ["\xff"]}', 400),
    (b'{"texts": ["\\ud800"]}', 400),
    (b'{"\\ud800": 1}', 400),
    ('{"texts": ["a"]}'.encode("utf-16"), 400),
    (b"\xef\xbb\xbf" + BODY, 400),
    (b"[" * 19_000, 400),
    (b'{"texts":' * 2_000, 400),
    (b'{"texts": ["a"], "beam_size": ' + b"9" * 5_000 + b"}", 400),
    (b'{"texts": ["a"], "length_penalty": NaN}', 422),
    (b'{"texts": ["a"], "length_penalty": 1e999}', 422),
    (b'{"texts": ["a"], "length_penalty": -Infinity}', 422),
    (b"null", 422),
    (b"[]", 422),
    (b'"texts"', 422),
    (b"7", 422),
    (b'{"texts": {"0": "a"}}', 422),
    (b'{"texts": [["a"]]}', 422),
    (b'{"texts": [null]}', 422),
    (b'{"' + b"x" * 9_000 + b'": 1, "texts": []}', 422),
]

CHANGES = [
    b'"attention": [[NaN, 1]]',
    b'"attention": [[Infinity, 1]]',
    b'"attention": [[1e999, 1]]',
    b'"attention": [[1e-320, 0]]',
    b'"attention": [[1, 1' + b", 1" * 5_000 + b"]]",
    b'"attention": [' + b"null, " * 3_000 + b"null]",
    b'"attention": [[]]',
    b'"attention": ' + b"[" * 200 + b"]" * 200,
    b'"attention": {"0": [1]}',
    b'"intervene": {"name": "checkpoint", "checkpoint": "/etc/passwd"}',
    b'"intervene": {"name": "../hard"}',
    b'"intervene": {"name": "temperature", "temperature": NaN}',
    b'"intervene": {"name": "shift", "shift": ' + b"9" * 400 + b"}",
    b'"intervene": {"name": "head", "head": 9223372036854775808}',
    b'"intervene": ["hard"]',
    b'"intervene": {"' + b"x" * 9_000 + b'": 1, "name": "hard"}',
]
"""Changes of attention that are refused, for a source of one subword."""


@pytest.mark.parametrize(("body", "status"), BODIES, ids=range(len(BODIES)))
def test_a_damaged_body(client: Client, body: bytes, status: int) -> None:
    assert len(refused(client.raw(post(body)), status)) < 400
    refused(client.raw(post(body, path="/attend")), status)


@pytest.mark.parametrize("change", CHANGES, ids=range(len(CHANGES)))
def test_a_hostile_change_of_attention(client: Client, change: bytes) -> None:
    """The sentence names the key."""
    sentence = refused(client.raw(post(b'{"source": "a", ' + change + b"}", path="/attend")), 422)
    assert sentence.startswith(change.split(b'"')[1].decode())
    assert len(sentence) < 300
    assert client.ask("/attend", source=TEXT, intervene={"name": "shift", "shift": -(10**6)})["text"].isprintable()


@pytest.mark.parametrize(
    "text", ["", "\0", "\x1b[2J\r\n\x85", "\u2028\ufeff\U0010ffff", "a\u0301" * 50, "😀" * 99, "\t \n"]
)
def test_a_strange_text_is_translated(client: Client, text: str) -> None:
    assert len(client.ask("/translate", texts=[text, TEXT])["translations"]) == 2
    answer = client.ask("/attend", source=text, tree=True, beam_size=2)
    assert answer["text"].isprintable()
    assert client.ask("/attend", source=TEXT, target=text)["text"] == text.removesuffix("\n")


BROKEN = [
    (b"GET\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # a client that speaks TLS
    (b"GET /models HTTP/1.1\r\n\r\n", 400),
    (b"GET /models HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
    (b"GET /models HTTP/1.1\r\nHost: localhost\r\nA: \x00\r\n\r\n", 400),
    (b"GET /models HTTP/1.1\r\nHost: localhost\r\nA: " + b"a" * 600_000 + b"\r\n\r\n", 400),
    (b"GET /" + b"a" * 20_000, 400),
    (b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
    (b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    (post(b"zz\r\n", "Transfer-Encoding: chunked"), 400),
    (post(BODY, "Transfer-Encoding: gzip"), 400),
    (post(BODY, "Content-Encoding: gzip"), 415),
    (post(BODY).replace(b"application/json", b"text/plain"), 415),
    (post(BODY).replace(b"application/json", b"application/x-www-form-urlencoded"), 415),
    (post(BODY, "Expect: 100-continue").replace(b"application/json", b""), 415),
    (b"BREW /models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 405),
    (b"DELETE /translate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 405),
    (b"GET /static/..%2f..%2fserver.py HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
    (b"GET /static/../app.py HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
    (b"GET /static/%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
    (b"GET /%ff%fe%0d%0aX:1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
    (b"GET /models/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
]


@pytest.mark.parametrize(("request_", "status"), BROKEN, ids=range(len(BROKEN)))
def test_a_broken_request(client: Client, request_: bytes, status: int) -> None:
    answer = client.raw(request_)
    refused(answer.partition(b"\r\n\r\n")[2] if answer.startswith(b"HTTP/1.1 100 ") else answer, status)
    is_well(client)


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [20_001, 3_000_000])
def test_a_body_that_is_too_large(client: Client, size: int) -> None:
    body = BODY[:-2] + b" " * (size - len(BODY)) + BODY[-2:]
    assert "20,000 bytes" in refused(client.raw(post(body)), 413)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:9_000], body[9_000:]))
    assert "20,000 bytes" in refused(client.raw(post(chunks, "Transfer-Encoding: chunked")), 413)
    assert "20,000 bytes" in refused(client.raw(post(b"", length=10**18)), 413)
    is_well(client)


def test_a_chunked_body_is_read(client: Client) -> None:
    parts = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY[:9], BODY[9:])) + b"0\r\n\r\n"
    assert b'"translations":[{"text":"' in client.raw(post(parts, "Transfer-Encoding: chunked"))


def test_slow_clients_are_ended_and_disturb_nobody(start: Start) -> None:
    with start(limits={"request_seconds": 0.6}) as client, ThreadPoolExecutor(40) as pool:
        request = post(BODY)
        split = request.index(b"\r\n\r\n")
        started = time.monotonic()
        heads = [pool.submit(client.raw, *(bytes([byte]) for byte in request[:40]), pause=0.1) for _ in range(12)]
        bodies = [pool.submit(client.raw, request[: split + 9]) for _ in range(12)]
        silent = [pool.submit(client.raw) for _ in range(3)]
        kept = pool.submit(client.raw, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /hea", pause=0.1)
        time.sleep(0.2)
        is_well(client)
        assert time.monotonic() - started < 3
        assert all("within 0.6 seconds" in refused(answer.result(), 408) for answer in heads + bodies)
        assert [answer.result() for answer in silent] == [b""] * 3
        answer, _, second = kept.result().partition(b'{"status":"ok"}')
        assert answer.startswith(b"HTTP/1.1 200 ")
        refused(second, 408)
        is_well(client)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("asyncio")]


@contextmanager
def busy(client: Client) -> Iterator[threading.Event]:
    """The model works on one request until the event is set, and that request is answered at the end."""
    inference, go, begun = client.models["one"]._inference, threading.Event(), threading.Event()
    translate = inference.translate

    def wait(*arguments: Any) -> Any:
        begun.set()
        assert go.wait(20)
        return translate(*arguments)

    inference.translate = wait
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.ask, "/translate", texts=[TEXT])
        assert begun.wait(20)
        try:
            yield go
        finally:
            go.set()
            first.result()


def test_more_requests_than_the_limit_are_refused(start: Start) -> None:
    with start(limits={"requests": 3}) as client, ThreadPoolExecutor(9) as pool:
        with busy(client) as go:
            answers = [pool.submit(client.post, "/translate", json={"texts": [TEXT]}) for _ in range(9)]
            while sum(answer.done() for answer in answers) < 7:
                time.sleep(0.01)
            assert client.get("/health").status_code == 200
            go.set()
            statuses = sorted(answer.result().status_code for answer in answers)
        assert statuses == [200] * 2 + [503] * 7
        refusal = next(answer.result() for answer in answers if answer.result().status_code == 503)
        assert refusal.headers["retry-after"] == "1"
        assert "3 requests" in refusal.json()["error"]
        is_well(client)


def test_too_many_connections_are_refused(start: Start) -> None:
    with start(limits={"requests": 4}) as client:
        idle = [socket.create_connection(("127.0.0.1", client.port)) for _ in range(8)]
        time.sleep(0.1)
        try:
            assert "too many connections" in refused(client.raw(), 503)
        finally:
            for connection in idle:
                connection.close()
        time.sleep(0.1)
        is_well(client)


def test_an_answer_that_takes_too_long_is_given_up(start: Start) -> None:
    with start(limits={"answer_seconds": 0.4}) as client:
        go = threading.Event()
        translate = client.models["one"]._inference.translate
        client.models["one"]._inference.translate = lambda *arguments: go.wait(20) and translate(*arguments)
        answer = client.post("/translate", json={"texts": [TEXT]})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "0.4 seconds" in answer.json()["error"]
        assert client.get("/health").status_code == 200
        go.set()
        is_well(client)


def test_a_client_that_leaves_gives_up_its_place(start: Start) -> None:
    with start() as client:
        with busy(client) as go:
            searched: list[int] = []
            translate = client.models["one"]._inference.translate
            client.models["one"]._inference.translate = lambda options, sentences: (
                searched.append(len(sentences)) or translate(options, sentences)
            )
            with socket.create_connection(("127.0.0.1", client.port)) as connection:
                connection.sendall(post(BODY))
                time.sleep(0.2)
            time.sleep(0.2)
            go.set()
        is_well(client)
        assert searched == [1]
        assert sum(" 499 " in line for line in client.lines) == 1


def test_a_client_that_does_not_read_is_ended(start: Start) -> None:
    """The answers to pipelined requests fill its buffers."""
    with start(limits={"request_seconds": 0.5}) as client:
        length, number = len(client.get("/openapi.json").content), 3000
        with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**12)
            connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * number)
            is_well(client)
            time.sleep(1.2)
            assert 0 < len(read_all(connection)) < length * number
        is_well(client)


def test_an_error_of_our_own_is_a_sentence(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    with start() as client:
        client.models["one"]._inference.translate = lambda *_: 1 / 0
        answer = client.ask("/translate", 500, texts=[TEXT])
        assert answer == {"error": "the server made a mistake; its log says more", "field": None}
        assert "ZeroDivisionError" in caplog.text
        client.ask("/translate", texts=[TEXT], model="two")


# --- other pages ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[", "a@localhost.x"]
)
def test_another_name_of_this_machine_is_refused(client: Client, host: str) -> None:
    for path in ("/", "/models", "/translate"):
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        assert "localhost" in refused(client.raw(request), 403)
    assert client.get("/models", headers={"Host": f"LOCALHOST:{client.port}"}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:1", "file://", "http://127.0.0.1"]
)
def test_a_page_of_another_origin_is_refused(client: Client, origin: str) -> None:
    for method, path in (("GET", "/models"), ("POST", "/translate"), ("OPTIONS", "/translate")):
        answer = client.request(method, path, headers={"Origin": origin}, json={"texts": [TEXT]})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
    same = {"Origin": f"http://127.0.0.1:{client.port}"}
    assert client.post("/translate", headers=same, json={"texts": [TEXT]}).status_code == 200


def test_an_allowed_origin_may_call(start: Start) -> None:
    origin = "https://example.org"
    with start(allowed_origins=[origin]) as client:
        preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answer = client.options("/translate", headers=preflight)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, origin)
        assert "content-type" in answer.headers["access-control-allow-headers"].lower()
        for body, status in (({"texts": [TEXT]}, 200), ({}, 422)):
            answer = client.post("/translate", headers={"Origin": origin, "Host": "example.org"}, json=body)
            assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, origin)
        assert client.get("/models", headers={"Origin": "https://example.com"}).status_code == 403
