"""Checks every blob against its digest on the way in and on the way out of another store.

Knows nothing of where blobs are. What does not match is deleted and is then missing, so that it
gets built again: damage is never an error that ends a build.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Collection

from cyxmake_common.cas.store import BlobStore, BlobWriter
from cyxmake_common.digest import Digest
from cyxmake_common.errors import BlobMissing, DigestMismatch
from cyxmake_common.telemetry.logger import get_logger

_log = get_logger(__name__)


class VerifyingStore:
    """A BlobStore around another. A read from an offset cannot be checked and is passed through."""

    def __init__(self, inner: BlobStore) -> None:
        self._inner = inner
        self.damaged = 0
        """How many blobs were found damaged and deleted."""

    def __repr__(self) -> str:
        return f"<VerifyingStore {self.damaged} damaged, {self._inner!r}>"

    async def find_missing(self, digests: Collection[Digest]) -> frozenset[Digest]:
        """Return those of the digests that are not here; the others count as used now."""
        return await self._inner.find_missing(digests)

    async def read(self, digest: Digest, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield the blob's bytes; raises BlobMissing, for a damaged one before its last piece.

        A blob of one piece is thus never handed out damaged.
        """
        sha, size, held = hashlib.sha256(), 0, b""
        pieces = self._inner.read(digest, offset)
        try:
            async for piece in pieces:
                if held:
                    yield held
                held = piece
                sha.update(piece)
                size += len(piece)
        except DigestMismatch:
            raise await self._damage(digest) from None
        finally:
            # A reader that stops early must not leave the file below open until a collection.
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
        if offset == 0 and (size != digest.size or sha.hexdigest() != digest.hash):
            raise await self._damage(digest)
        if held:
            yield held

    async def open_writer(self, digest: Digest, *, resume: bool = False) -> BlobWriter:
        """Begin to store a blob; raises StoreFull."""
        return _VerifyingWriter(self, await self._inner.open_writer(digest, resume=resume), digest)

    async def delete(self, digest: Digest) -> None:
        """Remove a blob; no error when it is not here."""
        await self._inner.delete(digest)

    async def check(self, digest: Digest) -> None:
        """Read a whole blob for nothing but its digest; raises BlobMissing."""
        async for _ in self.read(digest):
            pass

    async def _damage(self, digest: Digest) -> BlobMissing:
        self.damaged += 1
        await self._inner.delete(digest)
        _log.warning("cas_blob_damaged", digest=str(digest))
        return BlobMissing(f"blob {digest} was damaged and is gone")


class _VerifyingWriter:
    """A BlobWriter that hashes what goes through it; a resumed blob is read back instead."""

    def __init__(self, store: VerifyingStore, inner: BlobWriter, digest: Digest) -> None:
        self._store = store
        self._inner = inner
        self._digest = digest
        self._sha = hashlib.sha256()
        self._size = 0
        self._resumed = inner.offset > 0

    @property
    def offset(self) -> int:
        """Return how many bytes are there already."""
        return self._inner.offset

    async def write(self, chunk: bytes) -> None:
        """Append bytes; raises StoreFull."""
        await self._inner.write(chunk)
        self._sha.update(chunk)
        self._size += len(chunk)

    async def commit(self) -> None:
        """Make the blob visible; raises DigestMismatch (and forgets the bytes) for others."""
        mismatch = DigestMismatch(f"the bytes sent as {self._digest} are others")
        if not self._resumed:
            if (self._sha.hexdigest(), self._size) != (self._digest.hash, self._digest.size):
                await self._inner.abort()
                raise mismatch
            await self._inner.commit()
            return
        await self._inner.commit()
        try:
            await self._store.check(self._digest)
        except BlobMissing:
            raise mismatch from None

    async def abort(self, *, keep: bool = False) -> None:
        """Give up; `keep` leaves the bytes for a resumed upload."""
        await self._inner.abort(keep=keep)
