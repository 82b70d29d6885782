"""Everything the scheduler core knows: workers, pools, executions, operations, leases. Data only.

Knows nothing of what should happen next; the modules beside it decide that.

Theory of operation. An *operation* is one client's wish. Equal wishes of one namespace share one
*execution*, which is what gets scheduled. An execution belongs to one *pool*: everything with the
same requirements and the same toolchain, together with the workers that match (its members) and
those of them that have room (its lineup). An execution is either queued in its pool (or *held*
beside its queue, see families) or has exactly one current *lease* on one worker. Each assignment
makes a new lease and raises the execution's epoch. A revoked lease is no execution's current one,
but fills its slot until the worker says that it has stopped. When a worker is lost, the lease of a
requeued execution is kept as an *orphan* until the execution is assigned again: a worker that comes
back with it before that may go on.

Three things are beside this. A *hedge* is a second lease of a running execution, made to save time:
the first verdict of the two counts. An *audit* is an execution that no client waits for, made to
compare one worker's result with another's. A *stray* is work that a worker began before the
coordinator was started anew: nobody's yet, it becomes the lease of the client that asks for it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING, Final

from cyxmake_common.action import OutputFile
from cyxmake_common.digest import Digest
from cyxmake_common.ids import BuildId, LeaseId, Namespace, OperationId, SessionId, WorkerId
from cyxmake_common.outcome import Outcome
from cyxmake_coordinator.core.effects import Stage
from cyxmake_coordinator.core.events import Finding, PropertySet
from cyxmake_coordinator.core.health import Health
from cyxmake_coordinator.core.history import History
from cyxmake_coordinator.core.placement import Algorithm, Lineup, Rank
from cyxmake_coordinator.core.queue import FairQueue, Lane, Urgency
from cyxmake_coordinator.core.shares import Account, Payer
from cyxmake_coordinator.core.story import Story
from cyxmake_coordinator.core.totals import Totals

if TYPE_CHECKING:
    from cyxmake_coordinator.core.causes import CauseKey, OpenCause
    from cyxmake_coordinator.core.families import Family, FamilyKey

WHOLE_WORKER: Final = 1 << 62
"""More bytes than any machine has: fits only where nothing else runs."""

PoolKey = tuple[PropertySet, Digest | None]
FlightKey = tuple[Namespace, Digest]
Ground = tuple[Digest, Digest | None] | BuildId
"""What makes a worker warm for an action: an input root and the toolchain laid over it; or, less
so, a build, most of whose files it has when it ran something of it."""
Evidence = tuple[int, tuple[OutputFile, ...], Digest | None, Digest | None]
"""What two runs of an action must agree in: exit code, files, output."""


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
    started_at: float | None = None
    memory: int = 0
    """Bytes set aside for it at its worker."""
    payer: Payer | None = None
    user: str = ""
    """Whose slot it takes; nobody's when it is a second run."""
    charged: float = 0.0

    def __repr__(self) -> str:
        return f"<Lease {self.id} epoch {self.epoch} on {self.worker} {self.phase}>"


