"""What clients want: accepting operations, merging equal ones, cancelling.

Knows nothing of workers beyond asking the registry for a pool.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf
from typing import Final

from cyxmake_common.digest import Digest
from cyxmake_common.ids import OperationId, SessionId
from cyxmake_common.outcome import Cause, Outcome, OutcomeKind
from cyxmake_coordinator.core import families, strays
from cyxmake_coordinator.core.effects import AcceptOperation, RejectCode, RejectOperation
from cyxmake_coordinator.core.events import OperationSubmitted
from cyxmake_coordinator.core.executions import (
    complete_operation,
    enqueue,
    forget,
    let_go,
    stranded,
    waits,
)
from cyxmake_coordinator.core.queue import Lane, Urgency
from cyxmake_coordinator.core.registry import Refusal, find_pool
from cyxmake_coordinator.core.state import Execution, Operation, Pool
from cyxmake_coordinator.core.turn import Turn

_CANCELLED: Final = Outcome(OutcomeKind.CANCELLED, cause=Cause.CLIENT)
_EXPIRED: Final = Outcome(
    OutcomeKind.INFRASTRUCTURE,
    cause=Cause.TIME,
    detail="no worker was free for the action before its deadline",
)


def submit(turn: Turn, event: OperationSubmitted) -> None:
    """Accept an operation onto an execution, its own or a shared one, or reject it."""
    state = turn.state
    state.totals.submitted += 1
    if event.operation in state.operations:
        _reject(turn, event, RejectCode.DUPLICATE, "an operation of this id is under way")
        return
    if state.draining:
        _reject(turn, event, RejectCode.DRAINING, "the coordinator takes no new operations")
        return
    flight = state.flights.get((event.namespace, event.action))
    if flight is not None and not event.do_not_cache:
        _merge(turn, event, flight)
        return
    if state.waiting >= turn.settings.queue_limit:
        _reject(turn, event, RejectCode.QUEUE_FULL, f"{state.waiting} actions are waiting")
        return
    if (
        mine := state.waiting_of.get(event.user or event.session, 0)
    ) >= turn.settings.user_queue_limit:
        _reject(turn, event, RejectCode.QUEUE_FULL, f"{mine} actions of this user are waiting")
        return
    pool = find_pool(turn, event.requirements, event.toolchain)
    if isinstance(pool, Refusal):
        _reject(turn, event, pool.code, pool.detail, pool.missing)
        return
    if (nobody := stranded(turn, pool)) is not None:
        _reject(turn, event, RejectCode.SHUT_OFF, nobody.detail)
        return
    execution = _begin(turn, event, pool)
    if not event.do_not_cache:
        strays.resume(turn, execution)


def cancel(turn: Turn, operation_id: OperationId) -> None:
    """Complete an operation as cancelled; its execution goes on while others want it."""
    operation = turn.state.operations.get(operation_id)
    if operation is None:
        return
    _withdraw(turn, operation, _CANCELLED)


def expire(turn: Turn) -> None:
    """Give up operations that still wait at their deadline: the client may know better."""
    state = turn.state
    while state.deadlines and state.deadlines[0][0] <= turn.now:
        _, name = heappop(state.deadlines)
        operation = state.operations.get(name)
        if operation is not None and waits(operation.execution):
            state.totals.expired += 1
            _withdraw(turn, operation, _EXPIRED)


def _withdraw(turn: Turn, operation: Operation, outcome: Outcome) -> None:
    execution = operation.execution
    complete_operation(turn, operation, outcome)
    if not execution.operations:
        forget(turn, execution)
    elif execution in execution.pool.queue and all(
        other.lane != operation.lane for other in execution.operations.values()
    ):
        execution.pool.queue.leave(execution, operation.lane)


def leave(turn: Turn, session: SessionId) -> None:
    """Cancel all operations of a client."""
    for operation_id in list(turn.state.clients.get(session, ())):
        cancel(turn, operation_id)


def _reject(
    turn: Turn,
    event: OperationSubmitted,
    code: RejectCode,
    detail: str,
    missing: tuple[Digest, ...] = (),
) -> None:
    turn.state.totals.rejected += 1
    turn.effects.append(RejectOperation(event.operation, event.session, code, detail, missing))


def _begin(turn: Turn, event: OperationSubmitted, pool: Pool) -> Execution:
    kin = event.kin or event.action
    memory = turn.state.learned.memory(kin)
    execution = Execution(
        namespace=event.namespace,
        action=event.action,
        input_root=event.input_root,
        kin=kin,
        timeout=event.timeout,
        do_not_cache=event.do_not_cache,
        pool=pool,
        build=event.build,
        urgency=Urgency(event.deadline, -event.rank),
        memory=memory if memory >= turn.settings.light_memory else 0,
    )
    pool.active += 1
    if not event.do_not_cache:
        turn.state.flights[execution.flight] = execution
    _add(turn, event, execution, merged=False)
    enqueue(turn, execution)
    families.enter(turn, execution, event.build, event.alike)
    return execution


def _merge(turn: Turn, event: OperationSubmitted, execution: Execution) -> None:
    turn.state.totals.merged += 1
    operation = _add(turn, event, execution, merged=True)
    if execution in execution.pool.held:
        let_go(turn, execution)  # whose look-alikes are those of one build only
        return
    if execution in execution.pool.queue:
        urgency = Urgency(event.deadline, -event.rank)
        execution.pool.queue.join(execution, operation.lane, urgency)
        # This user may have slots left where the others have none.
        turn.touched[execution.pool] = None


def _add(turn: Turn, event: OperationSubmitted, execution: Execution, *, merged: bool) -> Operation:
    operation = Operation(
        id=event.operation,
        session=event.session,
        lane=Lane(event.priority, event.user or event.session, event.build),
        submitted_at=turn.now,
        merged=merged,
        execution=execution,
        deadline=event.deadline,
    )
    operation.history.note(turn.now, "merged by" if merged else "submitted by", event.session)
    state = turn.state
    execution.operations[operation.id] = operation
    state.operations[operation.id] = operation
    state.clients.setdefault(operation.session, {})[operation.id] = operation
    if event.deadline < inf:
        heappush(state.deadlines, (event.deadline, operation.id))
    turn.effects.append(AcceptOperation(operation.id, operation.session, execution.stage, merged))
    return operation
