"""Chunks, credit and batches: both sides together, and one side against a hostile other."""

from __future__ import annotations

from collections import deque

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from cyxmake_common.digest import Digest
from cyxmake_common.errors import ProtocolError
from cyxmake_common.protocol.bulk import BlobAck, BlobChunk, Encoding, SmallBlob
from cyxmake_common.protocol.messages import Limits
from cyxmake_common.protocol.transfer import (
    BATCH_BYTES,
    SMALL_BYTES,
    BlobReceiver,
    BlobSender,
    Terms,
    batches,
    pack,
    pack_small,
    unpack,
    unpack_small,
)

LIMITS = Limits(chunk_bytes=1024, window_bytes=4096)
PLAIN = Terms(LIMITS, compress=False)
PACKED = Terms(LIMITS, compress=True)


@given(
    st.binary(max_size=40) | st.integers(0, 30_000).map(bytes),
    st.booleans(),
    st.floats(0, 1),
    st.integers(1024, 8192),
    st.randoms(use_true_random=False),
)
def test_any_blob_arrives(
    data: bytes, compress: bool, start: float, window: int, random: st.DataObject
) -> None:
    """From any offset, in any interleaving of chunks and acks, within the window."""
    terms = Terms(Limits(chunk_bytes=1024, window_bytes=window), compress)
    offset = int(len(data) * start)
    sender = BlobSender(len(data), offset, terms)
    receiver = BlobReceiver(len(data), offset, terms)
    chunks: deque[BlobChunk] = deque()
    acks: deque[BlobAck] = deque()
    arrived = data[:offset]
    while not receiver.done:
        assert sender.offset - receiver.offset <= window
        choices = [
            name
            for name, able in (("send", sender.next_size() > 0), ("receive", chunks), ("ack", acks))
            if able
        ]
        match random.choice(choices):  # type: ignore[attr-defined]
            case "send":
                size = sender.next_size()
                chunks.append(sender.send(data[sender.offset : sender.offset + size]))
            case "receive":
                piece = receiver.receive(chunks.popleft())
                arrived += piece
                if ack := receiver.take(len(piece)):
                    acks.append(ack)
            case "ack":
                sender.receive(acks.popleft())
    assert arrived == data
    assert sender.done
    assert repr(sender) and repr(receiver)


def test_a_silent_receiver_stops_the_sender() -> None:
    """Without credit no more than the window is sent."""
    sender = BlobSender(100_000, 0, PLAIN)
    sent = 0
    while size := sender.next_size():
        sent += size
        sender.send(bytes(size))
    assert sent == LIMITS.window_bytes
    with pytest.raises(ValueError, match="where 0"):
        sender.send(b"x")
    sender.receive(BlobAck(offset=1000))
    assert sender.next_size() == 1000


@pytest.mark.parametrize("offset", [4097, 999])
def test_acks_that_cannot_be(offset: int) -> None:
    """Credit for bytes never sent, or taken back, breaks the protocol."""
    sender = BlobSender(100_000, 1000, PLAIN)
    sender.send(bytes(1024))
    with pytest.raises(ProtocolError):
        sender.receive(BlobAck(offset=offset))


def zstd(size: int) -> bytes:
    """Return a frame of zeroes."""
    return zstandard.ZstdCompressor().compress(bytes(size))


def without_size(size: int) -> bytes:
    """Return a frame that does not name its size."""
    return zstandard.ZstdCompressor(write_content_size=False).compress(bytes(size))


HOSTILE = {
    "a gap": BlobChunk(offset=1, data=b"x"),
    "a repetition": BlobChunk(offset=2**40, data=b"x"),
    "nothing": BlobChunk(offset=0, data=b""),
    "too large": BlobChunk(offset=0, data=bytes(1025)),
    "zstd of nothing": BlobChunk(offset=0, data=zstd(0), encoding=Encoding.ZSTD),
    "a bomb": BlobChunk(offset=0, data=zstd(1 << 30), encoding=Encoding.ZSTD),
    "a bomb that hides its size": BlobChunk(
        offset=0, data=without_size(1 << 26), encoding=Encoding.ZSTD
    ),
    "noise": BlobChunk(offset=0, data=b"noise", encoding=Encoding.ZSTD),
    "a cut frame": BlobChunk(offset=0, data=zstd(1000)[:-2], encoding=Encoding.ZSTD),
    "two frames": BlobChunk(offset=0, data=zstd(10) + zstd(10), encoding=Encoding.ZSTD),
}


@pytest.mark.parametrize("chunk", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_chunks(chunk: BlobChunk) -> None:
    """A chunk that breaks a rule is refused before it costs memory."""
    with pytest.raises(ProtocolError):
        BlobReceiver(100_000, 0, PLAIN).receive(chunk)


def test_more_than_the_blob() -> None:
    """Bytes past the end are refused."""
    receiver = BlobReceiver(10, 0, PLAIN)
    with pytest.raises(ProtocolError):
        receiver.receive(BlobChunk(offset=0, data=bytes(11)))


def test_more_than_the_window() -> None:
    """A sender that ignores credit is refused."""
    receiver = BlobReceiver(100_000, 0, PLAIN)
    for start in range(0, LIMITS.window_bytes, 1024):
        receiver.receive(BlobChunk(offset=start, data=bytes(1024)))
    with pytest.raises(ProtocolError):
        receiver.receive(BlobChunk(offset=LIMITS.window_bytes, data=b"x"))


@pytest.mark.parametrize("offset", [-1, 11])
def test_impossible_starts(offset: int) -> None:
    """A transfer starts within its blob."""
    with pytest.raises(ProtocolError):
        BlobSender(10, offset, PLAIN)
    with pytest.raises(ProtocolError):
        BlobReceiver(10, offset, PLAIN)


def test_compression_is_used_where_it_pays() -> None:
    """Zeroes are compressed; noise is not, and soon not even tried."""
    sender = BlobSender(100_000, 0, PACKED)
    assert sender.send(bytes(1024)).encoding is Encoding.ZSTD
    noise = b"".join(bytes.fromhex(Digest.of(bytes([n])).hash) for n in range(32))
    assert sender.send(noise).encoding is Encoding.IDENTITY
    assert sender.send(bytes(1024)).encoding is Encoding.IDENTITY
    assert pack(bytes(100), compress=True)[1] is Encoding.IDENTITY


@given(st.binary(max_size=2000), st.booleans())
def test_packing_is_undone(data: bytes, compress: bool) -> None:
    """What was packed is unpacked, but never into more than was allowed."""
    packed, encoding = pack(data, compress)
    assert unpack(packed, encoding, len(data)) == data
    if data:
        with pytest.raises(ProtocolError):
            unpack(packed, encoding, len(data) - 1)


def test_small_blobs() -> None:
    """A blob of a batch has the size that it was announced with."""
    data = bytes(5000)
    digest = Digest.of(data)
    blob = pack_small(digest, data, compress=True)
    assert blob.encoding is Encoding.ZSTD
    assert unpack_small(blob) == data
    for hostile in (data[:-1], data + b"x"):
        with pytest.raises(ProtocolError):
            unpack_small(SmallBlob(digest=digest, data=hostile))


@given(st.lists(st.integers(0, SMALL_BYTES), max_size=200))
def test_batches_fit(sizes: list[int]) -> None:
    """Batches hold every digest once, in order, and none is too large."""
    digests = [Digest(f"{number:064x}", size) for number, size in enumerate(sizes)]
    cut = list(batches(digests))
    assert [digest for batch in cut for digest in batch] == digests
    assert all(sum(digest.size for digest in batch) <= BATCH_BYTES for batch in cut)
