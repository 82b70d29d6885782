"""Promises to workers: making them, fencing off old ones, taking them back.

Knows nothing of what becomes of an execution whose last lease has ended.
"""

from __future__ import annotations

from typing import Final

from cyxmake_common.ids import LeaseId, WorkerId
from cyxmake_coordinator.core.effects import AssignLease, ReportStage, RevokeLease, Stage
from cyxmake_coordinator.core.events import HeldLease, LeaseEvent
from cyxmake_coordinator.core.registry import learn_toolchain, refresh, remember_warm
from cyxmake_coordinator.core.shares import Payer, charge
from cyxmake_coordinator.core.state import Execution, Lease, LeasePhase, Worker
from cyxmake_coordinator.core.turn import Turn

_SMOOTH: Final = 0.2


def assign(
    turn: Turn, execution: Execution, worker: Worker, payer: Payer | None, user: str
) -> None:
    """Give an execution that is in no queue to a worker that has room."""
    drop_orphan(turn, execution)
    execution.attempts += 1
    execution.last_assigned_at = turn.now
    lease = _grant(turn, execution, worker)
    execution.lease = turn.state.pending[lease.id] = lease
    if payer is not None:
        lease.payer, lease.user = payer, user
        lease.charged = turn.state.learned.expected(execution.kin)
        charge(payer, lease.charged)
        holding = turn.state.holding
        holding[lease.user] = holding.get(lease.user, 0) + 1
    if not worker.free:
        turn.state.ahead[lease.id] = lease
    _hold(turn, worker, lease)
    set_stage(turn, execution, Stage.ASSIGNED)
    execution.history.note(turn.now, "assigned to", worker.name)
    _offer(turn, lease, worker)


def assign_again(turn: Turn, lease: Lease, worker: Worker) -> None:
    """Move the lease of an execution to another worker; the attempt and its payer stay."""
    execution, payer, user = lease.execution, lease.payer, lease.user
    revoke(turn, lease)
    execution.attempts -= 1
    assign(turn, execution, worker, payer, user)


def assign_hedge(turn: Turn, execution: Execution, worker: Worker) -> None:
    """Begin a running execution once more; nobody pays for it, and it is no attempt."""
    lease = _grant(turn, execution, worker)
    execution.hedge = lease
    turn.state.hedges[lease.id] = lease
    turn.state.totals.hedged += 1
    _hold(turn, worker, lease)
    execution.history.note(turn.now, "begun a second time on", worker.name)
    _offer(turn, lease, worker)


def find(turn: Turn, event: LeaseEvent) -> Lease | None:
    """Return the lease a worker speaks of, or None for one that is fenced off."""
    lease = turn.state.leases.get(event.lease)
    if lease is None or lease.epoch != event.epoch or lease.worker != event.worker:
        turn.state.totals.stale += 1
        return None
    return lease


def answered(turn: Turn, lease: Lease) -> None:
    """Note that a worker has taken a lease, and how long its answer took."""
    if lease.phase is not LeasePhase.ASSIGNED:
        return
    lease.phase = LeasePhase.ACCEPTED
    worker = turn.state.workers[lease.worker]
    seconds = turn.now - lease.assigned_at
    before = worker.latency or seconds
    worker.latency = before + _SMOOTH * (seconds - before)
    refresh(turn, worker)
    lease.execution.history.note(turn.now, "accepted by", lease.worker)


def start(turn: Turn, lease: Lease) -> None:
    """Note that a worker runs an action; a second telling changes nothing."""
    if lease.phase in (LeasePhase.STARTED, LeasePhase.REVOKED):
        return
    lease.phase = LeasePhase.STARTED
    lease.started_at = turn.now
    turn.state.started[lease.id] = lease
    turn.state.pending.pop(lease.id, None)
    turn.state.ahead.pop(lease.id, None)
    execution = lease.execution
    learn_toolchain(turn, turn.state.workers[lease.worker], execution.pool.toolchain)
    execution.history.note(turn.now, "started on", lease.worker)
    first = execution.lease
    if first is lease:
        set_stage(turn, execution, Stage.EXECUTING)
    elif first is not None and first.id in turn.state.pending:
        turn.state.totals.hedges_won += 1
        revoke(turn, first)


def release(turn: Turn, lease: Lease, worker: Worker) -> None:
    """End a lease and free its slot; its execution goes on with its other lease, if it has one."""
    del turn.state.leases[lease.id]
    del worker.leases[lease.id]
    worker.reserved -= lease.memory
    if lease.phase is not LeasePhase.REVOKED:
        _part(turn, lease)
    # Something has ended there: whatever it said about being busy is out of date.
    worker.paused_until = None
    refresh(turn, worker)


def revoke(turn: Turn, lease: Lease) -> None:
    """Take a lease away from its execution; the slot stays taken until the worker has stopped."""
    _part(turn, lease)
    lease.phase = LeasePhase.REVOKED
    worker = turn.state.workers[lease.worker]
    tell_to_stop(turn, worker, lease.id, lease.epoch)


def revoke_all(turn: Turn, execution: Execution) -> None:
    """Take all leases away from an execution."""
    for lease in (execution.hedge, execution.lease):
        if lease is not None:
            revoke(turn, lease)


def tell_to_stop(turn: Turn, worker: Worker, lease: LeaseId, epoch: int) -> None:
    """Tell a worker to forget a lease, known to us or not."""
    turn.effects.append(RevokeLease(worker.name, worker.session, lease, epoch))


