"""One blob in chunks, as two plain state machines: what may be sent, and what may be believed.

Knows nothing of connections, stores or files. Offsets count decoded bytes. The receiver grants
credit: never more than `window_bytes` are under way. A chunk that breaks the rules (out of order,
past the end, over the window, damaged or a decompression bomb) raises ProtocolError.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import zstandard

from cyxmake_common.digest import Digest
from cyxmake_common.errors import ProtocolError
from cyxmake_common.protocol.bulk import BlobAck, BlobChunk, Encoding, SmallBlob
from cyxmake_common.protocol.messages import Limits

SMALL_BYTES: Final = 64 * 1024
"""Blobs up to this size travel in batches."""

BATCH_BYTES: Final = 1024 * 1024
"""Most bytes of blobs in one batch."""

BATCH_BLOBS: Final = 4096
"""Most blobs in one batch."""

_LEVEL: Final = 1
_WORTH: Final = 0.9  # compressed to at most this part of the original
_WORTH_TRYING: Final = 256  # bytes; below it the frame's own overhead eats the gain
_HOPELESS: Final = 8  # chunks sent as they are after one that did not compress


@dataclass(frozen=True, slots=True)
class Terms:
    """What both sides of a connection agreed on for transfers."""

    limits: Limits
    compress: bool


def pack(data: bytes, compress: bool) -> tuple[bytes, Encoding]:
    """Encode bytes as zstd when that saves at least a tenth."""
    if compress and len(data) >= _WORTH_TRYING:
        packed = zstandard.ZstdCompressor(level=_LEVEL).compress(data)
        if len(packed) <= len(data) * _WORTH:
            return packed, Encoding.ZSTD
    return data, Encoding.IDENTITY


def unpack(data: bytes, encoding: Encoding, max_size: int) -> bytes:
    """Decode bytes that become `max_size` at most; raises ProtocolError, never allocates more."""
    if encoding is Encoding.IDENTITY:
        if len(data) > max_size:
            raise ProtocolError(f"{len(data)} bytes where {max_size} were allowed")
        return data
    try:
        # The header is checked first: the library trusts the size that it finds there.
        size = zstandard.frame_content_size(data)
        if not 0 <= size <= max_size:
            raise ProtocolError(f"zstd data of {size} bytes where {max_size} were allowed")
        return zstandard.ZstdDecompressor().decompress(
            data, max_output_size=max_size, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise ProtocolError(f"damaged zstd data: {error}") from None


class BlobSender:
    """The sending side: says how many bytes may go next, and makes the chunks."""

    def __init__(self, size: int, offset: int, terms: Terms) -> None:
        if not 0 <= offset <= size:
            raise ProtocolError(f"cannot send from {offset} of {size} bytes")
        self._size = size
        self._sent = offset
        self._acked = offset
        self._limits = terms.limits
        self._compress = terms.compress
        self._skip = 0

    def __repr__(self) -> str:
        return f"<BlobSender sent {self._sent} acked {self._acked} of {self._size}>"

    @property
    def offset(self) -> int:
        """Return where the next chunk begins."""
        return self._sent

    @property
    def done(self) -> bool:
        """Return whether everything was sent."""
        return self._sent == self._size

    def next_size(self) -> int:
        """Return how many bytes the next chunk may have; 0 means wait for an ACK, or done."""
        credit = self._limits.window_bytes - (self._sent - self._acked)
        return max(0, min(self._limits.chunk_bytes, self._size - self._sent, credit))

    def send(self, data: bytes) -> BlobChunk:
        """Return the chunk for the next bytes; no more than `next_size` of them."""
        if not 0 < len(data) <= self.next_size():
            raise ValueError(f"a chunk of {len(data)} bytes where {self.next_size()} are allowed")
        payload, encoding = pack(data, self._compress and self._skip == 0)
        if self._skip:
            self._skip -= 1
        elif encoding is Encoding.IDENTITY:
            self._skip = _HOPELESS
        chunk = BlobChunk.model_construct(offset=self._sent, data=payload, encoding=encoding)
        self._sent += len(data)
        return chunk

    def receive(self, ack: BlobAck) -> None:
        """Take the receiver's credit."""
        if not self._acked <= ack.offset <= self._sent:
            raise ProtocolError(f"an ack for {ack.offset}, {self._acked} to {self._sent} are open")
        self._acked = ack.offset


class BlobReceiver:
    """The receiving side: turns chunks into bytes, and says when to grant credit."""

    def __init__(self, size: int, offset: int, terms: Terms) -> None:
        if not 0 <= offset <= size:
            raise ProtocolError(f"cannot receive from {offset} of {size} bytes")
        self._size = size
        self._received = offset
        self._taken = offset
        self._acked = offset
        self._limits = terms.limits

    def __repr__(self) -> str:
        return f"<BlobReceiver received {self._received} acked {self._acked} of {self._size}>"

    @property
    def offset(self) -> int:
        """Return how many bytes have come, those before the start included."""
        return self._received

    @property
    def done(self) -> bool:
        """Return whether everything has come."""
        return self._received == self._size

    def receive(self, chunk: BlobChunk) -> bytes:
        """Return a chunk's bytes; raises ProtocolError."""
        if chunk.offset != self._received:
            raise ProtocolError(f"a chunk at {chunk.offset}, expected at {self._received}")
        room = self._limits.window_bytes - (self._received - self._acked)
        allowed = min(self._limits.chunk_bytes, self._size - self._received, room)
        data = unpack(chunk.data, chunk.encoding, allowed)
        if not data:
            raise ProtocolError("a chunk without bytes")
        self._received += len(data)
        return data

    def take(self, count: int) -> BlobAck | None:
        """Note that bytes were written; return the ACK to send when one is due."""
        self._taken += count
        due = self._taken - self._acked >= self._limits.window_bytes // 4
        if not due or self._taken == self._size:
            return None
        self._acked = self._taken
        return BlobAck(offset=self._taken)


# ── batches ─────────────────────────────────────────────────────────────────────────────────────


def batches(digests: Iterable[Digest]) -> Iterator[list[Digest]]:
    """Cut small digests into batches that fit into one message."""
    batch: list[Digest] = []
    size = 0
    for digest in digests:
        if batch and (size + digest.size > BATCH_BYTES or len(batch) >= BATCH_BLOBS):
            yield batch
            batch, size = [], 0
        batch.append(digest)
        size += digest.size
    if batch:
        yield batch


def pack_small(digest: Digest, data: bytes, compress: bool) -> SmallBlob:
    """Return a whole blob for a batch."""
    payload, encoding = pack(data, compress)
    return SmallBlob.model_construct(digest=digest, data=payload, encoding=encoding)


def unpack_small(blob: SmallBlob) -> bytes:
    """Return a blob of a batch with its size checked, its hash not; raises ProtocolError."""
    data = unpack(blob.data, blob.encoding, blob.digest.size)
    if len(data) != blob.digest.size:
        raise ProtocolError(f"a blob of {len(data)} bytes was announced with {blob.digest.size}")
    return data
