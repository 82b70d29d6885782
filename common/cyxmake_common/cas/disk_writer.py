"""One blob on its way into a disk store: buffered, spilled to a temporary file, hashed, published.

Knows nothing of the limit or of other blobs; its host makes room and takes the finished file. Small
blobs never leave memory before they are complete; larger ones are written and hashed in a thread.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from cyxmake_common.cas.disk_files import PIECE, BlobFiles, unlink
from cyxmake_common.cas.store import CHUNK_BYTES
from cyxmake_common.digest import Digest
from cyxmake_common.errors import CyxError, DigestMismatch

_T = TypeVar("_T")


async def in_thread(call: Callable[[], _T]) -> _T:
    """Run a blocking call in a thread; when cancelled, wait for the thread before going on.

    A thread cannot be stopped: its files must not be closed, renamed or removed under it.
    """
    task = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                continue
        if not task.cancelled():
            task.exception()
        raise


class WriterHost(Protocol):
    """What a writer needs of its store."""

    def reserve(self, count: int) -> None:
        """Make room for bytes and set it aside; raises StoreFull."""
        ...

    def release(self, count: int) -> None:
        """Give reserved bytes back."""
        ...

    def adopt(self, digest: Digest, temporary: Path, reserved: int) -> None:
        """Take a finished file as the blob, in place of what was reserved."""
        ...

    def keep_partial(self, digest: Digest, temporary: Path, reserved: int) -> None:
        """Take an unfinished file, and what was reserved for it, for a later upload."""
        ...

    def explain(self, error: OSError, digest: Digest) -> CyxError | OSError:
        """Return what to raise for a failed write: StoreFull when the disk is full."""
        ...


class DiskWriter:
    """A BlobWriter. Bytes beyond the announced size are counted as wrong and not kept."""

    def __init__(self, host: WriterHost, files: BlobFiles, digest: Digest) -> None:
        self._host = host
        self._files = files
        self._digest = digest
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._written = 0
        self._reserved = 0
        self._sha = hashlib.sha256()
        self._path = files.temporary(digest, "part")
        self._file: BinaryIO | None = None
        self._sealed: Path | None = None
        self._excess = False
        self._open = True
        self._complete = False

    @property
    def offset(self) -> int:
        """Return how many bytes are there already."""
        return self._digest.size if self._complete else self._written + self._pending_bytes

    def already_there(self) -> None:
        """Begin as a finished upload: the store has the blob."""
        self._complete = True

    async def resume(self, partial: Path, reserved: int) -> None:
        """Begin with a kept file's bytes, hashing them anew; an unusable one is dropped."""
        self._reserved += reserved
        try:
            await in_thread(lambda: self._take_over(partial))
        except OSError:
            self._discard()
            self._open, self._sha, self._written = True, hashlib.sha256(), 0
        except BaseException:
            self._discard()
            raise

    async def write(self, chunk: bytes) -> None:
        """Append bytes; raises StoreFull."""
        self._require_open()
        if self.offset + len(chunk) > self._digest.size:
            self._excess = self._excess or bool(chunk)
            return
        self._host.reserve(len(chunk))
        self._reserved += len(chunk)
        if self._pending_bytes + len(chunk) > CHUNK_BYTES:
            try:
                await in_thread(self._spill)
            except OSError as error:
                self._discard()
                raise self._host.explain(error, self._digest) from error
        self._pending.append(chunk)
        self._pending_bytes += len(chunk)

    async def commit(self) -> None:
        """Make the blob visible; raises DigestMismatch (and forgets the bytes) for others."""
        self._require_open()
        if self._complete and not self._excess:
            self._open = False
            return
        try:
            if self._file is None:
                self._sealed = self._finish()
            else:
                await in_thread(self._finish_in_thread)
            reserved, self._reserved = self._reserved, 0
            self._host.adopt(self._digest, self._sealed or self._path, reserved)
            self._sealed = None
        except OSError as error:
            raise self._host.explain(error, self._digest) from error
        finally:
            self._discard()

    async def abort(self, *, keep: bool = False) -> None:
        """Give up; `keep` leaves the bytes for a resumed upload. Later calls do nothing."""
        if not self._open:
            return
        if not keep or self._excess or self._complete or self.offset == 0:
            self._discard()
            return
        try:
            await in_thread(self._spill)
            self._close()
            reserved, self._reserved = self._reserved, 0
            self._host.keep_partial(self._digest, self._path, reserved)
        except OSError:
            pass  # what could not be kept is sent again
        finally:
            self._discard()

    def _take_over(self, partial: Path) -> None:
        partial.replace(self._path)
        self._file = self._path.open("r+b")
        while piece := self._file.read(PIECE):
            self._sha.update(piece)
            self._written += len(piece)

    def _spill(self) -> None:
        if self._file is None:
            self._file = self._path.open("xb")
        for chunk in self._pending:
            self._file.write(chunk)
            self._sha.update(chunk)
        self._written += self._pending_bytes
        self._pending.clear()
        self._pending_bytes = 0

    def _finish(self) -> Path:
        """Check the bytes and return the finished file, not yet in its place."""
        digest = self._digest
        if self._file is None:
            data = b"".join(self._pending)
            if self._excess or Digest.of(data) != digest:
                raise DigestMismatch(f"the bytes sent as {digest} are others")
            return self._files.write(digest, data)
        self._spill()
        self._close()
        if self._excess or Digest(self._sha.hexdigest(), self._written) != digest:
            raise DigestMismatch(f"the bytes sent as {digest} are others")
        return self._files.seal(digest, self._path)

    def _finish_in_thread(self) -> None:
        # Kept here and not returned: a cancelled commit must still find the file to remove it.
        self._sealed = self._finish()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _discard(self) -> None:
        """Drop whatever is left: after a success, nothing."""
        self._open = False
        self._pending.clear()
        self._pending_bytes = 0
        # A full disk can refuse the last buffered bytes; they are dropped anyway.
        with suppress(OSError):
            self._close()
        if self._sealed is not None:
            unlink(self._sealed)
            self._sealed = None
        if self._file is not None:
            unlink(self._path)
            self._file = None
        reserved, self._reserved = self._reserved, 0
        self._host.release(reserved)

    def _require_open(self) -> None:
        if not self._open:
            raise ValueError(f"the writer of {self._digest} is closed")
