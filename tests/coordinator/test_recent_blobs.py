"""Small blobs in memory: read from there, never instead of asking the store what it has."""

from __future__ import annotations

import pytest

from cyxmake_common.cas.memory import MemoryStore
from cyxmake_common.cas.store import read_all, write_all
from cyxmake_common.digest import Digest
from cyxmake_common.errors import BlobMissing, DigestMismatch
from cyxmake_coordinator.recent_blobs import RecentBlobs


async def test_a_small_blob_is_read_from_memory() -> None:
    """It is served although the store below has lost it, and yet counts as missing."""
    inner = MemoryStore()
    store = RecentBlobs(inner)
    digest = await write_all(store, b"small")
    await inner.delete(digest)
    assert await read_all(store, digest) == b"small"
    assert b"".join([piece async for piece in store.read(digest, 2)]) == b"all"
    assert await store.find_missing((digest,)) == {digest}


async def test_large_and_deleted_blobs_come_from_below() -> None:
    """A large blob is never kept; a deleted one is gone from memory as well."""
    inner = MemoryStore()
    store = RecentBlobs(inner)
    large = await write_all(store, bytes(100_000))
    small = await write_all(store, b"small")
    assert await read_all(store, large) == bytes(100_000)
    await inner.delete(large)
    await store.delete(small)
    for digest in (large, small):
        with pytest.raises(BlobMissing):
            await read_all(store, digest)


async def test_memory_is_bounded() -> None:
    """Over the limit, the blob read longest ago goes first."""
    inner = MemoryStore()
    store = RecentBlobs(inner, limit_bytes=1_000)
    digests = [await write_all(store, bytes([n]) * 100) for n in range(2)]
    await read_all(store, digests[0])
    digests.append(await write_all(store, b"x" * 100))
    for digest in digests:
        await inner.delete(digest)
    assert await read_all(store, digests[0]) == bytes(100)
    with pytest.raises(BlobMissing):
        await read_all(store, digests[1])


async def test_wrong_bytes_are_not_kept() -> None:
    """Only what the store below has accepted is remembered."""
    store = RecentBlobs(MemoryStore())
    digest = Digest.of(b"right")
    writer = await store.open_writer(digest)
    await writer.write(b"wrong")
    with pytest.raises(DigestMismatch):
        await writer.commit()
    with pytest.raises(BlobMissing):
        await read_all(store, digest)
