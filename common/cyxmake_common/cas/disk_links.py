"""Puts blobs of a disk store into execution roots: hard links, twins for executables, copies.

Knows nothing of limits or uses: its host makes room and holds the blob while this works.

A hard link hands the store's own file out. So a file is hashed before its first link in a run,
unless this run wrote it, and hashed again when its modification time is no longer the one it had
then: an action that wrote through its link has damaged the blob, and must not damage the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from cyxmake_common.cas.disk_files import BlobFiles, unlink
from cyxmake_common.cas.disk_writer import in_thread
from cyxmake_common.cas.store import CHUNK_BYTES
from cyxmake_common.digest import Digest
from cyxmake_common.errors import BlobMissing, CyxError


class LinkHost(Protocol):
    """What linking needs of its store."""

    def reserve(self, count: int) -> None:
        """Make room for bytes and set it aside; raises StoreFull."""
        ...

    def release(self, count: int) -> None:
        """Give reserved bytes back."""
        ...

    def grow(self, digest: Digest, count: int) -> bool:
        """Count more bytes to a blob; False when it went away."""
        ...

    def missing(self, digest: Digest) -> BlobMissing:
        """Forget a blob whose file went away; return what to raise."""
        ...

    def broken(self, digest: Digest) -> BlobMissing:
        """Remove a blob whose file holds other bytes; return what to raise."""
        ...

    def explain(self, error: OSError, digest: Digest) -> CyxError | OSError:
        """Return what to raise for a failed write: StoreFull when the disk is full."""
        ...


class DiskLinks:
    """Links blobs of one store; remembers which files are known to be right."""

    def __init__(self, host: LinkHost, files: BlobFiles) -> None:
        self._host = host
        self._files = files
        self._trusted: dict[Digest, int] = {}
        self._twins: dict[Digest, int] = {}
        self.copied = 0

    def trust(self, digest: Digest, modified: int) -> None:
        """Note that a blob's file was right when it had this modification time (ns)."""
        self._trusted[digest] = modified

    def forget(self, digest: Digest) -> None:
        """Note that a blob's file goes away; its executable twin goes too."""
        self._trusted.pop(digest, None)
        if self._twins.pop(digest, None) is not None:
            unlink(self._files.twin(digest))

    async def link(self, digest: Digest, destination: Path, executable: bool) -> None:
        """Put a blob at a path; raises BlobMissing, StoreFull, and OSError for the destination."""
        source = self._files.path(digest)
        if not _unchanged(source, self._trusted.get(digest)):
            await self._check(digest, source)
        if self._files.codec.plain:
            if executable:
                source = await self._make_twin(digest, source)
            if self._files.link(source, destination):
                return
        self.copied += 1
        mode = 0o555 if executable else 0o444
        try:
            await _run(digest, lambda: self._files.copy(source, destination, mode))
        except OSError as error:
            raise self._host.explain(error, digest) from error

    async def _check(self, digest: Digest, source: Path) -> None:
        hashed: list[Digest] = []
        try:
            modified = source.stat().st_mtime_ns
            await _run(digest, lambda: hashed.append(self._files.hash(source)))
        except FileNotFoundError:
            raise self._host.missing(digest) from None
        if hashed != [digest]:
            raise self._host.broken(digest)
        self._trusted[digest] = modified

    async def _make_twin(self, digest: Digest, source: Path) -> Path:
        """Return the blob's executable twin, made when it is not there or was written to."""
        twin = self._files.twin(digest)
        if _unchanged(twin, self._twins.get(digest)):
            return twin
        self._host.reserve(digest.size)
        temporary = self._files.temporary(digest, "out")
        try:
            await _run(digest, lambda: self._files.copy(source, temporary, 0o555))
            if digest in self._twins:
                unlink(twin)
            elif not self._host.grow(digest, digest.size):
                raise self._host.missing(digest)
            self._twins[digest] = temporary.stat().st_mtime_ns
            self._files.publish(temporary, twin)
        except OSError as error:
            raise self._host.explain(error, digest) from error
        finally:
            self._host.release(digest.size)
            unlink(temporary)
        return twin


async def _run(digest: Digest, call: Callable[[], None]) -> None:
    """Do file work for a blob: here when it is small, else in a thread."""
    if digest.size <= CHUNK_BYTES:
        call()
    else:
        await in_thread(call)


def _unchanged(path: Path, modified: int | None) -> bool:
    try:
        return modified is not None and path.stat().st_mtime_ns == modified
    except FileNotFoundError:
        return False
