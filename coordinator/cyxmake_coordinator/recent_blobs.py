"""A wrapper of a blob store that keeps the smallest blobs written lately in memory, too.

Knows nothing of actions. An Action and a Command are read by the coordinator and by the worker
within moments of their upload, and opening a small file costs more than all else done with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from typing import Final

from cyxmake_common.cas.store import BlobStore, BlobWriter
from cyxmake_common.digest import Digest

_LARGEST: Final = 8 * 1024
_OVERHEAD: Final = 300
"""About what Python adds to a blob of a few hundred bytes and its digest."""


class RecentBlobs:
    """A BlobStore around another, which checks bytes on commit; `limit_bytes` bounds the memory."""

    def __init__(self, inner: BlobStore, limit_bytes: int = 64 << 20) -> None:
        self._inner = inner
        self._limit = limit_bytes
        self._kept: OrderedDict[Digest, bytes] = OrderedDict()
        self._size = 0

    def __repr__(self) -> str:
        return f"<RecentBlobs {len(self._kept)} blobs, {self._size} bytes, over {self._inner!r}>"

    async def find_missing(self, digests: Collection[Digest]) -> frozenset[Digest]:
        """Return those of the digests that the store below has not got: it is the one to ask."""
        return await self._inner.find_missing(digests)

    async def read(self, digest: Digest, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield the blob's bytes from an offset, from memory where they are."""
        kept = self._kept.get(digest)
        if kept is not None:
            self._kept.move_to_end(digest)
            if offset < len(kept):
                yield kept[offset:]
            return
        pieces = self._inner.read(digest, offset)
        try:
            async for piece in pieces:
                yield piece
        finally:
            # A reader that stops early must not leave the file below open until a collection.
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()

    def kept(self, digest: Digest) -> bytes | None:
        """Return a blob that is in memory; that it is in the store below, too, nobody has seen."""
        return self._kept.get(digest)

    async def open_writer(self, digest: Digest, *, resume: bool = False) -> BlobWriter:
        """Begin to store a blob; raises StoreFull."""
        writer = await self._inner.open_writer(digest, resume=resume)
        if digest.size > _LARGEST or writer.offset:
            return writer
        return _KeepingWriter(self, writer, digest)

    async def delete(self, digest: Digest) -> None:
        """Remove a blob, here and below."""
        kept = self._kept.pop(digest, None)
        if kept is not None:
            self._size -= len(kept) + _OVERHEAD
        await self._inner.delete(digest)

    def keep(self, digest: Digest, data: bytes) -> None:
        """Remember a blob's bytes, which are known to be right."""
        if digest in self._kept:
            return
        self._kept[digest] = data
        self._size += len(data) + _OVERHEAD
        while self._size > self._limit:
            _, oldest = self._kept.popitem(last=False)
            self._size -= len(oldest) + _OVERHEAD


class _KeepingWriter:
    """A BlobWriter that remembers what went through it."""

    def __init__(self, store: RecentBlobs, inner: BlobWriter, digest: Digest) -> None:
        self._store = store
        self._inner = inner
        self._digest = digest
        self._pieces: list[bytes] = []

    @property
    def offset(self) -> int:
        """Return how many bytes are there already."""
        return self._inner.offset

    async def write(self, chunk: bytes) -> None:
        """Append bytes; raises StoreFull."""
        self._pieces.append(chunk)
        await self._inner.write(chunk)

    async def commit(self) -> None:
        """Make the blob visible; raises DigestMismatch."""
        await self._inner.commit()
        self._store.keep(self._digest, b"".join(self._pieces))

    async def abort(self, *, keep: bool = False) -> None:
        """Give up."""
        self._pieces.clear()
        await self._inner.abort(keep=keep)
