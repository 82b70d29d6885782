"""Every kind of message by its wire type.

Knows nothing of encodings.
"""

from __future__ import annotations

from typing import Final

from cyxmake_common.protocol.bulk import (
    BatchBlobs,
    BatchGet,
    BatchPut,
    BlobAck,
    BlobChunk,
    BlobGet,
    BlobPut,
    BlobReady,
    BlobStored,
)
from cyxmake_common.protocol.messages import (
    ActionCacheEntries,
    ActionCacheGet,
    Artifacts,
    ArtifactsGet,
    Done,
    Drain,
    Error,
    FindMissing,
    Goodbye,
    Heartbeat,
    Hello,
    JobAccept,
    JobCancel,
    JobComplete,
    JobFailed,
    JobOutput,
    JobProgress,
    JobReject,
    JobRequest,
    LeaseAccept,
    LeaseOffer,
    LeaseOutput,
    LeaseProgress,
    LeaseReject,
    LeaseResult,
    LeaseRevoke,
    Message,
    Missing,
    Status,
    StatusGet,
    TreesGone,
    Welcome,
)

MESSAGES: Final[dict[str, type[Message]]] = {
    kind.type: kind
    for kind in (
        Hello, Welcome, Goodbye, Error, Heartbeat, StatusGet, Status, Drain, Done,
        JobRequest, JobAccept, JobReject, JobProgress, JobOutput, JobComplete, JobFailed, JobCancel,
        LeaseOffer, LeaseAccept, LeaseReject, LeaseProgress, LeaseOutput, LeaseResult, LeaseRevoke,
        TreesGone,
        FindMissing, Missing, ActionCacheGet, ActionCacheEntries, ArtifactsGet, Artifacts,
        BlobPut, BlobReady, BlobChunk, BlobAck, BlobStored, BlobGet, BatchPut, BatchGet, BatchBlobs,
    )
}  # fmt: skip
"""Every message kind by its wire type, in the order of docs/PROTOCOL.md."""
