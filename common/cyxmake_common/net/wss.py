"""WebSockets over TLS: the one module that knows the websockets library. Callers and the server.

Knows nothing of what the messages are for: authentication and every answer come from its user.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from math import inf
from pathlib import Path
from typing import Final

from websockets.asyncio import client, server
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.typing import Subprotocol

from cyxmake_common import clock
from cyxmake_common.errors import (
    CertificateMismatch,
    ClusterUnreachable,
    VersionMismatch,
)
from cyxmake_common.net.connection import Connection, WireClosed
from cyxmake_common.net.gate import Gate, HttpAnswer, Service
from cyxmake_common.net.tls import AUTHORITY_PATH, SERVER_NAME, client_context, fetch_authority
from cyxmake_common.net.token import JoinToken
from cyxmake_common.protocol.codec import SUBPROTOCOLS, Envelope, decode, encode
from cyxmake_common.protocol.messages import (
    PROTOCOL_OLDEST,
    PROTOCOL_VERSION,
    Channel,
    Goodbye,
    Hello,
    RunningLease,
    WorkerFacts,
)
from cyxmake_common.protocol.session import HandshakeMachine
from cyxmake_common.telemetry.logger import get_logger

__all__ = ["Connection", "HttpAnswer", "Introduction", "Server", "Service", "connect"]

log = get_logger(__name__)

_MAX_CALLER_FRAME: Final = 64 * 1024 * 1024
"""A caller's ceiling before WELCOME names the real limit, which the connection enforces."""

_MAX_QUEUE: Final = 4  # frames held below the connection's own inbox, which counts bytes
_WRITE_LIMIT: Final = 512 * 1024
_CLOSE_SECONDS: Final = 3.0
_HANDLER_SECONDS: Final = 5.0
_PING_SECONDS: Final = 20.0

# What strangers send to an open port is no error of ours; the gate logs what matters.
_quiet = logging.getLogger("cyxmake.websockets")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False
_quiet.setLevel(logging.CRITICAL)


class _WebSocketWire:
    """A Wire over one open WebSocket.

    Frames that are sent without waiting leave together, at the end of the event loop's round: as
    one TLS record, not one each. What is not urgent waits a little longer for company. They wait
    here: what is in the library's own queue leaves whenever anything is received. Whatever else is
    sent takes them all along, before itself: nothing overtakes.
    """

    __slots__ = ("_due", "_frames", "_loop", "_queued", "_socket", "address", "subprotocol")

    def __init__(self, socket: client.ClientConnection | server.ServerConnection) -> None:
        self._loop = asyncio.get_running_loop()
        self._frames: list[bytes | str] = []
        self._queued = 0
        """Bytes of frames that have not left yet."""
        self._due = inf
        """In how many seconds from some moment they will: 0 is at the end of this round."""
        self._socket = socket
        self.subprotocol = str(socket.subprotocol or "")
        remote = socket.remote_address
        self.address = str(remote[0]) if remote else "unknown"

    async def receive(self) -> bytes | str:
        try:
            return await self._socket.recv()
        except ConnectionClosed as closed:
            raise _explain(closed) from None

    async def send(self, frame: bytes | str) -> None:
        self._flush()
        try:
            await self._socket.send(frame)
        except ConnectionClosed as closed:
            raise _explain(closed) from None

    def send_now(self, frame: bytes | str, delay: float = 0.0) -> int:
        waiting = self._socket.transport.get_write_buffer_size()
        if self._socket.protocol.state is not State.OPEN:
            return waiting
        self._frames.append(frame)
        self._queued += len(frame)
        if delay < self._due:
            self._due = delay
            if delay:
                self._loop.call_later(delay, self._flush)
            else:
                self._loop.call_soon(self._flush)
        return waiting + self._queued

    def _flush(self) -> None:
        frames, self._frames = self._frames, []
        self._queued, self._due = 0, inf
        protocol = self._socket.protocol
        if not frames or protocol.state is not State.OPEN:
            return
        for frame in frames:
            if isinstance(frame, str):
                protocol.send_text(frame.encode())
            else:
                protocol.send_binary(frame)
        # The library marks the end of the stream, and writes it, on its own: here is only data.
        writes = protocol.data_to_send()
        if writes and not self._socket.transport.is_closing():
            try:
                self._socket.transport.write(writes[0] if len(writes) == 1 else b"".join(writes))
            except (OSError, RuntimeError) as error:
                # The connection is lost, which whoever reads from it is told.
                log.debug("write-failed", address=self.address, error=str(error))

    async def close(self, code: int, reason: str) -> None:
        self._flush()
        await self._socket.close(code, reason[:100])

    def abort(self) -> None:
        self._socket.transport.abort()


