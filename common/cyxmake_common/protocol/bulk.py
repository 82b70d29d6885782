"""Messages of the bulk channel: blobs, whole or in chunks.

Knows nothing of windows or resumption (transfer). Offsets always count decoded bytes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from cyxmake_common.protocol.messages import (
    CALLERS,
    FROM_COORDINATOR,
    MAX_DIGESTS,
    Channel,
    Count,
    Digests,
    Inline,
    Message,
    WireDigest,
)


class _Bulk(Message):
    channels = frozenset({Channel.BULK})


class Encoding(StrEnum):
    """How the bytes of one chunk are encoded; offsets always count decoded bytes."""

    IDENTITY = "identity"
    ZSTD = "zstd"


class BlobPut(_Bulk):
    """Opens the upload of one blob; answered by BLOB_READY."""

    type = "blob_put"
    senders = CALLERS
    digest: WireDigest


class BlobReady(_Bulk):
    """Send from this offset; `offset` equals the size when the blob is already there."""

    type = "blob_ready"
    senders = FROM_COORDINATOR
    offset: Count


class BlobChunk(_Bulk):
    """Bytes of the transfer of the same id, from a decoded offset."""

    type = "blob_chunk"
    offset: Count
    data: Inline
    encoding: Encoding = Encoding.IDENTITY


class BlobAck(_Bulk):
    """The receiver has taken everything before this decoded offset: credit for the sender."""

    type = "blob_ack"
    offset: Count


class BlobStored(_Bulk):
    """The upload of the same id is complete and its digest was verified."""

    type = "blob_stored"
    senders = FROM_COORDINATOR


class BlobGet(_Bulk):
    """Asks for one blob from an offset; answered by chunks up to its size, or ERROR."""

    type = "blob_get"
    senders = CALLERS
    digest: WireDigest
    offset: Count = 0


class SmallBlob(BaseModel):
    """One whole blob inside a batch."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        ser_json_bytes="base64",
        val_json_bytes="base64",
        defer_build=True,
    )
    digest: WireDigest
    data: Inline
    encoding: Encoding = Encoding.IDENTITY


class BatchPut(_Bulk):
    """Uploads many small blobs at once; answered by DONE, or ERROR when one is damaged."""

    type = "batch_put"
    senders = CALLERS
    blobs: Annotated[tuple[SmallBlob, ...], Field(max_length=MAX_DIGESTS)]


class BatchGet(_Bulk):
    """Asks for many small blobs at once; the caller keeps their sum under the message limit."""

    type = "batch_get"
    senders = CALLERS
    digests: Digests


class BatchBlobs(_Bulk):
    """Answer to BATCH_GET; blobs that are not in the store are named."""

    type = "batch_blobs"
    senders = FROM_COORDINATOR
    blobs: Annotated[tuple[SmallBlob, ...], Field(max_length=MAX_DIGESTS)]
    missing: Digests = ()
