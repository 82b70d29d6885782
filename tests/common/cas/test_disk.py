"""What a store in a directory promises beyond the interface: restarts, links, pins, a full disk."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import stat
from pathlib import Path
from random import Random

import pytest

from cyxmake_common.cas.compressing import IDENTITY, ZSTD, Codec
from cyxmake_common.cas.disk import DiskStore
from cyxmake_common.cas.disk_files import name_of, parse_name
from cyxmake_common.cas.store import CHUNK_BYTES, read_all, write_all
from cyxmake_common.digest import Digest
from cyxmake_common.errors import BlobMissing, StoreFull

_LIMIT = 8 << 20
_LARGE = os.urandom(CHUNK_BYTES * 3)


def _file(root: Path, digest: Digest) -> Path:
    return root / "blobs" / digest.hash[:2] / f"{digest.hash}-{digest.size}"


def _overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


class _Time:
    """A clock that moves only when told."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


async def _fill(root: Path, count: int, codec: Codec = IDENTITY) -> list[Digest]:
    async with DiskStore(root, _LIMIT, codec=codec) as store:
        return [await write_all(store, b"blob %d" % n) for n in range(count)]


@pytest.mark.parametrize("codec", [IDENTITY, ZSTD])
async def test_blobs_and_their_order_survive_a_restart(tmp_path: Path, codec: Codec) -> None:
    """After a restart under a smaller limit, those used last are the ones that are left."""
    blobs = [bytes([n]) + os.urandom(9_999) for n in range(8)]
    async with DiskStore(tmp_path, _LIMIT, codec=codec) as store:
        digests = [await write_all(store, blob) for blob in blobs]
        for n in (3, 1):
            await read_all(store, digests[n])
    async with DiskStore(tmp_path, 35_000, codec=codec) as store:
        missing = await store.find_missing(digests)
        assert missing == {digests[n] for n in (0, 2, 4, 5, 6)}
        assert await read_all(store, digests[3]) == blobs[3]
        assert store.stats().used_bytes <= 35_000


@pytest.mark.parametrize("codec", [IDENTITY, ZSTD])
async def test_a_lost_index_is_made_from_the_files(tmp_path: Path, codec: Codec) -> None:
    """The files are the truth: without an index every blob is still there."""
    digests = await _fill(tmp_path, 20, codec)
    for file in tmp_path.glob("index.sqlite*"):
        file.unlink()
    async with DiskStore(tmp_path, _LIMIT, codec=codec) as store:
        assert await store.find_missing(digests) == frozenset()
        used = store.stats().used_bytes
    files = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
    assert used == sum(path.stat().st_size for path in files)


async def test_a_damaged_index_is_replaced(tmp_path: Path) -> None:
    """An index file full of something else is no reason not to open."""
    digests = await _fill(tmp_path, 20)
    (tmp_path / "index.sqlite").write_bytes(os.urandom(50_000))
    async with DiskStore(tmp_path, _LIMIT) as store:
        assert await store.find_missing(digests) == frozenset()


async def test_an_index_of_another_version_is_replaced(tmp_path: Path) -> None:
    """A later or earlier layout is not read as ours; nor is a table with foreign rows."""
    digests = await _fill(tmp_path, 3)
    for statement in (
        "PRAGMA user_version=99",
        "INSERT INTO blobs VALUES ('text', 'is', 'no', 'digest')",
    ):
        database = sqlite3.connect(tmp_path / "index.sqlite")
        database.execute(statement)
        database.commit()
        database.close()
        async with DiskStore(tmp_path, _LIMIT) as store:
            assert await store.find_missing(digests) == frozenset()


async def test_an_index_that_cannot_be_is_done_without(tmp_path: Path) -> None:
    """A store works without its index; only the order of use is not kept."""
    (tmp_path / "index.sqlite").mkdir()
    async with DiskStore(tmp_path, _LIMIT) as store:
        digest = await write_all(store, b"data")
        assert await read_all(store, digest) == b"data"


