"""The connections of the server: uvicorn's, with limits of their number, their size and their time."""

import asyncio
from http import HTTPStatus
from typing import cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from seq2seq.config import Limits
from seq2seq.web.gate import SECURITY
from seq2seq.web.refusal import Refusal

LONGEST_HEADERS = 2**14
"""Bytes of a request's first line and headers together."""
CONNECTIONS = 2
"""Open connections for each request that may be in work: browsers keep some open between requests."""


class Settings(uvicorn.Config):
    """uvicorn's settings, with the limits."""

    def __init__(self, application: ASGIApp, limits: Limits) -> None:
        super().__init__(
            application,
            http=Connection,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=round(limits.request_seconds + limits.answer_seconds) + 1,
            h11_max_incomplete_event_size=LONGEST_HEADERS,
        )
        self.limits = limits


class Connection(H11Protocol):
    """The connection of a client, which is closed where the client takes too long to send or to read."""

    _timer: asyncio.TimerHandle | None = None
    _has_received = False

    @property
    def _limits(self) -> Limits:
        return cast(Settings, self.config).limits

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS * self._limits.requests:
            self._refuse(503, "there are too many connections; try again in a second")
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        self._has_received = True
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._abort_later()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._abort_later()

    def send_400_response(self, msg: str) -> None:
        """uvicorn's answer to what h11 does not accept."""
        del msg
        self._refuse(400, "this is no request of HTTP/1.1, or its first line and headers are too long")

    def _is_arriving(self) -> bool:
        """Whether no request is in work."""
        return self.cycle is None or self.cycle.response_complete

    def _watch(self) -> None:
        """Starts the timer while the headers of a request are awaited, and stops it once they are there."""
        if not self._is_arriving():
            self._stop_timer()
        elif self._timer is None:
            self._timer = self.loop.call_later(self._limits.request_seconds, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self._is_arriving() and not self.transport.is_closing():
            if self._has_received:
                self._refuse(408, f"the request did not arrive within {self._limits.request_seconds:g} seconds")
            else:
                self.transport.close()

    def _refuse(self, status: int, message: str) -> None:
        """Answers what did not become a request, and closes the connection."""
        if self._is_arriving() or not self.cycle.response_started:
            response = Refusal(status, message, headers={**SECURITY, "Connection": "close"}).response()
            headers = b"".join(b"%s: %s\r\n" % header for header in response.raw_headers)
            line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
            self.transport.write(line + headers + b"\r\n" + bytes(response.body))
        self.transport.close()
        self._abort_later()

    def _abort_later(self) -> None:
        """Ends the connection later if the client has read nothing of what is written to it by then."""
        if unread := self.transport.get_write_buffer_size():
            self.loop.call_later(self._limits.request_seconds, self._abort_unread, unread)

    def _abort_unread(self, before: int) -> None:
        if self.transport.get_write_buffer_size() >= before:
            self.transport.abort()
        else:
            self._abort_later()
