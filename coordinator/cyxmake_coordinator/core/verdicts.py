"""What an outcome, a refusal or a loss means for an execution: done, or once more elsewhere.

Knows nothing of queues and placement. The lease concerned has been released before.
"""

from __future__ import annotations

from enum import Enum, auto

from cyxmake_common.digest import Digest
from cyxmake_common.outcome import Cause, Outcome, OutcomeKind
from cyxmake_coordinator.core import audits, causes, families, hedging, suspects, trust
from cyxmake_coordinator.core.events import Finding, LeaseFinished, LeaseRejected, RefusalReason
from cyxmake_coordinator.core.executions import complete, retry_or_complete
from cyxmake_coordinator.core.leases import orphan, release
from cyxmake_coordinator.core.registry import pause, toolchain_broken, toolchain_gone
from cyxmake_coordinator.core.state import (
    WHOLE_WORKER,
    Execution,
    Lease,
    LeasePhase,
    Worker,
)
from cyxmake_coordinator.core.turn import Turn


def finish(turn: Turn, lease: Lease, event: LeaseFinished) -> None:
    """Take a worker's result for a lease it holds; a revoked one only gives its slot back."""
    worker, execution = turn.state.workers[lease.worker], lease.execution
    if lease.phase is LeasePhase.REVOKED:
        release(turn, lease, worker)
        return
    outcome = event.outcome
    if suspects.doubts(turn, execution, worker, outcome, event.finding):
        release(turn, lease, worker)
        if event.finding is not None:
            suspects.contest(turn, execution, worker, event.finding)
        exclude(execution, worker)
        retry_or_complete(turn, execution, outcome, worker.name)
        return
    trust.weigh(turn, execution, worker, outcome)
    if outcome.kind is OutcomeKind.TOOL:
        trust.measure(turn, lease, worker, event.memory)
        hedging.settle(turn, lease)
        suspects.settle(turn, execution, worker, outcome)
    next_try = _Next.ELSEWHERE
    if outcome.cause is Cause.MEMORY:
        next_try = _outgrew(turn, execution, worker, event.memory)
    release(turn, lease, worker)
    execution.history.note(turn.now, f"{outcome.kind} from", worker.name)
    if execution.audit is not None:
        if execution.audit.finding is not None:
            suspects.compare(turn, execution.audit, worker, outcome)
        else:
            audits.hear(turn, execution.audit, worker, outcome)
        return
    audits.sample(turn, execution, worker, outcome)
    _group(turn, execution, worker, outcome, event.finding)
    judge(turn, execution, worker, outcome, next_try)


def _group(
    turn: Turn, execution: Execution, worker: Worker, outcome: Outcome, finding: Finding | None
) -> None:
    """Let look-alikes gain by what became of an execution."""
    if outcome.succeeded:
        causes.succeed(turn, execution)
        families.succeed(turn, execution)
    elif finding is not None and suspects.failed(outcome):
        confirmed = bool(execution.excluded)
        if causes.note(turn, execution, worker, finding) and not confirmed:
            audits.check(turn, execution, worker, outcome, finding)
        families.fail(turn, execution, finding)


class _Next(Enum):
    """Where an action goes that ran out of memory."""

    HERE = auto()
    """Anywhere with more room, the same worker included."""
    ELSEWHERE = auto()
    NOWHERE = auto()


def _outgrew(turn: Turn, execution: Execution, worker: Worker, peak: int) -> _Next:
    """Set more memory aside for an action that ran out of it, now and in later builds.

    Twice its peak; a whole worker when that is not known, or was not enough.
    """
    if execution.memory >= WHOLE_WORKER:
        return _Next.NOWHERE
    again = execution.outgrown
    execution.outgrown = True
    wanted = 2 * max(peak, execution.memory)
    most = int(worker.memory * turn.settings.memory_share)
    turn.state.learned.outgrew(execution.kin, min(wanted, most))
    execution.memory = WHOLE_WORKER if again or not peak or wanted > most else wanted
    # Others took what it lacked, perhaps: with its own share it may do where it was.
    return _Next.HERE if worker.used > 1 else _Next.ELSEWHERE


