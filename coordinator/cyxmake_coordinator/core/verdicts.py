"""What an outcome, a refusal or a loss means for an execution: done, or once more elsewhere.

Knows nothing of queues and placement. The lease concerned has been released before.
"""

from __future__ import annotations

from cyxmake_common.digest import Digest
from cyxmake_common.outcome import Cause, Outcome, OutcomeKind
from cyxmake_coordinator.core.effects import Stage
from cyxmake_coordinator.core.events import LeaseFinished, LeaseRejected, RefusalReason
from cyxmake_coordinator.core.executions import complete, retry_or_complete
from cyxmake_coordinator.core.leases import orphan, release
from cyxmake_coordinator.core.registry import pause, toolchain_broken, toolchain_gone
from cyxmake_coordinator.core.state import Execution, Lease, LeasePhase, Worker
from cyxmake_coordinator.core.turn import Turn


def finish(turn: Turn, lease: Lease, event: LeaseFinished) -> None:
    """Take a worker's result for a lease it holds; a revoked one only gives its slot back."""
    worker = turn.state.workers[lease.worker]
    if lease.phase is LeasePhase.REVOKED:
        release(turn, lease, worker)
        return
    good = event.outcome.kind in (OutcomeKind.TOOL, OutcomeKind.RESOURCE)
    worker.completed += good
    worker.failed += not good
    release(turn, lease, worker)
    lease.execution.history.note(turn.now, f"{event.outcome.kind} from", worker.name)
    judge(turn, lease.execution, worker, event.outcome)


def judge(turn: Turn, execution: Execution, worker: Worker, outcome: Outcome) -> None:
    """Complete an execution with a worker's outcome, or try it on another worker."""
    if outcome.kind is OutcomeKind.CANCELLED:
        # We did not ask for it: the worker stopped by itself, which says nothing of the action.
        outcome = _lost(f"worker {worker.name} gave the action up")
    final = outcome.kind is OutcomeKind.TOOL or outcome.cause is Cause.MISSING_INPUT
    if outcome.kind is OutcomeKind.RESOURCE:
        final = execution.exhausted
        execution.exhausted = True
    if final:
        # An input that is missing for one worker is missing for all: only the client can help.
        complete(turn, execution, outcome, worker.name)
        return
    exclude(execution, worker)
    retry_or_complete(turn, execution, outcome, worker.name)


def reject(turn: Turn, lease: Lease, event: LeaseRejected) -> None:
    """Take a lease back that a worker does not run."""
    execution, worker = lease.execution, turn.state.workers[lease.worker]
    release(turn, lease, worker)
    if event.reason is RefusalReason.BUSY:
        pause(turn, worker, turn.now + turn.settings.busy_pause)
    if lease.phase is LeasePhase.REVOKED:
        return
    execution.history.note(turn.now, f"{event.reason} at", worker.name)
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
        execution.attempts -= 1
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
    if execution.stage is Stage.QUEUED:
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
