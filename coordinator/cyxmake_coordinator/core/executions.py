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
from cyxmake_coordinator.core.state import Execution, Operation, Pool
from cyxmake_coordinator.core.turn import Turn

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
    """Take a waiting execution out of its pool's queue."""
    execution.pool.queue.remove(execution)
    taken(turn, execution)


def taken(turn: Turn, execution: Execution) -> None:
    """Note that an execution has been popped from its pool's queue."""
    state, pool = turn.state, execution.pool
    pool.wary.pop(execution, None)
    if pool.heavy is not None and pool.members[pool.heavy].kept_for is execution:
        keep_no_longer(turn, pool)
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
        or _is_hopeless(execution)
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
    if execution in execution.pool.queue:
        dequeue(turn, execution)
    drop_orphan(turn, execution)
    revoke_all(turn, execution)
    if execution.audit is not None:
        del state.audits[execution.audit]
    if state.flights.get(execution.flight) is execution:
        del state.flights[execution.flight]
    execution.pool.active -= 1
    set_stage(turn, execution, Stage.COMPLETED)


def sweep(turn: Turn, pool: Pool) -> None:
    """Complete what no longer can run in a pool that lost a member."""
    if not pool.members:
        outcome = _nobody_left(turn, pool)
        for execution in list(pool.queue):
            complete(turn, execution, outcome)
    for execution in [waiting for waiting in pool.wary if _is_hopeless(waiting)]:
        complete(turn, execution, execution.last_outcome or _NO_WORKER_LEFT)


def _nobody_left(turn: Turn, pool: Pool) -> Outcome:
    for worker in turn.state.workers.values():
        if pool.toolchain is not None and pool.toolchain in worker.broken:
            detail = f"{worker.name}: {worker.broken[pool.toolchain]}"
            return Outcome(OutcomeKind.INFRASTRUCTURE, cause=Cause.TOOLCHAIN, detail=detail)
    return _NO_WORKER_LEFT


def _is_hopeless(execution: Execution) -> bool:
    members, excluded = execution.pool.members, execution.excluded
    return len(members) <= len(excluded) and all(
        worker.session in excluded for worker in members.values()
    )
