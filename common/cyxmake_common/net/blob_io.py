"""Where the bytes of a transfer come from and go to on the caller's side: memory or files.

Knows nothing of connections. Files are opened anew for every block, in a thread: a transfer may be
cancelled at any moment, and a thread cannot.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Final

from cyxmake_common.digest import Digest
from cyxmake_common.errors import DigestMismatch

BlobSource = bytes | Path
"""A blob to upload: its bytes, or the file that holds them."""

_BLOCK: Final = 1024 * 1024


class SourceReader:
    """Reads a source from any offset, in blocks."""

    def __init__(self, digest: Digest, source: BlobSource) -> None:
        self._digest = digest
        self._source = source
        self._block = b""
        self._start = 0

    async def read(self, offset: int, size: int) -> bytes:
        """Return exactly `size` bytes; raises DigestMismatch when the file has become shorter."""
        if isinstance(self._source, bytes):
            data = self._source[offset : offset + size]
        else:
            data = await self._read_file(self._source, offset, size)
        if len(data) < size:
            raise DigestMismatch(f"the source of {self._digest} has fewer bytes")
        return data

    async def _read_file(self, path: Path, offset: int, size: int) -> bytes:
        begin = offset - self._start
        if not 0 <= begin <= begin + size <= len(self._block):
            self._block = await asyncio.to_thread(read_at, path, offset, max(size, _BLOCK))
            self._start, begin = offset, 0
        return self._block[begin : begin + size]


def read_at(path: Path, offset: int, size: int) -> bytes:
    """Return up to `size` bytes of a file from an offset; raises OSError."""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def read_sources(items: list[tuple[Digest, BlobSource]]) -> list[bytes]:
    """Return the bytes of small sources; raises OSError, DigestMismatch."""
    contents = []
    for digest, source in items:
        data = source if isinstance(source, bytes) else read_at(source, 0, digest.size + 1)
        if len(data) != digest.size:
            raise DigestMismatch(f"the source of {digest} has another size")
        contents.append(data)
    return contents


class MemorySink:
    """A BlobWriter that keeps the bytes for its caller."""

    def __init__(self, digest: Digest) -> None:
        self._digest = digest
        self._pieces: list[bytes] = []
        self._sha = hashlib.sha256()
        self.offset = 0

    async def write(self, chunk: bytes) -> None:
        """Append bytes."""
        self._sha.update(chunk)
        self._pieces.append(chunk)
        self.offset += len(chunk)

    async def commit(self) -> None:
        """Check the digest; raises DigestMismatch."""
        _check(self._digest, self._sha.hexdigest())

    async def abort(self, *, keep: bool = False) -> None:
        """Forget the bytes."""
        self._pieces.clear()

    def data(self) -> bytes:
        """Return all bytes."""
        return b"".join(self._pieces)


class FileSink:
    """A BlobWriter into one file, which its owner removes after a failure."""

    def __init__(self, digest: Digest, path: Path) -> None:
        self._digest = digest
        self._path = path
        self._pieces: list[bytes] = []
        self._held = 0
        self._begun = False
        self._sha = hashlib.sha256()
        self.offset = 0

    async def write(self, chunk: bytes) -> None:
        """Append bytes, a block at a time; raises OSError."""
        self._pieces.append(chunk)
        self._held += len(chunk)
        self.offset += len(chunk)
        if self._held >= _BLOCK:
            await self._flush()

    async def commit(self) -> None:
        """Write the rest and check the digest; raises DigestMismatch, OSError."""
        await self._flush()
        _check(self._digest, self._sha.hexdigest())

    async def abort(self, *, keep: bool = False) -> None:
        """Stop writing."""
        self._pieces.clear()

    async def _flush(self) -> None:
        pieces, self._pieces, self._held = self._pieces, [], 0
        mode, self._begun = ("ab" if self._begun else "wb"), True

        def append() -> None:
            with self._path.open(mode) as file:
                for piece in pieces:
                    file.write(piece)
                    self._sha.update(piece)

        await asyncio.to_thread(append)


def check_bytes(digest: Digest, data: bytes) -> bytes:
    """Return the bytes when they are the blob's; raises DigestMismatch."""
    _check(digest, hashlib.sha256(data).hexdigest())
    return data


def _check(digest: Digest, sha256: str) -> None:
    if sha256 != digest.hash:
        raise DigestMismatch(f"the bytes received for {digest} are others")
