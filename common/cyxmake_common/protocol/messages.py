"""Every message that two programs exchange: its fields, its channel, who may send it.

Knows nothing of bytes or connections (codec, session). docs/PROTOCOL.md has a table made from
here. Unknown fields are ignored, so that a newer peer may add some; unknown types are answered
with ERROR.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator

from cyxmake_common.digest import Digest
from cyxmake_common.outcome import Cause, OutcomeKind

PROTOCOL_VERSION: Final = 1
"""The newest version of the protocol that this program speaks."""

PROTOCOL_OLDEST: Final = 1
"""The oldest version that it still speaks."""

MAX_DIGESTS: Final = 10_000
"""Most digests in one message; more are asked for in several."""

MAX_NAME: Final = 256
MAX_TEXT: Final = 64 * 1024
MAX_INLINE: Final = 4 * 1024 * 1024


def _digest(value: object) -> Digest:
    if isinstance(value, Digest):
        return value
    if isinstance(value, str):
        return Digest.parse(value)
    raise ValueError("a digest is written hash/size")


WireDigest = Annotated[
    Digest, PlainValidator(_digest), PlainSerializer(str, return_type=str, when_used="always")
]
Digests = Annotated[tuple[WireDigest, ...], Field(max_length=MAX_DIGESTS)]
Name = Annotated[str, Field(max_length=MAX_NAME)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Inline = Annotated[bytes, Field(max_length=MAX_INLINE)]
Properties = Annotated[tuple[tuple[Name, Name], ...], Field(max_length=256)]
Machine = Annotated[
    Name, Field(description="its kernel and processors: who shares some, competes for them")
]
# What msgpack can carry; and what no arithmetic of ours has to be afraid of.
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Channel(StrEnum):
    """What a connection carries; data never blocks control."""

    CONTROL = "control"
    BULK = "bulk"


class Peer(StrEnum):
    """Who speaks; the role of a token, or the coordinator itself."""

    CLIENT = "client"
    WORKER = "worker"
    ADMIN = "admin"
    COORDINATOR = "coordinator"


_EVERYONE: Final = frozenset(Peer)
CALLERS: Final = frozenset({Peer.CLIENT, Peer.WORKER, Peer.ADMIN})
_CLIENTS: Final = frozenset({Peer.CLIENT, Peer.ADMIN})
_WORKERS: Final = frozenset({Peer.WORKER})
FROM_COORDINATOR: Final = frozenset({Peer.COORDINATOR})


class Message(BaseModel):
    """Base of all payloads; a subclass names its wire type, channels and senders."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        defer_build=True,
        ser_json_bytes="base64",
        val_json_bytes="base64",
    )
    type: ClassVar[str]
    channels: ClassVar[frozenset[Channel]] = frozenset({Channel.CONTROL})
    senders: ClassVar[frozenset[Peer]] = _EVERYONE


class ToolchainFacts(BaseModel):
    """A compiler that stands ready on a worker, identified by content."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)
    id: WireDigest
    kind: Name
    version: Name = ""
    target: Name = ""


class ToolchainTrouble(BaseModel):
    """A toolchain that a worker refuses, as it does not give the bytes there that it gave."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)
    id: WireDigest
    detail: Annotated[str, Field(max_length=MAX_TEXT)] = ""


class WorkerFacts(BaseModel):
    """What a worker says of itself when it joins."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)
    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
    slots: Annotated[int, Field(ge=1, le=4096)]
    properties: Properties = ()
    toolchains: Annotated[tuple[ToolchainFacts, ...], Field(max_length=256)] = ()
    tools: Annotated[dict[Name, Name], Field(max_length=512)] = {}
    cpu_count: Count = 1
    cpu_model: Name = ""
    memory_bytes: Count = 0
    disk_free_bytes: Count = 0
    machine: Machine = ""


class RunningLease(BaseModel):
    """A lease that a worker still works on, named when it connects again."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)
    lease: Name
    epoch: Count
    action: WireDigest