def _explain(closed: ConnectionClosed) -> WireClosed:
    """Say who ended it and why: the first close frame is the reason, the second an echo."""
    first = closed.sent if closed.rcvd is None or not closed.rcvd_then_sent else closed.rcvd
    if first is None:
        return WireClosed(1006, "the connection was lost")
    return WireClosed(first.code, first.reason)


# ── calling ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a caller says of itself in HELLO, beside its token."""

    channel: Channel = Channel.CONTROL
    session: str = ""
    worker: WorkerFacts | None = None
    running: tuple[RunningLease, ...] = ()
    program: str = ""
    compress: bool = True

    def hello(self, token: JoinToken) -> Hello:
        """Return the HELLO to send with a token."""
        return Hello(
            oldest=PROTOCOL_OLDEST,
            newest=PROTOCOL_VERSION,
            channel=self.channel,
            role=token.role,
            token_id=token.token_id,
            token_secret=token.secret,
            program=self.program,
            session=self.session,
            worker=self.worker,
            running=self.running,
            compress=self.compress,
        )


async def connect(
    token: JoinToken,
    introduction: Introduction,
    *,
    authority_cache: Path | None = None,
    subprotocols: Sequence[str] = SUBPROTOCOLS,
    timeout: float = 10.0,  # noqa: ASYNC109 - part of the decided interface
) -> Connection:
    """Connect to the coordinator that a token names.

    Raises ClusterUnreachable, Denied, CertificateMismatch, VersionMismatch, ProtocolError.
    """
    try:
        async with asyncio.timeout(timeout):
            pem = await fetch_authority(token.address, token.ca_fingerprint, authority_cache)
            socket = await _open(token, client_context(pem), subprotocols)
            try:
                return await _introduce(_WebSocketWire(socket), introduction.hello(token))
            except BaseException:
                socket.transport.abort()
                raise
    except TimeoutError:
        raise ClusterUnreachable(
            f"{token.address} did not answer within {timeout:g} s",
            next_step="check that the coordinator runs, and that its port is open",
        ) from None


async def _open(
    token: JoinToken, context: ssl.SSLContext, subprotocols: Sequence[str]
) -> client.ClientConnection:
    try:
        return await client.connect(
            token.address,
            ssl=context,
            server_hostname=SERVER_NAME,
            subprotocols=[Subprotocol(name) for name in subprotocols],
            compression=None,
            proxy=None,  # the cluster is on the team's own network
            open_timeout=None,
            close_timeout=_CLOSE_SECONDS,
            ping_interval=_PING_SECONDS,
            ping_timeout=_PING_SECONDS,
            max_size=_MAX_CALLER_FRAME,
            max_queue=_MAX_QUEUE,
            write_limit=_WRITE_LIMIT,
            logger=_quiet,
        )
    except ssl.SSLCertVerificationError as error:
        raise CertificateMismatch(
            f"{token.address} cannot prove that it is the token's coordinator:"
            f" {error.verify_message}",
            next_step="ask who runs the coordinator for a new join token",
        ) from None
    except (OSError, EOFError, InvalidHandshake) as error:
        raise ClusterUnreachable(
            f"no coordinator answers at {token.address}: {error or type(error).__name__}",
            next_step="check that it runs, and that its port is open",
        ) from error


