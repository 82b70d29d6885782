"""What the wrappers add: damage found by hash, and counts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from cyxmake_common.cas.disk import DiskStore
from cyxmake_common.cas.memory import MemoryStore
from cyxmake_common.cas.metered import MeteredStore, OperationFigures
from cyxmake_common.cas.store import CHUNK_BYTES, BlobWriter, read_all, write_all
from cyxmake_common.cas.verifying import VerifyingStore
from cyxmake_common.digest import Digest
from cyxmake_common.errors import BlobMissing, DigestMismatch, StoreFull


class LyingStore:
    """A store that takes anything and hands out what it was made with."""

    def __init__(self, pieces: list[bytes], *, mismatch: bool = False) -> None:
        self.pieces = pieces
        self.mismatch = mismatch
        self.deleted: list[Digest] = []

    async def find_missing(self, digests: Collection[Digest]) -> frozenset[Digest]:
        """Claim to have everything."""
        return frozenset()

    async def read(self, digest: Digest, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield the pieces, whatever was asked for."""
        for piece in self.pieces:
            yield piece
        if self.mismatch:
            raise DigestMismatch("found by the store itself")

    async def open_writer(self, digest: Digest, *, resume: bool = False) -> BlobWriter:
        """Return a writer that believes everything."""
        return LyingWriter(len(self.pieces[0]) if resume else 0)

    async def delete(self, digest: Digest) -> None:
        """Note what was deleted."""
        self.deleted.append(digest)


class LyingWriter:
    """A writer that checks nothing."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.committed = False

    async def write(self, chunk: bytes) -> None:
        """Count."""
        self.offset += len(chunk)

    async def commit(self) -> None:
        """Believe."""
        self.committed = True

    async def abort(self, *, keep: bool = False) -> None:
        """Forget."""


@pytest.mark.parametrize("pieces", [[b"wrong"], [], [b"da"], [b"data", b"more"], [b"", b"datb"]])
async def test_damaged_bytes_are_deleted_and_missing(pieces: list[bytes]) -> None:
    """A blob whose bytes are others is never handed out to its end; it is logged once."""
    inner = LyingStore(pieces)
    store = VerifyingStore(inner)
    digest = Digest.of(b"data")
    got: list[bytes] = []
    with capture_logs() as logs, pytest.raises(BlobMissing):
        async for piece in store.read(digest):
            got.append(piece)
    assert b"".join(got) != b"".join(pieces) or not pieces
    assert inner.deleted == [digest]
    assert [log["event"] for log in logs] == ["cas_blob_damaged"]
    assert store.damaged == 1
    assert "1 damaged" in repr(store)


async def test_damage_found_by_the_inner_store_is_a_miss_too() -> None:
    """A DigestMismatch on a read comes out as BlobMissing."""
    inner = LyingStore([b"data"], mismatch=True)
    with pytest.raises(BlobMissing):
        await read_all(VerifyingStore(inner), Digest.of(b"data"))
    assert inner.deleted == [Digest.of(b"data")]


async def test_a_resumed_blob_is_read_back() -> None:
    """The wrapper did not see the first bytes, so it checks the whole after the commit."""
    for first, fits in ((b"da", True), (b"xx", False)):
        inner = LyingStore([first, b"ta"])
        writer = await VerifyingStore(inner).open_writer(Digest.of(b"data"), resume=True)
        assert writer.offset == 2
        await writer.write(b"ta")
        if fits:
            await writer.commit()
        else:
            with pytest.raises(DigestMismatch):
                await writer.commit()
        assert bool(inner.deleted) != fits


async def test_wrong_bytes_never_reach_a_store_that_believes_them() -> None:
    """The wrapper's own hash decides before the inner commit."""
    inner = LyingWriter(0)

    class Store(LyingStore):
        async def open_writer(self, digest: Digest, *, resume: bool = False) -> BlobWriter:
            return inner

    with pytest.raises(DigestMismatch):
        await write_all(VerifyingStore(Store([])), b"else", Digest.of(b"data"))
    assert not inner.committed


@pytest.mark.parametrize("size", [100, CHUNK_BYTES * 3])
async def test_one_changed_byte_on_disk_is_found_and_rebuilt(tmp_path: Path, size: int) -> None:
    """A flipped byte of the right size: a miss on the next read, and a hit after it was rebuilt."""
    async with DiskStore(tmp_path, 1 << 22) as disk:
        store = VerifyingStore(disk)
        data = b"a" * size
        digest = await write_all(store, data)
        file = disk.path_of(digest)
        file.chmod(0o644)
        with file.open("r+b") as damaged:
            damaged.seek(size // 2)
            damaged.write(b"b")
        with pytest.raises(BlobMissing):
            await read_all(store, digest)
        assert await store.find_missing([digest]) == {digest}
        await write_all(store, data)
        assert await read_all(store, digest) == data


class _Ticks:
    """A clock that goes on by one second whenever it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


async def test_everything_is_counted() -> None:
    """Lookups, reads, writes and deletes: how many, how much, what was missing, what failed."""
    store = MeteredStore(MemoryStore(1000), _Ticks())
    digest = await write_all(store, b"12345")
    await read_all(store, digest)
    await store.find_missing([digest, Digest.of(b"a"), Digest.of(b"b")])
    with pytest.raises(BlobMissing):
        await read_all(store, Digest.of(b"a"))
    with pytest.raises(StoreFull):
        await store.open_writer(Digest("0" * 64, 2000))
    with pytest.raises(DigestMismatch):
        await write_all(store, b"wrong", digest)
    writer = await store.open_writer(digest)
    await writer.abort(keep=True)
    await store.delete(digest)
    figures = store.figures()
    assert figures.lookups == OperationFigures(count=3, misses=2, seconds=1)
    assert figures.reads == OperationFigures(count=2, bytes=5, misses=1, seconds=3)
    assert figures.writes == OperationFigures(count=4, bytes=10, failures=2, seconds=9)
    assert figures.deletes == OperationFigures(count=1, seconds=1)
    assert repr(store) == "<MeteredStore 2 reads, 4 writes>"