async def test_rows_without_files_and_files_without_rows(tmp_path: Path) -> None:
    """Opening brings the index in step: a lost file is missing, a foreign one is left alone."""
    digests = await _fill(tmp_path, 4)
    _file(tmp_path, digests[0]).unlink()
    (tmp_path / "blobs" / "README").write_text("not a blob")
    (tmp_path / "blobs" / "zz").mkdir()
    (tmp_path / "blobs" / "zz" / _file(tmp_path, digests[1]).name).write_text("elsewhere")
    async with DiskStore(tmp_path, _LIMIT) as store:
        assert await store.find_missing(digests) == {digests[0]}
        assert store.stats().blobs == 4
    assert (tmp_path / "blobs" / "README").exists()


async def test_leftovers_of_a_crash(tmp_path: Path) -> None:
    """Opening removes files being written, but keeps an upload that got somewhere."""
    await _fill(tmp_path, 1)
    digest = Digest.of(_LARGE)
    temporaries = tmp_path / "tmp"
    cut = CHUNK_BYTES + 7
    (temporaries / f"{name_of(digest)}.0.part").write_bytes(_LARGE[:cut])
    (temporaries / f"{name_of(digest)}.1.part").write_bytes(_LARGE[: cut - 1])
    (temporaries / f"{name_of(digest)}.2.out").write_bytes(_LARGE[:cut])
    (temporaries / f"{name_of(Digest.of(b'x'))}.3.part").write_bytes(b"x")
    (temporaries / "whatever").write_bytes(b"")
    async with DiskStore(tmp_path, _LIMIT) as store:
        assert list(temporaries.iterdir()) == []
        writer = await store.open_writer(digest, resume=True)
        assert writer.offset == cut
        await writer.write(_LARGE[cut:])
        await writer.commit()
        assert await read_all(store, digest) == _LARGE
        assert store.stats().reserved_bytes == 0
    assert list((tmp_path / "partial").iterdir()) == []


async def test_old_or_odd_partials_are_dropped(tmp_path: Path) -> None:
    """A partial is kept for a day; one that cannot be a beginning of its blob not at all."""
    time = _Time()
    digest = Digest.of(_LARGE)
    async with DiskStore(tmp_path, _LIMIT, time):
        pass
    partials = tmp_path / "partial"
    old, fresh = Digest.of(b"old"), Digest.of(b"fresh")
    for name, data, age in (
        (name_of(old), b"o", 100_000),
        (name_of(fresh), b"f", 100),
        (name_of(digest), _LARGE + b"more", 0),
        ("foreign", b"?", 0),
    ):
        (partials / name).write_bytes(data)
        os.utime(partials / name, (time.now - age, time.now - age))
    async with DiskStore(tmp_path, _LIMIT, time) as store:
        assert store.stats().partials == 1
        assert [path.name for path in partials.iterdir()] == [name_of(fresh)]


async def test_partials_are_limited_in_number(tmp_path: Path) -> None:
    """A client that begins many uploads and ends none cannot fill the directory."""
    async with DiskStore(tmp_path, _LIMIT) as store:
        for n in range(80):
            writer = await store.open_writer(Digest.of(b"%d" % n + b"-" * 10))
            await writer.write(b"part")
            await writer.abort(keep=True)
        stats = store.stats()
    assert stats.partials == 64 == len(list((tmp_path / "partial").iterdir()))
    assert stats.reserved_bytes == 64 * 4


@pytest.mark.parametrize("damage", [b"", b"shorter", _LARGE + b"longer"])
@pytest.mark.parametrize("data", [b"small blob", _LARGE])
async def test_a_file_of_the_wrong_size_is_a_miss(
    tmp_path: Path, data: bytes, damage: bytes
) -> None:
    """A torn file is deleted when it is read, and the blob can be written again."""
    async with DiskStore(tmp_path, _LIMIT) as store:
        digest = await write_all(store, data)
        _overwrite(_file(tmp_path, digest), damage)
        with pytest.raises(BlobMissing):
            await read_all(store, digest)
        assert await store.find_missing([digest]) == {digest}
        assert store.stats().damaged == 1
        await write_all(store, data)
        assert await read_all(store, digest) == data


