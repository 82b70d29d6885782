"""The life of an execution: waiting, being tried again, ending for everyone who wants it.

Knows nothing of messages from workers; leases are let go of before these functions are called.
"""

from __future__ import annotations

from typing import Final

from cyxmake_common.digest import Digest
from cyxmake_common.ids import WorkerId
from cyxmake_common.outcome import Cause, Outcome, OutcomeKind
from cyxmake_coordinator.core.effects import CompleteOperation, Stage
from cyxmake_coordinator.core.leases import drop_orphan, revoke_all, set_stage
from cyxmake_coordinator.core.registry import keep_no_longer
from cyxmake_coordinator.core.state import Execution, Operation, Pool, Worker
from cyxmake_coordinator.core.turn import Turn

_NAMED: Final = 3
"""Workers that a message names."""
_NO_WORKER_LEFT: Final = Outcome(
    OutcomeKind.INFRASTRUCTURE,
    cause=Cause.WORKER_LOST,
    detail="no worker that matches is left",
)


def enqueue(turn: Turn, execution: Execution, *, front: bool = False) -> None:
    """Let an execution wait in its pool; `front` for one that has waited before."""
    pool = execution.pool
    lanes = (operation.lane for operation in execution.operations.values())
    pool.queue.push(execution, lanes, execution.urgency, front=front)
    if execution.excluded:
        pool.wary[execution] = None
    turn.state.waiting += 1
    user = execution.waits_for = execution.user
    turn.state.waiting_of[user] = turn.state.waiting_of.get(user, 0) + 1
    turn.touched[pool] = None


def dequeue(turn: Turn, execution: Execution) -> None:
    """Let an execution wait no longer."""
    if execution in execution.pool.held:
        _unlink(execution)
    else:
        execution.pool.queue.remove(execution)
    taken(turn, execution)


def waits(execution: Execution) -> bool:
    """Tell whether an execution waits, in its queue or held back."""
    return execution in execution.pool.queue or execution in execution.pool.held


def hold_back(turn: Turn, execution: Execution) -> None:
    """Let an execution that waits in its pool's queue wait beside it."""
    pool = execution.pool
    pool.queue.remove(execution)
    _part_with_room(turn, execution)
    pool.held[execution] = None
    execution.history.note(turn.now, "held back: look-alikes failed")


def let_go(turn: Turn, execution: Execution) -> None:
    """Let an execution that was held back wait in the queue again, before all others."""
    pool = execution.pool
    _unlink(execution)
    lanes = (operation.lane for operation in execution.operations.values())
    pool.queue.push(execution, lanes, execution.urgency, front=True)
    turn.touched[pool] = None


def _unlink(execution: Execution) -> None:
    del execution.pool.held[execution]
    if execution.family is not None:
        del execution.family.held[execution]


def _part_with_room(turn: Turn, execution: Execution) -> None:
    pool = execution.pool
    if pool.heavy is not None and pool.members[pool.heavy].kept_for is execution:
        keep_no_longer(turn, pool)


def taken(turn: Turn, execution: Execution) -> None:
    """Note that an execution has been popped from its pool's queue."""
    state, pool = turn.state, execution.pool
    pool.wary.pop(execution, None)
    _part_with_room(turn, execution)
    state.waiting -= 1
    state.waiting_of[execution.waits_for] -= 1
    if not state.waiting_of[execution.waits_for]:
        del state.waiting_of[execution.waits_for]


def retry_or_complete(
    turn: Turn, execution: Execution, outcome: Outcome, worker: WorkerId | None = None
) -> None:
    """Queue an execution again if that can help, else complete it with this outcome.

    One that has another lease just goes on.
    """
    execution.last_outcome = outcome
    if execution.lease is not None:
        return
    if (
        not execution.operations
        or execution.attempts >= turn.settings.max_attempts
        or is_hopeless(turn, execution)
    ):
        complete(turn, execution, outcome, worker)
        return
    turn.state.totals.retried += 1
    execution.history.note(turn.now, "queued again:", outcome.detail)
    set_stage(turn, execution, Stage.QUEUED)
    enqueue(turn, execution, front=True)


