"""One authenticated connection, from either end: messages out, messages in, answers matched.

Knows nothing of WebSockets or TLS: below it is a Wire, which carries whole frames (wss has the only
one). One task per connection reads; no task is made per message.

An answer has the id of the message that it answers. Each side puts its own letter before the ids it
makes, so that an answer is never mistaken for a message of the other side.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import AsyncIterator
from typing import Final, Protocol

from cyxmake_common import clock
from cyxmake_common.errors import ConnectionLost, CyxError, MessageTooLarge, ProtocolError
from cyxmake_common.ids import SessionId
from cyxmake_common.net.exchange import Exchange, Waiter
from cyxmake_common.protocol.codec import Envelope, UnknownType, decode, encode
from cyxmake_common.protocol.messages import Error, Goodbye, Hello, Message, Peer, Welcome
from cyxmake_common.protocol.session import check_open, from_error, to_error
from cyxmake_common.telemetry.logger import get_logger

log = get_logger(__name__)

SLOW_PEER_BYTES: Final = 64 * 1024 * 1024
"""Most bytes that `send_soon` lets pile up for a peer that does not read."""

INBOX_BYTES: Final = 64 * 1024 * 1024
"""Most bytes received but not yet taken; above it nothing more is read from the network."""

_BLINK_SECONDS: Final = 0.02
_ABANDONED: Final = 1024
_NORMAL: Final = 1000
_PROTOCOL_ERROR: Final = 1002
_POLICY: Final = 1008
_TOO_LARGE: Final = 1009


class WireClosed(Exception):
    """The wire is closed: with which WebSocket code, and why."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Wire(Protocol):
    """Carries whole frames in both directions."""

    @property
    def subprotocol(self) -> str:
        """Return the encoding that both sides agreed on."""
        ...

    @property
    def address(self) -> str:
        """Return the host at the other end."""
        ...

    async def receive(self) -> bytes | str:
        """Return the next frame; raises WireClosed."""
        ...

    async def send(self, frame: bytes | str) -> None:
        """Send a frame, and wait while the peer is slow; raises WireClosed."""
        ...

    def send_now(self, frame: bytes | str, delay: float = 0.0) -> int:
        """Queue a frame, for so many seconds at most; return how many bytes wait to be sent."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close in order, within a few seconds."""
        ...

    def abort(self) -> None:
        """Drop the connection."""
        ...


