"""Work that was begun before this coordinator was started: kept for the client that asks again.

Knows nothing of why the coordinator was started anew. A worker keeps what it runs, and what came of
it, through our absence; a client submits again what it still wants. Both meet here by the action,
whoever comes first, and nothing is run twice. An action's result follows from the action alone, so
it does not matter who had asked for it.
"""

from __future__ import annotations

from cyxmake_common.ids import LeaseId
from cyxmake_common.outcome import OutcomeKind
from cyxmake_coordinator.core.events import HeldLease, LeaseEvent, LeaseFinished, LeaseStarted
from cyxmake_coordinator.core.executions import complete, dequeue
from cyxmake_coordinator.core.leases import join_in, revoke, take_over, tell_to_stop
from cyxmake_coordinator.core.registry import refresh
from cyxmake_coordinator.core.state import Execution, Lease, LeasePhase, Stray, Worker
from cyxmake_coordinator.core.turn import Turn


def keep(turn: Turn, held: HeldLease, worker: Worker) -> bool:
    """Let a worker go on with a lease of an earlier run; False for one that is none, or no use."""
    state = turn.state
    # A lease that another worker has, or this one by another epoch, is not to be kept.
    taken = held.lease in state.leases or held.lease in state.orphans
    if taken or held.lease.startswith(f"{state.incarnation}-") or held.action in state.strays:
        return False
    until = turn.now + turn.settings.kept_leases
    stray = Stray(held.lease, held.epoch, held.action, worker.name, until)
    state.strays[stray.action] = worker.strays[stray.lease] = stray
    refresh(turn, worker)
    for execution in [e for e in state.flights.values() if e.action == stray.action]:
        resume(turn, execution)
    return True


def resume(turn: Turn, execution: Execution) -> None:
    """Give an execution what was begun, or has ended, before.

    One that was begun anew meanwhile goes on with the older run, too, or with that alone when the
    new one has not started.
    """
    state = turn.state
    find = state.finds.pop(execution.action, None)
    stray = state.strays.get(execution.action)
    if find is not None:
        state.totals.resumed += 1
        complete(turn, execution, find[2], find[1])
    elif stray is not None and execution.hedge is None:
        state.totals.resumed += 1
        _take(turn, execution, stray)


def _take(turn: Turn, execution: Execution, stray: Stray) -> None:
    worker = turn.state.workers[stray.worker]
    _drop(turn, stray, worker)
    lease = Lease(
        id=stray.lease,
        epoch=stray.epoch,
        execution=execution,
        worker=worker.name,
        assigned_at=turn.now,
        phase=LeasePhase.ACCEPTED if stray.started_at is None else LeasePhase.STARTED,
        started_at=stray.started_at,
    )
    present = execution.lease
    if present is not None and present.phase is LeasePhase.STARTED:
        if present.worker == worker.name:
            tell_to_stop(turn, worker, stray.lease, stray.epoch)  # it runs the same already
        else:
            join_in(turn, lease, worker)
        return
    if present is not None:
        revoke(turn, present)
    else:
        dequeue(turn, execution)
        execution.attempts += 1
        execution.last_assigned_at = turn.now
    take_over(turn, lease, worker)


def hear(turn: Turn, event: LeaseEvent) -> bool:
    """Take what a worker says of a stray; False when it speaks of no stray."""
    worker = turn.state.workers.get(event.worker)
    stray = worker.strays.get(event.lease) if worker is not None else None
    if worker is None or stray is None or stray.epoch != event.epoch:
        return False
    if isinstance(event, LeaseStarted):
        stray.started_at = turn.now
    elif isinstance(event, LeaseFinished):
        _drop(turn, stray, worker)
        if event.outcome.kind is OutcomeKind.TOOL:
            turn.state.finds[stray.action] = stray.until, worker.name, event.outcome
    return True


def confirm(turn: Turn, worker: Worker, held: dict[LeaseId, HeldLease]) -> None:
    """Compare a worker's strays with what it holds, and take those that it names out of that."""
    for stray in list(worker.strays.values()):
        if held.pop(stray.lease, None) is None:
            _drop(turn, stray, worker)


def expire(turn: Turn) -> None:
    """Stop what nobody has asked for in good time."""
    state = turn.state
    for stray in [stray for stray in state.strays.values() if stray.until <= turn.now]:
        worker = state.workers[stray.worker]
        tell_to_stop(turn, worker, stray.lease, stray.epoch)
        _drop(turn, stray, worker)
    for action in [action for action, find in state.finds.items() if find[0] <= turn.now]:
        del state.finds[action]


def drop_all(turn: Turn, worker: Worker) -> None:
    """Forget the strays of a worker that is gone."""
    for stray in worker.strays.values():
        del turn.state.strays[stray.action]
    worker.strays.clear()


def _drop(turn: Turn, stray: Stray, worker: Worker) -> None:
    del turn.state.strays[stray.action]
    del worker.strays[stray.lease]
    refresh(turn, worker)