class Limits(BaseModel):
    """Sizes in bytes that both sides keep to on this connection."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)
    message_bytes: Annotated[int, Field(ge=64 * 1024, le=64 * 1024 * 1024)] = 8 * 1024 * 1024
    chunk_bytes: Annotated[int, Field(ge=1024, le=MAX_INLINE)] = 256 * 1024
    window_bytes: Annotated[int, Field(ge=1024, le=1024 * 1024 * 1024)] = 4 * 1024 * 1024


# ── opening and closing ─────────────────────────────────────────────────────────────────────────


class Hello(Message):
    """First message of a connection: who calls, with what right, for which channel."""

    type = "hello"
    channels = frozenset(Channel)
    senders = CALLERS
    oldest: Count
    newest: Count
    channel: Channel
    role: Peer
    token_id: Name
    token_secret: Annotated[str, Field(max_length=MAX_NAME, repr=False)]
    program: Name = ""
    session: Annotated[Name, Field(description="the control session a bulk connection joins")] = ""
    worker: WorkerFacts | None = None
    running: tuple[RunningLease, ...] = ()
    compress: bool = True


class Welcome(Message):
    """Answer to HELLO: the agreed version, the session's name, limits and rhythm."""

    type = "welcome"
    channels = frozenset(Channel)
    senders = FROM_COORDINATOR
    version: Count
    session: Name
    coordinator: Name
    namespace: Name = ""
    heartbeat_seconds: Amount = 1.0
    limits: Limits = Field(default_factory=Limits)
    compress: bool = True


class Goodbye(Message):
    """Last message before a clean close; `retry` says whether to come back."""

    type = "goodbye"
    channels = frozenset(Channel)
    reason: Text = ""
    retry: bool = True


class Error(Message):
    """A refusal: answers the message of the same id, or ends the connection when `fatal`."""

    type = "error"
    channels = frozenset(Channel)
    code: Name
    message: Text
    next_step: Text = ""
    retryable: bool = False
    fatal: bool = False


# ── health ──────────────────────────────────────────────────────────────────────────────────────


class Heartbeat(Message):
    """A sign of life; a worker adds what it runs and how busy its machine is."""

    type = "heartbeat"
    leases: tuple[Name, ...] = ()
    load: Amount = 0.0
    memory_free_bytes: Count = 0
    disk_free_bytes: Count = 0


class StatusGet(Message):
    """Asks for a picture of the cluster."""

    type = "status_get"
    senders = CALLERS


class WorkerStatus(BaseModel):
    """One worker in a STATUS."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)
    name: Name
    slots: Count
    running: Count
    completed: Count
    draining: bool
    properties: Properties = ()
    toolchains: tuple[ToolchainFacts, ...] = ()
    cpu_model: Name = ""
    memory_bytes: Count = 0
    load: Amount = 0.0
    condition: Annotated[Name, Field(description="ready, or why it gets no work")] = ""
    speed: Annotated[Amount, Field(description="measured; the cluster's average is 1")] = 0.0
    machine: Machine = ""
    broken: Annotated[tuple[ToolchainTrouble, ...], Field(max_length=256)] = ()


class CauseStatus(BaseModel):
    """Why actions of the caller's namespace fail, in a STATUS."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)
    fingerprint: Name
    category: Name
    line: Annotated[str, Field(max_length=MAX_TEXT, description="one line for people")]
    actions: Annotated[Count, Field(description="that failed for it, and have not succeeded since")]
    failures: Count = 0
    held: Annotated[Count, Field(description="look-alikes that wait for one of them")] = 0
    workers: Annotated[tuple[Name, ...], Field(max_length=256)] = ()
    seconds: Annotated[Amount, Field(description="since the latest failure")] = 0.0


