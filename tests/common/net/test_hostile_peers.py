"""What strangers and broken peers send to the port: refused in order, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

import msgpack
import pytest
from websockets.exceptions import ConnectionClosed

from cyxmake_common.errors import ConnectionLost, MessageTooLarge, ProtocolError
from cyxmake_common.net import tls
from cyxmake_common.net.wss import Connection, HttpAnswer
from cyxmake_common.protocol.bulk import BlobPut
from cyxmake_common.protocol.codec import SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK
from cyxmake_common.protocol.messages import (
    Done,
    Error,
    Heartbeat,
    Hello,
    JobRequest,
    LeaseAccept,
    Limits,
    Message,
    Missing,
    Peer,
    Status,
    StatusGet,
    Welcome,
)
from support.messages import ONE
from support.net import HOST, Hub, introduce, put, raw_peer, serving, take, tls_stream

SMALL = Limits(message_bytes=64 * 1024)


async def still_works(hub: Hub) -> None:
    """Fail unless a well-behaved client is served."""
    connection = await hub.call()
    assert await connection.request(StatusGet(), timeout=5) == Status(version="test")
    await connection.close()


async def closed_with(reader: asyncio.StreamReader) -> bytes:
    """Return what a server sends before it closes."""
    async with asyncio.timeout(10):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


@pytest.mark.parametrize(
    "garbage",
    [b"\x00" * 5000, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", b"\x16\x03\x01"],
    ids=["zeroes", "plain HTTP", "ssh", "half a TLS hello"],
)
async def test_garbage_instead_of_tls(authority: Path, garbage: bytes) -> None:
    """What is no TLS is dropped."""
    async with serving(Hub(authority, handshake_seconds=0.5)) as hub:
        reader, writer = await asyncio.open_connection(HOST, hub.server.port)
        writer.write(garbage)
        await closed_with(reader)
        writer.close()
        await still_works(hub)


@pytest.mark.parametrize("garbage", [b"\x00" * 5000 + b"\r\n", b"EHLO x\r\n", b"GET /\r\n\r\n"])
async def test_garbage_inside_tls(authority: Path, garbage: bytes) -> None:
    """What is no HTTP is dropped, or refused as a bad request."""
    async with serving(Hub(authority)) as hub:
        reader, writer = await tls_stream(hub)
        writer.write(garbage)
        assert (await closed_with(reader))[9:12] in (b"", b"400")
        writer.transport.abort()
        await still_works(hub)


async def test_silence_inside_tls(authority: Path) -> None:
    """Who says nothing is dropped after the handshake's time."""
    async with serving(Hub(authority, handshake_seconds=0.2)) as hub:
        reader, writer = await tls_stream(hub)
        await closed_with(reader)
        writer.transport.abort()
        async with raw_peer(hub) as socket:
            error = (await take(socket)).message
            assert isinstance(error, Error)
            assert error.fatal
            assert "too long" in error.message


async def test_plain_https(authority: Path) -> None:
    """People and monitors get pages; nothing that they ask for can harm."""

    def pages(target: str, _authorization: str) -> HttpAnswer | None:
        if target == "/boom":
            raise RuntimeError("boom")
        return (200, "text/plain", target.encode()) if target.startswith("/ok") else None

    def get(port: int, method: str, target: str) -> tuple[int, bytes]:
        context = tls.client_context(tls.authority_pem(authority))
        http = HTTPSConnection(HOST, port, context=context, timeout=10)
        try:
            http.request(method, target)
            answer = http.getresponse()
            return answer.status, answer.read()
        finally:
            http.close()

    async with serving(Hub(authority, http_get=pages)) as hub:
        for method, target, status, body in (
            ("GET", "/ok?a=1", 200, b"/ok?a=1"),
            ("GET", "/ca.pem", 200, tls.authority_pem(authority)),
            ("GET", "/ca.key", 404, b"nothing here\n"),
            ("GET", "/boom", 500, None),
        ):
            answer = await asyncio.to_thread(get, hub.server.port, method, target)
            assert answer[0] == status
            assert body is None or answer[1] == body
        # The library itself drops it in some versions.
        with contextlib.suppress(HTTPException, OSError):
            assert (await asyncio.to_thread(get, hub.server.port, "POST", "/ok"))[0] >= 400
        await still_works(hub)


FIRST = {
    "noise": b"\xc1\xc1\xc1",
    "nesting": b"\x91" * 60_000,
    "a huge array": b"\xdd\xff\xff\xff\xff",
    "a huge text": b"\xdb\xff\xff\xff\xff",
    "text": "hello?",
    "another message": msgpack.packb({"type": "status_get", "id": "c1"}),
    "an unknown message": msgpack.packb({"type": "news", "id": "c1"}),
    "no fields": msgpack.packb({"type": "hello", "id": "c1", "payload": {}}),
    "a whole megabyte": msgpack.packb({"type": "hello", "id": "c1", "pad": bytes(1 << 20)}),
}


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST.keys())
async def test_wrong_first_messages(authority: Path, first: bytes | str) -> None:
    """Anything but HELLO is answered with a fatal ERROR."""
    async with serving(Hub(authority)) as hub:
        async with raw_peer(hub) as socket:
            await socket.send(first)
            error = (await take(socket)).message
            assert isinstance(error, Error)
            assert error.fatal
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        assert not hub.hellos
        await still_works(hub)


