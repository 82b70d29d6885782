"""Promises to workers: making them, fencing off old ones, taking them back.

Knows nothing of what becomes of an execution whose lease has ended.
"""

from __future__ import annotations

from cyxmake_common.ids import LeaseId, WorkerId
from cyxmake_coordinator.core.effects import AssignLease, RevokeLease, Stage
from cyxmake_coordinator.core.events import HeldLease, LeaseEvent
from cyxmake_coordinator.core.executions import drop_orphan, set_stage
from cyxmake_coordinator.core.registry import learn_toolchain, refresh, remember_warm
from cyxmake_coordinator.core.state import Execution, Lease, LeasePhase, Worker
from cyxmake_coordinator.core.turn import Turn


def assign(turn: Turn, execution: Execution, worker: Worker) -> None:
    """Give an execution that is in no queue to a worker that has room."""
    state = turn.state
    drop_orphan(turn, execution)
    state.last_lease += 1
    execution.epoch += 1
    execution.attempts += 1
    execution.last_assigned_at = turn.now
    lease = Lease(
        id=LeaseId(f"{state.incarnation}-{state.last_lease}"),
        epoch=execution.epoch,
        execution=execution,
        worker=worker.name,
        assigned_at=turn.now,
    )
    if not worker.free:
        state.ahead[lease.id] = lease
    _hold(turn, worker, lease)
    execution.lease = lease
    set_stage(turn, execution, Stage.ASSIGNED)
    execution.history.note(turn.now, "assigned to", worker.name)
    state.totals.assigned += 1
    remember_warm(turn, worker, execution.ground)
    turn.effects.append(_assignment(execution, lease, worker))


def _assignment(execution: Execution, lease: Lease, worker: Worker) -> AssignLease:
    return AssignLease(
        worker=worker.name,
        session=worker.session,
        lease=lease.id,
        epoch=lease.epoch,
        action=execution.action,
        input_root=execution.ground[0],
        toolchain=execution.ground[1],
        timeout=execution.timeout,
        attempt=execution.attempts,
    )


def find(turn: Turn, event: LeaseEvent) -> Lease | None:
    """Return the lease a worker speaks of, or None for one that is fenced off."""
    lease = turn.state.leases.get(event.lease)
    if lease is None or lease.epoch != event.epoch or lease.worker != event.worker:
        turn.state.totals.stale += 1
        return None
    return lease


def start(turn: Turn, lease: Lease) -> None:
    """Note that a worker runs an action; a second telling changes nothing."""
    if lease.phase in (LeasePhase.STARTED, LeasePhase.REVOKED):
        return
    lease.phase = LeasePhase.STARTED
    lease.started_at = turn.now
    turn.state.ahead.pop(lease.id, None)
    learn_toolchain(turn.state.workers[lease.worker], lease.execution.pool.toolchain)
    lease.execution.history.note(turn.now, "started on", lease.worker)
    set_stage(turn, lease.execution, Stage.EXECUTING)


def release(turn: Turn, lease: Lease, worker: Worker) -> None:
    """End a lease and free its slot; the execution, if it is still its current one, has none."""
    del turn.state.leases[lease.id]
    del worker.leases[lease.id]
    turn.state.ahead.pop(lease.id, None)
    if lease.execution.lease is lease:
        lease.execution.lease = None
    # Something has ended there: whatever it said about being busy is out of date.
    worker.paused_until = None
    refresh(turn, worker)


def revoke(turn: Turn, lease: Lease) -> None:
    """Take a lease away from its execution; the slot stays taken until the worker has stopped."""
    lease.phase = LeasePhase.REVOKED
    lease.execution.lease = None
    turn.state.ahead.pop(lease.id, None)
    worker = turn.state.workers[lease.worker]
    tell_to_stop(turn, worker, lease.id, lease.epoch)


def tell_to_stop(turn: Turn, worker: Worker, lease: LeaseId, epoch: int) -> None:
    """Tell a worker to forget a lease, known to us or not."""
    turn.effects.append(RevokeLease(worker.name, worker.session, lease, epoch))


def orphan(turn: Turn, lease: Lease) -> None:
    """Keep the lease of a queued execution for a worker that may come back with it."""
    lease.execution.orphan = lease
    turn.state.orphans[lease.id] = lease


def move(turn: Turn, lease: Lease, before: Worker, worker: Worker) -> None:
    """Hand a lease from a worker's old session to its new one."""
    del before.leases[lease.id]
    _hold(turn, worker, lease)


def restore(turn: Turn, lease: Lease, worker: Worker) -> None:
    """Make an orphan the current lease of its execution, just taken from the queue, again."""
    execution = lease.execution
    drop_orphan(turn, execution)
    if lease.phase is LeasePhase.STARTED:
        execution.losses -= 1
    _hold(turn, worker, lease)
    execution.lease = lease
    started = lease.phase is LeasePhase.STARTED
    set_stage(turn, execution, Stage.EXECUTING if started else Stage.ASSIGNED)
    execution.history.note(turn.now, "goes on, back with", worker.name)


def matches(lease: Lease, held: HeldLease, worker: WorkerId) -> bool:
    """Tell whether what a worker reports is this very lease."""
    return (
        lease.worker == worker
        and lease.epoch == held.epoch
        and lease.execution.action == held.action
    )


def _hold(turn: Turn, worker: Worker, lease: Lease) -> None:
    turn.state.leases[lease.id] = lease
    worker.leases[lease.id] = lease
    refresh(turn, worker)
