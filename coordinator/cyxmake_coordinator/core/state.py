"""Everything the scheduler core knows: workers, pools, executions, operations, leases. Data only.

Knows nothing of what should happen next; the modules beside it decide that.

Theory of operation. An *operation* is one client's wish. Equal wishes of one namespace share one
*execution*, which is what gets scheduled. An execution belongs to one *pool*: everything with the
same requirements and the same toolchain, together with the workers that match (its members) and
those of them that have room (its lineup). An execution is either queued in its pool or has exactly
one current *lease* on one worker. Each assignment makes a new lease and raises the execution's
epoch. A revoked lease is no execution's current one, but fills its slot until the worker says that
it has stopped. When a worker is lost, the lease of a requeued execution is kept as an *orphan*
until the execution is assigned again: a worker that comes back with it before that may go on.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum

from cyxmake_common.digest import Digest
from cyxmake_common.ids import LeaseId, Namespace, OperationId, SessionId, WorkerId
from cyxmake_common.outcome import Outcome, OutcomeKind
from cyxmake_coordinator.core.effects import Stage
from cyxmake_coordinator.core.events import PropertySet
from cyxmake_coordinator.core.placement import FULL, Lineup, Rank
from cyxmake_coordinator.core.queue import FairQueue, Lane
from cyxmake_coordinator.core.story import Story

PoolKey = tuple[PropertySet, Digest | None]
FlightKey = tuple[Namespace, Digest]
Ground = tuple[Digest, Digest | None]
"""What makes a worker warm for an action: an input root and the toolchain laid over it."""


class LeasePhase(StrEnum):
    """How far a worker has come with a lease, as far as we were told."""

    ASSIGNED = "assigned"
    ACCEPTED = "accepted"
    STARTED = "started"
    REVOKED = "revoked"


@dataclass(slots=True, eq=False, repr=False)
class Lease:
    """One assignment of an execution to a worker."""

    id: LeaseId
    epoch: int
    execution: Execution
    worker: WorkerId
    assigned_at: float
    phase: LeasePhase = LeasePhase.ASSIGNED
    started_at: float = 0.0

    def __repr__(self) -> str:
        return f"<Lease {self.id} epoch {self.epoch} on {self.worker} {self.phase}>"


@dataclass(slots=True, eq=False, repr=False)
class Worker:
    """One live worker session, with what it offers and what it holds."""

    name: WorkerId
    session: SessionId
    slots: int
    properties: PropertySet
    toolchains: set[Digest]
    last_heard: float
    draining: bool = False
    broken: dict[Digest, str] = field(default_factory=dict)
    """Toolchains that do not work there, and what is wrong with them."""
    leases: dict[LeaseId, Lease] = field(default_factory=dict)
    pools: dict[Pool, None] = field(default_factory=dict)
    """The pools it is a member of; none while draining."""
    warm: OrderedDict[Ground, None] = field(default_factory=OrderedDict)
    """Grounds assigned to it lately, the latest last."""
    paused_until: float | None = None
    """It said that it is busy."""
    completed: int = 0
    failed: int = 0
    history: Story = field(default_factory=Story)

    def __repr__(self) -> str:
        drained = " draining" if self.draining else ""
        paused = " paused" if self.paused_until is not None else ""
        return (
            f"<Worker {self.name} on {self.session} {len(self.leases)}/{self.slots}"
            f"{drained}{paused}, {self.completed} completed, {self.failed} failed>"
        )

    def story(self) -> tuple[str, ...]:
        """Return what happened to it, one line each."""
        return self.history.lines()

    @property
    def free(self) -> bool:
        """Whether a slot is free."""
        return len(self.leases) < self.slots

    def rank(self, prefetch: int) -> Rank | None:
        """Return its place in a lineup, or None when it is to get nothing."""
        used = len(self.leases)
        if self.paused_until is not None or used >= self.slots + prefetch:
            return None
        load = used / self.slots if used < self.slots else FULL
        return load, self.completed, self.name


@dataclass(slots=True, eq=False, repr=False)
class Operation:
    """One client's wish to have an action done."""

    id: OperationId
    session: SessionId
    lane: Lane
    submitted_at: float
    merged: bool
    execution: Execution
    history: Story = field(default_factory=Story)

    def __repr__(self) -> str:
        merged = " merged" if self.merged else ""
        return f"<Operation {self.id} of {self.session} in {self.lane[1]}{merged}>"

    def story(self) -> tuple[str, ...]:
        """Return what happened to it and to its execution, one line each."""
        return self.history.lines(self.execution.history)


