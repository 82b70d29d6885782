"""The coordinator's stores, stacked in one visible place.

Knows nothing of peers or of scheduling. Bottom to top, blobs: files on disk, zstd inside the files,
verified on the way in and out, the smallest also in memory, counted. Action cache: SQLite, then
only what is complete.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_common.cache.complete import CompleteActionCache
from cyxmake_common.cache.store import SqliteActionCache
from cyxmake_common.cas.compressing import ZSTD
from cyxmake_common.cas.disk import DiskStore
from cyxmake_common.cas.metered import MeteredStore
from cyxmake_common.cas.verifying import VerifyingStore
from cyxmake_common.digest import Digest
from cyxmake_coordinator.config import CoordinatorConfig
from cyxmake_coordinator.data_dir import DataDir
from cyxmake_coordinator.recent_blobs import RecentBlobs

CAS_CODEC: Final = ZSTD
"""How blobs lie in their files; fsck must read them the same way."""

_DEFAULT_LIMIT: Final = 20 << 30
_SMALLEST_LIMIT: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class Storage:
    """The open stores of one coordinator: use `blobs` and `actions`; `disk` is for its figures."""

    disk: DiskStore
    recent: RecentBlobs
    blobs: MeteredStore
    actions: CompleteActionCache
    entries: SqliteActionCache

    def kept(self, digest: Digest) -> bytes | None:
        """Return a blob's bytes if they are in memory."""
        return self.recent.kept(digest)

    def touch(self, digest: Digest) -> bool:
        """Tell whether a blob is here, and count that as a use."""
        return self.disk.touch(digest)


@contextlib.asynccontextmanager
async def open_storage(data: DataDir, config: CoordinatorConfig) -> AsyncIterator[Storage]:
    """Open the stores for the length of the block; leaving it writes what is pending."""
    limit = config.cas_limit_bytes or default_cas_limit(data.root)
    async with contextlib.AsyncExitStack() as stack:
        disk = await stack.enter_async_context(DiskStore(data.cas, limit, codec=CAS_CODEC))
        recent = RecentBlobs(VerifyingStore(disk))
        blobs = MeteredStore(recent)
        entries = await SqliteActionCache.open(data.action_cache, config.action_cache_entries)
        stack.push_async_callback(entries.close)
        yield Storage(disk, recent, blobs, CompleteActionCache(entries, blobs), entries)


def default_cas_limit(directory: Path) -> int:
    """Return 20 GiB, or half of what is free on the disk when that is less."""
    return max(_SMALLEST_LIMIT, min(_DEFAULT_LIMIT, shutil.disk_usage(directory).free // 2))
