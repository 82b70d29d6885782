"""Servers of models for tests: real sockets on loopback, the real wire formats, faults on order.

What the model says is a function of what it is asked.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.model_wires import KEY, Refused, Said, Wire


class Fault(Enum):
    """What goes wrong with one request."""

    NONE = auto()
    BUSY = auto()
    """429, with the time to come back."""
    BROKEN = auto()
    """500, with a page that is no JSON."""
    SILENT = auto()
    """Nothing comes before the client gives up."""
    NO_JSON = auto()
    CUT = auto()
    """The connection ends in the middle of the answer."""
    STREAM_ERROR = auto()
    """An error where a piece of the answer should be."""


@dataclass
class ModelServer:
    """One provider: `plan` holds the faults of the next requests, `asked` what came."""

    wire: Wire
    think: Callable[[dict[str, Any]], Said] = lambda body: Said("all is well")
    plan: list[Fault] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    retry_after: str = "3"
    url: str = ""
    given_up: threading.Event = field(default_factory=threading.Event)

    def environ(self) -> dict[str, str]:
        """Return the variables that lead a client here."""
        found = {self.wire.variable: self.url + self.wire.path}
        return found | ({self.wire.key_variable: KEY} if self.wire.key_variable else {})

    @property
    def provider(self) -> str:
        """Return the entry for `ai.providers`."""
        return f"{self.wire.name}:{self.wire.model}"


@contextlib.contextmanager
def model_server(wire: Wire) -> Iterator[ModelServer]:
    """Serve one provider until the block ends."""
    state = ModelServer(wire)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            """Answer a question about models."""
            try:
                self._send(200, json.dumps(wire.models(self.path)))
            except Refused as refused:
                self._send(refused.status, json.dumps(refused.document))

        def do_POST(self) -> None:
            """Answer a question to a model."""
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            state.asked.append(body)
            fault = state.plan.pop(0) if state.plan else Fault.NONE
            try:
                streams = wire.check(
                    self.path, {k.lower(): v for k, v in self.headers.items()}, body
                )
            except Refused as refused:
                self._send(refused.status, json.dumps(refused.document))
                return
            if fault is Fault.BUSY:
                more = {"retry-after": state.retry_after} if wire.name != "gemini" else {}
                self._send(429, json.dumps(wire.error(429, "slow down")), more)
            elif fault is Fault.BROKEN:
                self._send(500, "<html>Internal Server Error</html>")
            elif fault is Fault.SILENT:
                state.given_up.wait(30)
                self.close_connection = True
            elif fault is Fault.NO_JSON:
                said = "<html>it works</html>"
                self._stream(iter([f"data: {said}\n\n"])) if streams else self._send(200, said)
            elif streams:
                self._stream(wire.stream(body, state.think(body)), fault)
            else:
                self._send(200, json.dumps(wire.answer(body, state.think(body))),
                           cut=fault is Fault.CUT)  # fmt: skip

        def _send(
            self, status: int, text: str, more: dict[str, str] | None = None, *, cut: bool = False
        ) -> None:
            data = text.encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            for name, value in (more or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if cut else data)
            self.close_connection = cut

        def _stream(self, pieces: Iterator[str], fault: Fault = Fault.NONE) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            middle = 2 if wire.name == "gemini" else 4
            for number, piece in enumerate(pieces):
                if number == middle and fault is Fault.CUT:
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                if number == middle and fault is Fault.STREAM_ERROR:
                    piece = wire.stream_error()  # noqa: PLW2901 - instead of what would come
                self._chunk(piece.encode())
            self._chunk(b"")

        def _chunk(self, data: bytes) -> None:
            with contextlib.suppress(OSError):  # who has heard enough has gone
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.given_up.set()
        server.shutdown()
        server.server_close()
        thread.join()