def complete(
    turn: Turn,
    execution: Execution,
    outcome: Outcome,
    worker: WorkerId | None = None,
    missing: tuple[Digest, ...] = (),
) -> None:
    """End an execution for all its operations."""
    for operation in list(execution.operations.values()):
        complete_operation(turn, operation, outcome, worker, missing)
    forget(turn, execution)


def complete_operation(
    turn: Turn,
    operation: Operation,
    outcome: Outcome,
    worker: WorkerId | None = None,
    missing: tuple[Digest, ...] = (),
) -> None:
    """End one operation and keep its story for a while."""
    state, execution = turn.state, operation.execution
    assigned = execution.last_assigned_at
    until = turn.now if assigned is None else assigned
    turn.effects.append(
        CompleteOperation(
            operation=operation.id,
            session=operation.session,
            namespace=execution.namespace,
            action=execution.action,
            outcome=outcome,
            worker=worker,
            attempts=execution.attempts,
            merged=operation.merged,
            queue_seconds=max(0.0, until - operation.submitted_at),
            missing=missing,
        )
    )
    operation.history.note(turn.now, f"completed as {outcome.kind}", outcome.detail)
    state.totals.completed[outcome.kind] += 1
    del execution.operations[operation.id]
    del state.operations[operation.id]
    wishes = state.clients[operation.session]
    del wishes[operation.id]
    if not wishes:
        del state.clients[operation.session]
    state.finished[operation.id] = operation
    if len(state.finished) > turn.settings.remembered:
        state.finished.popitem(last=False)


def forget(turn: Turn, execution: Execution) -> None:
    """Drop an execution that nobody waits for any more."""
    state = turn.state
    if waits(execution):
        dequeue(turn, execution)
    if execution.family is not None:
        execution.family.live.pop(execution, None)
    drop_orphan(turn, execution)
    revoke_all(turn, execution)
    if execution.audit is not None:
        del state.audits[execution.audit]
    if state.flights.get(execution.flight) is execution:
        del state.flights[execution.flight]
    execution.pool.active -= 1
    set_stage(turn, execution, Stage.COMPLETED)


def sweep(turn: Turn, pool: Pool) -> None:
    """Complete what no longer can run in a pool that lost a member, for good or for a while."""
    outcome = stranded(turn, pool) if pool.members else _nobody_left(turn, pool)
    if outcome is not None:
        for execution in [*pool.queue, *pool.held]:
            turn.state.totals.stranded += bool(pool.members)
            complete(turn, execution, outcome)
    for execution in [waiting for waiting in pool.wary if is_hopeless(turn, waiting)]:
        complete(turn, execution, execution.last_outcome or _NO_WORKER_LEFT)


def stranded(turn: Turn, pool: Pool) -> Outcome | None:
    """Say why no member can run what a pool wants for a while; None when one can."""
    patience = turn.settings.stranded_after
    if not all(w.health.keeps_out(turn.now, patience) for w in pool.members.values()):
        return None
    members = list(pool.members.values())
    reasons = ", ".join(f"{worker.name} ({worker.condition})" for worker in members[:_NAMED])
    more = f" and {len(members) - _NAMED} more" if len(members) > _NAMED else ""
    disk = all(worker.health.full for worker in members)
    return Outcome(
        OutcomeKind.INFRASTRUCTURE,
        cause=Cause.DISK if disk else Cause.WORKER_LOST,
        detail=f"every worker that could run it is shut off for now: {reasons}{more}",
    )


def _nobody_left(turn: Turn, pool: Pool) -> Outcome:
    for worker in turn.state.workers.values():
        if pool.toolchain is not None and pool.toolchain in worker.broken:
            detail = f"{worker.name}: {worker.broken[pool.toolchain]}"
            return Outcome(OutcomeKind.INFRASTRUCTURE, cause=Cause.TOOLCHAIN, detail=detail)
    return _NO_WORKER_LEFT


def is_hopeless(turn: Turn, execution: Execution, besides: Worker | None = None) -> bool:
    """Tell whether no worker may run an execution, `besides` one; what is shut off does not."""
    excluded, patience = execution.excluded, turn.settings.stranded_after
    return all(
        worker.session in excluded
        or worker is besides
        or worker.health.keeps_out(turn.now, patience)
        for worker in execution.pool.members.values()
    )