async def test_a_torn_file_without_a_row_is_dropped_at_open(tmp_path: Path) -> None:
    """After a power cut, a file that never got its bytes does not count as a blob."""
    (digest,) = await _fill(tmp_path, 1)
    (tmp_path / "index.sqlite").unlink()
    _overwrite(_file(tmp_path, digest), b"")
    async with DiskStore(tmp_path, _LIMIT) as store:
        assert await store.find_missing([digest]) == {digest}


async def test_a_file_that_went_away_is_a_miss(tmp_path: Path) -> None:
    """Whoever removes files of the store makes misses, for reads and for links."""
    async with DiskStore(tmp_path, _LIMIT) as store:
        first, second = await write_all(store, b"first"), await write_all(store, b"second")
        _file(tmp_path, first).unlink()
        _file(tmp_path, second).unlink()
        with pytest.raises(BlobMissing):
            await read_all(store, first)
        with pytest.raises(BlobMissing):
            await store.link(second, tmp_path / "link")
        assert await store.find_missing([first, second]) == {first, second}


async def test_pinned_blobs_stay(tmp_path: Path) -> None:
    """A pin set before the blob came holds it; when all is pinned, the store is full."""
    async with DiskStore(tmp_path, 1000) as store:
        held = Digest.of(b"h" * 600)
        store.pin([held])
        await write_all(store, b"h" * 600)
        for n in range(10):
            await write_all(store, bytes([n]) * 300)
        assert await store.find_missing([held]) == frozenset()
        with pytest.raises(StoreFull):
            await write_all(store, b"x" * 401)
        store.unpin([held])
        await write_all(store, b"x" * 401)
        assert await store.find_missing([held]) == {held}
        assert store.stats().evicted >= 8


async def test_path_of(tmp_path: Path) -> None:
    """The path leads to the blob's bytes; a compressed store has no such file."""
    async with DiskStore(tmp_path / "plain", _LIMIT) as store:
        digest = await write_all(store, b"data")
        assert store.path_of(digest).read_bytes() == b"data"
        assert stat.S_IMODE(store.path_of(digest).stat().st_mode) == 0o444
        with pytest.raises(BlobMissing):
            store.path_of(Digest.of(b"other"))
    async with DiskStore(tmp_path / "packed", _LIMIT, codec=ZSTD) as store:
        digest = await write_all(store, b"data")
        with pytest.raises(ValueError, match="own bytes"):
            store.path_of(digest)


async def test_a_compressing_store_saves_space(tmp_path: Path) -> None:
    """Text shrinks, noise is kept as it is with one byte more, and sums count what is stored."""
    text, noise = b"int main() { return 0; }\n" * 40_000, os.urandom(300_000)
    async with DiskStore(tmp_path, _LIMIT, codec=ZSTD) as store:
        first, second = await write_all(store, text), await write_all(store, noise)
        assert _file(tmp_path, first).stat().st_size < len(text) / 50
        assert _file(tmp_path, second).stat().st_size == len(noise) + 1
        used = _file(tmp_path, first).stat().st_size + len(noise) + 2
        assert store.stats().used_bytes == used
        assert store.stats().reserved_bytes == 0


