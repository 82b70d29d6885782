"""Blobs in execution roots: links, executable twins, copies, and what is checked before."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from cyxmake_common.cas.compressing import IDENTITY, ZSTD, Codec
from cyxmake_common.cas.disk import DiskStore
from cyxmake_common.cas.store import CHUNK_BYTES, read_all, write_all
from cyxmake_common.digest import EMPTY, Digest
from cyxmake_common.errors import BlobMissing

_LIMIT = 8 << 20
_LARGE = os.urandom(CHUNK_BYTES * 3)


def _file(root: Path, digest: Digest) -> Path:
    return root / "blobs" / digest.hash[:2] / f"{digest.hash}-{digest.size}"


def _overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


async def _fill(root: Path, count: int) -> list[Digest]:
    async with DiskStore(root, _LIMIT) as store:
        return [await write_all(store, b"blob %d" % n) for n in range(count)]


@pytest.mark.parametrize("codec", [IDENTITY, ZSTD])
@pytest.mark.parametrize("data", [b"small", _LARGE])
async def test_links_have_the_bytes_and_the_mode(tmp_path: Path, codec: Codec, data: bytes) -> None:
    """A linked file is read-only; an executable one can be run, and its twin is counted."""
    async with DiskStore(tmp_path / "cas", _LIMIT, codec=codec) as store:
        digest = await write_all(store, data)
        before = store.stats().used_bytes
        for name, executable in (("a", False), ("b", True), ("c", True)):
            await store.link(digest, tmp_path / name, executable)
            assert (tmp_path / name).read_bytes() == data
        after = store.stats().used_bytes
        shared = (tmp_path / "b").stat().st_ino == (tmp_path / "c").stat().st_ino
        assert (shared, after - before) == ((True, len(data)) if codec.plain else (False, 0))
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o444
        assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o555
        await store.delete(digest)
        assert [path for path in (tmp_path / "cas" / "x").rglob("*") if path.is_file()] == []
        assert (tmp_path / "b").read_bytes() == data


async def test_the_empty_file_can_be_linked(tmp_path: Path) -> None:
    """Empty headers exist; nobody uploads them."""
    async with DiskStore(tmp_path / "cas", _LIMIT) as store:
        await store.link(EMPTY, tmp_path / "empty")
        await store.link(EMPTY, tmp_path / "empty-tool", True)
        assert store.path_of(EMPTY).read_bytes() == b""
    assert (tmp_path / "empty").read_bytes() == b""


async def test_what_an_action_wrote_through_its_link_is_found(tmp_path: Path) -> None:
    """A linked blob that was written to is not handed to the next action."""
    async with DiskStore(tmp_path / "cas", _LIMIT) as store:
        digest = await write_all(store, b"header")
        link = tmp_path / "link"
        await store.link(digest, link)
        link.chmod(0o644)
        link.write_bytes(b"HEADER")
        os.utime(link, (1, 1))
        with pytest.raises(BlobMissing):
            await store.link(digest, tmp_path / "next")
        assert await store.find_missing([digest]) == {digest}


async def test_a_twin_that_was_written_to_is_made_again(tmp_path: Path) -> None:
    """The same for executables: their twin is replaced, and counted once."""
    async with DiskStore(tmp_path / "cas", _LIMIT) as store:
        digest = await write_all(store, b"tool")
        link = tmp_path / "link"
        await store.link(digest, link, True)
        used = store.stats().used_bytes
        link.chmod(0o755)
        link.write_bytes(b"TOOL")
        os.utime(link, (1, 1))
        await store.link(digest, tmp_path / "next", True)
        assert (tmp_path / "next").read_bytes() == b"tool"
        assert store.stats().used_bytes == used


@pytest.mark.parametrize("executable", [False, True])
async def test_damage_between_two_runs_is_found_before_a_link(
    tmp_path: Path, executable: bool
) -> None:
    """A file that an earlier run left is hashed before its first link: same size is not enough."""
    good, bad = await _fill(tmp_path / "cas", 2)
    _overwrite(_file(tmp_path / "cas", bad), b"BLOB 1")
    async with DiskStore(tmp_path / "cas", _LIMIT) as store:
        await store.link(good, tmp_path / "good", executable)
        with pytest.raises(BlobMissing):
            await store.link(bad, tmp_path / "bad", executable)
        assert store.stats().damaged == 1
    assert (tmp_path / "good").read_bytes() == b"blob 0"


async def test_a_link_to_a_bad_place_is_the_callers_error(tmp_path: Path) -> None:
    """An existing destination or a missing parent is an OSError; the blob stays."""
    async with DiskStore(tmp_path / "cas", _LIMIT) as store:
        digest = await write_all(store, b"data")
        (tmp_path / "there").write_bytes(b"")
        with pytest.raises(FileExistsError):
            await store.link(digest, tmp_path / "there")
        with pytest.raises(FileNotFoundError):
            await store.link(digest, tmp_path / "no" / "parent")
        assert await store.find_missing([digest]) == frozenset()
        with pytest.raises(BlobMissing):
            await store.link(Digest.of(b"other"), tmp_path / "other")


async def test_a_finished_file_is_taken_over(tmp_path: Path) -> None:
    """An output of an action becomes a blob by renaming, or by a copy from another file system."""
    elsewhere = Path("/dev/shm") / f"cyxmake-test-{os.getpid()}"
    places = [tmp_path / "output"]
    if elsewhere.parent.is_dir():
        places.append(elsewhere)
    async with DiskStore(tmp_path / "cas", _LIMIT) as store:
        for place in places:
            data = os.urandom(5000)
            place.write_bytes(data)
            place.chmod(0o444)
            store.adopt(Digest.of(data), place, 0)
            assert not place.exists()
            assert await read_all(store, Digest.of(data)) == data
            await store.link(Digest.of(data), tmp_path / Digest.of(data).hash)
            assert stat.S_IMODE(store.path_of(Digest.of(data)).stat().st_mode) == 0o444
        assert list((tmp_path / "cas" / "tmp").iterdir()) == []


async def test_links_to_another_file_system_are_copies(tmp_path: Path) -> None:
    """Where no hard link can be, the bytes and the mode are the same."""
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    async with DiskStore(tmp_path, _LIMIT) as store:
        for data, executable in ((b"small", False), (_LARGE, True)):
            digest = await write_all(store, data)
            destination = elsewhere / f"cyxmake-test-{os.getpid()}-{executable}"
            try:
                await store.link(digest, destination, executable)
                assert destination.read_bytes() == data
                assert destination.stat().st_mode & 0o777 == (0o555 if executable else 0o444)
            finally:
                destination.unlink(missing_ok=True)
        assert store.stats().copied == 2