async def test_a_peer_of_the_future(authority: Path) -> None:
    """A newer-only peer learns which versions this coordinator speaks."""
    async with serving(Hub(authority)) as hub, raw_peer(hub) as socket:
        error = await introduce(socket, oldest=7, newest=9)
        assert isinstance(error, Error)
        assert (error.code, error.fatal) == ("version-mismatch", True)
        assert error.next_step


async def test_no_subprotocol_at_all(authority: Path) -> None:
    """A browser that offers none is told in JSON what there is."""
    async with serving(Hub(authority)) as hub, raw_peer(hub, []) as socket:
        said = json.loads(await socket.recv())
        assert said["payload"]["code"] == "version-mismatch"
        assert SUBPROTOCOL_JSON in said["payload"]["message"]


async def test_a_second_hello(authority: Path) -> None:
    """One HELLO is enough; another ends the connection."""
    async with serving(Hub(authority)) as hub, raw_peer(hub) as socket:
        assert isinstance(await introduce(socket), Welcome)
        error = await introduce(socket)
        assert isinstance(error, Error)
        assert error.fatal


async def test_an_unknown_type_is_survived(authority: Path) -> None:
    """Newer peers are told, and the connection goes on."""
    async with serving(Hub(authority)) as hub, raw_peer(hub) as socket:
        assert isinstance(await introduce(socket), Welcome)
        await socket.send(msgpack.packb({"type": "news", "id": "c7", "payload": [1]}))
        told = await take(socket)
        assert told.id == "c7"
        assert isinstance(told.message, Error)
        assert (told.message.code, told.message.fatal) == ("unknown-type", False)
        await put(socket, StatusGet(), "c8")
        assert (await take(socket)).message == Status(version="test")


@pytest.mark.parametrize(
    "message",
    [LeaseAccept(lease="l", epoch=1), Missing(digests=()), BlobPut(digest=ONE)],
    ids=["a worker's", "the coordinator's", "a bulk message"],
)
async def test_messages_of_others(authority: Path, message: Message) -> None:
    """A client that speaks as somebody else is refused."""
    async with serving(Hub(authority)) as hub:
        async with raw_peer(hub) as socket:
            assert isinstance(await introduce(socket), Welcome)
            await put(socket, message)
            error = (await take(socket)).message
            assert isinstance(error, Error)
            assert (error.code, error.fatal) == ("protocol", True)
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        await hub.connections[0].closed.wait()
        assert isinstance(hub.connections[0].failure, ProtocolError)
        assert not hub.received
        await still_works(hub)


BROKEN = {
    "noise": b"\xc1",
    "nesting": b"\x91" * 60_000,
    "a damaged field": msgpack.packb({"type": "drain", "id": "c1", "payload": {"on": "perhaps"}}),
}


@pytest.mark.parametrize("frame", BROKEN.values(), ids=BROKEN.keys())
async def test_broken_frames_after_the_handshake(authority: Path, frame: bytes) -> None:
    """A fatal ERROR says what was wrong, and the coordinator's handler ends in order."""
    async with serving(Hub(authority)) as hub:
        async with raw_peer(hub) as socket:
            assert isinstance(await introduce(socket), Welcome)
            await socket.send(frame)
            error = (await take(socket)).message
            assert isinstance(error, Error)
            assert error.fatal
        await still_works(hub)


async def test_oversized_frames(authority: Path) -> None:
    """A frame over the limit closes the connection, and its sender learns why."""
    async with serving(Hub(authority, limits=SMALL)) as hub:
        connection = await hub.call()
        with pytest.raises(MessageTooLarge):  # refused before it leaves
            await connection.send(job(SMALL.message_bytes))
        assert await connection.request(StatusGet())
        await connection.close()
        async with raw_peer(hub) as socket:
            assert isinstance(await introduce(socket), Welcome)
            await socket.send(bytes(SMALL.message_bytes + 1))
            with pytest.raises(ConnectionClosed) as caught:
                await socket.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009
        lost = hub.connections[-1]
        await lost.closed.wait()
        assert isinstance(lost.failure, MessageTooLarge)
        await still_works(hub)


def job(size: int) -> JobRequest:
    """Return a message that is larger than a size."""
    return JobRequest.model_construct(operation="x" * size, build="b", action=ONE)


