"""What must hold in every state between two events; the memory of every bug not to be had again.

Knows nothing of events. Costs time in proportion to the whole state: for tests and for debugging.
"""

from __future__ import annotations

from collections import Counter

from cyxmake_common.stand_in import lacking
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
    for audit in state.audits:
        _require(audit.execution.audit is audit, "an audit has an execution", audit)
        _require(not audit.execution.operations, "nobody waits for an audit", audit)
        _require(audit.execution not in audit.execution.pool.queue, "an audit never waits", audit)
        _check_leases(state, audit.execution)
    for worker in state.workers.values():
        _check_worker(state, settings, worker)
    for pool in state.pools.values():
        _check_pool(state, settings, pool, executions)
    _check_indexes(state, settings, executions)


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
    queued, held = execution in execution.pool.queue, execution in execution.pool.held
    _require(not (queued and held), "an execution waits in one place", execution)
    _require(
        (queued or held) == (execution.stage is Stage.QUEUED) == (execution.lease is None),
        "an execution is queued, held or has a lease",
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
    _check_leases(state, execution)
    if (orphan := execution.orphan) is not None:
        _require(state.orphans.get(orphan.id) is orphan, "an orphan is findable", execution)
        _require(queued and orphan.epoch <= execution.epoch, "an orphan can go on", execution)


def _check_leases(state: State, execution: Execution) -> None:
    lease, hedge = execution.lease, execution.hedge
    for current in (lease, hedge):
        if current is not None:
            _require(state.leases.get(current.id) is current, "a current lease is live", execution)
            _require(current.epoch <= execution.epoch, "epochs only grow", execution)
            _require(current.phase is not LeasePhase.REVOKED, "it is in force", execution)
            started = current.phase is LeasePhase.STARTED
            _require(started == (current.id in state.started), "what runs is listed", current)
    if lease is not None:
        started = lease.phase is LeasePhase.STARTED
        _require(started == (execution.stage is Stage.EXECUTING), "started is executing", execution)
    if hedge is not None:
        _require(lease is not None, "a second run has a first", execution)
        _require(state.hedges.get(hedge.id) is hedge, "a second run is findable", execution)
        apart = lease is not None and lease.worker != hedge.worker
        _require(apart, "two runs are on two workers", execution)


def _check_worker(state: State, settings: Settings, worker: Worker) -> None:
    _require(worker.used <= worker.slots + settings.prefetch, "capacity is respected", worker)
    reserved = sum(lease.memory for lease in worker.leases.values())
    _require(worker.reserved == reserved, "set memory is that of the leases", worker)
    for stray in worker.strays.values():
        _require(state.strays.get(stray.action) is stray, "a stray is findable", worker)
    if (kept := worker.kept_for) is not None:
        _require(kept in kept.pool.queue, "a worker is kept for what waits", worker)
        _require(kept.pool.heavy == worker.name, "its pool knows that", worker)
    for lease in worker.leases.values():
        _require(state.leases.get(lease.id) is lease, "a worker's lease is live", lease)
        _require(lease.worker == worker.name, "a lease is on its own worker", lease)
        current = lease in (lease.execution.lease, lease.execution.hedge)
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
        takes_work = not (worker.draining or worker.health.quarantined)
        eligible = takes_work and not lacking(pool.requirements, worker.properties)
        if pool.toolchain is not None and pool.toolchain not in state.toolchains:
            eligible = eligible and pool.toolchain in worker.toolchains
        eligible = eligible and pool.toolchain not in worker.broken
        _require((worker.name in pool.members) == eligible, "members are who matches", pool)
        _require((pool in worker.pools) == eligible, "a worker knows its pools", worker)
        rank = worker.rank(state.algorithm, settings.prefetch) if eligible else None
        _require(pool.lineup.rank(worker.name) == rank, "the lineup is up to date", worker)
        holds = eligible and pool.toolchain in worker.toolchains
        _require((worker.name in pool.holders) == holds, "holders have the toolchain", worker)
    _require(pool.members.keys() <= state.workers.keys(), "members are live", pool)
    mine = [execution for execution in executions if execution.pool is pool]
    tried = sum(audit.execution.pool is pool for audit in state.audits)
    _require(pool.active == len(mine) + tried, "a pool counts its executions", pool)
    waiting = [execution for execution in mine if execution.stage is Stage.QUEUED]
    queued = [execution for execution in waiting if execution not in pool.held]
    _require(len(waiting) == len(queued) + len(pool.held), "a pool holds its own", pool)
    _require(len(queued) == len(pool.queue), "a pool queues its own", pool)
    _require(not waiting or bool(pool.members), "nothing waits without a worker", pool)
    _require(pool.heavy is None or pool.heavy in pool.members, "who is kept is a member", pool)
    full = [
        user
        for user in state.holding
        if (limit := settings.slots_of(user)) is not None and state.holding[user] >= limit
    ]
    lanes = [lane for execution in queued for lane in pool.queue.lanes(execution)]
    if any(lane.user not in full for lane in lanes) and not (
        pool.wary or any(execution.memory for execution in queued)
    ):
        _require(not pool.lineup, "nothing waits while a worker has room", pool)
    for execution in pool.wary:
        hope = any(w.session not in execution.excluded for w in pool.members.values())
        _require(hope, "nothing waits without hope", execution)


def _check_indexes(state: State, settings: Settings, executions: dict[Execution, None]) -> None:
    strays = sum(len(worker.strays) for worker in state.workers.values())
    _require(strays == len(state.strays), "strays are on live workers", state)
    held = sum(len(worker.leases) for worker in state.workers.values())
    _require(held == len(state.leases), "live leases are on live workers", state)
    queued = sum(len(pool.queue) + len(pool.held) for pool in state.pools.values())
    _require(queued == state.waiting, "waiting executions are counted", state)
    for key, execution in state.flights.items():
        _require(key == execution.flight, "a flight has its own key", execution)
        _require(execution in executions, "a flight is under way", execution)
        _require(not execution.do_not_cache, "only cacheable executions are shared", execution)
    shared = sum(not execution.do_not_cache for execution in executions)
    _require(shared == len(state.flights), "an action of a namespace runs once", state)
    _check_users(state, executions)
    _check_causes(state, settings, executions)
    for name, lease in state.pending.items():
        _require(state.leases.get(name) is lease, "what is to start is live", lease)
        _require(lease.phase in (LeasePhase.ASSIGNED, LeasePhase.ACCEPTED), "not started", lease)
    for name, lease in state.started.items():
        _require(state.leases.get(name) is lease, "what runs is live", lease)
        _require(lease.phase is LeasePhase.STARTED, "what runs has started", lease)
    for name, lease in state.hedges.items():
        _require(state.leases.get(name) is lease, "a second run is live", lease)
        _require(lease.execution.hedge is lease, "a second run is one", lease)
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


def _check_causes(state: State, settings: Settings, executions: dict[Execution, None]) -> None:
    ailing = sum(len(cause.actions) for cause in state.causes.values())
    _require(ailing == len(state.ailing), "an action fails for one cause", state)
    for key, cause in state.causes.items():
        _require(bool(cause.actions), "a cause has actions", cause)
        for kin in cause.actions:
            _require(state.ailing[key[0], kin] == key, "a cause is found by its actions", cause)
    held = sum(len(family.held) for family in state.holding_back)
    everywhere = sum(len(pool.held) for pool in state.pools.values())
    _require(held == everywhere, "what is held is held by its family", state)
    for family in state.holding_back:
        _require(bool(family.held), "a family is held that waits", family)
        canary = family.canary
        goes = canary is not None and canary in executions
        _require(goes, "a canary goes ahead of what is held", family)
        young = family.since is not None and state.now - family.since < settings.hold_most
        _require(young, "nothing is held for long", family)
        for execution in family.held:
            _require(execution.family is family, "a family holds its own", execution)
            _require(not execution.attempts, "what was tried is not held", execution)
    for family in state.families.values():
        for execution in family.live:
            _require(execution in executions, "a family knows who has ended", execution)


def _check_users(state: State, executions: dict[Execution, None]) -> None:
    holding: Counter[str] = Counter()
    holding.update(lease.user for lease in state.leases.values() if lease.payer is not None)
    _require(holding == state.holding, "users hold what they pay for", state.holding)
    waiting = Counter(e.waits_for for e in executions if e.stage is Stage.QUEUED)
    _require(waiting == state.waiting_of, "what waits is counted by user", state.waiting_of)
