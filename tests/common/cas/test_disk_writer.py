"""Uploads that go wrong in the middle: cancelled, or out of disk."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cyxmake_common.cas.compressing import IDENTITY, ZSTD, Codec
from cyxmake_common.cas.disk import DiskStore
from cyxmake_common.cas.disk_files import BlobFiles
from cyxmake_common.cas.disk_writer import DiskWriter, in_thread
from cyxmake_common.cas.store import CHUNK_BYTES, read_all, write_all
from cyxmake_common.digest import Digest
from cyxmake_common.errors import StoreFull

_LARGE = os.urandom(CHUNK_BYTES * 3)


class _FullDisk(BlobFiles):
    """Files on a disk that is full whenever a blob is to be finished."""

    def write(self, digest: Digest, data: bytes) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    def seal(self, digest: Digest, upload: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")


class _SlowDisk(BlobFiles):
    """Files on a disk that finishes a large blob only when it is let to."""

    def __init__(self, root: Path, codec: Codec) -> None:
        super().__init__(root, codec)
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def seal(self, digest: Digest, upload: Path) -> Path:
        self.reached.set()
        self.go_on.wait(10)
        return super().seal(digest, upload)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DiskStore]:
    """Yield an empty store."""
    async with DiskStore(tmp_path / "cas", 4 << 20) as store:
        yield store


def _leftovers(tmp_path: Path) -> list[Path]:
    return [*(tmp_path / "cas" / "tmp").iterdir(), *(tmp_path / "cas" / "partial").iterdir()]


@pytest.mark.parametrize("data", [b"small", _LARGE])
async def test_a_disk_that_fills_up(store: DiskStore, tmp_path: Path, data: bytes) -> None:
    """The writer says StoreFull, nothing of it is left, and its room is given back."""
    writer = DiskWriter(store, _FullDisk(tmp_path / "cas", IDENTITY), Digest.of(data))
    await writer.write(data)
    with pytest.raises(StoreFull):
        await writer.commit()
    await writer.abort()
    assert _leftovers(tmp_path) == []
    assert store.stats().reserved_bytes == 0
    assert await read_all(store, await write_all(store, data)) == data


@pytest.mark.parametrize("codec", [IDENTITY, ZSTD])
async def test_a_commit_that_is_cancelled(store: DiskStore, tmp_path: Path, codec: Codec) -> None:
    """The thread is waited for, and its file does not stay behind."""
    disk = _SlowDisk(tmp_path / "cas", codec)
    writer = DiskWriter(store, disk, Digest.of(_LARGE))
    await writer.write(_LARGE[:CHUNK_BYTES])
    await writer.write(_LARGE[CHUNK_BYTES:])
    commit = asyncio.create_task(writer.commit())
    await asyncio.to_thread(disk.reached.wait, 10)
    for _ in range(3):
        commit.cancel()
        await asyncio.sleep(0)
    assert not commit.done()
    disk.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await commit
    assert _leftovers(tmp_path) == []
    assert store.stats().reserved_bytes == 0
    assert await store.find_missing([Digest.of(_LARGE)]) == {Digest.of(_LARGE)}


async def test_large_commits_leave_the_loop_free(store: DiskStore, tmp_path: Path) -> None:
    """While a slow disk finishes a large blob, small ones come and go."""
    disk = _SlowDisk(tmp_path / "cas", IDENTITY)
    writer = DiskWriter(store, disk, Digest.of(_LARGE))
    for start in range(0, len(_LARGE), 100_000):
        await writer.write(_LARGE[start : start + 100_000])
    commit = asyncio.create_task(writer.commit())
    await asyncio.to_thread(disk.reached.wait, 10)
    digest = await write_all(store, b"heartbeat")
    assert await read_all(store, digest) == b"heartbeat"
    assert not commit.done()
    disk.go_on.set()
    await commit
    assert await read_all(store, Digest.of(_LARGE)) == _LARGE


async def test_a_partial_that_went_away_is_sent_again(store: DiskStore, tmp_path: Path) -> None:
    """A kept upload whose file is gone begins at nothing, and gives its room back."""
    digest = Digest.of(_LARGE)
    writer = await store.open_writer(digest)
    await writer.write(_LARGE[:1000])
    await writer.abort(keep=True)
    (partial,) = (tmp_path / "cas" / "partial").iterdir()
    partial.unlink()
    writer = await store.open_writer(digest, resume=True)
    assert writer.offset == 0
    assert store.stats().reserved_bytes == 0
    await writer.write(_LARGE)
    await writer.commit()
    assert await read_all(store, digest) == _LARGE


async def test_errors_of_a_thread_come_through() -> None:
    """A failing call raises in the task, also when that was not cancelled."""

    def fail() -> None:
        raise FileNotFoundError("gone")

    with pytest.raises(FileNotFoundError):
        await in_thread(fail)