class Counter(BaseModel):
    """How often the scheduler did something since its start, or for how many seconds."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)
    name: Name
    value: Amount


class Status(Message):
    """A picture of the cluster at one moment."""

    type = "status"
    senders = FROM_COORDINATOR
    version: Name = ""
    uptime_seconds: Amount = 0.0
    workers: tuple[WorkerStatus, ...] = ()
    clients: Count = 0
    queued: Count = 0
    running: Count = 0
    completed: Count = 0
    failed: Count = 0
    cas_bytes: Count = 0
    cas_limit_bytes: Count = 0
    cas_blobs: Count = 0
    counters: tuple[Counter, ...] = ()
    causes: Annotated[tuple[CauseStatus, ...], Field(max_length=256)] = ()


class Drain(Message):
    """Take no new work and finish what runs (`on`), then end (`leave`); or take work again."""

    type = "drain"
    on: bool = True
    worker: Annotated[Name, Field(description="named by an admin; empty means the receiver")] = ""
    leave: Annotated[bool, Field(description="with `on`: the worker's program is to end then")] = (
        False
    )


class Done(Message):
    """The message of the same id was carried out; nothing more to say."""

    type = "done"
    channels = frozenset(Channel)


# ── operations: client and coordinator ──────────────────────────────────────────────────────────


class JobRequest(Message):
    """A client's wish to have an action done; the action's blobs are in the CAS."""

    type = "job_request"
    senders = _CLIENTS
    operation: Name
    build: Name
    action: WireDigest
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    skip_cache: bool = False
    rank_seconds: Annotated[
        Amount, Field(description="work on the longest way from here to the build's end")
    ] = 0.0
    deadline_seconds: Annotated[
        Amount, Field(description="given up when it still waits after this; 0: never")
    ] = 0.0
    alike: Annotated[Name, Field(description="what may fail as it does; empty: nothing")] = ""


class JobAccept(Message):
    """The operation is queued, or joined an execution of the same action."""

    type = "job_accept"
    senders = FROM_COORDINATOR
    operation: Name
    merged: bool = False


class JobReject(Message):
    """The operation was not taken; `missing` names blobs to upload before another try."""

    type = "job_reject"
    senders = FROM_COORDINATOR
    operation: Name
    code: Name
    detail: Text = ""
    missing: Digests = ()


class JobProgress(Message):
    """The operation reached a stage (REAPI execution stages: queued, executing)."""

    type = "job_progress"
    senders = FROM_COORDINATOR
    operation: Name
    stage: Name
    worker: Name = ""


class JobOutput(Message):
    """What a running command of the operation has printed since the last such message."""

    type = "job_output"
    senders = FROM_COORDINATOR
    operation: Name
    worker: Name
    data: Inline


class JobComplete(Message):
    """The tool ran to its end: `result` is an encoded ActionResult, its blobs are in the CAS."""

    type = "job_complete"
    senders = FROM_COORDINATOR
    operation: Name
    result: Inline
    worker: Name
    cached: bool = False
    queue_seconds: Amount = 0.0
    attempts: Count = 1


class JobFailed(Message):
    """No verdict of the tool could be had; `result` holds partial output where there is any."""

    type = "job_failed"
    senders = FROM_COORDINATOR
    operation: Name
    kind: OutcomeKind
    cause: Cause = Cause.NONE
    detail: Text = ""
    missing: Digests = ()
    result: Inline = b""
    worker: Name = ""


class JobCancel(Message):
    """The client no longer wants the operation."""

    type = "job_cancel"
    senders = _CLIENTS
    operation: Name


# ── leases: coordinator and worker ──────────────────────────────────────────────────────────────


class LeaseOffer(Message):
    """The coordinator gives an action to a worker; `epoch` fences results of older promises."""

    type = "lease_offer"
    senders = FROM_COORDINATOR
    lease: Name
    epoch: Count
    action: WireDigest
    attempt: Count = 1


class LeaseAccept(Message):
    """The worker has taken the action."""

    type = "lease_accept"
    senders = _WORKERS
    lease: Name
    epoch: Count


class LeaseReject(Message):
    """The worker cannot take the action: busy, unsupported, toolchain-broken, missing-inputs.

    With `toolchain-broken` it gets no more actions of that toolchain; `detail` says what is wrong.
    """

    type = "lease_reject"
    senders = _WORKERS
    lease: Name
    epoch: Count
    reason: Name
    detail: Text = ""
    missing: Digests = ()


class LeaseProgress(Message):
    """The worker has started to execute the command."""

    type = "lease_progress"
    senders = _WORKERS
    lease: Name
    epoch: Count
    stage: Name


class LeaseOutput(Message):
    """What the running command has printed since the last such message, for those who wait."""

    type = "lease_output"
    senders = _WORKERS
    lease: Name
    data: Inline


class CacheEntry(BaseModel):
    """What makes a result usable again: exact inputs and absences under a reduced key.

    `manifest` is the digest of the text that lists every path token with its digest
    (cache/key.py); `paths` are the path tokens of that text, zlib-compressed and joined by NUL;
    `root` is the project root whose name stands in the outputs, empty when the result holds for
    every root. `depfile` names the output that is a template for other roots, to be filled by the
    rule `layout` (includes/depfile_layout.py).
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        defer_build=True,
        ser_json_bytes="base64",
        val_json_bytes="base64",
    )
    key: WireDigest
    manifest: WireDigest
    paths: Inline
    absent: Inline = b""
    root: Text = ""
    depfile: Text = ""
    layout: Name = ""
    result: Inline