async def _introduce(wire: _WebSocketWire, hello: Hello) -> Connection:
    machine = HandshakeMachine(hello.role)
    # Before HELLO, which holds the secret: a server that speaks none of ours gets nothing.
    if wire.subprotocol not in SUBPROTOCOLS:
        raise VersionMismatch(
            "the coordinator speaks none of this program's protocol versions",
            next_step="install the same version of CyxMake on both machines",
        )
    name = hello.worker.name if hello.worker else hello.program
    envelope = Envelope("c0", clock.wall(), name, machine.send_hello(hello))
    try:
        await wire.send(encode(envelope, wire.subprotocol))
        answer = decode(await wire.receive(), wire.subprotocol)
    except WireClosed as closed:
        raise ClusterUnreachable(
            f"the coordinator hung up in the handshake: {closed.reason}",
            next_step="look into the coordinator's log",
        ) from None
    return Connection(wire, hello.role, hello, machine.receive_answer(answer.message))


# ── serving ─────────────────────────────────────────────────────────────────────────────────────


class Server:
    """One listening port: WebSockets for peers, plain HTTPS GET for people and monitors."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._gate = Gate(service)
        self._handlers: set[asyncio.Task[None]] = set()
        self._server: server.Server

    def __repr__(self) -> str:
        return f"<Server port {self.port} {self._gate!r}>"

    @classmethod
    async def serve(
        cls, host: str | None, port: int, ssl_context: ssl.SSLContext, service: Service
    ) -> Server:
        """Listen; port 0 takes a free one. Raises OSError."""
        self = cls(service)
        self._server = await server.serve(
            self._handle,
            host,
            port,
            ssl=ssl_context,
            subprotocols=[Subprotocol(name) for name in SUBPROTOCOLS],
            select_subprotocol=_select_subprotocol,
            process_request=self._answer_http,
            compression=None,
            server_header=None,
            open_timeout=service.handshake_seconds,
            close_timeout=_CLOSE_SECONDS,
            ping_interval=_PING_SECONDS,
            ping_timeout=_PING_SECONDS,
            max_size=service.limits.message_bytes,
            max_queue=_MAX_QUEUE,
            write_limit=_WRITE_LIMIT,
            logger=_quiet,
        )
        return self

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self, goodbye: Goodbye | None = None) -> None:
        """Say goodbye to every peer, close all connections and stop listening."""
        self._server.close(close_connections=False)
        connections = list(self._gate.connections)
        await asyncio.gather(*(connection.close(goodbye) for connection in connections))
        for handshake in list(self._gate.handshakes):
            if handshake is not None:
                handshake.cancel()
        handlers = set(self._handlers)
        if handlers:
            # A handler ends when its connection does; one that does not is stopped.
            _, stuck = await asyncio.wait(handlers, timeout=_HANDLER_SECONDS)
            for task in stuck:
                task.cancel()
        await self._server.wait_closed()

    async def _handle(self, socket: server.ServerConnection) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._handlers.add(task)
            task.add_done_callback(self._handlers.discard)
        await self._gate.receive(_WebSocketWire(socket))

    def _answer_http(self, socket: server.ServerConnection, request: Request) -> Response | None:
        if "upgrade" in request.headers.get("Connection", "").lower():
            return None
        if getattr(request, "method", "GET") != "GET":
            return _response(405, "text/plain", b"only GET is answered here\n")
        if request.path == AUTHORITY_PATH and self._service.authority_pem:
            return _response(200, "application/x-pem-file", self._service.authority_pem)
        try:
            rights = request.headers.get_all("Authorization")
            # Two of them: one was put there by somebody on the way.
            answer = self._service.http_get(request.path, rights[0] if len(rights) == 1 else "")
        except Exception:
            log.exception("http-get-failed", path=request.path[:200])
            answer = (500, "text/plain", b"the coordinator failed; its log says why\n")
        return _response(*(answer or (404, "text/plain", b"nothing here\n")))


def _select_subprotocol(
    _socket: server.ServerConnection, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    """Choose ours by our preference; with none in common the gate explains it and closes."""
    for name in SUBPROTOCOLS:
        if name in offered:
            return Subprotocol(name)
    return None


def _response(status: int, content_type: str, body: bytes) -> Response:
    headers = Headers()
    headers["Content-Type"] = content_type
    headers["Content-Length"] = str(len(body))
    headers["Connection"] = "close"
    headers["Cache-Control"] = "no-store"
    headers["X-Content-Type-Options"] = "nosniff"
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return Response(status, phrase, headers, body)
