"""Blobs in memory under a size limit, for tests, small caches and the client's own uploads.

Knows nothing of disks. Every blob is checked against its digest when it is committed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection

from cyxmake_common.cas.index import LruIndex
from cyxmake_common.cas.store import CHUNK_BYTES
from cyxmake_common.clock import monotonic
from cyxmake_common.digest import EMPTY, Digest
from cyxmake_common.errors import BlobMissing, DigestMismatch, StoreFull


class MemoryStore:
    """A BlobStore that forgets the least recently used blobs beyond its limit."""

    def __init__(self, limit_bytes: int = 1 << 30, clock: Callable[[], float] = monotonic) -> None:
        self._index = LruIndex(limit_bytes)
        self._clock = clock
        self._blobs: dict[Digest, bytes] = {EMPTY: b""}
        self._partials: dict[Digest, bytearray] = {}

    def __repr__(self) -> str:
        return f"<MemoryStore {self._index!r}>"

    async def find_missing(self, digests: Collection[Digest]) -> frozenset[Digest]:
        """Return those of the digests that are not here; the others count as used now."""
        now = self._clock()
        return frozenset(d for d in digests if not self._index.touch(d, now) and d != EMPTY)

    async def read(self, digest: Digest, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield the blob's bytes from an offset; raises BlobMissing."""
        data = self._blobs.get(digest)
        if data is None:
            raise BlobMissing(f"no blob {digest}")
        self._index.touch(digest, self._clock())
        for start in range(offset, len(data), CHUNK_BYTES):
            yield data[start : start + CHUNK_BYTES]

    async def open_writer(self, digest: Digest, *, resume: bool = False) -> MemoryWriter:
        """Begin to store a blob; raises StoreFull."""
        if not self._index.can_ever_hold(digest.size):
            raise StoreFull(f"{digest} does not fit in {self._index.limit_bytes} bytes")
        if not resume:
            return MemoryWriter(self, digest, bytearray())
        if digest in self._blobs:
            data = bytearray(self._blobs[digest])
            self.reserve(len(data))
            return MemoryWriter(self, digest, data)
        return MemoryWriter(self, digest, self._partials.pop(digest, bytearray()))

    async def delete(self, digest: Digest) -> None:
        """Remove a blob; no error when it is not here."""
        if self._index.remove(digest):
            del self._blobs[digest]

    def pin(self, digests: Collection[Digest]) -> None:
        """Keep blobs, here or yet to come, from being evicted."""
        for digest in digests:
            self._index.pin(digest)

    def unpin(self, digests: Collection[Digest]) -> None:
        """Take back one pin of each."""
        for digest in digests:
            self._index.unpin(digest, self._clock())

    def reserve(self, count: int) -> None:
        """Make room for bytes of an upload and set it aside; raises StoreFull."""
        try:
            victims = self._index.plan_eviction(count)
        except StoreFull:
            for partial in self._partials.values():
                self._index.release(len(partial))
            self._partials.clear()
            victims = self._index.plan_eviction(count)
        for victim in victims:
            self._index.remove(victim)
            del self._blobs[victim]
        self._index.reserve(count)

    def finish(self, digest: Digest, data: bytes, reserved: int) -> None:
        """Take an upload's bytes as the blob, in place of what was reserved."""
        self._index.release(reserved)
        self._index.release(len(self._partials.pop(digest, b"")))
        if digest != EMPTY:
            self._blobs[digest] = data
            self._index.add(digest, len(data), self._clock())

    def give_up(self, digest: Digest, data: bytearray, *, keep: bool) -> None:
        """Drop an upload, or keep its bytes for a later one (the longer of two)."""
        if keep and len(data) > len(self._partials.get(digest, b"")):
            data, self._partials[digest] = self._partials.get(digest, bytearray()), data
        self._index.release(len(data))


class MemoryWriter:
    """One blob on its way into a MemoryStore."""

    def __init__(self, store: MemoryStore, digest: Digest, data: bytearray) -> None:
        self._store = store
        self._digest = digest
        self._data = data
        self._excess = False
        self._open = True

    @property
    def offset(self) -> int:
        """Return how many bytes are there already."""
        return len(self._data)

    async def write(self, chunk: bytes) -> None:
        """Append bytes; raises StoreFull. Bytes beyond the announced size are not kept."""
        if not self._open:
            raise ValueError(f"the writer of {self._digest} is closed")
        if len(self._data) + len(chunk) > self._digest.size:
            self._excess = True
            return
        self._store.reserve(len(chunk))
        self._data += chunk

    async def commit(self) -> None:
        """Make the blob visible; raises DigestMismatch (and forgets the bytes) for others."""
        if not self._open:
            raise ValueError(f"the writer of {self._digest} is closed")
        data = bytes(self._data)
        if self._excess or Digest.of(data) != self._digest:
            await self.abort()
            raise DigestMismatch(f"the bytes sent as {self._digest} are others")
        self._open = False
        self._store.finish(self._digest, data, len(data))

    async def abort(self, *, keep: bool = False) -> None:
        """Give up, keeping the bytes for a resumed upload when asked; later calls do nothing."""
        if self._open:
            self._open = False
            self._store.give_up(self._digest, self._data, keep=keep and not self._excess)
