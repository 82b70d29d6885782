"""The coordinator's side of the opening: who is let in or turned away, and what is logged.

Knows nothing of WebSockets: it works on a Wire, and hands authenticated connections to its Service.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from cyxmake_common import clock
from cyxmake_common.errors import (
    ConnectionLost,
    CyxError,
    Denied,
    ProtocolError,
    VersionMismatch,
)
from cyxmake_common.net.connection import Connection, Wire, WireClosed
from cyxmake_common.protocol.codec import (
    SUBPROTOCOL_JSON,
    SUBPROTOCOLS,
    Envelope,
    UnknownType,
    decode,
    encode,
)
from cyxmake_common.protocol.messages import Hello, Limits, Message, Peer, Welcome
from cyxmake_common.protocol.session import HandshakeMachine, to_error
from cyxmake_common.telemetry.logger import get_logger

log = get_logger(__name__)

HttpAnswer = tuple[int, str, bytes]
"""Status, content type and body of an answer to a plain HTTPS GET."""

MAX_HELLO_BYTES: Final = 1024 * 1024
"""Largest first message that is parsed for a caller who has shown no right yet."""

MAX_HANDSHAKES: Final = 256
"""Most callers in the middle of a handshake at one time."""

_REMEMBERED: Final = 4096
_PENALTY_LIFE: Final = 60.0
_MAX_PENALTY: Final = 1.0
_FIRST_PENALTY: Final = 0.05


HttpGet = Callable[[str, str], HttpAnswer | None]
"""Answers a GET by its target (path with query) and its Authorization header; None is a 404."""


def _no_pages(_target: str, _authorization: str) -> HttpAnswer | None:
    return None


@dataclass(frozen=True, slots=True)
class Service:
    """What a server does with its callers.

    `authenticate` decides on a HELLO (raises Denied) and must compare its role with the token's.
    `on_connection` owns a connection until it returns. `http_get` answers a plain GET.
    `authority_pem` is what callers fetch before they connect.
    """

    authenticate: Callable[[Hello], Awaitable[Welcome]]
    on_connection: Callable[[Connection], Awaitable[None]]
    http_get: HttpGet = _no_pages
    authority_pem: bytes = b""
    limits: Limits = field(default_factory=Limits)
    handshake_seconds: float = 10.0


class Penalties:
    """How long a refused address waits for its refusal: doubling from 50 ms to 1 s."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def fail(self, address: str, now: float) -> float:
        """Note a failed authentication; return the seconds to hold the answer back."""
        count, since = self._failures.pop(address, (0, now))
        count = 1 if now - since > _PENALTY_LIFE else count + 1
        self._failures[address] = (count, now)
        if len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)
        return min(_MAX_PENALTY, _FIRST_PENALTY * 2.0 ** min(count - 1, 16))


class Gate:
    """Takes fresh wires through the handshake and to the service; never raises."""

    def __init__(self, service: Service, max_handshakes: int = MAX_HANDSHAKES) -> None:
        self._service = service
        self._max_handshakes = max_handshakes
        self._penalties = Penalties()
        self._logged: OrderedDict[tuple[str, str], None] = OrderedDict()
        self.handshakes: set[asyncio.Task[None] | None] = set()
        self.connections: set[Connection] = set()

    def __repr__(self) -> str:
        return f"<Gate {len(self.connections)} connections, {len(self.handshakes)} handshakes>"

    async def receive(self, wire: Wire) -> None:
        """Serve one wire until it is closed."""
        try:
            connection = await self._admit(wire)
        except WireClosed as closed:
            self._log_once(wire.address, "hung-up", closed.reason or "closed in the handshake")
            return
        except CyxError as error:
            await self._turn_away(wire, error)
            return
        except Exception:
            log.exception("handshake-failed", address=wire.address)
            await self._turn_away(wire, CyxError("the coordinator failed; its log says why"))
            return
        self.connections.add(connection)
        try:
            await self._serve(connection)
        finally:
            self.connections.discard(connection)
            await connection.close()

    async def _serve(self, connection: Connection) -> None:
        log.debug("connected", peer=str(connection.peer), name=connection.name)
        try:
            await self._service.on_connection(connection)
        except CyxError as error:
            # Losing the connection is how many of them end.
            if not connection.closed.is_set():
                await connection.refuse(error)
        except Exception:
            log.exception("connection-handler-failed", name=connection.name)
            await connection.refuse(CyxError("the coordinator failed; its log says why"))
        if isinstance(connection.failure, ProtocolError):
            self._log_once(connection.address, connection.failure.code, connection.close_reason)
        log.debug("disconnected", name=connection.name, reason=connection.close_reason)

    async def _admit(self, wire: Wire) -> Connection:
        if len(self.handshakes) >= self._max_handshakes:
            raise _Busy("too many callers at once")
        task = asyncio.current_task()
        self.handshakes.add(task)
        try:
            async with asyncio.timeout(self._service.handshake_seconds):
                return await self._handshake(wire)
        except TimeoutError:
            raise ProtocolError("the handshake took too long") from None
        finally:
            self.handshakes.discard(task)

    async def _handshake(self, wire: Wire) -> Connection:
        if wire.subprotocol not in SUBPROTOCOLS:
            raise VersionMismatch(
                f"this coordinator speaks the WebSocket subprotocols {', '.join(SUBPROTOCOLS)}"
            )
        frame = await wire.receive()
        if len(frame) > MAX_HELLO_BYTES:
            raise ProtocolError("the first message is too large")
        envelope = decode(frame, wire.subprotocol)
        machine = HandshakeMachine(Peer.COORDINATOR)
        hello, version = machine.receive_hello(envelope.message)
        try:
            decision = await self._service.authenticate(hello)
        except Denied:
            await asyncio.sleep(self._penalties.fail(wire.address, clock.monotonic()))
            raise
        welcome = machine.send_welcome(decision, version, self._service.limits)
        await wire.send(_frame(wire, welcome, envelope.id, welcome.coordinator))
        return Connection(wire, Peer.COORDINATOR, hello, welcome)

    async def _turn_away(self, wire: Wire, error: CyxError) -> None:
        self._log_once(wire.address, error.code, error.message)
        message = to_error(error, fatal=True)
        id_ = error.message_id if isinstance(error, UnknownType) else "s0"
        wire.send_now(_frame(wire, message, id_, ""))
        await wire.close(1002 if isinstance(error, ProtocolError) else 1008, error.code)

    def _log_once(self, address: str, code: str, reason: str) -> None:
        """Warn once per address and kind: a stranger must not be able to fill the log."""
        key = (address, code)
        if key in self._logged:
            log.debug("peer-refused", address=address, code=code, reason=reason[:500])
            return
        self._logged[key] = None
        if len(self._logged) > _REMEMBERED:
            self._logged.popitem(last=False)
        log.warning("peer-refused", address=address, code=code, reason=reason[:500])


class _Busy(ConnectionLost):
    code = "busy"


def _frame(wire: Wire, message: Message, id_: str, sender: str) -> bytes | str:
    # Without an agreed subprotocol the peer may be a person's tool: JSON is readable.
    subprotocol = wire.subprotocol or SUBPROTOCOL_JSON
    return encode(Envelope(id_, clock.wall(), sender, message), subprotocol)
