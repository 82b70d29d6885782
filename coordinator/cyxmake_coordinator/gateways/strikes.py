"""Counts what a peer sent that cannot be true, and turns away one that keeps doing so.

Knows nothing of what was sent. A blob with other bytes than its name says is a strike, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Final, Protocol

import structlog

from cyxmake_common.cas.store import BlobStore, BlobWriter
from cyxmake_common.digest import Digest
from cyxmake_common.errors import CyxError, DigestMismatch, ProtocolError

MAX_STRIKES: Final = 3
_log = structlog.get_logger(__name__)


class Refusable(Protocol):
    """A connection that can be ended with a reason."""

    async def refuse(self, error: CyxError) -> None:
        """Tell the peer why, and close."""
        ...


class Strikes:
    """The strikes against one peer, over its control connection and its bulk connections."""

    def __init__(self, name: str, connection: Refusable) -> None:
        self._name = name
        self._connection = connection
        self._count = 0
        self._refusal: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Strikes {self._count} against {self._name}>"

    def add(self, what: str) -> None:
        """Count one; the third ends the peer's control connection."""
        self._count += 1
        _log.warning("peer_not_believed", peer=self._name, what=what, count=self._count)
        if self._count >= MAX_STRIKES and self._refusal is None:
            error = ProtocolError(f"{self._count} times something that cannot be; last: {what}")
            self._refusal = asyncio.ensure_future(self._connection.refuse(error))


class WatchedStore:
    """A BlobStore for one peer's uploads that counts wrong bytes against it."""

    def __init__(self, inner: BlobStore, strikes: Strikes) -> None:
        self._inner = inner
        self._strikes = strikes

    async def find_missing(self, digests: Collection[Digest]) -> frozenset[Digest]:
        """Return those of the digests that are not here."""
        return await self._inner.find_missing(digests)

    def read(self, digest: Digest, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield the blob's bytes."""
        return self._inner.read(digest, offset)

    async def open_writer(self, digest: Digest, *, resume: bool = False) -> BlobWriter:
        """Begin to store a blob."""
        return _WatchedWriter(await self._inner.open_writer(digest, resume=resume), self._strikes)

    async def delete(self, digest: Digest) -> None:
        """Remove a blob."""
        await self._inner.delete(digest)


class _WatchedWriter:
    def __init__(self, inner: BlobWriter, strikes: Strikes) -> None:
        self._inner = inner
        self._strikes = strikes

    @property
    def offset(self) -> int:
        return self._inner.offset

    async def write(self, chunk: bytes) -> None:
        await self._inner.write(chunk)

    async def commit(self) -> None:
        try:
            await self._inner.commit()
        except DigestMismatch:
            self._strikes.add("a blob with other bytes than its digest says")
            raise

    async def abort(self, *, keep: bool = False) -> None:
        await self._inner.abort(keep=keep)
