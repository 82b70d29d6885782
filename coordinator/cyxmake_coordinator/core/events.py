"""What can happen to the cluster: every input of the scheduler core, as frozen values.

Knows nothing of connections or clocks: the shell reads the clock once and puts `now` (monotonic
seconds, never falling) into the event. Operation ids must be unique among all clients.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import inf

from cyxmake_common.digest import Digest
from cyxmake_common.ids import BuildId, LeaseId, Namespace, OperationId, SessionId, WorkerId
from cyxmake_common.outcome import Outcome

PropertySet = frozenset[tuple[str, str]]
"""Platform properties without an order: what a worker offers, what an action requires."""


class RefusalReason(StrEnum):
    """Why a worker hands a lease back before running it."""

    BUSY = "busy"
    """No room at the moment: the action goes back to the head of the queue."""
    UNSUPPORTED = "unsupported"
    """The worker cannot run it at all (no such sandbox, emulator, ...): another worker is tried."""
    TOOLCHAIN_BROKEN = "toolchain-broken"
    """The toolchain does not compile there what it compiles elsewhere: it never runs there."""
    MISSING_INPUTS = "missing-inputs"
    """Blobs are not in the CAS: the client has to upload them and submit again."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the output of a failed tool says."""

    fingerprint: str
    """The same for the same cause, whatever the action."""
    category: str
    line: str
    """One line for people."""
    doubtful: bool = False
    """It may be the machine's fault as well as the source's."""


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A lease as a worker reports it: waiting, running, or finished but not yet reported."""

    lease: LeaseId
    epoch: int
    action: Digest


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """A worker's control session is open; `held` lets leases survive a reconnect."""

    now: float
    worker: WorkerId
    session: SessionId
    slots: int
    properties: PropertySet
    toolchains: frozenset[Digest] = frozenset()
    held: tuple[HeldLease, ...] = ()
    draining: bool = False
    """Whether it starts drained; the shell remembers an administrator's wish across sessions."""
    memory: int = 0
    """Bytes of memory in its machine; 0 when it does not say."""


@dataclass(frozen=True, slots=True)
class WorkerLeft:
    """A worker's control session has ended; ignored when a newer session holds the name."""

    now: float
    worker: WorkerId
    session: SessionId


@dataclass(frozen=True, slots=True)
class WorkerHeartbeat:
    """A worker lives and names every lease it holds; sent in order with its lease messages."""

    now: float
    worker: WorkerId
    session: SessionId
    held: tuple[HeldLease, ...] = ()
    memory_free: int | None = None
    """Bytes that new processes could have on its machine now."""
    disk_free: int | None = None
    """Bytes that are free where it keeps its files."""


@dataclass(frozen=True, slots=True)
class WorkerDrain:
    """A worker takes no new work (`on`), or takes work again."""

    now: float
    worker: WorkerId
    on: bool


@dataclass(frozen=True, slots=True)
class CoordinatorDrain:
    """The coordinator accepts no new operations (`on`), or accepts them again."""

    now: float
    on: bool


@dataclass(frozen=True, slots=True)
class ToolchainAvailable:
    """A toolchain's whole tree is in the CAS, so that every worker can fetch it."""

    now: float
    toolchain: Digest


@dataclass(frozen=True, slots=True)
class TreesGone:
    """A worker has given up toolchains or input roots: it is no longer warm for them."""

    now: float
    worker: WorkerId
    trees: frozenset[Digest]


@dataclass(frozen=True, slots=True)
class OperationSubmitted:
    """A client wants an action done; its inputs are in the CAS and the action cache had no result.

    `requirements` are the properties a worker must offer, without the toolchain and whatever else
    is not about workers. `priority` is as in REAPI: lower runs sooner, 0 is normal.

    `user` is who pays. `kin` names the action whatever its inputs are, for what earlier runs tell.
    `rank` is its upward rank: seconds of work that wait for its end. With a `deadline` it goes
    before the others of its build, and is given up when it still waits at that moment. `alike` is
    what its client calls those of the build that may fail as it does.
    """

    now: float
    operation: OperationId
    session: SessionId
    namespace: Namespace
    build: BuildId
    action: Digest
    input_root: Digest
    toolchain: Digest | None = None
    requirements: PropertySet = frozenset()
    priority: int = 0
    timeout: float = 0.0
    do_not_cache: bool = False
    user: str = ""
    kin: Digest | None = None
    rank: float = 0.0
    deadline: float = inf
    alike: str = ""


@dataclass(frozen=True, slots=True)
class OperationCancelled:
    """A client no longer wants an operation."""

    now: float
    operation: OperationId


@dataclass(frozen=True, slots=True)
class ClientLeft:
    """A client's session has ended; all its operations are cancelled."""

    now: float
    session: SessionId


@dataclass(frozen=True, slots=True)
class LeaseAccepted:
    """A worker has taken a lease and will run it when a slot is free."""

    now: float
    worker: WorkerId
    lease: LeaseId
    epoch: int


@dataclass(frozen=True, slots=True)
class LeaseStarted:
    """A worker has its inputs in place and runs the action."""

    now: float
    worker: WorkerId
    lease: LeaseId
    epoch: int


@dataclass(frozen=True, slots=True)
class LeaseRejected:
    """A worker hands a lease back without having run the action."""

    now: float
    worker: WorkerId
    lease: LeaseId
    epoch: int
    reason: RefusalReason
    missing: tuple[Digest, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LeaseFinished:
    """A worker has ended an action and its outputs are in the CAS; answers a revoke, too."""

    now: float
    worker: WorkerId
    lease: LeaseId
    epoch: int
    outcome: Outcome
    memory: int = 0
    """Peak bytes; 0 when that is not known."""
    finding: Finding | None = None
    """Why the tool failed, if it did and that can be told."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; the shell sends one about four times a second."""

    now: float


LeaseEvent = LeaseAccepted | LeaseStarted | LeaseRejected | LeaseFinished

Event = (
    LeaseEvent
    | OperationSubmitted
    | OperationCancelled
    | ClientLeft
    | WorkerHeartbeat
    | WorkerJoined
    | WorkerLeft
    | WorkerDrain
    | CoordinatorDrain
    | ToolchainAvailable
    | TreesGone
    | Tick
)
"""Everything that `Scheduler.handle` takes."""
