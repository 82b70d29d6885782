"""Transfers with a peer that breaks the rules, or a store that fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from pathlib import Path

import pytest

from cyxmake_common.cas.memory import MemoryStore
from cyxmake_common.cas.store import BlobWriter, write_all
from cyxmake_common.digest import EMPTY, Digest
from cyxmake_common.errors import (
    BlobMissing,
    ConnectionLost,
    CyxError,
    DigestMismatch,
    MessageTooLarge,
    ProtocolError,
    StoreFull,
)
from cyxmake_common.net.blob_io import MemorySink
from cyxmake_common.net.blob_server import MAX_TRANSFERS
from cyxmake_common.net.wss import Connection
from cyxmake_common.protocol.bulk import (
    BatchBlobs,
    BatchGet,
    BatchPut,
    BlobChunk,
    BlobPut,
    BlobReady,
    BlobStored,
    SmallBlob,
)
from cyxmake_common.protocol.messages import Error, Message
from support.blobs import BULK, LIMITS, MIB, SlowStore, noise
from support.net import Hub, serving

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


async def test_a_full_store_here(authority: Path) -> None:
    """What does not fit on this side ends the download, and not the connection."""
    hub = Hub(authority, limits=LIMITS)
    data = noise(2 * MIB)
    digest = await write_all(hub.store, data)
    async with serving(hub):
        client = hub.blobs()
        with pytest.raises(StoreFull):
            await client.get_to_store(digest, FillingStore())
        assert await client.get_bytes(digest) == data
        assert len(hub.connections) == 1
        await client.close()


class FillingStore(MemoryStore):
    """A store that is full after some bytes."""

    async def open_writer(self, digest: Digest, *, resume: bool = False) -> BlobWriter:  # type: ignore[override]
        return _FillingWriter(digest)


class _FillingWriter(MemorySink):
    async def write(self, chunk: bytes) -> None:
        if self.offset > 300_000:
            raise StoreFull("full")
        await super().write(chunk)


class BrokenStore(MemoryStore):
    """A store with a bug, and with a blob of which the end is gone."""

    async def read(self, digest: Digest, offset: int = 0) -> AsyncIterator[bytes]:
        if digest.size > MIB:
            raise RuntimeError("a bug")
        yield b"x"


async def test_a_broken_store(authority: Path) -> None:
    """A bug or a damaged blob costs one transfer; a lost end is a missing blob."""
    async with serving(Hub(authority, store=BrokenStore())) as hub:
        client = hub.blobs()
        with pytest.raises(CyxError, match="its log says why"):
            await client.get_bytes(Digest("0" * 64, 2 * MIB))
        with pytest.raises(BlobMissing, match="only 1 bytes"):
            await client.get_bytes(Digest("0" * 64, 100_000))
        assert len(hub.connections) == 1
        await client.close()


@pytest.mark.parametrize(
    "answer",
    [
        BlobChunk(offset=5, data=b"x"),
        BlobChunk(offset=0, data=bytes(200)),
        BlobStored(),
        BatchBlobs(blobs=(SmallBlob(digest=EMPTY, data=b""),)),
    ],
    ids=["gap", "overrun", "wrong answer", "not asked for"],
)
async def test_a_coordinator_that_breaks_the_rules(authority: Path, answer: Message) -> None:
    """Callers refuse the connection."""

    async def misbehave(connection: Connection) -> None:
        async for envelope in connection.messages():
            await connection.send(answer, envelope.id)

    async with serving(Hub(authority, on_bulk=misbehave)) as hub:
        client = hub.blobs()
        digest = Digest("0" * 64, 100)
        with pytest.raises(ProtocolError):
            if isinstance(answer, BatchBlobs):
                await client.get_many_bytes([digest])
            else:
                await client.get_bytes(digest)
        await hub.connections[0].closed.wait()
        await client.close()
