"""Blobs over real connections: up, down, resumed, refused, cancelled."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

import pytest

from cyxmake_common.cas.memory import MemoryStore
from cyxmake_common.cas.store import BlobWriter, read_all, write_all
from cyxmake_common.digest import EMPTY, Digest
from cyxmake_common.errors import (
    BlobMissing,
    ConnectionLost,
    Denied,
    DigestMismatch,
    MessageTooLarge,
    ProtocolError,
    StoreFull,
)
from cyxmake_common.net.blob_server import MAX_TRANSFERS
from cyxmake_common.net.wss import Introduction
from cyxmake_common.protocol.messages import (
    BatchGet,
    BatchPut,
    BlobChunk,
    BlobGet,
    BlobPut,
    BlobReady,
    Channel,
    Error,
    Limits,
    Message,
    SmallBlob,
)
from support.net import CuttingProxy, Hub, serving

MIB = 1 << 20
LIMITS = Limits(chunk_bytes=16 * 1024, window_bytes=128 * 1024)
BULK = Introduction(channel=Channel.BULK, session="s-1")


def noise(size: int, seed: int = 1) -> bytes:
    """Return bytes that do not compress."""
    return random.Random(seed).randbytes(size)


class SlowStore(MemoryStore):
    """A store whose writers wait for an event, and whose readers can be watched."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.written = 0

    async def open_writer(self, digest: Digest, *, resume: bool = False) -> BlobWriter:  # type: ignore[override]
        return _SlowWriter(self, await super().open_writer(digest, resume=resume))


class _SlowWriter:
    def __init__(self, store: SlowStore, inner: BlobWriter) -> None:
        self._store = store
        self._inner = inner

    @property
    def offset(self) -> int:
        return self._inner.offset

    async def write(self, chunk: bytes) -> None:
        await self._store.go.wait()
        self._store.written += len(chunk)
        await self._inner.write(chunk)

    async def commit(self) -> None:
        await self._inner.commit()

    async def abort(self, *, keep: bool = False) -> None:
        await self._inner.abort(keep=keep)


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


HOSTILE: dict[str, list[Message]] = {
    "before ready": [BlobChunk(offset=0, data=b"x")],
    "the same id twice": [BlobPut(digest=Digest.of(b"other"))],
}


@pytest.mark.parametrize("messages", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_caller_that_breaks_the_rules(authority: Path, messages: list[Message]) -> None:
    """The connection ends with a fatal ERROR, and its uploads are closed."""
    async with serving(Hub(authority, limits=LIMITS, store=SlowStore())) as hub:
        connection = await hub.call(BULK)
        with connection.exchange() as exchange:
            await exchange.send(BlobPut(digest=Digest.of(noise(500_000))))
            for message in messages:
                await exchange.send(message)
            with pytest.raises((ProtocolError, ConnectionLost)):
                while True:
                    await exchange.receive()
        await connection.closed.wait()
        assert isinstance(connection.failure, ProtocolError)


@pytest.mark.parametrize(
    "chunk",
    [
        BlobChunk(offset=1, data=b"x"),
        BlobChunk(offset=0, data=b""),
        BlobChunk(offset=0, data=bytes(LIMITS.chunk_bytes + 1)),
    ],
    ids=["gap", "empty", "too large"],
)
async def test_hostile_chunks(authority: Path, chunk: BlobChunk) -> None:
    """A chunk that breaks a rule ends the connection."""
    async with serving(Hub(authority, limits=LIMITS)) as hub:
        connection = await hub.call(BULK)
        with connection.exchange() as exchange:
            await exchange.send(BlobPut(digest=Digest.of(noise(500_000))))
            assert await exchange.receive() == BlobReady(offset=0)
            await exchange.send(chunk)
            with pytest.raises(ProtocolError):
                await exchange.receive()
        await connection.closed.wait()


async def test_too_much_at_once(authority: Path) -> None:
    """More transfers than allowed are sent back; a batch too large to answer is refused."""
    async with serving(Hub(authority, limits=LIMITS, store=SlowStore())) as hub:
        connection = await hub.call(BULK)
        exchanges = [connection.exchange() for _ in range(MAX_TRANSFERS + 1)]
        for number, exchange in enumerate(exchanges):
            await exchange.send(BlobPut(digest=Digest.of(noise(100_000, number))))
        with pytest.raises(Exception, match="under way") as caught:
            await exchanges[-1].receive()
        assert getattr(caught.value, "code", "") == "busy"
        for exchange in exchanges[:-1]:
            assert await exchange.receive() == BlobReady(offset=0)
            await exchange.send(Error(code="cancelled", message=""))
        await connection.close()
        connection = await hub.call(BULK)
        huge = Digest("0" * 64, 5 * MIB)
        with pytest.raises(MessageTooLarge):
            await connection.request(BatchGet(digests=(huge,)))
        with pytest.raises((MessageTooLarge, ProtocolError)):
            await connection.request(BatchPut(blobs=(SmallBlob(digest=huge, data=b"x"),)))
        await connection.close()


class LyingStore(MemoryStore):
    """A store that returns other bytes of the same length."""

    async def find_missing(self, digests: Collection[Digest]) -> frozenset[Digest]:
        return frozenset()

    async def read(self, digest: Digest, offset: int = 0) -> AsyncIterator[bytes]:
        yield bytes(digest.size - offset)


@pytest.mark.parametrize("size", [1000, 200_000])
async def test_a_coordinator_that_lies(authority: Path, tmp_path: Path, size: int) -> None:
    """Callers check every byte that they receive."""
    digest = Digest.of(noise(size))
    async with serving(Hub(authority, store=LyingStore())) as hub:
        client = hub.blobs()
        with pytest.raises(DigestMismatch):
            await client.get_bytes(digest)
        with pytest.raises(DigestMismatch):
            await client.get_many_bytes([digest])
        with pytest.raises(DigestMismatch):
            await client.get_to_file(digest, tmp_path / "f")
        store = MemoryStore()
        with pytest.raises(DigestMismatch):
            await client.get_to_store(digest, store)
        with pytest.raises(DigestMismatch):
            await client.get_many_to_store([digest], store)
        assert await store.find_missing([digest])
        await client.close()


async def test_a_closed_client(authority: Path) -> None:
    """After close nothing is tried again."""
    async with serving(Hub(authority)) as hub:
        client = hub.blobs()
        await client.put(Digest.of(b"x"), b"x")
        await client.close()
        with pytest.raises(ConnectionLost):
            await client.put(Digest.of(b"y"), b"y")


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something on the other side of a socket, which has no event to wait for."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)