async def test_a_frame_that_only_announces(authority: Path) -> None:
    """A header that promises gigabytes is refused by its promise."""
    async with serving(Hub(authority)) as hub:
        async with raw_peer(hub) as socket:
            assert isinstance(await introduce(socket), Welcome)
            socket.transport.write(b"\x82\xff" + struct.pack("!Q", 1 << 40) + b"mask")
            with pytest.raises(ConnectionClosed) as caught:
                await socket.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009
        await still_works(hub)


async def test_a_coordinator_that_lies(authority: Path) -> None:
    """A caller refuses what a coordinator may not send."""

    async def lie(connection: Connection) -> None:
        # Below the checks of our own side.
        wire = connection._wire
        await wire.send(msgpack.packb({"type": "job_cancel", "id": "s1", "payload": {}}))
        await connection.closed.wait()

    async with serving(Hub(authority, on_control=lie)) as hub:
        connection = await hub.call()
        with pytest.raises((ProtocolError, ConnectionLost)):
            await connection.request(StatusGet(), timeout=5)
        assert isinstance(connection.failure, ProtocolError)
        await connection.close()


async def test_a_handler_that_fails(authority: Path) -> None:
    """A bug behind the door costs one connection; the peer is told so."""

    async def fail(_connection: Connection) -> None:
        raise RuntimeError("a bug")

    async with serving(Hub(authority, on_control=fail)) as hub:
        connection = await hub.call()
        await connection.closed.wait()
        assert connection.failure is not None
        assert connection.failure.code == "internal"


async def test_a_json_peer(authority: Path) -> None:
    """A person with a browser console can speak."""
    async with serving(Hub(authority)) as hub, raw_peer(hub, [SUBPROTOCOL_JSON]) as socket:
        assert isinstance(await introduce(socket), Welcome)
        await socket.send('{"type": "status_get", "id": "1"}')
        said = json.loads(await socket.recv())
        assert (said["type"], said["id"]) == ("status", "1")
        assert said["payload"] == {"version": "test"}


async def test_the_log_is_not_filled_by_strangers(
    authority: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same refusal of the same address is a warning once."""
    async with serving(Hub(authority)) as hub:
        for _ in range(3):
            async with raw_peer(hub) as socket:
                await put(socket, Done())
                assert isinstance((await take(socket)).message, Error)
    written = capsys.readouterr()
    assert (written.out + written.err).count("[warning") == 1


async def test_roles_are_the_tokens(authority: Path) -> None:
    """Nobody calls as the coordinator."""
    async with serving(Hub(authority)) as hub, raw_peer(hub) as socket:
        error = await introduce(socket, role=Peer.COORDINATOR)
        assert isinstance(error, Error)
        assert error.fatal
        assert not hub.hellos


async def test_heartbeats_are_delivered(authority: Path) -> None:
    """A message without an answer reaches the handler with its envelope."""
    async with serving(Hub(authority)) as hub, raw_peer(hub, [SUBPROTOCOL_MSGPACK]) as socket:
        assert isinstance(await introduce(socket), Welcome)
        await put(socket, Heartbeat(load=0.5), "c3")
        await put(socket, StatusGet(), "c4")
        await take(socket)
        assert [one.id for one in hub.received] == ["c3", "c4"]
        assert hub.received[0].sender == "raw"


async def test_an_authentication_that_fails(authority: Path) -> None:
    """A bug while deciding is no reason to let anybody in, or to tell strangers about it."""

    def bug(_hello: Hello) -> None:
        raise RuntimeError("a bug with /secret/path")

    async with serving(Hub(authority, on_hello=bug)) as hub, raw_peer(hub) as socket:
        error = await introduce(socket)
        assert isinstance(error, Error)
        assert (error.code, error.fatal) == ("internal", True)
        assert "secret" not in error.message
        assert not hub.connections


async def test_a_coordinator_with_too_much_to_say(authority: Path) -> None:
    """Callers keep to the limits of WELCOME as well."""

    async def shout(connection: Connection) -> None:
        await connection._wire.send(bytes(SMALL.message_bytes + 1))
        await connection.closed.wait()

    async with serving(Hub(authority, on_control=shout, limits=SMALL)) as hub:
        connection = await hub.call()
        await connection.closed.wait()
        assert isinstance(connection.failure, MessageTooLarge)


async def test_an_answer_of_the_future(authority: Path) -> None:
    """An answer of an unknown type fails its request, and nothing else."""

    async def answer_strangely(connection: Connection) -> None:
        async for envelope in connection.messages():
            news = {"type": "news", "id": envelope.id, "payload": {}}
            await connection._wire.send(msgpack.packb(news))

    async with serving(Hub(authority, on_control=answer_strangely)) as hub:
        connection = await hub.call()
        for _ in range(2):
            with pytest.raises(ProtocolError, match="news") as caught:
                await connection.request(StatusGet(), timeout=5)
            assert caught.value.code == "unknown-type"
        assert not connection.closed.is_set()
        await connection.close()
