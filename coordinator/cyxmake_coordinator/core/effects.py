"""What the scheduler core wants done: every output of the core, as frozen values.

Knows nothing of how a message reaches a session. Effects are carried out in the order given; one
for a session that is gone is dropped, the core learns of that by an event of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cyxmake_common.digest import Digest
from cyxmake_common.ids import LeaseId, Namespace, OperationId, SessionId, WorkerId
from cyxmake_common.outcome import Outcome


class Stage(StrEnum):
    """How far an operation has come; REAPI's execution stages, with the wait at a worker apart."""

    QUEUED = "queued"
    ASSIGNED = "assigned"
    """A worker has the lease; it fetches inputs or waits for a slot there. Never reported alone."""
    EXECUTING = "executing"
    COMPLETED = "completed"


class RejectCode(StrEnum):
    """Why an operation is not accepted; the client runs the action elsewhere or tries again."""

    NO_WORKER = "no-worker"
    MISSING_TOOLCHAIN = "missing-toolchain"
    TOOLCHAIN_BROKEN = "toolchain-broken"
    SHUT_OFF = "shut-off"
    QUEUE_FULL = "queue-full"
    DRAINING = "draining"
    DUPLICATE = "duplicate-operation"


class DisconnectReason(StrEnum):
    """Why a worker's session is to be closed by us."""

    SILENT = "silent"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class AcceptOperation:
    """Tell the client that its operation is taken; `merged` onto an execution already under way."""

    operation: OperationId
    session: SessionId
    stage: Stage
    merged: bool


@dataclass(frozen=True, slots=True)
class RejectOperation:
    """Tell the client that its operation is not taken, why, and which blobs would change that."""

    operation: OperationId
    session: SessionId
    code: RejectCode
    detail: str
    missing: tuple[Digest, ...] = ()


@dataclass(frozen=True, slots=True)
class AssignLease:
    """Send an action to a worker; the epoch fences off results of earlier assignments."""

    worker: WorkerId
    session: SessionId
    lease: LeaseId
    epoch: int
    action: Digest
    input_root: Digest
    toolchain: Digest | None
    timeout: float
    attempt: int


@dataclass(frozen=True, slots=True)
class RevokeLease:
    """Tell a worker to stop an action and forget it; it may come more than once for a lease."""

    worker: WorkerId
    session: SessionId
    lease: LeaseId
    epoch: int


@dataclass(frozen=True, slots=True)
class ReportStage:
    """Tell the client that its operation moved: to executing, or back to queued after a loss."""

    operation: OperationId
    session: SessionId
    stage: Stage
    worker: WorkerId | None


@dataclass(frozen=True, slots=True)
class CompleteOperation:
    """Tell the client the verdict; exactly one follows each AcceptOperation.

    `missing` names blobs that the client has to upload before it submits again. `queue_seconds` is
    the time from submission to the last assignment. Cancelled operations are completed, too.
    """

    operation: OperationId
    session: SessionId
    namespace: Namespace
    action: Digest
    outcome: Outcome
    worker: WorkerId | None
    attempts: int
    merged: bool
    queue_seconds: float
    missing: tuple[Digest, ...] = ()


@dataclass(frozen=True, slots=True)
class DisconnectWorker:
    """Close a worker's session; the core has forgotten it already."""

    worker: WorkerId
    session: SessionId
    reason: DisconnectReason


@dataclass(frozen=True, slots=True)
class ForgetResult:
    """Take a result out of the action cache: two other workers agree that it is wrong."""

    namespace: Namespace
    action: Digest


Effect = (
    AssignLease
    | CompleteOperation
    | AcceptOperation
    | ReportStage
    | RevokeLease
    | RejectOperation
    | DisconnectWorker
    | ForgetResult
)
"""Everything that `Scheduler.handle` returns."""
