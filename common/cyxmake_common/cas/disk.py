"""Blobs as files in sharded directories, with an LRU index that survives restarts.

Knows nothing of networks or actions, and does not guard its directory against a second process: the
programs take that lock.

Blobs are not synced to the disk one by one: a power cut may leave a torn file under a blob's name.
Such a file is found by its size or its hash, at the latest when it is read through a VerifyingStore
or linked, and is then a miss that gets rebuilt. In return, storing a header costs tens of
microseconds and not a disk's round trip. A kill of the process tears nothing: files are renamed.

Small blobs are read and written on the event loop, larger ones in threads, so that a slow disk does
not stall heartbeats. Whatever makes a blob visible or lets it go happens on the loop, together with
the index, without an await between: that is the only lock there is.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, Self

from cyxmake_common.cas.compressing import IDENTITY, Codec
from cyxmake_common.cas.disk_files import BlobFiles, unlink
from cyxmake_common.cas.disk_index import DiskIndex
from cyxmake_common.cas.disk_links import DiskLinks
from cyxmake_common.cas.disk_reconcile import MAX_PARTIALS, survey
from cyxmake_common.cas.disk_writer import DiskWriter, in_thread
from cyxmake_common.cas.index import LruIndex
from cyxmake_common.cas.store import CHUNK_BYTES
from cyxmake_common.clock import wall
from cyxmake_common.digest import EMPTY, Digest
from cyxmake_common.errors import BlobMissing, CyxError, StoreFull
from cyxmake_common.telemetry.logger import get_logger

_SHED_BYTES: Final = 64 << 20
_LARGE_FILE: Final = 8 << 20
_TURNS: Final = 16
_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DiskStats:
    """A store's figures at one moment; the last three count since it was opened."""

    blobs: int
    used_bytes: int
    limit_bytes: int
    pinned_blobs: int
    pinned_bytes: int
    reserved_bytes: int
    partials: int
    evicted: int
    damaged: int
    copied: int