class LeaseResult(Message):
    """How the execution ended. Blobs of `result` are in the CAS before this is sent.

    `entry` is present for a success whose exact inputs the worker knows.
    """

    type = "lease_result"
    senders = _WORKERS
    lease: Name
    epoch: Count
    kind: OutcomeKind
    cause: Cause = Cause.NONE
    detail: Text = ""
    result: Inline = b""
    entry: CacheEntry | None = None
    missing: Digests = ()
    memory_bytes: Annotated[Count, Field(description="peak of the command; 0: unknown")] = 0


class LeaseRevoke(Message):
    """The coordinator takes the action back; the worker kills the command."""

    type = "lease_revoke"
    senders = FROM_COORDINATOR
    lease: Name
    epoch: Count


class TreesGone(Message):
    """The worker has trees no longer, toolchains or input roots: it would lay them out anew."""

    type = "trees_gone"
    senders = _WORKERS
    trees: Digests


# ── the store and the action cache ──────────────────────────────────────────────────────────────


class FindMissing(Message):
    """Which of these blobs does the coordinator lack? The others are kept for a while."""

    type = "find_missing"
    senders = CALLERS
    digests: Digests


class Missing(Message):
    """Answer to FIND_MISSING."""

    type = "missing"
    senders = FROM_COORDINATOR
    digests: Digests


class ActionCacheGet(Message):
    """Asks for the entries under reduced keys (action digests, for actions without one).

    `times` asks for their times as well.
    """

    type = "action_cache_get"
    senders = _CLIENTS
    keys: Digests
    times: bool = False


class EntryTimes(BaseModel):
    """When an entry was stored and last used before this question, in seconds since the epoch."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)
    stored: Amount
    used: Amount


class ActionCacheEntries(Message):
    """Answer to ACTION_CACHE_GET: all entries, newest first; results are complete.

    `times`, where it was asked for, has one element for each entry.
    """

    type = "action_cache_entries"
    senders = FROM_COORDINATOR
    entries: Annotated[tuple[CacheEntry, ...], Field(max_length=MAX_DIGESTS)]
    times: Annotated[tuple[EntryTimes, ...], Field(max_length=MAX_DIGESTS)] = ()


class Artifact(BaseModel):
    """One output file of a finished action."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)
    path: Text
    digest: WireDigest
    executable: bool = False


class ArtifactsGet(Message):
    """Asks which files a finished action left in the store."""

    type = "artifacts_get"
    senders = _CLIENTS
    action: WireDigest


class Artifacts(Message):
    """Answer to ARTIFACTS_GET; not `found` when no result is stored."""

    type = "artifacts"
    senders = FROM_COORDINATOR
    found: bool
    artifacts: Annotated[tuple[Artifact, ...], Field(max_length=MAX_DIGESTS)] = ()
