"""What must hold in every state between two events; the memory of every bug not to be had again.

Knows nothing of events. Costs time in proportion to the whole state: for tests and for debugging.
"""

from __future__ import annotations

from cyxmake_coordinator.core.effects import Stage
from cyxmake_coordinator.core.settings import Settings
from cyxmake_coordinator.core.state import Execution, LeasePhase, Pool, State, Worker


class InvariantBroken(AssertionError):
    """The state contradicts itself: a bug in the core."""


def check_invariants(state: State, settings: Settings) -> None:
    """Examine the whole state; raises InvariantBroken with the object that is wrong."""
    executions = {operation.execution: None for operation in state.operations.values()}
    _check_operations(state, executions)
    for execution in executions:
        _check_execution(state, settings, execution)
    for worker in state.workers.values():
        _check_worker(state, settings, worker)
    for pool in state.pools.values():
        _check_pool(state, settings, pool, executions)
    _check_indexes(state, executions)


def _require(holds: bool, rule: str, subject: object) -> None:
    if not holds:
        raise InvariantBroken(f"{rule}: {subject!r}")


def _check_operations(state: State, executions: dict[Execution, None]) -> None:
    for name, operation in state.operations.items():
        listed = operation.execution.operations.get(name)
        _require(listed is operation, "an operation is in its execution", operation)
        wishes = state.clients.get(operation.session, {})
        _require(wishes.get(name) is operation, "an operation is known by its client", operation)
    for what, counted in (
        ("executions", sum(len(execution.operations) for execution in executions)),
        ("clients", sum(map(len, state.clients.values()))),
    ):
        _require(counted == len(state.operations), f"{what} hold live operations only", state)
    _require(all(state.clients.values()), "no client is kept without operations", state)


def _check_execution(state: State, settings: Settings, execution: Execution) -> None:
    queued = execution in execution.pool.queue
    _require(
        queued == (execution.stage is Stage.QUEUED) == (execution.lease is None),
        "an execution is queued or has a lease",
        execution,
    )
    _require(
        0 <= execution.attempts <= settings.max_attempts,
        "attempts are limited",
        execution,
    )
    _require(0 <= execution.losses < settings.max_losses, "losses are limited", execution)
    if queued:
        lanes = {operation.lane for operation in execution.operations.values()}
        waits = execution.pool.queue.lanes(execution)
        _require(sorted(lanes) == sorted(waits), "it waits for all its operations", execution)
        wary = execution in execution.pool.wary
        _require(wary == bool(execution.excluded), "wary are those that exclude", execution)
    if (lease := execution.lease) is not None:
        _require(state.leases.get(lease.id) is lease, "a current lease is live", execution)
        _require(lease.epoch == execution.epoch, "a current lease has the last epoch", execution)
        _require(lease.phase is not LeasePhase.REVOKED, "a current lease is in force", execution)
        started = lease.phase is LeasePhase.STARTED
        _require(started == (execution.stage is Stage.EXECUTING), "started is executing", execution)
    if (orphan := execution.orphan) is not None:
        _require(state.orphans.get(orphan.id) is orphan, "an orphan is findable", execution)
        _require(queued and orphan.epoch == execution.epoch, "an orphan can go on", execution)


def _check_worker(state: State, settings: Settings, worker: Worker) -> None:
    _require(
        len(worker.leases) <= worker.slots + settings.prefetch, "capacity is respected", worker
    )
    for lease in worker.leases.values():
        _require(state.leases.get(lease.id) is lease, "a worker's lease is live", lease)
        _require(lease.worker == worker.name, "a lease is on its own worker", lease)
        current = lease.execution.lease is lease
        revoked = lease.phase is LeasePhase.REVOKED
        _require(current != revoked, "a lease is revoked or current", lease)
    _require(len(worker.warm) <= settings.warm_roots, "warm roots are bounded", worker)
    for ground in worker.warm:
        _require(worker.name in state.warm[ground], "warm roots are indexed", worker)
    for pool in worker.pools:
        _require(state.pools.get(pool.key) is pool, "a worker's pools are live", worker)
        _require(pool.members.get(worker.name) is worker, "membership is mutual", worker)


def _check_pool(
    state: State, settings: Settings, pool: Pool, executions: dict[Execution, None]
) -> None:
    for worker in state.workers.values():
        eligible = not worker.draining and pool.requirements <= worker.properties
        if pool.toolchain is not None and pool.toolchain not in state.toolchains:
            eligible = eligible and pool.toolchain in worker.toolchains
        eligible = eligible and pool.toolchain not in worker.broken
        _require((worker.name in pool.members) == eligible, "members are who matches", pool)
        _require((pool in worker.pools) == eligible, "a worker knows its pools", worker)
        rank = worker.rank(settings.prefetch) if eligible else None
        _require(pool.lineup.rank(worker.name) == rank, "the lineup is up to date", worker)
        holds = eligible and pool.toolchain in worker.toolchains
        _require((worker.name in pool.holders) == holds, "holders have the toolchain", worker)
    _require(pool.members.keys() <= state.workers.keys(), "members are live", pool)
    mine = [execution for execution in executions if execution.pool is pool]
    _require(pool.active == len(mine), "a pool counts its executions", pool)
    queued = [execution for execution in mine if execution.stage is Stage.QUEUED]
    _require(len(queued) == len(pool.queue), "a pool queues its own", pool)
    _require(not queued or bool(pool.members), "nothing waits without a worker", pool)
    if queued and not pool.wary:
        _require(not pool.lineup, "nothing waits while a worker has room", pool)
    for execution in pool.wary:
        hope = any(w.session not in execution.excluded for w in pool.members.values())
        _require(hope, "nothing waits without hope", execution)


def _check_indexes(state: State, executions: dict[Execution, None]) -> None:
    held = sum(len(worker.leases) for worker in state.workers.values())
    _require(held == len(state.leases), "live leases are on live workers", state)
    queued = sum(len(pool.queue) for pool in state.pools.values())
    _require(queued == state.waiting, "waiting executions are counted", state)
    for key, execution in state.flights.items():
        _require(key == execution.flight, "a flight has its own key", execution)
        _require(execution in executions, "a flight is under way", execution)
        _require(not execution.do_not_cache, "only cacheable executions are shared", execution)
    shared = sum(not execution.do_not_cache for execution in executions)
    _require(shared == len(state.flights), "an action of a namespace runs once", state)
    for name, lease in state.ahead.items():
        _require(state.leases.get(name) is lease, "a lease ahead is live", lease)
        waits = lease.phase in (LeasePhase.ASSIGNED, LeasePhase.ACCEPTED)
        _require(waits, "a lease ahead has not started", lease)
    for lease in state.orphans.values():
        _require(lease.execution.orphan is lease, "an orphan has an execution", lease)
        _require(lease.execution in executions, "an orphan's execution is under way", lease)
    warm = sum(map(len, state.warm.values()))
    known = sum(len(worker.warm) for worker in state.workers.values())
    _require(warm == known, "warm roots are those of live workers", state)
