"""What every request passes before the application: addresses, limits of size and time, headers, and a log line."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seq2seq.config import Limits
from seq2seq.web.refusal import Refusal, busy

log = logging.getLogger(__name__)

SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of every answer."""

PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Content-Type",
    "Access-Control-Max-Age": "600",
}
"""Of the answer to a browser that asks whether a page of an allowed origin may call."""

UNREAD = 2**26
"""Bytes of a refused body that are read and dropped, for a client that reads the answer only after it has sent all."""
LEFT = 499
"""What the log has for a request whose client did not wait for the answer."""


class Gate:
    """The application behind the checks. `hosts` are the names that a request may call the server by; None is any."""

    def __init__(
        self, application: ASGIApp, *, hosts: Collection[str] | None, origins: Collection[str], limits: Limits
    ) -> None:
        self._application, self._hosts, self._origins, self._limits = application, hosts, origins, limits
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        started = time.perf_counter()
        status = LEFT
        scope = {**scope, "state": {}}
        headers = _Headers(scope)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], *self._headers(headers)]}
            await send(message)

        try:
            await self._pass(scope, headers, receive, send_with_headers)
        except asyncio.CancelledError:  # the server ends without waiting, on a second Ctrl-C
            if status == LEFT:
                await busy("the server has ended").response()(scope, receive, send_with_headers)
        except Exception:
            status = 500
            raise
        finally:
            milliseconds = 1000 * (time.perf_counter() - started)
            _log(scope, status, milliseconds)

    async def _pass(self, scope: Scope, headers: "_Headers", receive: Receive, send: Send) -> None:
        """Answers, or refuses what is not allowed."""
        is_post = scope["method"] == "POST"
        try:
            self._check_addresses(headers)
            if scope["method"] == "OPTIONS" and headers["origin"]:
                await Response(status_code=204, headers=PREFLIGHT)(scope, receive, send)
            elif is_post:
                await self._answer(scope, headers, receive, send)
            else:
                await self._application(scope, receive, send)
        except Refusal as refusal:
            if is_post:
                await _drop_body(receive)
            response = refusal.response()
            response.headers["Connection"] = "close"
            await response(scope, receive, send)

    def _check_addresses(self, headers: "_Headers") -> None:
        """Raises Refusal where a page of another origin asks, or one that calls this machine by a name of its own."""
        host = headers["host"]
        if self._hosts is not None and host_name(host) not in self._hosts:
            raise Refusal(403, f"Host {host[:100]}: this server answers to {', '.join(sorted(self._hosts))}")
        origin = headers["origin"].lower()
        if origin and origin not in self._origins and origin.partition("://")[2] != host.lower():
            raise Refusal(403, f"Origin {origin[:100]}: pages of this origin may not call; see allowed_origins")

    async def _answer(self, scope: Scope, headers: "_Headers", receive: Receive, send: Send) -> None:
        """The answer to a request with a body. It ends where the client leaves, or after the time that it may take."""
        if self._requests >= self._limits.requests:
            raise busy(f"{self._limits.requests:,} requests are in work, which is the limit; try again in a second")
        self._requests += 1
        try:
            body = await self._body(headers, receive)
            answer = asyncio.ensure_future(_collect(self._application, scope, body))
            gone = asyncio.ensure_future(_disconnection(receive))
            seconds = self._limits.answer_seconds
            try:
                done, _ = await asyncio.wait({answer, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (answer, gone):
                    task.cancel()
        finally:
            self._requests -= 1
        if not done:
            refusal = busy(f"no answer within {seconds:g} seconds; send less, or try again later")
            await refusal.response()(scope, receive, send)
        elif answer in done:
            for message in answer.result():
                await send(message)

    async def _body(self, headers: "_Headers", receive: Receive) -> bytes:
        """The body. Raises Refusal where it is of another type, too large, or too slow."""
        media_type = headers["content-type"].partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise Refusal(415, "expected the header Content-Type: application/json")
        if headers["content-encoding"].lower() not in ("", "identity"):
            raise Refusal(415, "expected a body that is not compressed, without the header Content-Encoding")
        most = self._limits.bytes
        too_large = Refusal(413, f"the body has more than the {most:,} bytes that this server reads")
        length = headers["content-length"]
        if length and int(length) > most:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.request_seconds):
                while True:
                    message = await receive()
                    body += message.get("body", b"")
                    if len(body) > most:
                        raise too_large
                    if not message.get("more_body"):
                        return bytes(body)
        except TimeoutError:
            seconds = self._limits.request_seconds
            raise Refusal(408, f"the body did not arrive within {seconds:g} seconds") from None

    def _headers(self, headers: "_Headers") -> list[tuple[bytes, bytes]]:
        """The headers that an answer has besides its own."""
        more = dict(SECURITY)
        if (origin := headers["origin"]).lower() in self._origins:
            more["Access-Control-Allow-Origin"] = origin
        if self._origins:
            more["Vary"] = "Origin"
        return [(name.lower().encode(), value.encode("latin-1")) for name, value in more.items()]


class _Headers:
    """The headers of a request, by their names in lower case; of a name that is not there, an empty text."""

    def __init__(self, scope: Scope) -> None:
        self._values = {name: value.decode("latin-1") for name, value in reversed(scope["headers"])}

    def __getitem__(self, name: str) -> str:
        return self._values.get(name.encode(), "")


async def _collect(application: ASGIApp, scope: Scope, body: bytes) -> list[Message]:
    """The messages of the answer to a request whose body is read."""
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        messages.append(message)

    try:
        await application(scope, receive, send)
    except Exception:  # Starlette raises it again when it has answered with status 500
        if not messages:
            raise
        log.exception("%s %s failed", scope["method"], scope["path"])
    return messages


async def _disconnection(receive: Receive) -> None:
    """Waits until the client ends the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _drop_body(receive: Receive) -> None:
    """Reads the rest of a refused body, for a second and up to a limit: some clients read no answer before."""
    size = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            while size < UNREAD:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body"):
                    return


def host_name(host: str) -> str | None:
    """The name in a header Host, without its port."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _log(scope: Any, status: int, milliseconds: float) -> None:
    """A line for a request. It has no part of a text: neither the body nor what follows a `?`."""
    path = scope.get("raw_path", scope["path"].encode()).partition(b"?")[0][:100]
    texts = scope["state"].get("texts")
    counted = "" if texts is None else f" {texts} text{'s' * (texts != 1)}"
    line = f"{scope['method'][:20]} {path.decode('ascii', 'backslashreplace')} {status} {milliseconds:.1f} ms{counted}"
    log.info("%s", line)