@pytest.mark.parametrize("keep", [0, 1, 5, 100])
@pytest.mark.parametrize("data", [b"text " * 1000, b"text " * 100_000, _LARGE])
async def test_a_damaged_compressed_file_is_a_miss(tmp_path: Path, data: bytes, keep: int) -> None:
    """A frame that was cut or changed does not crash a reader: it ends early and is a miss."""
    async with DiskStore(tmp_path, _LIMIT, codec=ZSTD) as store:
        digest = await write_all(store, data)
        file = _file(tmp_path, digest)
        stored = file.read_bytes()
        _overwrite(file, stored[: min(keep, len(stored) // 2)] + b"\xff" * (7 if keep else 0))
        with pytest.raises(BlobMissing):
            await read_all(store, digest)
        await write_all(store, data)
        assert await read_all(store, digest) == data


async def test_a_full_disk_is_a_full_store(tmp_path: Path) -> None:
    """ENOSPC becomes StoreFull, and old blobs go so that a retry can succeed."""
    async with DiskStore(tmp_path, _LIMIT) as store:
        digest = await write_all(store, b"old")
        error = store.explain(OSError(errno.ENOSPC, "full"), digest)
        assert isinstance(error, StoreFull)
        assert await store.find_missing([digest]) == {digest}
        other = OSError(errno.EIO, "broken")
        assert store.explain(other, digest) is other


async def test_the_limit_holds_under_random_load(tmp_path: Path) -> None:
    """Whatever is written, linked, pinned, read or kept: files never take more than the limit."""
    random = Random(7)
    limit = 40_000
    blobs = [random.randbytes(random.randrange(0, 9000)) for _ in range(60)]
    digests = [Digest.of(blob) for blob in blobs]
    pinned: list[Digest] = []
    links = tmp_path / "links"
    links.mkdir()
    async with DiskStore(tmp_path / "cas", limit) as store:
        for step in range(600):
            n = random.randrange(len(blobs))
            action = random.choice(("write", "write", "read", "link", "pin", "unpin", "keep"))
            try:
                if action == "write":
                    await write_all(store, blobs[n])
                elif action == "read":
                    assert await read_all(store, digests[n]) == blobs[n]
                elif action == "link":
                    await store.link(digests[n], links / str(step), random.random() < 0.5)
                elif action == "keep":
                    writer = await store.open_writer(digests[n])
                    await writer.write(blobs[n][: len(blobs[n]) // 2])
                    await writer.abort(keep=True)
                elif action == "pin" and len(pinned) < 3:
                    store.pin([digests[n]])
                    pinned.append(digests[n])
                elif pinned:
                    store.unpin([pinned.pop()])
            except (BlobMissing, StoreFull):
                pass
            if step % 20 == 0:
                files = [p for p in (tmp_path / "cas").rglob("*-*") if parse_name(p.name)]
                sizes = [path.stat().st_size for path in files]
                stats = store.stats()
                assert sum(sizes) == stats.used_bytes + stats.reserved_bytes <= limit
        assert store.stats().damaged == 0
        assert store.stats().evicted > 50


async def test_large_files_are_removed_before_the_store_closes(tmp_path: Path) -> None:
    """They go in a thread, out of sight at once; closing waits for it."""
    data = bytes(9 << 20)
    async with DiskStore(tmp_path, 10 << 20) as store:
        digest = await write_all(store, data)
        await store.delete(digest)
        assert not _file(tmp_path, digest).exists()
        again = await write_all(store, data)
        await write_all(store, bytes(2 << 20))
        assert await store.find_missing([again]) == {again}
    assert list((tmp_path / "tmp").iterdir()) == []


async def test_a_store_that_cannot_open_says_why(tmp_path: Path) -> None:
    """What went wrong comes through, and nothing stays open."""
    with pytest.raises(StoreFull):
        await DiskStore(tmp_path / "tiny", 0, codec=ZSTD).open()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        await DiskStore(tmp_path / "file", _LIMIT).open()


async def test_many_small_blobs_let_others_run(tmp_path: Path) -> None:
    """A loop over small blobs, which never waits, still lets heartbeats through."""
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    async with DiskStore(tmp_path / "cas", _LIMIT) as store:
        heart = asyncio.create_task(beat())
        for n in range(100):
            digest = await write_all(store, b"%d" % n)
            await read_all(store, digest)
            await store.link(digest, tmp_path / str(n))
        heart.cancel()
    assert beats >= 15


def test_file_names() -> None:
    """A blob's name parses back; anything else is foreign."""
    digest = Digest.of(b"x")
    assert parse_name(name_of(digest)) == digest
    for name in ("", "abc", f"{digest.hash}-", f"{digest.hash}-01", f"{digest.hash}-1.0.part"):
        assert parse_name(name) is None
    assert parse_name(f"{digest.hash.upper()}-1") is None


async def test_the_store_says_what_it_holds(tmp_path: Path) -> None:
    """Its repr is a report in one line."""
    async with DiskStore(tmp_path, 1000) as store:
        await write_all(store, b"12345")
        assert "2 blobs, 5 of 1000 bytes" in repr(store)
