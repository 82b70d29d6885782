"""Many tasks on one small store at once, some of them cancelled anywhere."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from cyxmake_common.cas.compressing import IDENTITY, ZSTD, Codec
from cyxmake_common.cas.disk import DiskStore
from cyxmake_common.cas.disk_files import parse_name
from cyxmake_common.cas.store import CHUNK_BYTES, read_all
from cyxmake_common.digest import Digest
from cyxmake_common.errors import BlobMissing, StoreFull

_LIMIT = 5 << 20
_SIZES = (10, 3000, 40_000, CHUNK_BYTES + 1, 3 * CHUNK_BYTES)
_BLOBS = [Random(n).randbytes(_SIZES[n % len(_SIZES)]) for n in range(40)]
_DIGESTS = [Digest.of(blob) for blob in _BLOBS]


async def _write(store: DiskStore, n: int, random: Random) -> None:
    writer = await store.open_writer(_DIGESTS[n], resume=random.random() < 0.5)
    try:
        for start in range(writer.offset, len(_BLOBS[n]), 100_000):
            await writer.write(_BLOBS[n][start : start + 100_000])
            await asyncio.sleep(0)
        if random.random() < 0.8:
            await writer.commit()
    finally:
        await writer.abort(keep=random.random() < 0.5)


async def _use(store: DiskStore, links: Path, random: Random) -> str:
    """Do one thing to one blob; return how it ended."""
    n = random.randrange(len(_BLOBS))
    what = random.choice(("write", "write", "read", "read", "link", "link", "delete"))
    try:
        if what == "write":
            await _write(store, n, random)
        elif what == "read":
            assert await read_all(store, _DIGESTS[n]) == _BLOBS[n]
        elif what == "link":
            place = links / str(random.random())
            await store.link(_DIGESTS[n], place, random.random() < 0.5)
            assert place.read_bytes() == _BLOBS[n]
        elif random.random() < 0.2:
            await store.delete(_DIGESTS[n])
    except BlobMissing:
        return "missing"
    except StoreFull:
        return "full"
    return what


async def _client(store: DiskStore, links: Path, seed: int, ends: Counter[str]) -> None:
    random = Random(seed)
    for _ in range(40):
        task = asyncio.create_task(_use(store, links, random))
        if random.random() < 0.3:
            for _ in range(random.randrange(6)):
                await asyncio.sleep(0)
            task.cancel()
        try:
            ends[await task] += 1
        except asyncio.CancelledError:
            ends["cancelled"] += 1


@pytest.mark.parametrize("codec", [IDENTITY, ZSTD])
@pytest.mark.parametrize("seed", range(2))
async def test_nothing_leaks_under_load(tmp_path: Path, codec: Codec, seed: int) -> None:
    """After any mix of uses and cancellations, sums equal the files and nothing is held."""
    links, root = tmp_path / "links", tmp_path / "cas"
    links.mkdir()
    ends: Counter[str] = Counter()
    async with DiskStore(root, _LIMIT, codec=codec) as store:
        await asyncio.gather(*(_client(store, links, seed * 100 + n, ends) for n in range(12)))
        stats = store.stats()
    sizes = Counter[str]()
    for path in root.rglob("*-*"):
        if parse_name(path.name) is not None:
            sizes[path.relative_to(root).parts[0]] += path.stat().st_size
    assert stats.used_bytes == sizes["blobs"] + sizes["x"] <= _LIMIT
    assert stats.reserved_bytes == sizes["partial"]
    assert stats.pinned_blobs == 1, "only the empty blob stays pinned"
    assert (stats.damaged, list((root / "tmp").iterdir())) == (0, [])
    assert min(ends[end] for end in ("write", "read", "link", "missing", "cancelled")) > 5
