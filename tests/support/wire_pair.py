"""Two ends of one connection in memory, as the net package would have made them after WELCOME.

Knows nothing of TLS or WebSockets.
"""

from __future__ import annotations

import asyncio

from cyxmake_common.net.connection import Connection, WireClosed
from cyxmake_common.protocol.codec import SUBPROTOCOL_MSGPACK
from cyxmake_common.protocol.messages import (
    PROTOCOL_OLDEST,
    PROTOCOL_VERSION,
    Channel,
    Hello,
    Limits,
    Peer,
    RunningLease,
    Welcome,
    WorkerFacts,
)


class MemoryWire:
    """One end; frames go to the other end's queue."""

    def __init__(self) -> None:
        self.other: MemoryWire
        self._frames: asyncio.Queue[bytes | str | WireClosed] = asyncio.Queue()
        self._closed: WireClosed | None = None

    @property
    def subprotocol(self) -> str:
        """Return the encoding."""
        return SUBPROTOCOL_MSGPACK

    @property
    def address(self) -> str:
        """Return where the other end is."""
        return "memory"

    async def receive(self) -> bytes | str:
        """Return the next frame; raises WireClosed."""
        frame = await self._frames.get()
        if isinstance(frame, WireClosed):
            raise frame
        return frame

    async def send(self, frame: bytes | str) -> None:
        """Send a frame; raises WireClosed."""
        if self._closed is not None:
            raise self._closed
        self.other._frames.put_nowait(frame)

    def send_now(self, frame: bytes | str, delay: float = 0.0) -> int:
        """Send a frame unless the wire is closed."""
        if self._closed is None:
            self.other._frames.put_nowait(frame)
        return 0

    async def close(self, code: int, reason: str) -> None:
        """Close both ends."""
        self._end(WireClosed(code, reason))

    def abort(self) -> None:
        """Cut the wire."""
        self._end(WireClosed(1006, "cut"))

    def _end(self, closed: WireClosed) -> None:
        for end in (self, self.other):
            if end._closed is None:
                end._closed = closed
                end._frames.put_nowait(closed)


def wire_pair(
    facts: WorkerFacts | None = None,
    running: tuple[RunningLease, ...] = (),
    heartbeat: float = 1.0,
    message_bytes: int = Limits().message_bytes,
) -> tuple[Connection, Connection]:
    """Return a worker's end and the coordinator's end of a control connection."""
    near, far = MemoryWire(), MemoryWire()
    near.other, far.other = far, near
    hello = Hello(
        oldest=PROTOCOL_OLDEST,
        newest=PROTOCOL_VERSION,
        channel=Channel.CONTROL,
        role=Peer.WORKER,
        token_id="t",
        token_secret="s",
        worker=facts or WorkerFacts(name="w", slots=1),
        running=running,
    )
    welcome = Welcome(
        version=PROTOCOL_VERSION,
        session="s-1",
        coordinator="hub",
        heartbeat_seconds=heartbeat,
        limits=Limits(message_bytes=message_bytes),
    )
    return (
        Connection(near, Peer.WORKER, hello, welcome),
        Connection(far, Peer.COORDINATOR, hello, welcome),
    )
