"""What fsck finds, removes and puts right."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyxmake_common.cas.compressing import IDENTITY, ZSTD, Codec
from cyxmake_common.cas.disk import DiskStore
from cyxmake_common.cas.fsck import FsckReport, fsck
from cyxmake_common.cas.store import write_all
from cyxmake_common.digest import Digest

_LIMIT = 1 << 20


def _file(root: Path, digest: Digest) -> Path:
    return root / "blobs" / digest.hash[:2] / f"{digest.hash}-{digest.size}"


async def _fill(root: Path, codec: Codec) -> list[Digest]:
    async with DiskStore(root, _LIMIT, codec=codec) as store:
        return [await write_all(store, b"the blob with number %d" % n) for n in range(100)]


@pytest.mark.parametrize("codec", [IDENTITY, ZSTD])
async def test_a_sound_store_is_clean(tmp_path: Path, codec: Codec) -> None:
    """Every blob is read and counted, the empty one too; progress is told."""
    await _fill(tmp_path, codec)
    told: list[int] = []
    report = await fsck(tmp_path, codec, lambda so_far: told.append(so_far.blobs))
    assert (report.blobs, report.clean) == (101, True)
    files = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
    assert report.bytes == sum(path.stat().st_size for path in files)
    assert told[-1] == 101
    assert len(told) > 1


@pytest.mark.parametrize("codec", [IDENTITY, ZSTD])
async def test_damage_is_removed_and_the_index_mended(tmp_path: Path, codec: Codec) -> None:
    """Damaged blobs are deleted, rows follow the files, and a second run finds nothing."""
    digests = await _fill(tmp_path, codec)
    changed, cut, gone = digests[:3]
    for digest, data in ((changed, b"The blob with number 0"), (cut, b"")):
        _file(tmp_path, digest).chmod(0o644)
        _file(tmp_path, digest).write_bytes(data)
    _file(tmp_path, gone).unlink()
    (tmp_path / "blobs" / "foreign").write_text("?")
    report = await fsck(tmp_path, codec)
    assert (report.blobs, report.damaged, report.stale) == (98, 2, 1)
    assert (report.foreign, report.unindexed) == (1, 0)
    assert not report.clean
    (tmp_path / "blobs" / "foreign").unlink()
    assert (await fsck(tmp_path, codec)).clean
    async with DiskStore(tmp_path, _LIMIT, codec=codec) as store:
        assert await store.find_missing(digests) == {changed, cut, gone}


async def test_a_lost_index_is_filled_again(tmp_path: Path) -> None:
    """Blobs that the index does not know are added to it."""
    await _fill(tmp_path, IDENTITY)
    (tmp_path / "index.sqlite").unlink()
    assert (await fsck(tmp_path)).unindexed == 101
    assert (await fsck(tmp_path)).clean


async def test_the_order_of_use_is_kept(tmp_path: Path) -> None:
    """A check is no use: what was used last before it is still what stays."""
    digests = await _fill(tmp_path, IDENTITY)
    async with DiskStore(tmp_path, _LIMIT) as store:
        await store.find_missing(digests[:1])
    await fsck(tmp_path)
    async with DiskStore(tmp_path, digests[0].size) as store:
        assert await store.find_missing(digests) == frozenset(digests[1:])


async def test_no_store_is_a_clean_one(tmp_path: Path) -> None:
    """Nothing is made where nothing is."""
    assert await fsck(tmp_path / "none") == FsckReport()
    assert not (tmp_path / "none").exists()