@dataclass(slots=True, eq=False, repr=False)
class Execution:
    """One action under way for one or more operations."""

    namespace: Namespace
    action: Digest
    ground: Ground
    timeout: float
    do_not_cache: bool
    pool: Pool
    stage: Stage = Stage.QUEUED
    operations: dict[OperationId, Operation] = field(default_factory=dict)
    lease: Lease | None = None
    orphan: Lease | None = None
    """The lease lost with a worker that may come back with it."""
    epoch: int = 0
    attempts: int = 0
    losses: int = 0
    """Workers lost while they ran it."""
    exhausted: bool = False
    """A worker ran out of a resource with it."""
    excluded: dict[SessionId, WorkerId] = field(default_factory=dict)
    last_outcome: Outcome | None = None
    last_assigned_at: float | None = None
    history: Story = field(default_factory=Story)

    def __repr__(self) -> str:
        place = repr(self.lease) if self.lease else f"queued in {self.pool!r}"
        return (
            f"<Execution {self.action.hash[:12]} {self.stage}, attempt {self.attempts},"
            f" for {len(self.operations)} operations, {place}>"
        )

    @property
    def flight(self) -> FlightKey:
        """What another operation must agree with to be merged onto this."""
        return self.namespace, self.action


@dataclass(slots=True, eq=False, repr=False)
class Pool:
    """What waits for the same kind of worker, and the workers of that kind."""

    requirements: PropertySet
    toolchain: Digest | None
    members: dict[WorkerId, Worker] = field(default_factory=dict)
    """Live workers that match and do not drain."""
    holders: set[WorkerId] = field(default_factory=set)
    """Members that have the toolchain already."""
    lineup: Lineup = field(default_factory=Lineup)
    queue: FairQueue[Execution] = field(default_factory=FairQueue)
    wary: dict[Execution, None] = field(default_factory=dict)
    """Queued executions that exclude some worker; they can become hopeless one by one."""
    active: int = 0
    """Executions that wait or run."""
    served: int = 0
    """When it was served last, in services of all pools."""

    def __repr__(self) -> str:
        wants = ",".join(f"{name}={value}" for name, value in sorted(self.requirements)) or "any"
        return f"<Pool {wants}, {len(self.members)} members, {self.lineup!r}, {self.queue!r}>"

    @property
    def key(self) -> PoolKey:
        """What its executions have in common."""
        return self.requirements, self.toolchain


@dataclass(slots=True)
class Totals:
    """Counts since the start."""

    submitted: int = 0
    merged: int = 0
    rejected: int = 0
    completed: dict[OutcomeKind, int] = field(default_factory=lambda: dict.fromkeys(OutcomeKind, 0))
    """Operations by the kind of their outcome."""
    assigned: int = 0
    retried: int = 0
    taken_back: int = 0
    adopted: int = 0
    workers_left: int = 0
    stale: int = 0
    """Lease messages that were fenced off."""


@dataclass(slots=True, repr=False)
class State:
    """The whole cluster as the core sees it."""

    incarnation: str
    """Makes lease ids of this coordinator's run differ from those of earlier runs."""
    draining: bool = False
    workers: dict[WorkerId, Worker] = field(default_factory=dict)
    pools: dict[PoolKey, Pool] = field(default_factory=dict)
    toolchains: set[Digest] = field(default_factory=set)
    """Toolchains whose tree is in the CAS."""
    operations: dict[OperationId, Operation] = field(default_factory=dict)
    clients: dict[SessionId, dict[OperationId, Operation]] = field(default_factory=dict)
    flights: dict[FlightKey, Execution] = field(default_factory=dict)
    """Executions that further operations may be merged onto."""
    leases: dict[LeaseId, Lease] = field(default_factory=dict)
    """Leases that live workers hold, revoked ones included."""
    ahead: dict[LeaseId, Lease] = field(default_factory=dict)
    """Leases given to full workers and not started yet, oldest first."""
    orphans: dict[LeaseId, Lease] = field(default_factory=dict)
    warm: dict[Ground, set[WorkerId]] = field(default_factory=dict)
    waiting: int = 0
    """Executions queued in all pools."""
    services: int = 0
    last_lease: int = 0
    finished: OrderedDict[OperationId, Operation] = field(default_factory=OrderedDict)
    """Completed operations whose story can still be told."""
    totals: Totals = field(default_factory=Totals)

    def __repr__(self) -> str:
        return (
            f"<State {len(self.workers)} workers, {len(self.operations)} operations,"
            f" {self.waiting} waiting, {len(self.leases)} leases, {len(self.pools)} pools>"
        )
