"""Coming in: good tokens, wrong coordinators, and coordinators that do not answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from cyxmake_common.errors import (
    CertificateMismatch,
    ClusterUnreachable,
    Denied,
    ProtocolError,
    VersionMismatch,
)
from cyxmake_common.net import tls
from cyxmake_common.net.wss import Introduction, connect
from cyxmake_common.protocol.codec import SUBPROTOCOL_JSON, SUBPROTOCOLS
from cyxmake_common.protocol.messages import (
    Channel,
    Goodbye,
    Limits,
    Peer,
    Status,
    StatusGet,
    WorkerFacts,
)
from support.net import HOST, SECRET, Hub, serving

ME = Introduction(program="test")


@pytest.mark.parametrize("subprotocol", SUBPROTOCOLS)
async def test_a_good_token(authority: Path, subprotocol: str) -> None:
    """A client comes in with either encoding, asks, is answered and says goodbye."""
    limits = Limits(chunk_bytes=4096)
    async with serving(Hub(authority, limits=limits)) as hub:
        connection = await hub.call(subprotocols=[subprotocol])
        assert (connection.peer, connection.name) == (Peer.COORDINATOR, "hub")
        assert (connection.session, connection.welcome.namespace) == ("s-1", "tests")
        assert connection.welcome.limits == limits
        assert await connection.request(StatusGet()) == Status(version="test")
        (seen,) = hub.connections
        assert (seen.peer, seen.name, seen.address) == (Peer.CLIENT, "test", HOST)
        await connection.close(Goodbye(reason="done here"))
        await seen.closed.wait()
        assert seen.close_reason == "done here"
        assert seen.failure is None
        assert seen.bytes_received == connection.bytes_sent > 0
        assert seen.bytes_sent == connection.bytes_received > 0


async def test_a_worker_brings_its_facts(authority: Path) -> None:
    """The worker's name becomes the name of the connection."""
    async with serving(Hub(authority)) as hub:
        facts = WorkerFacts(name="w-1", slots=4)
        token = hub.token(role=Peer.WORKER)
        connection = await connect(token, Introduction(worker=facts))
        await hub.accepted.wait()
        assert hub.connections[0].name == "w-1"
        assert hub.connections[0].hello.worker == facts
        await connection.close()


async def test_the_secret_is_gone_after_the_handshake(authority: Path) -> None:
    """Neither end keeps the secret where a log could meet it."""
    async with serving(Hub(authority)) as hub:
        connection = await hub.call()
        await hub.accepted.wait()
        for end in (connection, hub.connections[0]):
            assert SECRET not in repr(vars(end))
        await connection.close()


async def test_an_unknown_secret(authority: Path) -> None:
    """The coordinator's refusal arrives with its next step."""
    async with serving(Hub(authority)) as hub:
        with pytest.raises(Denied, match="unknown") as caught:
            await connect(replace(hub.token(), secret="wrong"), ME)
        assert caught.value.next_step == "ask for another"
        assert not hub.connections


async def test_a_wrong_fingerprint(authority: Path) -> None:
    """A token that pins another authority gets nowhere, and sends nothing."""
    async with serving(Hub(authority)) as hub:
        with pytest.raises(CertificateMismatch):
            await connect(replace(hub.token(), ca_fingerprint="0" * 64), ME)
        assert not hub.hellos


async def test_a_man_in_the_middle(authority: Path, other_authority: Path) -> None:
    """Whatever authority a second coordinator offers, no secret reaches it."""
    theirs, ours = tls.authority_pem(other_authority), tls.authority_pem(authority)
    for offered in (theirs, ours, ours + theirs, theirs + ours, b"nonsense"):
        async with serving(Hub(other_authority, authority_pem=offered)) as thief:
            fingerprint = tls.authority_fingerprint(authority)
            token = replace(thief.token(), ca_fingerprint=fingerprint)
            with pytest.raises(CertificateMismatch):
                await connect(token, ME)
            assert not thief.hellos


async def test_a_known_authority_is_not_fetched_again(
    authority: Path, other_authority: Path, tmp_path: Path
) -> None:
    """The cache saves the round trip, and is no way around the check."""
    cache = tmp_path / "cache"
    async with serving(Hub(authority)) as hub:
        await (await connect(hub.token(), ME, authority_cache=cache)).close()
    # This one would offer nothing useful: it is never asked.
    async with serving(Hub(authority, authority_pem=b"nonsense")) as hub:
        await (await connect(hub.token(), ME, authority_cache=cache)).close()
    (cached,) = cache.iterdir()
    cached.write_bytes(tls.authority_pem(other_authority))
    async with serving(Hub(authority)) as hub:
        await (await connect(hub.token(), ME, authority_cache=cache)).close()
    assert cached.read_bytes().strip() == tls.authority_pem(authority).strip()


async def test_nobody_listens(authority: Path) -> None:
    """A closed port is an unreachable cluster with a next step."""
    async with serving(Hub(authority)) as hub:
        token = hub.token()
    with pytest.raises(ClusterUnreachable) as caught:
        await connect(token, ME)
    assert caught.value.next_step


async def test_a_server_that_hangs(authority: Path) -> None:
    """Silence before TLS, and silence after it, end with the time-out."""
    held: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _reader, writer: held.append(writer), HOST, 0)
    async with serving(Hub(authority, hold_hello=asyncio.Event())) as hub:
        port = silent.sockets[0].getsockname()[1]
        for token in (hub.token(port), hub.token()):
            with pytest.raises(ClusterUnreachable, match=r"within 0\.3 s"):
                await connect(token, ME, timeout=0.3)
        assert len(hub.hellos) == 1
    silent.close()
    for writer in held:
        writer.transport.abort()


async def test_something_else_listens(authority: Path) -> None:
    """A port without TLS is no coordinator."""

    async def mail(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(mail, HOST, 0)
    async with serving(Hub(authority)) as hub:
        token = hub.token(server.sockets[0].getsockname()[1])
        with pytest.raises(ClusterUnreachable):
            await connect(token, ME)
    server.close()


async def test_no_common_subprotocol(authority: Path) -> None:
    """A caller of the future sends no secret to a coordinator that cannot understand it."""
    async with serving(Hub(authority)) as hub:
        with pytest.raises(VersionMismatch):
            await hub.call(subprotocols=["cyxmake.v9.cbor"])
        assert not hub.hellos


async def test_json_is_understood_where_msgpack_is_too(authority: Path) -> None:
    """The coordinator chooses, by its own order."""
    async with serving(Hub(authority)) as hub:
        connection = await hub.call(subprotocols=[SUBPROTOCOL_JSON, *SUBPROTOCOLS])
        assert await connection.request(StatusGet())
        await connection.close()


async def test_a_bulk_connection_needs_a_session(authority: Path) -> None:
    """The coordinator's check of HELLO arrives as a ProtocolError."""
    async with serving(Hub(authority)) as hub:
        with pytest.raises(ProtocolError, match="session"):
            await hub.call(Introduction(channel=Channel.BULK))
        assert not hub.hellos


async def test_cancelling_a_connect(authority: Path) -> None:
    """A caller that gives up leaves nothing behind on either side."""
    async with serving(Hub(authority, hold_hello=asyncio.Event())) as hub:
        task = asyncio.create_task(hub.call())
        async with asyncio.timeout(10):
            while not hub.hellos:
                await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert hub.hold_hello is not None
        hub.hold_hello.set()