def judge(
    turn: Turn,
    execution: Execution,
    worker: Worker,
    outcome: Outcome,
    next_try: _Next = _Next.ELSEWHERE,
) -> None:
    """Complete an execution with a worker's outcome, or try it on another worker."""
    if outcome.kind is OutcomeKind.CANCELLED:
        # We did not ask for it: the worker stopped by itself, which says nothing of the action.
        outcome = _lost(f"worker {worker.name} gave the action up")
    final = outcome.kind is OutcomeKind.TOOL or outcome.cause is Cause.MISSING_INPUT
    if outcome.cause is Cause.TIME:
        final = execution.exhausted
        execution.exhausted = True
    if final or next_try is _Next.NOWHERE:
        # An input that is missing for one worker is missing for all: only the client can help.
        complete(turn, execution, outcome, worker.name)
        return
    if next_try is _Next.ELSEWHERE:
        exclude(execution, worker)
    retry_or_complete(turn, execution, outcome, worker.name)


def reject(turn: Turn, lease: Lease, event: LeaseRejected) -> None:
    """Take a lease back that a worker does not run."""
    execution, worker = lease.execution, turn.state.workers[lease.worker]
    second = execution.hedge is lease
    release(turn, lease, worker)
    if event.reason is RefusalReason.BUSY:
        pause(turn, worker, turn.now + turn.settings.busy_pause)
    if lease.phase is LeasePhase.REVOKED:
        return
    execution.history.note(turn.now, f"{event.reason} at", worker.name)
    if event.reason is RefusalReason.UNSUPPORTED:
        trust.blame(turn, worker)
    if event.reason is RefusalReason.MISSING_INPUTS:
        _miss(turn, execution, worker, event.missing)
        return
    toolchain = execution.pool.toolchain
    if event.reason is RefusalReason.TOOLCHAIN_BROKEN and toolchain is not None:
        toolchain_broken(turn, worker, toolchain, event.detail)
        exclude(execution, worker)
        detail = f"{worker.name}: {event.detail}"
        outcome = Outcome(OutcomeKind.INFRASTRUCTURE, cause=Cause.TOOLCHAIN, detail=detail)
        retry_or_complete(turn, execution, outcome, worker.name)
        return
    if event.reason is RefusalReason.BUSY:
        execution.attempts -= not second
    else:
        exclude(execution, worker)
    outcome = _lost(f"worker {worker.name} did not take the action: {event.reason}")
    retry_or_complete(turn, execution, outcome, worker.name)


def lose(turn: Turn, lease: Lease, worker: Worker) -> None:
    """Deal with a lease whose worker is gone."""
    execution = lease.execution
    if lease.phase is LeasePhase.REVOKED:
        return
    execution.history.note(turn.now, "lost with", worker.name)
    if lease.phase is LeasePhase.STARTED:
        execution.losses += 1
    if execution.losses >= turn.settings.max_losses:
        detail = f"{execution.losses} workers were lost while they ran this action"
        outcome = Outcome(OutcomeKind.AMBIGUOUS, cause=Cause.WORKER_LOST, detail=detail)
        complete(turn, execution, outcome, worker.name)
        return
    retry_or_complete(turn, execution, _lost(f"worker {worker.name} was lost"), worker.name)
    if execution in execution.pool.queue:
        orphan(turn, lease)


def mislay(turn: Turn, lease: Lease, worker: Worker) -> None:
    """Deal with a lease of which its live worker knows nothing."""
    if lease.phase is LeasePhase.REVOKED:
        return
    lease.execution.history.note(turn.now, "unknown to", worker.name)
    outcome = _lost(f"worker {worker.name} does not know of the action")
    retry_or_complete(turn, lease.execution, outcome, worker.name)


def exclude(execution: Execution, worker: Worker) -> None:
    """Give an execution no more to a worker's present session."""
    execution.excluded[worker.session] = worker.name


def _miss(turn: Turn, execution: Execution, worker: Worker, missing: tuple[Digest, ...]) -> None:
    toolchain = execution.pool.toolchain
    if toolchain is not None and toolchain in missing:
        toolchain_gone(turn, worker, toolchain)
    detail = f"{len(missing)} inputs are not in the store"
    outcome = Outcome(OutcomeKind.INFRASTRUCTURE, cause=Cause.MISSING_INPUT, detail=detail)
    complete(turn, execution, outcome, worker.name, missing)


def _lost(detail: str) -> Outcome:
    return Outcome(OutcomeKind.INFRASTRUCTURE, cause=Cause.WORKER_LOST, detail=detail)