def orphan(turn: Turn, lease: Lease) -> None:
    """Keep the lease of a queued execution for a worker that may come back with it."""
    lease.execution.orphan = lease
    turn.state.orphans[lease.id] = lease


def drop_orphan(turn: Turn, execution: Execution) -> None:
    """Let no worker come back with the lease that was lost with it."""
    if execution.orphan is not None:
        del turn.state.orphans[execution.orphan.id]
        execution.orphan = None


def move(turn: Turn, lease: Lease, before: Worker, worker: Worker) -> None:
    """Hand a lease from a worker's old session to its new one."""
    del before.leases[lease.id]
    _hold(turn, worker, lease)


def take_over(turn: Turn, lease: Lease, worker: Worker) -> None:
    """Make a lease the current one of its execution, just taken from the queue.

    It is one that was lost with its worker, or was begun before this coordinator was.
    """
    execution = lease.execution
    drop_orphan(turn, execution)
    _hold(turn, worker, lease)
    execution.lease = lease
    execution.epoch = max(execution.epoch, lease.epoch)
    if lease.phase is LeasePhase.STARTED:
        turn.state.started[lease.id] = lease
        set_stage(turn, execution, Stage.EXECUTING)
    else:
        set_stage(turn, execution, Stage.ASSIGNED)
    execution.history.note(turn.now, "goes on, back with", worker.name)


def join_in(turn: Turn, lease: Lease, worker: Worker) -> None:
    """Make a lease that was begun before this coordinator was a second one of its execution."""
    execution = lease.execution
    execution.hedge = lease
    execution.epoch = max(execution.epoch, lease.epoch)
    turn.state.hedges[lease.id] = lease
    _hold(turn, worker, lease)
    execution.history.note(turn.now, "was begun before on", worker.name)


def matches(lease: Lease, held: HeldLease, worker: WorkerId) -> bool:
    """Tell whether what a worker reports is this very lease."""
    return (
        lease.worker == worker
        and lease.epoch == held.epoch
        and lease.execution.action == held.action
    )


def set_stage(turn: Turn, execution: Execution, stage: Stage) -> None:
    """Move an execution to a stage, and tell the clients if they see a difference."""
    before, execution.stage = execution.stage, stage
    worker = execution.lease.worker if execution.lease else None
    if stage is Stage.EXECUTING or (before is Stage.EXECUTING and stage is Stage.QUEUED):
        turn.effects.extend(
            ReportStage(operation.id, operation.session, stage, worker)
            for operation in execution.operations.values()
        )


def _grant(turn: Turn, execution: Execution, worker: Worker) -> Lease:
    state = turn.state
    state.last_lease += 1
    execution.epoch += 1
    state.totals.assigned += 1
    worker.served = state.totals.assigned
    return Lease(
        id=LeaseId(f"{state.incarnation}-{state.last_lease}"),
        epoch=execution.epoch,
        execution=execution,
        worker=worker.name,
        assigned_at=turn.now,
        memory=min(execution.memory, worker.memory),
    )


def _offer(turn: Turn, lease: Lease, worker: Worker) -> None:
    execution = lease.execution
    for ground in reversed(execution.grounds):
        remember_warm(turn, worker, ground)
    if worker.memory_free is not None:
        worker.memory_free -= lease.memory
    turn.effects.append(
        AssignLease(
            worker=worker.name,
            session=worker.session,
            lease=lease.id,
            epoch=lease.epoch,
            action=execution.action,
            input_root=execution.input_root,
            toolchain=execution.pool.toolchain,
            timeout=execution.timeout,
            attempt=execution.attempts,
        )
    )


def _hold(turn: Turn, worker: Worker, lease: Lease) -> None:
    turn.state.leases[lease.id] = lease
    worker.leases[lease.id] = lease
    worker.reserved += lease.memory
    refresh(turn, worker)


def _part(turn: Turn, lease: Lease) -> None:
    """Let an execution go on without a lease, and settle what its payer owes."""
    state, execution = turn.state, lease.execution
    state.ahead.pop(lease.id, None)
    state.pending.pop(lease.id, None)
    state.started.pop(lease.id, None)
    spent = 0.0 if lease.started_at is None else turn.now - lease.started_at
    if execution.hedge is lease:
        execution.hedge = None
        del state.hedges[lease.id]
    elif execution.hedge is not None:
        _promote(turn, execution, execution.hedge)
    else:
        execution.lease = None
    if lease.payer is not None:
        charge(lease.payer, spent - lease.charged)
        _give_back(turn, lease.user)
        lease.payer = None


def _promote(turn: Turn, execution: Execution, lease: Lease) -> None:
    execution.lease, execution.hedge = lease, None
    del turn.state.hedges[lease.id]
    started = lease.phase is LeasePhase.STARTED
    set_stage(turn, execution, Stage.EXECUTING if started else Stage.ASSIGNED)


def _give_back(turn: Turn, user: str) -> None:
    state = turn.state
    limit = turn.settings.slots_of(user)
    if limit is not None and state.holding[user] >= limit:
        # Whatever it has waiting may go to workers that had room all the time.
        turn.touched.update(dict.fromkeys(pool for pool in state.pools.values() if pool.queue))
    state.holding[user] -= 1
    if not state.holding[user]:
        del state.holding[user]