class DiskStore:
    """A BlobStore in a directory; also pins blobs and links them into execution roots.

    Use `async with DiskStore(...)`, or `await store.open()` and `await store.close()`.
    """

    def __init__(
        self,
        root: Path,
        limit_bytes: int,
        clock: Callable[[], float] = wall,
        codec: Codec = IDENTITY,
    ) -> None:
        self._clock = clock
        self._codec = codec
        self._files = BlobFiles(root, codec)
        self._index = LruIndex(limit_bytes)
        self._rows = DiskIndex(root / "index.sqlite", self._index.get)
        self._partials: dict[Digest, int] = {}
        self._links = DiskLinks(self, self._files)
        self._trash: list[Path] = []
        self._sweeper: asyncio.Task[None] | None = None
        self._evicted = self._damaged = self._inline = 0

    def __repr__(self) -> str:
        return f"<DiskStore {self._files.root} {self._index!r}>"

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> Self:
        """Make or open the directory and bring the index in step with its files."""
        await in_thread(self._files.prepare)
        rows = await self._rows.open()
        try:
            found = await in_thread(lambda: survey(self._files, rows, self._clock()))
            for digest, stored, used in found.blobs:
                self._index.add(digest, stored, used)
            for digest in found.changed:
                self._rows.note(digest)
            for digest, size in found.partials:
                self._partials[digest] = size
                self._index.reserve(size)
            self._index.pin(EMPTY)
            if EMPTY not in self._index:
                self.adopt(EMPTY, self._files.write(EMPTY, b""), 0)
            await self._shrink()
        except BaseException:
            await self.close()
            raise
        return self

    async def close(self) -> None:
        """Write the index and close it; the store is not used afterwards."""
        if self._sweeper is not None:
            await self._sweeper
        await self._rows.close()

    async def flush(self) -> None:
        """Write the order of use now; happens by itself every second while something changes."""
        await self._rows.flush()

    async def find_missing(self, digests: Collection[Digest]) -> frozenset[Digest]:
        """Return those of the digests that are not here; the others count as used now."""
        now = self._clock()
        return frozenset(d for d in digests if not self._touch(d, now))

    def touch(self, digest: Digest) -> bool:
        """Tell whether a blob is here, and count that as a use: `find_missing` of one, at once."""
        return self._touch(digest, self._clock())

    async def read(self, digest: Digest, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield the blob's bytes from an offset in chunks; raises BlobMissing."""
        if digest == EMPTY:
            return
        await self._take_turns()
        self._require(digest)
        try:
            stored = self._files.path(digest).open("rb")
        except FileNotFoundError:
            raise self.missing(digest) from None
        position = offset
        with stored, self._kept(digest):
            if not self._codec.plain or os.fstat(stored.fileno()).st_size == digest.size:
                async with aclosing(self._pieces(stored, digest, offset)) as pieces:
                    async for piece in pieces:
                        position += len(piece)
                        if position > digest.size:
                            break
                        yield piece
        if position != max(offset, digest.size):
            raise self.broken(digest)

    async def _pieces(
        self, stored: BinaryIO, digest: Digest, offset: int
    ) -> AsyncGenerator[bytes, None]:
        """Yield what a blob's file holds; a disk that cannot read it makes it end early."""
        try:
            if digest.size <= CHUNK_BYTES:
                piece = self._codec.decode(stored, offset).read(CHUNK_BYTES + 1)
                if piece:
                    yield piece
                return
            reader = await in_thread(lambda: self._codec.decode(stored, offset))
            while piece := await in_thread(lambda: reader.read(CHUNK_BYTES)):
                yield piece
        except OSError as error:
            _log.warning("cas_blob_unreadable", digest=str(digest), error=str(error))

    async def open_writer(self, digest: Digest, *, resume: bool = False) -> DiskWriter:
        """Begin to store a blob; raises StoreFull. Resuming one that is here: nothing to send."""
        await self._take_turns()
        if not self._index.can_ever_hold(digest.size):
            raise StoreFull(f"{digest} does not fit: {self._index!r}")
        writer = DiskWriter(self, self._files, digest)
        if resume and self._touch(digest, self._clock()):
            writer.already_there()
        elif resume and digest in self._partials:
            await writer.resume(self._files.partial(digest), self._partials.pop(digest))
        return writer

    async def delete(self, digest: Digest) -> None:
        """Remove a blob, pinned or not; no error when it is not here."""
        if digest != EMPTY:
            self._drop(digest)

    def pin(self, digests: Iterable[Digest]) -> None:
        """Keep blobs, here or yet to come, from being evicted; pins are counted."""
        for digest in digests:
            self._index.pin(digest)

    def unpin(self, digests: Iterable[Digest]) -> None:
        """Take back one pin of each; counts as a use."""
        now = self._clock()
        for digest in digests:
            self._index.unpin(digest, now)
            self._rows.note(digest)

    def path_of(self, digest: Digest) -> Path:
        """Return a blob's file, for a reader that holds a pin; raises BlobMissing."""
        if not self._codec.plain:
            raise ValueError("this store's files do not hold the blobs' own bytes")
        self._require(digest)
        return self._files.path(digest)

    async def link(self, digest: Digest, destination: Path, executable: bool = False) -> None:
        """Put a blob at a path as a read-only file: a hard link where possible, else a copy.

        A file that was not written or checked in this run is hashed first. Raises BlobMissing,
        StoreFull, and OSError for the destination.
        """
        await self._take_turns()
        self._require(digest)
        with self._kept(digest):
            await self._links.link(digest, destination, executable)

    def stats(self) -> DiskStats:
        """Return the store's figures."""
        return DiskStats(
            blobs=len(self._index),
            used_bytes=self._index.used_bytes,
            limit_bytes=self._index.limit_bytes,
            pinned_blobs=self._index.pinned_blobs,
            pinned_bytes=self._index.pinned_bytes,
            reserved_bytes=self._index.reserved_bytes,
            partials=len(self._partials),
            evicted=self._evicted,
            damaged=self._damaged,
            copied=self._links.copied,
        )

    # What a DiskWriter and DiskLinks ask of their store.

    def reserve(self, count: int) -> None:
        """Make room for bytes of an upload and set it aside; raises StoreFull."""
        self._make_room(count)
        self._index.reserve(count)

    def release(self, count: int) -> None:
        """Give reserved bytes back."""
        self._index.release(count)

    def adopt(self, digest: Digest, temporary: Path, reserved: int) -> None:
        """Take a finished file as the blob; one that is here already stays. The file is gone after.

        The caller vouches for its bytes and its mode, and that it is as this store's codec has it.
        Raises StoreFull, OSError.
        """
        self._index.release(reserved)
        try:
            if digest in self._index:
                self._touch(digest, self._clock())
                unlink(temporary)
                return
            size, place = temporary.stat().st_size, self._files.path(digest)
            self._make_room(size)
            self._files.publish(temporary, place)
            modified = place.stat().st_mtime_ns
        except BaseException:
            unlink(temporary)
            raise
        self._links.trust(digest, modified)
        self._index.add(digest, size, self._clock())
        self._rows.note(digest)
        self._drop_partial(digest)

    def keep_partial(self, digest: Digest, temporary: Path, reserved: int) -> None:
        """Take an unfinished file, and what was reserved for it, for a later upload."""
        size = temporary.stat().st_size
        if size <= self._partials.get(digest, 0) or digest in self._index:
            self._index.release(reserved)
            unlink(temporary)
            return
        self._drop_partial(digest)
        while len(self._partials) >= MAX_PARTIALS:
            self._drop_partial(next(iter(self._partials)))
        try:
            self._files.publish(temporary, self._files.partial(digest))
        except OSError:
            self._index.release(reserved)
            raise
        self._index.release(reserved - size)
        self._partials[digest] = size

    def explain(self, error: OSError, digest: Digest) -> CyxError | OSError:
        """Return what to raise for a failed write; a full disk also makes the store shrink."""
        if error.errno not in _DISK_FULL:
            return error
        # Others fill the disk. Old blobs go, so that the retry that StoreFull invites can succeed.
        for victim in self._index.plan_shedding(max(_SHED_BYTES, digest.size)):
            self._drop(victim)
            self._evicted += 1
        return StoreFull(f"the disk under {self._files.root} is full", next_step="free some space")

    def grow(self, digest: Digest, count: int) -> bool:
        """Count more bytes to a blob, for its executable twin; False when it went away."""
        entry = self._index.get(digest)
        if entry is None:
            return False
        self._index.resize(digest, entry.stored + count)
        self._rows.note(digest)
        return True

    def missing(self, digest: Digest) -> BlobMissing:
        """Forget a blob whose file went away behind our back."""
        self._drop(digest)
        return BlobMissing(f"no blob {digest}")

    def broken(self, digest: Digest) -> BlobMissing:
        """Remove a blob whose file holds other bytes."""
        self._damaged += 1
        self._drop(digest)
        _log.warning("cas_blob_damaged", digest=str(digest))
        return BlobMissing(f"blob {digest} was damaged and is gone")

    async def _shrink(self) -> None:
        """Get below a limit that was lowered since the last run."""
        while self._index.excess_bytes and (victims := self._index.plan_shedding(1)):
            for victim in victims:
                self._drop(victim)
                self._evicted += 1
                await self._take_turns()
        self._make_room(0)

    async def _take_turns(self) -> None:
        """Let other tasks run now and then: small blobs are done without waiting for anything."""
        self._inline += 1
        if self._inline % _TURNS == 0:
            await asyncio.sleep(0)

    def _make_room(self, need: int) -> None:
        try:
            victims = self._index.plan_eviction(need)
        except StoreFull:
            for digest in list(self._partials):
                self._drop_partial(digest)
            victims = self._index.plan_eviction(need)
        for victim in victims:
            self._drop(victim)
            self._evicted += 1

    def _drop(self, digest: Digest) -> None:
        """Let a blob go, if it is here."""
        if not self._index.remove(digest):
            return
        self._rows.note(digest)
        self._links.forget(digest)
        place = self._files.path(digest)
        # On Windows a file that is open elsewhere stays, and the next open of the store finds it.
        with suppress(FileNotFoundError, PermissionError):
            if digest.size <= _LARGE_FILE:
                unlink(place)
            else:
                self._trash.append(place.rename(self._files.temporary(digest, "out")))
                if self._sweeper is None:
                    self._sweeper = asyncio.get_running_loop().create_task(self._sweep())

    async def _sweep(self) -> None:
        """Remove large files in a thread: to free their blocks can take long."""
        while self._trash:
            # What cannot be removed now is removed at the next open.
            with suppress(OSError):
                await in_thread(partial(unlink, self._trash.pop()))
        self._sweeper = None

    def _drop_partial(self, digest: Digest) -> None:
        size = self._partials.pop(digest, None)
        if size is not None:
            unlink(self._files.partial(digest))
            self._index.release(size)

    @contextmanager
    def _kept(self, digest: Digest) -> Iterator[None]:
        """Pin a blob while its file is open: Windows cannot remove an open file."""
        self._index.pin(digest)
        try:
            yield
        finally:
            self._index.unpin(digest, self._clock())

    def _touch(self, digest: Digest, now: float) -> bool:
        if self._index.touch(digest, now):
            self._rows.note(digest)
            return True
        return digest == EMPTY

    def _require(self, digest: Digest) -> None:
        if not self._touch(digest, self._clock()):
            raise BlobMissing(f"no blob {digest}")
