"""Workers that come, go, fall silent, or see things differently from us.

Knows nothing of placement. The worker owns the truth about what it runs; this module makes our
leases agree with what it says, without ever letting two workers' results count for one epoch.
"""

from __future__ import annotations

from cyxmake_common.outcome import Cause, Outcome, OutcomeKind
from cyxmake_coordinator.core import strays
from cyxmake_coordinator.core.effects import DisconnectReason, DisconnectWorker
from cyxmake_coordinator.core.events import HeldLease, WorkerHeartbeat, WorkerJoined, WorkerLeft
from cyxmake_coordinator.core.executions import dequeue
from cyxmake_coordinator.core.leases import (
    matches,
    move,
    release,
    revoke,
    take_over,
    tell_to_stop,
)
from cyxmake_coordinator.core.registry import attach, detach, refresh, remember_warm
from cyxmake_coordinator.core.state import Lease, LeasePhase, Worker
from cyxmake_coordinator.core.turn import Turn
from cyxmake_coordinator.core.verdicts import judge, lose, mislay


def join(turn: Turn, event: WorkerJoined) -> None:
    """Take a worker in, in the place of an older session of its name, with the leases it kept."""
    old = turn.state.workers.get(event.worker)
    warm = list(old.warm) if old is not None else []
    if old is not None:
        strays.drop_all(turn, old)
        detach(turn, old, "replaced by")
        if old.session != event.session and old.away_since is None:
            reason = DisconnectReason.REPLACED
            turn.effects.append(DisconnectWorker(old.name, old.session, reason))
    worker = attach(turn, event, old)
    for held in event.held:
        if held.lease not in worker.leases and not _adopt(turn, held, old, worker):
            tell_to_stop(turn, worker, held.lease, held.epoch)
    for ground in warm:  # the machine is the same: what was on its disk still is
        remember_warm(turn, worker, ground)
    if old is not None:
        _lose_leases(turn, old)


def leave(turn: Turn, event: WorkerLeft) -> None:
    """Let a worker go whose session has ended, unless the name has a newer session.

    One that holds leases gets a moment to come back with them: connections break for less.
    """
    worker = turn.state.workers.get(event.worker)
    if worker is None or worker.session != event.session or worker.away_since is not None:
        return
    if worker.draining or not worker.used or not turn.settings.reconnect_grace:
        _depart(turn, worker, "left")
        return
    worker.away_since = turn.now
    worker.history.note(turn.now, "lost its connection")
    refresh(turn, worker)


def drop_absent(turn: Turn) -> None:
    """Let go of every worker whose connection broke and that did not come back."""
    left = turn.now - turn.settings.reconnect_grace
    for worker in list(turn.state.workers.values()):
        if worker.away_since is not None and worker.away_since <= left:
            _depart(turn, worker, "did not come back")


def drop_silent(turn: Turn) -> None:
    """Let go of every worker that has said nothing for too long.

    When it was us who slept, nobody is silent yet.
    """
    slept = turn.now - turn.state.ticked_at if turn.state.ticked_at is not None else 0.0
    turn.state.ticked_at = turn.now
    if slept > turn.settings.worker_timeout / 2:
        for worker in turn.state.workers.values():
            worker.last_heard = min(turn.now, worker.last_heard + slept)
    oldest = turn.now - turn.settings.worker_timeout
    # What one of them loses cannot go to another: nothing is assigned before the end of the turn.
    for worker in [w for w in turn.state.workers.values() if w.last_heard < oldest]:
        reason = DisconnectReason.SILENT
        turn.effects.append(DisconnectWorker(worker.name, worker.session, reason))
        _depart(turn, worker, "fell silent")
    # Half of the way there: what it has may still come, more would only wait with it.
    late = turn.now - turn.settings.worker_timeout / 2
    for worker in turn.state.workers.values():
        if worker.last_heard < late and not worker.hushed:
            worker.hushed = True
            refresh(turn, worker)


def hear(turn: Turn, worker: Worker) -> None:
    """Note that a worker lives."""
    worker.last_heard = turn.now
    if worker.hushed:
        worker.hushed = False
        refresh(turn, worker)


def heartbeat(turn: Turn, event: WorkerHeartbeat) -> None:
    """Compare the leases a worker holds with those we think it holds."""
    worker = turn.state.workers.get(event.worker)
    if worker is None or worker.session != event.session:
        return
    hear(turn, worker)
    if event.memory_free is not None:
        worker.memory_free = event.memory_free
        refresh(turn, worker)
    if event.disk_free is not None:
        worker.disk_free = event.disk_free
        if worker.health.full:
            worker.health.hear_room(turn.now, event.disk_free)
    held = {lease.lease: lease for lease in event.held}
    strays.confirm(turn, worker, held)
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
        and lease.started_at is not None
        and lease.started_at + timeout + turn.settings.overdue_grace < turn.now
    ):
        revoke(turn, lease)
        detail = f"worker {worker.name} did not end the action after {timeout:g} s"
        outcome = Outcome(OutcomeKind.RESOURCE, cause=Cause.TIME, detail=detail)
        judge(turn, lease.execution, worker, outcome)


def _adopt(turn: Turn, held: HeldLease, old: Worker | None, worker: Worker) -> bool:
    """Let a worker's new session keep a lease; False when it must not."""
    state = turn.state
    if worker.used >= worker.slots + turn.settings.prefetch:
        return False
    lease = state.leases.get(held.lease)
    if lease is not None and old is not None and matches(lease, held, worker.name):
        move(turn, lease, old, worker)
        state.totals.adopted += 1
        return lease.phase is not LeasePhase.REVOKED
    lease = state.orphans.get(held.lease)
    if lease is not None and matches(lease, held, worker.name):
        dequeue(turn, lease.execution)
        if lease.phase is LeasePhase.STARTED:
            lease.execution.losses -= 1
        take_over(turn, lease, worker)
        state.totals.adopted += 1
        return True
    return strays.keep(turn, held, worker)


def _depart(turn: Turn, worker: Worker, why: str) -> None:
    strays.drop_all(turn, worker)
    detach(turn, worker, why)
    turn.state.totals.workers_left += 1
    _lose_leases(turn, worker)


def _lose_leases(turn: Turn, worker: Worker) -> None:
    # The last assigned first: each goes to the head of the queue, the oldest must end up foremost.
    for lease in reversed(list(worker.leases.values())):
        release(turn, lease, worker)
        lose(turn, lease, worker)
