"""The one interface of everything that keeps blobs: four methods, and two helpers over them.

Knows nothing of where the bytes are. Wrappers (verifying, compressing, metered) implement the same
interface around another store; each program stacks them in one visible place.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Final, Protocol

from cyxmake_common.digest import Digest

CHUNK_BYTES: Final = 256 * 1024
"""Largest piece of a blob that stores hand out at once."""


class BlobWriter(Protocol):
    """One blob on its way into a store; nothing is visible before `commit`."""

    @property
    def offset(self) -> int:
        """Return how many bytes are there already; more than 0 after a resumed transfer."""
        ...

    async def write(self, chunk: bytes) -> None:
        """Append bytes; raises StoreFull."""
        ...

    async def commit(self) -> None:
        """Make the blob visible; raises DigestMismatch and forgets bytes that are others."""
        ...

    async def abort(self, *, keep: bool = False) -> None:
        """Give up; `keep` leaves the bytes so far for a later `open_writer(resume=True)`."""
        ...


class BlobStore(Protocol):
    """Blobs by digest. The empty blob always exists."""

    async def find_missing(self, digests: Collection[Digest]) -> frozenset[Digest]:
        """Return those of the digests that are not here; the others count as used now."""
        ...

    def read(self, digest: Digest, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield the blob's bytes from an offset in chunks; raises BlobMissing, DigestMismatch."""
        ...

    async def open_writer(self, digest: Digest, *, resume: bool = False) -> BlobWriter:
        """Begin to store a blob; raises StoreFull."""
        ...

    async def delete(self, digest: Digest) -> None:
        """Remove a blob; no error when it is not here."""
        ...


async def read_all(store: BlobStore, digest: Digest) -> bytes:
    """Return a whole blob; for blobs known to be small. Raises as `BlobStore.read`."""
    return b"".join([chunk async for chunk in store.read(digest)])


async def write_all(store: BlobStore, data: bytes, digest: Digest | None = None) -> Digest:
    """Store bytes in memory and return their digest; raises StoreFull, DigestMismatch."""
    digest = digest or Digest.of(data)
    writer = await store.open_writer(digest)
    try:
        for start in range(0, len(data), CHUNK_BYTES):
            await writer.write(data[start : start + CHUNK_BYTES])
    except BaseException:
        await writer.abort()
        raise
    await writer.commit()
    return digest
