"""Blobs, small limits and a slow store for the tests of transfers.

Knows nothing of connections.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final

from cyxmake_common.cas.memory import MemoryStore
from cyxmake_common.cas.store import BlobWriter
from cyxmake_common.digest import Digest
from cyxmake_common.net.wss import Introduction
from cyxmake_common.protocol.messages import (
    Channel,
    Limits,
)

MIB: Final = 1 << 20
LIMITS: Final = Limits(chunk_bytes=16 * 1024, window_bytes=128 * 1024)
BULK: Final = Introduction(channel=Channel.BULK, session="s-1")


def noise(size: int, seed: int = 1) -> bytes:
    """Return bytes that do not compress."""
    return random.Random(seed).randbytes(size)


class SlowStore(MemoryStore):
    """A store whose writers wait for an event, and whose readers can be watched."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.written = 0

    async def open_writer(self, digest: Digest, *, resume: bool = False) -> BlobWriter:  # type: ignore[override]
        return _SlowWriter(self, await super().open_writer(digest, resume=resume))


class _SlowWriter:
    def __init__(self, store: SlowStore, inner: BlobWriter) -> None:
        self._store = store
        self._inner = inner

    @property
    def offset(self) -> int:
        return self._inner.offset

    async def write(self, chunk: bytes) -> None:
        await self._store.go.wait()
        self._store.written += len(chunk)
        await self._inner.write(chunk)

    async def commit(self) -> None:
        await self._inner.commit()

    async def abort(self, *, keep: bool = False) -> None:
        await self._inner.abort(keep=keep)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something on the other side of a socket, which has no event to wait for."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)