@dataclass(slots=True, eq=False, repr=False)
class Stray:
    """Work of an earlier run of the coordinator; its outcome is kept when it ends first."""

    lease: LeaseId
    epoch: int
    action: Digest
    worker: WorkerId
    until: float
    started_at: float | None = None

    def __repr__(self) -> str:
        return f"<Stray {self.lease} epoch {self.epoch} on {self.worker}>"


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
    away_since: float | None = None
    """Its connection broke; it may come back."""
    hushed: bool = False
    """It has missed heartbeats: it gets nothing more until it is heard of."""
    strays: dict[LeaseId, Stray] = field(default_factory=dict)
    health: Health = field(default_factory=Health)
    # What is measured of it.
    latency: float = 0.0
    served: int = 0
    pace: tuple[float, float] = (0.0, 0.0)
    """Seconds that its latest actions were expected to take and took, older ones counting less."""
    speed: float = 1.0
    # Memory, in bytes; a total of 0 is unknown.
    memory: int = 0
    reserved: int = 0
    memory_free: int | None = None
    """What it said was free, less what was assigned since."""
    disk_free: int | None = None
    """What it said was free on its disk."""
    kept_for: Execution | None = None
    """It gets nothing else until this fits into its memory."""

    def __repr__(self) -> str:
        return (
            f"<Worker {self.name} on {self.session} {self.used}/{self.slots} {self.condition},"
            f" {self.completed} completed, {self.failed} failed>"
        )

    @property
    def condition(self) -> str:
        """In one word, whether it takes work, else why not."""
        reasons = {
            "quarantined": self.health.quarantined,
            "draining": self.draining,
            "away": self.away_since is not None,
            "silent": self.hushed,
            "disk-full": self.health.shut_until is not None and self.health.full,
            "failing": self.health.shut_until is not None,
            "probed": self.health.probing,
            "paused": self.paused_until is not None,
        }
        return next((word for word, holds in reasons.items() if holds), "ready")

    def story(self) -> tuple[str, ...]:
        """Return what happened to it, one line each."""
        return self.history.lines()

    @property
    def used(self) -> int:
        """How many slots are taken, those for work assigned ahead included."""
        return len(self.leases) + len(self.strays)

    @property
    def free(self) -> bool:
        """Whether a slot is free."""
        return self.used < self.slots

    def rank(self, algorithm: Algorithm, prefetch: int) -> Rank | None:
        """Return its place in a lineup, or None when it is to get nothing."""
        used = self.used
        if (
            used >= self.slots + prefetch
            or self.paused_until is not None
            or self.away_since is not None
            or self.hushed
            or self.kept_for is not None
            or not self.health.takes_work(used)
        ):
            return None
        return used >= self.slots, algorithm.score(self), self.completed, self.name

    def fits(self, memory: int, share: float) -> bool:
        """Tell whether an action that may need so many bytes has room beside the others."""
        if memory >= WHOLE_WORKER:
            return not self.used
        if not memory or not self.memory:
            return True
        known_free = self.memory if self.memory_free is None else self.memory_free
        return memory <= min(self.memory * share - self.reserved, known_free)


@dataclass(slots=True, eq=False, repr=False)
class Operation:
    """One client's wish to have an action done."""

    id: OperationId
    session: SessionId
    lane: Lane
    submitted_at: float
    merged: bool
    execution: Execution
    deadline: float = inf
    history: Story = field(default_factory=Story)

    def __repr__(self) -> str:
        merged = " merged" if self.merged else ""
        return f"<Operation {self.id} of {self.session} in {self.lane.build}{merged}>"

    def story(self) -> tuple[str, ...]:
        """Return what happened to it and to its execution, one line each."""
        return self.history.lines(self.execution.history)


@dataclass(slots=True, eq=False, repr=False)
class Execution:
    """One action under way for one or more operations."""

    namespace: Namespace
    action: Digest
    input_root: Digest
    kin: Digest
    timeout: float
    do_not_cache: bool
    pool: Pool
    build: BuildId
    urgency: Urgency = Urgency()  # noqa: RUF009 (it never changes)
    memory: int = 0
    """Bytes it may need; the whole worker when it ran out of them before."""
    stage: Stage = Stage.QUEUED
    operations: dict[OperationId, Operation] = field(default_factory=dict)
    lease: Lease | None = None
    hedge: Lease | None = None
    """A second lease that is to save time."""
    audit: Audit | None = None
    """What it is to show, when no client wants it."""
    family: Family | None = None
    """Those of its build that may fail as it does."""
    orphan: Lease | None = None
    """The lease lost with a worker that may come back with it."""
    waits_for: str = ""
    """The user in whose queue it counts."""
    epoch: int = 0
    attempts: int = 0
    losses: int = 0
    """Workers lost while they ran it."""
    exhausted: bool = False
    """A worker ran out of time with it."""
    outgrown: bool = False
    """A worker ran out of memory with it."""
    excluded: dict[SessionId, WorkerId] = field(default_factory=dict)
    doubted: dict[SessionId, WorkerId] = field(default_factory=dict)
    """Where it ended in a way that may be its own fault or the worker's."""
    contested: dict[WorkerId, Finding] = field(default_factory=dict)
    """Who said that its source is wrong, where that is to be shown by another."""
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
    def grounds(self) -> tuple[Ground, Ground]:
        """What makes a worker warm for it, best first."""
        return (self.input_root, self.pool.toolchain), self.build

    @property
    def user(self) -> str:
        """One of those who want it."""
        return next((operation.lane.user for operation in self.operations.values()), "")

    @property
    def flight(self) -> FlightKey:
        """What another operation must agree with to be merged onto this."""
        return self.namespace, self.action


