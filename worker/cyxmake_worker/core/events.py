"""What can happen to a worker, as values; each carries the moment it happened.

Knows nothing of who observes it. `now` is monotonic seconds; `jitter` is a number from 0 to 1 that
the shell draws, so that the machine itself holds no randomness.
"""

from __future__ import annotations

from dataclasses import dataclass

from cyxmake_common.digest import Digest
from cyxmake_common.ids import LeaseId
from cyxmake_common.protocol.messages import LeaseReject, LeaseResult

Report = LeaseResult | LeaseReject
"""The last word about a lease."""


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""

    now: float


# ── the connection ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Started(Event):
    """The program is ready to join."""


@dataclass(frozen=True, slots=True)
class Connected(Event):
    """The coordinator said WELCOME; signs of life are due every `heartbeat` seconds."""

    heartbeat: float


@dataclass(frozen=True, slots=True)
class ConnectFailed(Event):
    """A try to connect failed; `final` means that no later try can do better."""

    jitter: float
    reason: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Disconnected(Event):
    """The connection ended without a goodbye."""

    jitter: float
    reason: str


@dataclass(frozen=True, slots=True)
class GoodbyeReceived(Event):
    """The coordinator closes; `retry` says whether to come back."""

    jitter: float
    reason: str
    retry: bool


@dataclass(frozen=True, slots=True)
class Replaced(Event):
    """The coordinator closes because another worker has joined under our name."""


@dataclass(frozen=True, slots=True)
class Heard(Event):
    """Something came from the coordinator."""


@dataclass(frozen=True, slots=True)
class Tick(Event):
    """The deadline that the machine named has come."""

    jitter: float


# ── leases ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Offered(Event):
    """The coordinator offers an action."""

    lease: LeaseId
    epoch: int
    action: Digest


@dataclass(frozen=True, slots=True)
class Revoked(Event):
    """The coordinator takes an action back."""

    lease: LeaseId
    epoch: int


@dataclass(frozen=True, slots=True)
class Prepared(Event):
    """All inputs of a lease are in the local store."""

    lease: LeaseId


@dataclass(frozen=True, slots=True)
class Executed(Event):
    """The command of a lease has ended; its outputs are in the local store."""

    lease: LeaseId


@dataclass(frozen=True, slots=True)
class Finished(Event):
    """There is nothing left to do for a lease but to say so; the report's blobs are in the CAS.

    A lease that cannot run here is handed back by a LeaseReject.
    """

    lease: LeaseId
    report: Report


@dataclass(frozen=True, slots=True)
class Interrupted(Event):
    """Fetching inputs or uploading outputs stopped because the connection was lost."""

    lease: LeaseId


@dataclass(frozen=True, slots=True)
class Stopped(Event):
    """The work on an aborted lease has ended; no process of it is left."""

    lease: LeaseId


# ── leaving ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class DrainAsked(Event):
    """Somebody wants no new work here, or (`on` false) wants it again."""

    on: bool


@dataclass(frozen=True, slots=True)
class LeaveAsked(Event):
    """The program shall end: after the running work, or (asked again) at once."""
