"""Counts what is asked of another store: operations, bytes, misses, failures, seconds.

Knows nothing of metric formats or pages: it hands out frozen snapshots.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cyxmake_common.cas.store import BlobStore, BlobWriter
from cyxmake_common.clock import monotonic
from cyxmake_common.digest import Digest
from cyxmake_common.errors import BlobMissing


@dataclass(frozen=True, slots=True)
class OperationFigures:
    """One kind of operation: how often, how much, and the seconds spent waiting for the store.

    For lookups, `count` and `misses` are of digests; for reads and writes, of blobs.
    """

    count: int = 0
    bytes: int = 0
    misses: int = 0
    failures: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """Everything that was asked of a store since it was opened."""

    lookups: OperationFigures = OperationFigures()
    reads: OperationFigures = OperationFigures()
    writes: OperationFigures = OperationFigures()
    deletes: OperationFigures = OperationFigures()


class MeteredStore:
    """A BlobStore around another."""

    def __init__(self, inner: BlobStore, clock: Callable[[], float] = monotonic) -> None:
        self._inner = inner
        self._lookups = _Meter(clock)
        self._reads = _Meter(clock)
        self._writes = _Meter(clock)
        self._deletes = _Meter(clock)

    def __repr__(self) -> str:
        return f"<MeteredStore {self._reads.count} reads, {self._writes.count} writes>"

    def figures(self) -> StoreFigures:
        """Return a snapshot of all counts."""
        return StoreFigures(
            lookups=self._lookups.figures(),
            reads=self._reads.figures(),
            writes=self._writes.figures(),
            deletes=self._deletes.figures(),
        )

    async def find_missing(self, digests: Collection[Digest]) -> frozenset[Digest]:
        """Return those of the digests that are not here; the others count as used now."""
        with self._lookups.timed():
            missing = await self._inner.find_missing(digests)
        self._lookups.count += len(digests)
        self._lookups.misses += len(missing)
        return missing

    async def read(self, digest: Digest, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield the blob's bytes from an offset; raises BlobMissing, DigestMismatch."""
        self._reads.count += 1
        pieces = self._inner.read(digest, offset)
        try:
            while True:
                with self._reads.timed():
                    piece = await anext(pieces, None)
                if piece is None:
                    return
                self._reads.bytes += len(piece)
                yield piece
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()

    async def open_writer(self, digest: Digest, *, resume: bool = False) -> BlobWriter:
        """Begin to store a blob; raises StoreFull."""
        self._writes.count += 1
        with self._writes.timed():
            return _MeteredWriter(
                await self._inner.open_writer(digest, resume=resume), self._writes
            )

    async def delete(self, digest: Digest) -> None:
        """Remove a blob; no error when it is not here."""
        self._deletes.count += 1
        with self._deletes.timed():
            await self._inner.delete(digest)


class _Meter:
    """The running figures of one kind of operation."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.count = 0
        self.bytes = 0
        self.misses = 0
        self.failures = 0
        self.seconds = 0.0

    def figures(self) -> OperationFigures:
        return OperationFigures(self.count, self.bytes, self.misses, self.failures, self.seconds)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Add the time inside; a missing blob counts as a miss, another exception as a failure."""
        start = self._clock()
        try:
            yield
        except BlobMissing:
            self.misses += 1
            raise
        except Exception:
            self.failures += 1
            raise
        finally:
            self.seconds += self._clock() - start


class _MeteredWriter:
    """A BlobWriter whose waits and bytes are counted."""

    def __init__(self, inner: BlobWriter, meter: _Meter) -> None:
        self._inner = inner
        self._meter = meter

    @property
    def offset(self) -> int:
        """Return how many bytes are there already."""
        return self._inner.offset

    async def write(self, chunk: bytes) -> None:
        """Append bytes; raises StoreFull."""
        with self._meter.timed():
            await self._inner.write(chunk)
        self._meter.bytes += len(chunk)

    async def commit(self) -> None:
        """Make the blob visible; raises DigestMismatch."""
        with self._meter.timed():
            await self._inner.commit()

    async def abort(self, *, keep: bool = False) -> None:
        """Give up; `keep` leaves the bytes for a resumed upload."""
        with self._meter.timed():
            await self._inner.abort(keep=keep)