@dataclass(slots=True, eq=False)
class Group:
    """The pools of the same requirements: what their users have had, and when it was served."""

    users: Account = field(default_factory=Account)
    served: int = 0
    """In services of all groups."""


@dataclass(slots=True, eq=False, repr=False)
class Audit:
    """The question whether workers agree on what an action does."""

    execution: Execution
    since: float
    witnesses: dict[WorkerId, Evidence]
    """Who found what; no two runs are of one worker."""
    finding: Finding | None = None
    """What the first of them failed for, when it is asked whether others do."""
    suspect: WorkerId | None = None
    """The quarantined worker that is tested with an action whose evidence is known."""

    def __repr__(self) -> str:
        return f"<Audit of {self.execution!r}, {len(self.witnesses)} witnesses>"


@dataclass(slots=True, eq=False, repr=False)
class Pool:
    """What waits for the same kind of worker, and the workers of that kind."""

    requirements: PropertySet
    toolchain: Digest | None
    members: dict[WorkerId, Worker] = field(default_factory=dict)
    """Live workers that match and do not drain."""
    holders: dict[WorkerId, None] = field(default_factory=dict)
    """Members that have the toolchain already."""
    lineup: Lineup = field(default_factory=Lineup)
    queue: FairQueue[Execution] = field(default_factory=FairQueue)
    group: Group = field(default_factory=Group)
    held: dict[Execution, None] = field(default_factory=dict)
    """What waits beside the queue, because its look-alikes failed."""
    wary: dict[Execution, None] = field(default_factory=dict)
    """Queued executions that exclude some worker; they can become hopeless one by one."""
    heavy: WorkerId | None = None
    """The worker that is kept free for a queued execution that needs much memory."""
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


@dataclass(slots=True, repr=False)
class State:
    """The whole cluster as the core sees it."""

    incarnation: str
    """Makes lease ids of this coordinator's run differ from those of earlier runs."""
    algorithm: Algorithm
    learned: History
    now: float = 0.0
    ticked_at: float | None = None
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
    pending: dict[LeaseId, Lease] = field(default_factory=dict)
    """First leases of executions that have not started, oldest first."""
    started: dict[LeaseId, Lease] = field(default_factory=dict)
    """Leases in force that run, oldest first."""
    hedges: dict[LeaseId, Lease] = field(default_factory=dict)
    orphans: dict[LeaseId, Lease] = field(default_factory=dict)
    strays: dict[Digest, Stray] = field(default_factory=dict)
    """Work of an earlier run of the coordinator that nobody has asked for yet, by action."""
    finds: dict[Digest, tuple[float, WorkerId, Outcome]] = field(default_factory=dict)
    """What came of strays that ended, until a moment."""
    audits: dict[Audit, None] = field(default_factory=dict)
    """Audits that wait for a worker, and those that run."""
    canaries: list[Audit] = field(default_factory=list)
    """The latest audits in which workers agreed."""
    outcasts: dict[WorkerId, Health] = field(default_factory=dict)
    """Quarantined workers that left; leaving does not end a quarantine."""
    causes: OrderedDict[CauseKey, OpenCause] = field(default_factory=OrderedDict)
    """What actions fail for; what failed last comes last."""
    ailing: dict[tuple[Namespace, Digest], CauseKey] = field(default_factory=dict)
    """By kin, the cause for which an action failed last."""
    families: OrderedDict[FamilyKey, Family] = field(default_factory=OrderedDict)
    holding_back: dict[Family, None] = field(default_factory=dict)
    """Families that are held."""
    verdicts: int = 0
    """Results that could have been audited."""
    groups: dict[PropertySet, Group] = field(default_factory=dict)
    holding: dict[str, int] = field(default_factory=dict)
    """Leases in force by the user who pays."""
    waiting_of: dict[str, int] = field(default_factory=dict)
    """Executions queued by one of the users who want them."""
    deadlines: list[tuple[float, OperationId]] = field(default_factory=list)
    """A heap; those of operations that have ended are skipped."""
    warm: dict[Ground, dict[WorkerId, None]] = field(default_factory=dict)
    waiting: int = 0
    """Executions queued in all pools, or held beside."""
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
