"""The server: its socket, its models, and its end on a signal."""

import contextlib
import errno
import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Iterator, Mapping
from types import FrameType

import uvicorn

from seq2seq import config
from seq2seq.runtime.errors import InputError
from seq2seq.web.app import application
from seq2seq.web.connection import Settings
from seq2seq.web.gate import Gate, host_name
from seq2seq.web.loading import loaded_models
from seq2seq.web.models import ServedModel

log = logging.getLogger(__name__)


def serve(options: config.Serve) -> int:
    """Answers requests until SIGINT or SIGTERM, and returns the signal's number. Requests in work are answered first.

    A second Ctrl-C ends it without them. Raises InputError where the address cannot be used, and what `loaded_models`
    raises.
    """
    with listen(options.host, options.port) as listener, loaded_models(options) as models:
        address, port = listener.getsockname()[:2]
        host = f"[{options.host}]" if ":" in options.host else options.host
        print(f"http://{host}:{port} serves {', '.join(models)}; Ctrl-C ends it", flush=True)
        server = Server(Settings(guarded(models, options, address), options.limits))
        server.run(sockets=[listener])
    return server.number


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises InputError where the address cannot be used."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server((str(address[0]), port), family=family, backlog=1024)
    except (OSError, UnicodeError) as error:
        if isinstance(error, socket.gaierror | UnicodeError) or error.errno == errno.EADDRNOTAVAIL:
            message = f"host={host}: this machine has no such address; host=127.0.0.1 is for this machine alone"
        else:
            message = f"port={port}: {os.strerror(error.errno or 0).lower()}; port=0 takes a free one"
        raise InputError(message) from None


def guarded(models: Mapping[str, ServedModel], options: config.Serve, address: str) -> Gate:
    """The application behind its checks, for a socket that listens on the address."""
    return Gate(
        application(models, options.limits),
        hosts=_hosts(address, options),
        origins=options.allowed_origins,
        limits=options.limits,
    )


def _hosts(address: str, options: config.Serve) -> frozenset[str] | None:
    """The names by which a request may call the server, or None for any.

    On loopback they are limited: a page of another site could reach the server by a name of its own that it resolves to
    127.0.0.1 (DNS rebinding).
    """
    if not ipaddress.ip_address(address).is_loopback:
        return None
    origins = (origin.partition("://")[2] for origin in options.allowed_origins)
    return frozenset({"localhost", "127.0.0.1", "::1", options.host.lower(), *filter(None, map(host_name, origins))})


class Server(uvicorn.Server):
    """uvicorn's server. It stores the number of the signal that ends it; the exit status is the caller's."""

    number = 0

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handles signals while the block runs, without sending them once more after it, as uvicorn does."""
        previous = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.number:
            log.info("%s: the requests in work are answered, then the server ends", signal.Signals(sig).name)
            self.number = sig
        super().handle_exit(sig, frame)