class Connection:
    """One open connection; made by `wss.connect` and `wss.Server` after WELCOME."""

    def __init__(self, wire: Wire, me: Peer, hello: Hello, welcome: Welcome) -> None:
        caller = hello.worker.name if hello.worker else hello.program or hello.token_id
        serving = me is Peer.COORDINATOR
        self.me = me
        self.peer = hello.role if serving else Peer.COORDINATOR
        self.name = caller if serving else welcome.coordinator
        # The secret has done its work; nothing that prints or stores a connection shall meet it.
        self.hello = hello.model_copy(update={"token_secret": ""})
        self.welcome = welcome
        self.channel = hello.channel
        self.session = SessionId(welcome.session)
        self.closed = asyncio.Event()
        self.close_reason = ""
        self.failure: CyxError | None = None
        self.bytes_sent = 0
        self.bytes_received = 0
        self._wire = wire
        self._sender = welcome.coordinator if serving else caller
        self._max_frame = welcome.limits.message_bytes
        self._letter = "s" if serving else "c"
        self._serial = itertools.count(1)
        self._waiting: dict[str, Waiter] = {}
        self._abandoned: dict[str, None] = {}
        self._inbox: deque[tuple[Envelope, int]] = deque()
        self._inbox_wakeup: asyncio.Future[None] | None = None
        self._unread = 0
        self._room = asyncio.Event()
        self._room.set()
        self._closing = False
        self._reader = asyncio.get_running_loop().create_task(
            self._read(), name=f"read {self.name}"
        )

    def __repr__(self) -> str:
        state = f"closed: {self.close_reason}" if self.closed.is_set() else "open"
        return (
            f"<Connection {self.channel} to {self.peer} {self.name} at {self.address}, {state},"
            f" {len(self._waiting)} waiting, {self._unread} bytes unread>"
        )

    @property
    def address(self) -> str:
        """Return the host at the other end."""
        return self._wire.address

    # ── out ─────────────────────────────────────────────────────────────────────────────────────

    async def send(self, message: Message, reply_to: str | None = None) -> int:
        """Send a message, waiting while the peer is slow; return its size on the wire.

        Raises ConnectionLost (or what ended the connection), MessageTooLarge.
        """
        frame = self._encode(message, reply_to)
        try:
            await self._wire.send(frame)
        except WireClosed as closed:
            self._note_close(closed)
            raise self._lost() from None
        self.bytes_sent += len(frame)
        return len(frame)

    def send_soon(
        self, message: Message, reply_to: str | None = None, *, urgent: bool = True
    ) -> None:
        """Queue a message without waiting; a closed connection drops it.

        One that is not `urgent` may wait for others, a blink of an eye, and leave with them. A peer
        that lets more than SLOW_PEER_BYTES pile up is disconnected.
        """
        if self.closed.is_set() or self.failure is not None:
            return
        frame = self._encode(message, reply_to)
        waiting = self._wire.send_now(frame, 0.0 if urgent else _BLINK_SECONDS)
        self.bytes_sent += len(frame)
        if waiting > SLOW_PEER_BYTES:
            self.failure = ConnectionLost(f"slow-peer: {waiting >> 20} MiB were waiting to be sent")
            self._wire.abort()

    async def request(
        self,
        message: Message,
        timeout: float | None = 60,  # noqa: ASYNC109 - part of the decided interface
    ) -> Message:
        """Send a message and return its answer; raises what an ERROR stands for, ConnectionLost."""
        with self._open_exchange(single=True) as exchange:
            try:
                async with asyncio.timeout(timeout):
                    await exchange.send(message)
                    return await exchange.receive()
            except TimeoutError:
                raise ConnectionLost(
                    f"{self.name} did not answer {message.type} within {timeout:g} s"
                ) from None

    def exchange(self) -> Exchange:
        """Open a conversation under one id; to be used in a `with` statement."""
        return self._open_exchange(single=False)

    def _open_exchange(self, *, single: bool) -> Exchange:
        exchange = Exchange(self, self._new_id(), single=single)
        self._waiting[exchange.id] = exchange.waiter
        return exchange

    def forget(self, id_: str, *, drop_late: bool) -> None:
        """End a conversation. Called by Exchange."""
        waiter = self._waiting.pop(id_, None)
        if waiter is None:
            return
        self.took(waiter.clear())
        if drop_late:
            self._abandoned[id_] = None
            if len(self._abandoned) > _ABANDONED:
                del self._abandoned[next(iter(self._abandoned))]

    def took(self, size: int) -> None:
        """Note that a received message was taken. Called by Exchange."""
        self._unread -= size
        if self._unread <= INBOX_BYTES // 2:
            self._room.set()

    def _encode(self, message: Message, reply_to: str | None) -> bytes | str:
        if self.closed.is_set():
            raise self._lost()
        check_open(message, self.me, self.channel)
        envelope = Envelope(reply_to or self._new_id(), clock.wall(), self._sender, message)
        frame = encode(envelope, self._wire.subprotocol)
        if len(frame) > self._max_frame:
            raise MessageTooLarge(
                f"{message.type} has {len(frame)} bytes, the limit is {self._max_frame}"
            )
        return frame

    def _new_id(self) -> str:
        return f"{self._letter}{next(self._serial)}"

    # ── in ──────────────────────────────────────────────────────────────────────────────────────

    async def messages(self) -> AsyncIterator[Envelope]:
        """Yield what the peer sends on its own account, until the connection ends; one consumer."""
        while True:
            while self._inbox:
                envelope, size = self._inbox.popleft()
                self.took(size)
                yield envelope
            if self.closed.is_set():
                return
            self._inbox_wakeup = asyncio.get_running_loop().create_future()
            try:
                await self._inbox_wakeup
            finally:
                self._inbox_wakeup = None

    async def _read(self) -> None:
        try:
            while True:
                frame = await self._wire.receive()
                self.bytes_received += len(frame)
                self._receive(frame)
                if self._unread > INBOX_BYTES and not self._closing:
                    self._room.clear()
                    await self._room.wait()
        except WireClosed as closed:
            self._note_close(closed)
        except ProtocolError as error:
            await self._shut(error)
        except Exception:
            # A bug of ours: the connection is lost, the program is not.
            log.exception("connection-reader-failed", peer=self.name)
            self._wire.abort()
        finally:
            self._end()

    def _receive(self, frame: bytes | str) -> None:
        size = len(frame)
        if size > self._max_frame:
            raise MessageTooLarge(f"a frame has {size} bytes, the limit is {self._max_frame}")
        try:
            envelope = decode(frame, self._wire.subprotocol)
        except UnknownType as error:
            self._receive_unknown(error)
            return
        message = envelope.message
        check_open(message, self.peer, self.channel)
        waiter = self._waiting.get(envelope.id)
        if isinstance(message, Error) and message.fatal:
            self.failure = self.failure or from_error(message)
            return
        if isinstance(message, Goodbye):
            self.close_reason = message.reason or "the peer said goodbye"
        if waiter is not None and not waiter.satisfied:
            self._unread += size
            waiter.deliver(message, size)
        elif envelope.id not in self._abandoned and not self._closing:
            self._unread += size
            self._inbox.append((envelope, size))
            self._wake()

    def _receive_unknown(self, error: UnknownType) -> None:
        """A newer peer's message: it is told so, unless it answers something of ours."""
        waiter = self._waiting.get(error.message_id)
        if waiter is not None:
            waiter.deliver(to_error(error), 0)
        else:
            self.send_soon(to_error(error), reply_to=error.message_id)

    def _wake(self) -> None:
        if self._inbox_wakeup is not None and not self._inbox_wakeup.done():
            self._inbox_wakeup.set_result(None)

    # ── the end ─────────────────────────────────────────────────────────────────────────────────

    async def close(self, goodbye: Goodbye | None = None) -> None:
        """Close in order, after a GOODBYE when one is given; returns when all is closed."""
        if goodbye is not None:
            with contextlib.suppress(CyxError):
                self.send_soon(goodbye)
        self._closing = True
        self._room.set()
        if not self.closed.is_set():
            said = goodbye.reason if goodbye else ""
            self.close_reason = self.close_reason or said or "closed here"
            await self._wire.close(_NORMAL, "")
        await self.closed.wait()

    async def refuse(self, error: CyxError) -> None:
        """Tell the peer that it broke a rule or has no right, and close."""
        self._closing = True
        self._room.set()
        await self._shut(error)
        await self.closed.wait()

    async def _shut(self, error: CyxError) -> None:
        with contextlib.suppress(CyxError):
            self.send_soon(to_error(error, fatal=True))
        self.failure = self.failure or error
        code = _PROTOCOL_ERROR if isinstance(error, ProtocolError) else _POLICY
        await self._wire.close(code, error.code)

    def _note_close(self, closed: WireClosed) -> None:
        if self.failure is None and closed.code == _TOO_LARGE:
            self.failure = MessageTooLarge(closed.reason or "a frame was over the limit")
        elif self.failure is None and closed.code == _PROTOCOL_ERROR:
            self.failure = ProtocolError(closed.reason or "the peer broke the WebSocket protocol")
        self.close_reason = self.close_reason or closed.reason

    def _end(self) -> None:
        if self.failure is not None:
            self.close_reason = self.failure.message
        self.close_reason = self.close_reason or "the connection was lost"
        self.closed.set()
        failure = to_error(self._lost())
        for waiter in self._waiting.values():
            waiter.deliver(failure, 0)
        self._wake()

    def _lost(self) -> CyxError:
        """Return a fresh exception that says why the connection ended."""
        if self.failure is not None:
            return from_error(to_error(self.failure))
        return ConnectionLost(f"the connection to {self.name} ended: {self.close_reason}")
