"""Blobs over real connections: up, down, resumed, refused, cancelled."""

from __future__ import annotations

import asyncio
import gc
import warnings
from pathlib import Path

import pytest

from cyxmake_common.cas.memory import MemoryStore
from cyxmake_common.cas.store import read_all, write_all
from cyxmake_common.digest import EMPTY, Digest
from cyxmake_common.errors import (
    BlobMissing,
    ConnectionLost,
    Denied,
    DigestMismatch,
    StoreFull,
)
from cyxmake_common.net.blob_server import MAX_TRANSFERS
from cyxmake_common.protocol.bulk import BatchGet, BlobGet, BlobPut
from cyxmake_common.protocol.messages import Error
from support.blobs import BULK, LIMITS, MIB, SlowStore, noise, until
from support.net import CuttingProxy, Hub, serving


@pytest.mark.parametrize("compress", [False, True])
async def test_there_and_back(authority: Path, tmp_path: Path, compress: bool) -> None:
    """Blobs of all sizes, from memory and from files, into memory, files and stores."""
    async with serving(Hub(authority, limits=LIMITS)) as hub:
        client = hub.blobs(compress=compress)
        for size in (0, 1, 16 * 1024, 16 * 1024 + 1, 3 * MIB + 7):
            data = noise(size // 2) + bytes(size - size // 2)
            digest = Digest.of(data)
            source = tmp_path / "source"
            source.write_bytes(data)
            sent = await client.put(digest, source if size % 2 else data)
            assert not compress or size < 1000 or sent < size * 0.8
            assert await client.put(digest, data) < 500  # it is there already
            assert await client.get_bytes(digest) == data
            await client.get_to_file(digest, tmp_path / "target")
            assert (tmp_path / "target").read_bytes() == data
            store = MemoryStore()
            await client.get_to_store(digest, store)
            assert await read_all(store, digest) == data
        await client.close()


async def test_sixty_four_mebibytes(authority: Path, tmp_path: Path) -> None:
    """A large blob goes up from a file and down into one."""
    data = noise(64 * MIB)
    digest = Digest.of(data)
    (tmp_path / "up").write_bytes(data)
    async with serving(Hub(authority)) as hub:
        client = hub.blobs()
        await client.put(digest, tmp_path / "up")
        await client.get_to_file(digest, tmp_path / "down")
        assert Digest.of_file(tmp_path / "down") == digest
        await client.close()


async def test_many_blobs(authority: Path) -> None:
    """Small ones travel in batches, large ones beside them; what is missing is named."""
    blobs = [noise(size, size) for size in [*range(0, 60_000, 300), 70_000, 300_000, 64 * 1024]]
    contents = {Digest.of(data): data for data in blobs}
    gone = {Digest.of(noise(size, -1)) for size in (10, 200_000)}
    async with serving(Hub(authority, limits=LIMITS)) as hub:
        client = hub.blobs(compress=True)
        await client.put_many(list(contents.items()))
        assert await client.get_many_bytes({*contents, *gone}) == contents
        store = MemoryStore()
        assert await client.get_many_to_store({*contents, *gone}, store) == gone
        assert await store.find_missing(contents) == frozenset()
        with pytest.raises(BlobMissing):
            await client.get_bytes(next(iter(gone)))
        assert await client.put_many([]) == 0
        assert len(hub.connections) == 1
        await client.close()


async def test_an_upload_cut_in_the_middle_goes_on(authority: Path) -> None:
    """What arrived before each cut is not sent again."""
    data = noise(8 * MIB)
    digest = Digest.of(data)
    async with serving(Hub(authority, limits=LIMITS)) as hub:
        async with CuttingProxy(hub.server.port, cuts=[3 * MIB, 2 * MIB]) as proxy:
            client = hub.blobs(proxy.port)
            sent = await client.put(digest, data)
            assert proxy.cut == 2
            assert len(hub.connections) == 3
            assert len(data) <= sent < len(data) + 3 * LIMITS.window_bytes
            await client.close()
        assert await read_all(hub.store, digest) == data


async def test_a_download_cut_in_the_middle_goes_on(authority: Path, tmp_path: Path) -> None:
    """Into memory, into a file and into a store, from where it stopped."""
    data = noise(4 * MIB)
    digest = Digest.of(data)
    hub = Hub(authority, limits=LIMITS)
    await write_all(hub.store, data)
    async with serving(hub):
        for number in range(3):
            async with CuttingProxy(hub.server.port, cuts=[2 * MIB, MIB]) as proxy:
                client = hub.blobs(proxy.port)
                store = MemoryStore()
                match number:
                    case 0:
                        assert await client.get_bytes(digest) == data
                    case 1:
                        await client.get_to_file(digest, tmp_path / "f")
                        assert Digest.of_file(tmp_path / "f") == digest
                    case _:
                        await client.get_to_store(digest, store)
                        assert await read_all(store, digest) == data
                assert proxy.cut == 2
                sent = sum(connection.bytes_sent for connection in hub.connections[-3:])
                assert sent < len(data) + 3 * LIMITS.window_bytes
                await client.close()


async def test_a_coordinator_that_stays_away(authority: Path) -> None:
    """Tries end when no byte arrives any more."""
    data = noise(MIB)
    async with (
        serving(Hub(authority, limits=LIMITS)) as hub,
        CuttingProxy(hub.server.port, cuts=[2000] * 20) as proxy,
    ):
        client = hub.blobs(proxy.port)
        with pytest.raises(ConnectionLost):
            await client.put(Digest.of(data), data)
        await client.close()


@pytest.mark.parametrize("size", [1000, 300_000])
async def test_lying_digests(authority: Path, size: int) -> None:
    """Bytes that are not what was announced are refused, and are not there afterwards."""
    data, lie = noise(size), Digest.of(noise(size, seed=2))
    async with serving(Hub(authority, limits=LIMITS)) as hub:
        client = hub.blobs()
        with pytest.raises(DigestMismatch):
            await client.put(lie, data)
        with pytest.raises(DigestMismatch):
            await client.put_many([(lie, data)])
        assert await hub.store.find_missing([lie]) == {lie}
        assert await client.put(Digest.of(data), data)  # the connection lives
        assert len(hub.connections) == 1
        await client.close()


async def test_a_file_that_shrinks(authority: Path, tmp_path: Path) -> None:
    """A source that changed under our hands is noticed here."""
    data = noise(300_000)
    (tmp_path / "f").write_bytes(data[:-1])
    async with serving(Hub(authority, limits=LIMITS)) as hub:
        client = hub.blobs()
        with pytest.raises(DigestMismatch, match="fewer bytes"):
            await client.put(Digest.of(data), tmp_path / "f")
        small = noise(100)
        (tmp_path / "g").write_bytes(small + b"more")
        with pytest.raises(DigestMismatch, match="another size"):
            await client.put_many([(Digest.of(small), tmp_path / "g")])
        with pytest.raises(FileNotFoundError):
            await client.put(Digest.of(data), tmp_path / "missing")
        assert await client.put(Digest.of(data), data)
        await client.close()


async def test_poisoned_leftovers(authority: Path) -> None:
    """Wrong bytes that somebody else left of a blob do not spoil an honest upload or download."""
    data = noise(300_000)
    digest = Digest.of(data)
    hub = Hub(authority, limits=LIMITS)

    async def poison(store: MemoryStore, size: int) -> None:
        writer = await store.open_writer(digest)
        await writer.write(bytes(size))
        await writer.abort(keep=True)

    assert isinstance(hub.store, MemoryStore)
    async with serving(hub):
        client = hub.blobs()
        for size in (100_000, 300_000):
            await hub.store.delete(digest)
            await poison(hub.store, size)
            await client.put(digest, data)
            local = MemoryStore()
            await poison(local, size)
            await client.get_to_store(digest, local)
            assert await read_all(local, digest) == data
        await client.close()


async def test_a_reader_without_rights(authority: Path) -> None:
    """A token that may not write can read."""
    hub = Hub(authority, may_write=False)
    digest = await write_all(hub.store, b"there")
    async with serving(hub):
        client = hub.blobs()
        for upload in (
            client.put(Digest.of(b"x"), b"x"),
            client.put_many([(Digest.of(b"x"), b"x")]),
        ):
            with pytest.raises(Denied):
                await upload
        assert await client.get_bytes(digest) == b"there"
        await client.close()


async def test_a_full_store(authority: Path) -> None:
    """The coordinator's StoreFull arrives as one."""
    async with serving(Hub(authority, store=MemoryStore(limit_bytes=10_000))) as hub:
        client = hub.blobs()
        data = noise(200_000)
        with pytest.raises(StoreFull):
            await client.put(Digest.of(data), data)
        assert await client.put(Digest.of(b"x"), b"x")
        await client.close()


async def test_a_slow_store_holds_the_sender_back(authority: Path) -> None:
    """No more than the window is under way while nothing is written."""
    store = SlowStore()
    data = noise(2 * MIB)
    async with serving(Hub(authority, limits=LIMITS, store=store)) as hub:
        connection = await hub.call(BULK)
        client = hub.blobs()
        client._connection = connection
        task = asyncio.create_task(client.put(Digest.of(data), data))
        await hub.accepted.wait()
        await until(lambda: connection.bytes_sent >= LIMITS.window_bytes)
        # An answer on the same connection: all that was sent before it has been read.
        await connection.request(BatchGet(digests=(EMPTY,)))
        assert connection.bytes_sent < LIMITS.window_bytes + 8 * 1024
        store.go.set()
        await task
        assert store.written == len(data)
        await client.close()


async def test_a_slow_reader_holds_the_coordinator_back(authority: Path) -> None:
    """A caller that gives no credit gets the window, and the connection still serves others."""
    hub = Hub(authority, limits=LIMITS)
    digest = await write_all(hub.store, noise(2 * MIB))
    async with serving(hub):
        connection = await hub.call(BULK)
        with connection.exchange() as exchange:
            await exchange.send(BlobGet(digest=digest))
            await until(lambda: connection.bytes_received >= LIMITS.window_bytes)
            await connection.request(BatchGet(digests=(EMPTY,)))
            assert connection.bytes_received < LIMITS.window_bytes + 8 * 1024
        await connection.close()


async def test_cancelled_transfers(authority: Path, tmp_path: Path) -> None:
    """Cancelling up and down leaves the connection usable, and what arrived is kept."""
    store = SlowStore()
    hub = Hub(authority, limits=LIMITS, store=store)
    data, other = noise(2 * MIB), noise(3 * MIB, seed=3)
    async with serving(hub):
        client = hub.blobs()
        upload = asyncio.create_task(client.put(Digest.of(data), data))
        await hub.accepted.wait()
        await until(lambda: hub.connections[0].bytes_received >= LIMITS.window_bytes)
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload
        store.go.set()
        await client.put(Digest.of(other), other)
        download = asyncio.create_task(client.get_to_file(Digest.of(other), tmp_path / "f"))
        sent = hub.connections[0].bytes_sent
        await until(lambda: hub.connections[0].bytes_sent > sent + 50_000)
        download.cancel()
        with pytest.raises(asyncio.CancelledError):
            await download
        await client.put(Digest.of(data), data)
        assert await client.get_bytes(Digest.of(data)) == data
        assert await client.get_bytes(Digest.of(other)) == other
        assert len(hub.connections) == 1
        await client.close()


async def test_an_upload_given_up_at_once(authority: Path) -> None:
    """What was given up before it began leaves no coroutine that nobody awaits."""
    async with serving(Hub(authority, store=SlowStore())) as hub:
        connection = await hub.call(BULK)
        for number in range(20):
            connection.send_soon(BlobPut(digest=Digest.of(noise(100, number))), f"c9{number}")
            connection.send_soon(Error(code="cancelled", message=""), f"c9{number}")
        assert await connection.request(BatchGet(digests=(EMPTY,)))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            gc.collect()
        assert [str(warning.message) for warning in told] == []
        await connection.close()


async def test_cancelling_many_at_once(authority: Path) -> None:
    """No transfer is left running at the coordinator."""
    store = SlowStore()
    hub = Hub(authority, limits=LIMITS, store=store)
    blobs = [noise(200_000, seed) for seed in range(3 * MAX_TRANSFERS)]
    async with serving(hub):
        client = hub.blobs()
        for _ in range(3):
            everything = asyncio.create_task(
                client.put_many([(Digest.of(data), data) for data in blobs])
            )
            seen = hub.connections[0].bytes_received if hub.connections else 0
            await hub.accepted.wait()
            await until(lambda seen=seen: hub.connections[0].bytes_received > seen + 100_000)  # type: ignore[misc]
            everything.cancel()
            with pytest.raises(asyncio.CancelledError):
                await everything
        store.go.set()
        await client.put_many([(Digest.of(data), data) for data in blobs])
        assert await store.find_missing([Digest.of(data) for data in blobs]) == frozenset()
        assert len(hub.connections) == 1
        await client.close()


async def test_a_closed_client(authority: Path) -> None:
    """After close nothing is tried again."""
    async with serving(Hub(authority)) as hub:
        client = hub.blobs()
        await client.put(Digest.of(b"x"), b"x")
        await client.close()
        with pytest.raises(ConnectionLost):
            await client.put(Digest.of(b"y"), b"y")
