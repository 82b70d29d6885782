"""What every BlobStore promises, asked of each store and of each stack of wrappers."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from cyxmake_common.cas.compressing import ZSTD
from cyxmake_common.cas.disk import DiskStore
from cyxmake_common.cas.memory import MemoryStore
from cyxmake_common.cas.metered import MeteredStore
from cyxmake_common.cas.store import CHUNK_BYTES, BlobStore, read_all, write_all
from cyxmake_common.cas.verifying import VerifyingStore
from cyxmake_common.digest import EMPTY, Digest
from cyxmake_common.errors import BlobMissing, DigestMismatch, StoreFull

_LIMIT = 4 << 20
_BIG = bytes(range(256)) * 4096 + b"the end"
_NOISE = os.urandom(CHUNK_BYTES * 2 + 1)

_WRAPS: dict[str, Callable[[BlobStore], BlobStore]] = {
    "bare": lambda store: store,
    "wrapped": lambda store: MeteredStore(VerifyingStore(store)),
}


@pytest.fixture(params=["memory", "disk", "zstd"])
async def base(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BlobStore]:
    """Yield a store without wrappers."""
    if request.param == "memory":
        yield MemoryStore(_LIMIT)
    elif request.param == "disk":
        async with DiskStore(tmp_path / "cas", _LIMIT) as store:
            yield store
    else:
        async with DiskStore(tmp_path / "cas", _LIMIT, codec=ZSTD) as store:
            yield store


@pytest.fixture(params=_WRAPS)
def store(request: pytest.FixtureRequest, base: BlobStore) -> BlobStore:
    """Return the store, bare and under its wrappers."""
    return _WRAPS[request.param](base)


@pytest.mark.parametrize("data", [b"", b"x", b"small" * 100, _BIG, _NOISE, _NOISE[:CHUNK_BYTES]])
async def test_bytes_come_back(store: BlobStore, data: bytes) -> None:
    """A blob reads back whole and from any offset, in chunks that are not too large."""
    digest = await write_all(store, data)
    assert digest == Digest.of(data)
    assert await store.find_missing([digest]) == frozenset()
    assert await read_all(store, digest) == data
    for offset in (1, len(data) // 2, max(0, len(data) - 3), len(data)):
        pieces = [piece async for piece in store.read(digest, offset)]
        assert b"".join(pieces) == data[offset:]
        assert all(0 < len(piece) <= CHUNK_BYTES for piece in pieces)


async def test_the_empty_blob_always_exists(store: BlobStore) -> None:
    """Nobody needs to send nothing, and nobody can take it away."""
    await store.delete(EMPTY)
    assert await store.find_missing([EMPTY]) == frozenset()
    assert await read_all(store, EMPTY) == b""


async def test_absent_blobs_are_missing(store: BlobStore) -> None:
    """What was never written, or was deleted, is missing; deleting it again is no error."""
    kept, gone = await write_all(store, b"kept"), await write_all(store, b"gone")
    never = Digest.of(b"never")
    await store.delete(gone)
    await store.delete(gone)
    assert await store.find_missing([kept, gone, never]) == {gone, never}
    for digest in (gone, never):
        with pytest.raises(BlobMissing):
            await read_all(store, digest)


@pytest.mark.parametrize("sent", [b"others", b"much longer than announced", b"x", _BIG])
async def test_wrong_bytes_are_refused(store: BlobStore, sent: bytes) -> None:
    """Bytes that are others, more or fewer raise DigestMismatch at commit and leave nothing."""
    digest = Digest.of(b"right!")
    with pytest.raises(DigestMismatch):
        await write_all(store, sent, digest)
    assert await store.find_missing([digest]) == {digest}
    assert (await store.open_writer(digest, resume=True)).offset == 0
    await write_all(store, b"right!")
    assert await read_all(store, digest) == b"right!"


async def test_nothing_is_visible_before_commit(store: BlobStore) -> None:
    """A blob on its way is missing; after an abort without keep it has no bytes left."""
    digest = Digest.of(_BIG)
    writer = await store.open_writer(digest)
    await writer.write(_BIG[:CHUNK_BYTES])
    await writer.write(_BIG[CHUNK_BYTES:])
    assert await store.find_missing([digest]) == {digest}
    await writer.abort()
    await writer.abort()
    resumed = await store.open_writer(digest, resume=True)
    assert resumed.offset == 0
    await resumed.abort()


@pytest.mark.parametrize("cut", [5, CHUNK_BYTES + 5])
async def test_an_interrupted_upload_goes_on(store: BlobStore, cut: int) -> None:
    """What was kept need not be sent again, and counts for one resumed writer only."""
    digest = Digest.of(_BIG)
    writer = await store.open_writer(digest)
    await writer.write(_BIG[:cut])
    await writer.abort(keep=True)
    writer = await store.open_writer(digest, resume=True)
    other = await store.open_writer(digest, resume=True)
    assert (writer.offset, other.offset) == (cut, 0)
    await other.abort()
    await writer.write(_BIG[cut:])
    await writer.commit()
    assert await read_all(store, digest) == _BIG


async def test_the_longer_of_two_interrupted_uploads_is_kept(store: BlobStore) -> None:
    """A second upload that got less far does not cost the bytes of the first."""
    digest = Digest.of(_BIG)
    for cut in (1000, 3000, 2000):
        writer = await store.open_writer(digest)
        await writer.write(_BIG[:cut])
        await writer.abort(keep=True)
    writer = await store.open_writer(digest, resume=True)
    assert writer.offset == 3000
    await writer.abort()


async def test_a_damaged_partial_is_found_at_commit(store: BlobStore) -> None:
    """Kept bytes that turn out wrong are forgotten with the rest, so that a retry starts anew."""
    digest = Digest.of(_BIG)
    writer = await store.open_writer(digest)
    await writer.write(b"wrong" * 1000)
    await writer.abort(keep=True)
    writer = await store.open_writer(digest, resume=True)
    await writer.write(_BIG[5000:])
    with pytest.raises(DigestMismatch):
        await writer.commit()
    writer = await store.open_writer(digest, resume=True)
    assert writer.offset == 0
    await writer.abort()


async def test_resuming_what_is_here_needs_no_bytes(store: BlobStore) -> None:
    """When another upload finished first, the resumed one is complete at once."""
    digest = await write_all(store, _BIG)
    writer = await store.open_writer(digest, resume=True)
    assert writer.offset == len(_BIG)
    await writer.commit()
    assert await read_all(store, digest) == _BIG


@pytest.mark.parametrize("data", [b"small", _BIG])
async def test_writers_of_the_same_blob_all_succeed(store: BlobStore, data: bytes) -> None:
    """Two uploads of one blob interleave and both commit; one that gives up hurts neither."""
    digest = Digest.of(data)
    writers = [await store.open_writer(digest) for _ in range(3)]
    for start in range(0, len(data), CHUNK_BYTES):
        for writer in writers:
            await writer.write(data[start : start + CHUNK_BYTES])
    await writers[0].commit()
    await writers[1].abort()
    await writers[2].commit()
    assert await read_all(store, digest) == data


async def test_a_closed_writer_takes_nothing(store: BlobStore) -> None:
    """A use after the end is a mistake of the program and says so."""
    digest = Digest.of(b"x")
    writer = await store.open_writer(digest)
    await writer.write(b"x")
    await writer.commit()
    with pytest.raises(ValueError, match="closed"):
        await writer.write(b"y")
    with pytest.raises(ValueError, match="closed"):
        await writer.commit()


async def test_a_blob_larger_than_the_store_is_refused(store: BlobStore) -> None:
    """It is refused before any byte of it is sent."""
    with pytest.raises(StoreFull):
        await store.open_writer(Digest("0" * 64, _LIMIT + 1))


async def test_the_least_recently_used_go_first(store: BlobStore) -> None:
    """Reads and lookups count as uses; what was not used makes room."""
    blobs = [bytes([n]) + os.urandom(_LIMIT // 4 - 100) for n in range(4)]
    first, second, third, fourth = [await write_all(store, blob) for blob in blobs[:3]] + [
        Digest.of(blobs[3])
    ]
    await read_all(store, first)
    await store.find_missing([second])
    await write_all(store, blobs[3])
    assert await store.find_missing([first, second, third, fourth]) == frozenset()
    fifth = await write_all(store, os.urandom(_LIMIT // 4))
    assert await store.find_missing([first, second, third, fourth, fifth]) == {first}


async def test_uploads_under_way_count(store: BlobStore) -> None:
    """Unfinished bytes take room; kept ones give way when the room is needed."""
    writer = await store.open_writer(Digest.of(_BIG))
    await writer.write(_BIG[:-1])
    await writer.abort(keep=True)
    hog = os.urandom(_LIMIT - 10)
    await write_all(store, hog)
    resumed = await store.open_writer(Digest.of(_BIG), resume=True)
    assert resumed.offset == 0
    await resumed.abort()


async def test_two_uploads_that_cannot_both_fit(store: BlobStore) -> None:
    """The second one is told that the store is full, and the first one ends well."""
    data = os.urandom(_LIMIT * 3 // 4)
    first = await store.open_writer(Digest.of(data))
    await first.write(data)
    second = await store.open_writer(Digest.of(_NOISE * 7))
    with pytest.raises(StoreFull):
        await second.write(_NOISE * 7)
    await second.abort()
    await first.commit()
    assert await read_all(store, Digest.of(data)) == data


async def test_an_abandoned_reader_leaves_nothing_behind(store: BlobStore) -> None:
    """A reader may stop after the first chunk; the blob can then be deleted and written again."""
    digest = await write_all(store, _BIG)
    async for _ in store.read(digest):
        break
    await store.delete(digest)
    assert await store.find_missing([digest]) == {digest}
    await write_all(store, _BIG)
    assert await read_all(store, digest) == _BIG


async def test_pins_in_memory() -> None:
    """A pinned blob stays, and its pin may come first."""
    store = MemoryStore(100)
    held = Digest.of(b"h" * 60)
    store.pin([held])
    await write_all(store, b"h" * 60)
    await write_all(store, b"a" * 40)
    await write_all(store, b"b" * 40)
    assert await store.find_missing([held]) == frozenset()
    store.unpin([held])
    await write_all(store, b"c" * 80)
    assert await store.find_missing([held]) == {held}
    assert "80 of 100 bytes" in repr(store)
