"""A coordinator's door on loopback with real TLS, and peers that misbehave below the API.

Knows nothing of scheduling: a Hub lets everybody in and answers a few messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as raw_connect
from websockets.typing import Subprotocol

from cyxmake_common.cas.memory import MemoryStore
from cyxmake_common.cas.store import BlobStore
from cyxmake_common.errors import Denied
from cyxmake_common.net import tls
from cyxmake_common.net.blob_server import serve_bulk
from cyxmake_common.net.blobs import BlobClient
from cyxmake_common.net.token import JoinToken
from cyxmake_common.net.wss import Connection, HttpAnswer, Introduction, Server, Service, connect
from cyxmake_common.protocol.codec import SUBPROTOCOLS, Envelope, decode, encode
from cyxmake_common.protocol.messages import (
    Channel,
    Drain,
    FindMissing,
    Goodbye,
    Hello,
    Limits,
    Message,
    Missing,
    Peer,
    Status,
    StatusGet,
    Welcome,
)

SECRET = "a-secret-of-the-tests"
HOST = "127.0.0.1"


@dataclass
class Hub:
    """A coordinator reduced to its door. What it saw is in its lists."""

    directory: Path
    store: BlobStore = field(default_factory=MemoryStore)
    may_write: bool = True
    limits: Limits = field(default_factory=Limits)
    handshake_seconds: float = 10.0
    authority_pem: bytes = b""
    http_get: Callable[[str, str], HttpAnswer | None] = lambda _target, _authorization: None
    on_control: Callable[[Connection], Awaitable[None]] | None = None
    on_bulk: Callable[[Connection], Awaitable[None]] | None = None
    on_hello: Callable[[Hello], None] = lambda _hello: None
    hold_hello: asyncio.Event | None = None
    hellos: list[Hello] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    received: list[Envelope] = field(default_factory=list)
    accepted: asyncio.Event = field(default_factory=asyncio.Event)
    server: Server = field(init=False)

    def token(self, port: int | None = None, role: Peer = Peer.CLIENT) -> JoinToken:
        """Return a token for this hub, or for something in between on another port."""
        return JoinToken(
            address=f"wss://{HOST}:{port or self.server.port}",
            ca_fingerprint=tls.authority_fingerprint(self.directory),
            token_id="t-1",
            secret=SECRET,
            role=role,
        )

    async def call(
        self, introduction: Introduction | None = None, subprotocols: Sequence[str] = SUBPROTOCOLS
    ) -> Connection:
        """Connect as a client."""
        introduction = introduction or Introduction(program="test")
        return await connect(self.token(), introduction, subprotocols=subprotocols)

    def blobs(self, port: int | None = None, *, compress: bool = False) -> BlobClient:
        """Return a client of the bulk channel."""
        introduction = Introduction(
            channel=Channel.BULK, session="s-1", program="test", compress=compress
        )
        return BlobClient(lambda: connect(self.token(port), introduction), pause=0.01)

    async def serve(self) -> None:
        """Open the door."""
        service = Service(
            authenticate=self._authenticate,
            on_connection=self._serve,
            http_get=self.http_get,
            authority_pem=self.authority_pem or tls.authority_pem(self.directory),
            limits=self.limits,
            handshake_seconds=self.handshake_seconds,
        )
        context = tls.server_context(self.directory)
        self.server = await Server.serve(HOST, 0, context, service)

    async def _authenticate(self, hello: Hello) -> Welcome:
        self.hellos.append(hello)
        self.on_hello(hello)
        if self.hold_hello is not None:
            await self.hold_hello.wait()
        if hello.token_secret != SECRET:
            raise Denied("this token is unknown", next_step="ask for another")
        return Welcome(version=0, session="s-1", coordinator="hub", namespace="tests")

    async def _serve(self, connection: Connection) -> None:
        self.connections.append(connection)
        self.accepted.set()
        if connection.channel is Channel.BULK and self.on_bulk is not None:
            await self.on_bulk(connection)
        elif connection.channel is Channel.BULK:
            await serve_bulk(connection, self.store, self.may_write)
        elif self.on_control is not None:
            await self.on_control(connection)
        else:
            async for envelope in connection.messages():
                self.received.append(envelope)
                await answer(connection, envelope)


async def answer(connection: Connection, envelope: Envelope) -> None:
    """Answer like a coordinator without workers."""
    match envelope.message:
        case StatusGet():
            await connection.send(Status(version="test"), envelope.id)
        case FindMissing(digests=digests):
            await connection.send(Missing(digests=digests), envelope.id)
        case Drain() | Goodbye():
            pass


@contextlib.asynccontextmanager
async def serving(hub: Hub) -> AsyncIterator[Hub]:
    """Keep a hub open, and fail when anything in the loop went unhandled."""
    loop = asyncio.get_running_loop()
    unhandled: list[str] = []
    loop.set_exception_handler(lambda _loop, context: unhandled.append(repr(context)))
    await hub.serve()
    try:
        yield hub
    finally:
        await hub.server.close()
        await asyncio.sleep(0)
        loop.set_exception_handler(None)
    assert not unhandled, unhandled


@contextlib.asynccontextmanager
async def raw_peer(
    hub: Hub, subprotocols: Sequence[str] = SUBPROTOCOLS
) -> AsyncIterator[ClientConnection]:
    """Open a WebSocket without any of our code above it."""
    async with raw_connect(
        f"wss://{HOST}:{hub.server.port}",
        ssl=tls.client_context(tls.authority_pem(hub.directory)),
        server_hostname=tls.SERVER_NAME,
        subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        compression=None,
        proxy=None,
        max_size=None,
    ) as socket:
        yield socket


async def introduce(socket: ClientConnection, **changes: object) -> Message:
    """Send HELLO over a raw socket and return the answer."""
    hello = Introduction(program="raw").hello(
        JoinToken(f"wss://{HOST}:1", "0" * 64, "t-1", SECRET, Peer.CLIENT)
    )
    await put(socket, hello.model_copy(update=changes), "c0")
    return (await take(socket)).message


async def put(socket: ClientConnection, message: Message, id_: str = "c1") -> None:
    """Send one message over a raw socket."""
    await socket.send(encode(Envelope(id_, 1.0, "raw", message), str(socket.subprotocol)))


async def take(socket: ClientConnection) -> Envelope:
    """Receive one message from a raw socket."""
    return decode(await socket.recv(), str(socket.subprotocol))


class CuttingProxy:
    """A TCP proxy that cuts each connection after a number of bytes in either direction."""

    def __init__(self, target: int, cuts: Sequence[int]) -> None:
        self._target = target
        self._cuts = list(cuts)
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server
        self.made = 0
        self.cut = 0

    @property
    def port(self) -> int:
        """Return the port to call instead of the target's."""
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> CuttingProxy:
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The first connection of a caller only fetches the authority.
        budget = self._cuts.pop(0) if self._cuts and self.made % 2 == 1 else None
        self.made += 1
        there, back = await asyncio.open_connection(HOST, self._target)
        self._writers += [writer, back]
        left = [budget]

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(1 << 16):
                    if left[0] is not None:
                        left[0] -= len(data)
                        if left[0] < 0:
                            self.cut += 1
                            break
                    sink.write(data)
                    await sink.drain()
            writer.transport.abort()
            back.transport.abort()

        await asyncio.gather(pump(reader, back), pump(there, writer))


def tls_stream(hub: Hub) -> Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a verified TLS stream without WebSocket."""
    context: ssl.SSLContext = tls.client_context(tls.authority_pem(hub.directory))
    return asyncio.open_connection(
        HOST, hub.server.port, ssl=context, server_hostname=tls.SERVER_NAME
    )
