"""One attempt to move one blob over a bulk connection, from the caller's side.

Knows nothing of retries: an Upload or Download may be run again on another connection, and goes on
where the last attempt stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final, TypeVar

from cyxmake_common.cas.store import BlobWriter
from cyxmake_common.digest import Digest
from cyxmake_common.errors import ConnectionLost, CyxError, ProtocolError
from cyxmake_common.net.blob_io import SourceReader
from cyxmake_common.net.connection import Connection
from cyxmake_common.net.exchange import Exchange
from cyxmake_common.protocol.bulk import BlobAck, BlobChunk, BlobGet, BlobPut, BlobReady, BlobStored
from cyxmake_common.protocol.messages import Error, Message
from cyxmake_common.protocol.transfer import BlobReceiver, BlobSender, Terms

IDLE_SECONDS: Final = 120.0
"""How long a transfer may rest before its connection is given up."""

_M = TypeVar("_M", bound=Message)


@contextlib.contextmanager
def conversation(connection: Connection) -> Iterator[Exchange]:
    """Open an exchange; when it is left early, the coordinator is told to stop its part."""
    with connection.exchange() as exchange:
        try:
            yield exchange
        except asyncio.CancelledError:
            connection.send_soon(Error(code="cancelled", message="given up"), exchange.id)
            raise


async def expect(connection: Connection, exchange: Exchange, kind: type[_M]) -> _M:
    """Return the next message, which must be of one kind; raises what an ERROR stands for."""
    return await _checked(connection, await _next(exchange), kind)


async def _next(exchange: Exchange) -> Message:
    try:
        async with asyncio.timeout(IDLE_SECONDS):
            return await exchange.receive()
    except TimeoutError:
        raise ConnectionLost(f"nothing came for {IDLE_SECONDS:g} s") from None


async def _checked(connection: Connection, message: Message, kind: type[_M]) -> _M:
    if isinstance(message, kind):
        return message
    error = ProtocolError(f"{message.type} where {kind.type} was expected")
    await connection.refuse(error)
    raise error


class Upload:
    """One blob on its way to the coordinator."""

    def __init__(self, digest: Digest, reader: SourceReader) -> None:
        self._digest = digest
        self._reader = reader
        self.resumed_at = 0
        self.wire_bytes = 0

    async def run(self, connection: Connection) -> None:
        """Make one attempt."""
        with conversation(connection) as exchange:
            self.wire_bytes += await exchange.send(BlobPut(digest=self._digest))
            ready = await expect(connection, exchange, BlobReady)
            self.resumed_at = ready.offset
            if ready.offset == self._digest.size:
                return
            terms = Terms(connection.welcome.limits, connection.welcome.compress)
            sender = BlobSender(self._digest.size, ready.offset, terms)
            await self._send_all(connection, exchange, sender)
            await self._await_stored(connection, exchange, sender)

    async def _send_all(
        self, connection: Connection, exchange: Exchange, sender: BlobSender
    ) -> None:
        while not sender.done:
            # Acks that are already here are taken without waiting; so is a refusal.
            while (message := exchange.receive_now()) is not None:
                sender.receive(await _checked(connection, message, BlobAck))
            size = sender.next_size()
            if size == 0:
                sender.receive(await expect(connection, exchange, BlobAck))
                continue
            data = await self._reader.read(sender.offset, size)
            self.wire_bytes += await exchange.send(sender.send(data))

    async def _await_stored(
        self, connection: Connection, exchange: Exchange, sender: BlobSender
    ) -> None:
        while isinstance(message := await _next(exchange), BlobAck):
            sender.receive(message)
        await _checked(connection, message, BlobStored)


class Download:
    """One blob on its way from the coordinator into a sink, which its caller commits."""

    def __init__(self, digest: Digest, sink: BlobWriter) -> None:
        self._digest = digest
        self._sink = sink

    @property
    def offset(self) -> int:
        """Return how many bytes the sink has."""
        return self._sink.offset

    async def run(self, connection: Connection) -> None:
        """Make one attempt."""
        if self.offset == self._digest.size:
            return
        with conversation(connection) as exchange:
            await exchange.send(BlobGet(digest=self._digest, offset=self.offset))
            terms = Terms(connection.welcome.limits, connection.welcome.compress)
            receiver = BlobReceiver(self._digest.size, self.offset, terms)
            while not receiver.done:
                chunk = await expect(connection, exchange, BlobChunk)
                try:
                    data = receiver.receive(chunk)
                except ProtocolError as error:
                    await connection.refuse(error)
                    raise
                await self._write(connection, exchange, data)
                if (ack := receiver.take(len(data))) is not None:
                    await exchange.send(ack)

    async def _write(self, connection: Connection, exchange: Exchange, data: bytes) -> None:
        try:
            await self._sink.write(data)
        except (CyxError, OSError):
            connection.send_soon(Error(code="cancelled", message="cannot write"), exchange.id)
            raise
