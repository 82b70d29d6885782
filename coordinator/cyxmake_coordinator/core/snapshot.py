"""The cluster as status pages, metrics and the shell see it: copies that never change.

Knows nothing of how they are shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cyxmake_common.digest import Digest
from cyxmake_common.ids import LeaseId, Namespace, OperationId, SessionId, WorkerId
from cyxmake_coordinator.core.events import Finding, PropertySet
from cyxmake_coordinator.core.state import LeasePhase, Pool, State, Worker
from cyxmake_coordinator.core.totals import Totals


@dataclass(frozen=True, slots=True)
class WorkerSnapshot:
    """One worker; `held` counts all its leases, `running` those it has started."""

    name: WorkerId
    session: SessionId
    slots: int
    held: int
    running: int
    draining: bool
    condition: str
    """In one word, whether it takes work, else why not."""
    speed: float
    latency: float
    completed: int
    failed: int
    last_heard: float
    properties: PropertySet
    toolchains: frozenset[Digest]
    broken: Mapping[Digest, str]
    """Toolchains that it refuses, and why."""

    @property
    def load(self) -> float:
        """Leases over slots; above one when an action is assigned ahead."""
        return self.held / self.slots


@dataclass(frozen=True, slots=True)
class PoolSnapshot:
    """What waits for one kind of worker."""

    requirements: PropertySet
    toolchain: Digest | None
    workers: int
    free_workers: int
    waiting: int
    active: int


@dataclass(frozen=True, slots=True)
class CauseSnapshot:
    """Why actions of a namespace fail."""

    namespace: Namespace
    finding: Finding
    actions: int
    failures: int
    held: int
    workers: tuple[WorkerId, ...]
    heard: float


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """The whole cluster at one moment."""

    workers: tuple[WorkerSnapshot, ...]
    pools: tuple[PoolSnapshot, ...]
    waiting: int
    running: int
    operations: int
    clients: int
    draining: bool
    totals: Totals
    causes: tuple[CauseSnapshot, ...]
    """What most fail for first."""

    @property
    def slots(self) -> int:
        """Slots of all workers that take new work."""
        return sum(worker.slots for worker in self.workers if not worker.draining)


@dataclass(frozen=True, slots=True)
class LeaseFacts:
    """What the shell has to know of a lease to store its result before reporting it."""

    namespace: Namespace
    action: Digest
    do_not_cache: bool
    worker: WorkerId
    operations: tuple[OperationId, ...]


def snapshot(state: State) -> ClusterSnapshot:
    """Copy what people want to know of the cluster."""
    workers = tuple(_worker(state.workers[name]) for name in sorted(state.workers))
    return ClusterSnapshot(
        workers=workers,
        pools=tuple(_pool(pool) for pool in state.pools.values()),
        waiting=state.waiting,
        running=sum(worker.running for worker in workers),
        operations=len(state.operations),
        clients=len(state.clients),
        draining=state.draining,
        totals=replace(state.totals, completed=dict(state.totals.completed)),
        causes=_causes(state),
    )


def _causes(state: State) -> tuple[CauseSnapshot, ...]:
    held: Counter[str] = Counter()
    for family in state.holding_back:
        if family.finding is not None:
            held[family.finding.fingerprint] += len(family.held)
    found = (
        CauseSnapshot(
            namespace=cause.key[0],
            finding=cause.finding,
            actions=len(cause.actions),
            failures=cause.failures,
            held=held[cause.finding.fingerprint],
            workers=tuple(sorted(cause.workers)),
            heard=cause.heard,
        )
        for cause in state.causes.values()
    )
    return tuple(sorted(found, key=lambda cause: (-cause.actions, -cause.heard)))


def lease_facts(state: State, lease_id: LeaseId, epoch: int) -> LeaseFacts | None:
    """Return what a lease is about, or None when a result for it would be ignored."""
    lease = state.leases.get(lease_id)
    if lease is None or lease.epoch != epoch or lease.phase is LeasePhase.REVOKED:
        return None
    execution = lease.execution
    return LeaseFacts(
        namespace=execution.namespace,
        action=execution.action,
        do_not_cache=execution.do_not_cache,
        worker=lease.worker,
        operations=tuple(execution.operations),
    )


def _worker(worker: Worker) -> WorkerSnapshot:
    running = sum(lease.phase is LeasePhase.STARTED for lease in worker.leases.values())
    return WorkerSnapshot(
        name=worker.name,
        session=worker.session,
        slots=worker.slots,
        held=len(worker.leases),
        running=running,
        draining=worker.draining,
        condition=worker.condition,
        speed=worker.speed,
        latency=worker.latency,
        completed=worker.completed,
        failed=worker.failed,
        last_heard=worker.last_heard,
        properties=worker.properties,
        toolchains=frozenset(worker.toolchains),
        broken=dict(worker.broken),
    )


def _pool(pool: Pool) -> PoolSnapshot:
    return PoolSnapshot(
        requirements=pool.requirements,
        toolchain=pool.toolchain,
        workers=len(pool.members),
        free_workers=pool.lineup.free_count(),
        waiting=len(pool.queue),
        active=pool.active,
    )
