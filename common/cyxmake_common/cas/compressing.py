"""How a DiskStore lays a blob into its file: as it is, or as a zstd frame when that helps.

Knows nothing of stores or paths. Digest and size are always those of the blob's own bytes, and an
interrupted upload resumes at an offset in them; so compression sits under the store, as its codec,
and not around it, where the store would see bytes that no digest was announced for.
"""

from __future__ import annotations

import io
import shutil
from typing import BinaryIO, Final, Protocol

import zstandard

_LEVEL: Final = 3
_RAW: Final = b"\x00"
_ZSTD: Final = b"\x01"
_WORTH: Final = 0.95


class Codec(Protocol):
    """The layout of a blob's file. `plain` files hold the blob's own bytes and can be linked."""

    @property
    def plain(self) -> bool:
        """Tell whether the file holds exactly the blob's bytes."""
        ...

    @property
    def overhead(self) -> int:
        """Return by how many bytes a file can be larger than its blob."""
        ...

    def encode(self, source: BinaryIO, target: BinaryIO, size: int) -> None:
        """Write the file for a source of `size` bytes; both can seek and stand at their start."""
        ...

    def decode(self, stored: BinaryIO, offset: int) -> BinaryIO:
        """Return a reader of the blob's bytes from an offset; damage reads as an early end."""
        ...


class IdentityCodec:
    """Files hold the blob's own bytes: they can be linked into execution roots."""

    plain = True
    overhead = 0

    def encode(self, source: BinaryIO, target: BinaryIO, size: int) -> None:
        """Copy."""
        shutil.copyfileobj(source, target)

    def decode(self, stored: BinaryIO, offset: int) -> BinaryIO:
        """Return the file itself, at the offset."""
        stored.seek(offset)
        return stored


class ZstdCodec:
    """A header byte, then a zstd frame of level 3 when that saves 5 % or more, else raw bytes."""

    plain = False
    overhead = 1

    def encode(self, source: BinaryIO, target: BinaryIO, size: int) -> None:
        """Compress, and start over with the raw bytes when that saved too little."""
        target.write(_ZSTD)
        zstandard.ZstdCompressor(level=_LEVEL).copy_stream(source, target, size=size)
        if target.tell() <= size * _WORTH:
            return
        source.seek(0)
        target.seek(0)
        target.truncate()
        target.write(_RAW)
        shutil.copyfileobj(source, target)

    def decode(self, stored: BinaryIO, offset: int) -> BinaryIO:
        """Return a reader that decompresses as it goes, or the file itself when it is raw."""
        header = stored.read(1)
        if header == _RAW:
            stored.seek(1 + offset)
            return stored
        if header != _ZSTD:
            return io.BytesIO()
        reader = _FrameReader(stored)
        reader.skip(offset)
        return io.BufferedReader(reader, 1 << 17)


class _FrameReader(io.RawIOBase):
    """A zstd frame as a file; what cannot be decompressed ends it: the store counts bytes."""

    def __init__(self, stored: BinaryIO) -> None:
        super().__init__()
        self._frame = zstandard.ZstdDecompressor().stream_reader(stored, closefd=False)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed: WriteableBuffer
        try:
            data = self._frame.read(len(buffer))
        except zstandard.ZstdError:
            return 0
        buffer[: len(data)] = data
        return len(data)

    def skip(self, count: int) -> None:
        scratch = bytearray(1 << 17)
        while count > 0:
            done = self.readinto(memoryview(scratch)[: min(count, len(scratch))])
            if done == 0:
                return
            count -= done


IDENTITY: Final = IdentityCodec()
ZSTD: Final = ZstdCodec()
