"""Workers that come, go, fall silent, or see things differently from us.

Knows nothing of placement. The worker owns the truth about what it runs; this module makes our
leases agree with what it says, without ever letting two workers' results count for one epoch.
"""

from __future__ import annotations

from cyxmake_common.outcome import Cause, Outcome, OutcomeKind
from cyxmake_coordinator.core.effects import DisconnectReason, DisconnectWorker
from cyxmake_coordinator.core.events import HeldLease, WorkerHeartbeat, WorkerJoined, WorkerLeft
from cyxmake_coordinator.core.executions import dequeue
from cyxmake_coordinator.core.leases import (
    matches,
    move,
    release,
    restore,
    revoke,
    tell_to_stop,
)
from cyxmake_coordinator.core.registry import attach, detach, remember_warm
from cyxmake_coordinator.core.state import Lease, LeasePhase, Worker
from cyxmake_coordinator.core.turn import Turn
from cyxmake_coordinator.core.verdicts import judge, lose, mislay


def join(turn: Turn, event: WorkerJoined) -> None:
    """Take a worker in, in the place of an older session of its name, with the leases it kept."""
    old = turn.state.workers.get(event.worker)
    warm = list(old.warm) if old is not None else []
    if old is not None:
        detach(turn, old, "replaced by")
        if old.session != event.session:
            reason = DisconnectReason.REPLACED
            turn.effects.append(DisconnectWorker(old.name, old.session, reason))
    worker = attach(turn, event)
    for held in event.held:
        if held.lease not in worker.leases and not _adopt(turn, held, old, worker):
            tell_to_stop(turn, worker, held.lease, held.epoch)
    for ground in warm:  # the machine is the same: what was on its disk still is
        remember_warm(turn, worker, ground)
    if old is not None:
        _lose_leases(turn, old)


def leave(turn: Turn, event: WorkerLeft) -> None:
    """Let a worker go whose session has ended, unless the name has a newer session."""
    worker = turn.state.workers.get(event.worker)
    if worker is not None and worker.session == event.session:
        _depart(turn, worker, "left")


def drop_silent(turn: Turn) -> None:
    """Let go of every worker that has said nothing for too long."""
    oldest = turn.now - turn.settings.worker_timeout
    # What one of them loses cannot go to another: nothing is assigned before the end of the turn.
    for worker in [w for w in turn.state.workers.values() if w.last_heard < oldest]:
        reason = DisconnectReason.SILENT
        turn.effects.append(DisconnectWorker(worker.name, worker.session, reason))
        _depart(turn, worker, "fell silent")


def heartbeat(turn: Turn, event: WorkerHeartbeat) -> None:
    """Compare the leases a worker holds with those we think it holds."""
    worker = turn.state.workers.get(event.worker)
    if worker is None or worker.session != event.session:
        return
    worker.last_heard = turn.now
    held = {lease.lease: lease for lease in event.held}
    for lease in reversed(list(worker.leases.values())):
        report = held.get(lease.id)
        if report is not None and matches(lease, report, worker.name):
            del held[lease.id]
            _confirm(turn, lease, worker)
        elif lease.assigned_at + turn.settings.lease_grace <= turn.now:
            release(turn, lease, worker)
            mislay(turn, lease, worker)
    for unknown in held.values():
        tell_to_stop(turn, worker, unknown.lease, unknown.epoch)


def _confirm(turn: Turn, lease: Lease, worker: Worker) -> None:
    timeout = lease.execution.timeout
    if lease.phase is LeasePhase.REVOKED:
        tell_to_stop(turn, worker, lease.id, lease.epoch)
    elif (
        timeout
        and lease.phase is LeasePhase.STARTED
        and lease.started_at + timeout + turn.settings.overdue_grace < turn.now
    ):
        revoke(turn, lease)
        detail = f"worker {worker.name} did not end the action after {timeout:g} s"
        outcome = Outcome(OutcomeKind.RESOURCE, cause=Cause.TIME, detail=detail)
        judge(turn, lease.execution, worker, outcome)


def _adopt(turn: Turn, held: HeldLease, old: Worker | None, worker: Worker) -> bool:
    """Let a worker's new session keep a lease; False when it must not."""
    state = turn.state
    if len(worker.leases) >= worker.slots + turn.settings.prefetch:
        return False
    lease = state.leases.get(held.lease)
    if lease is not None and old is not None and matches(lease, held, worker.name):
        move(turn, lease, old, worker)
        state.totals.adopted += 1
        return lease.phase is not LeasePhase.REVOKED
    lease = state.orphans.get(held.lease)
    if lease is not None and matches(lease, held, worker.name):
        dequeue(turn, lease.execution)
        restore(turn, lease, worker)
        state.totals.adopted += 1
        return True
    return False


def _depart(turn: Turn, worker: Worker, why: str) -> None:
    detach(turn, worker, why)
    turn.state.totals.workers_left += 1
    _lose_leases(turn, worker)


def _lose_leases(turn: Turn, worker: Worker) -> None:
    # The last assigned first: each goes to the head of the queue, the oldest must end up foremost.
    for lease in reversed(list(worker.leases.values())):
        release(turn, lease, worker)
        lose(turn, lease, worker)
