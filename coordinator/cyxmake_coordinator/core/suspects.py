"""Bad worker or bad source: failures that another worker has to confirm, and what that shows.

Knows nothing of why a tool failed: whoever read its output says whether that may be the machine's
fault. A worker that says alone, of several actions, that their source is wrong is quarantined.
"""

from __future__ import annotations

from cyxmake_common.outcome import Outcome, OutcomeKind
from cyxmake_coordinator.core import audits, causes
from cyxmake_coordinator.core.events import Finding
from cyxmake_coordinator.core.executions import forget, is_hopeless
from cyxmake_coordinator.core.state import Audit, Execution, Worker
from cyxmake_coordinator.core.trust import blame
from cyxmake_coordinator.core.turn import Turn


def doubts(
    turn: Turn, execution: Execution, worker: Worker, outcome: Outcome, finding: Finding | None
) -> bool:
    """Tell whether a failure is to be seen on another worker before it counts.

    Only one that has another worker to go to, and once: the second word is the last.
    """
    if finding is None or not failed(outcome) or execution.contested or execution.audit:
        return False
    if not (finding.doubtful or finding.fingerprint in worker.health.faults):
        return False
    if execution.attempts >= turn.settings.max_attempts:
        return False
    return not is_hopeless(turn, execution, besides=worker)


def contest(turn: Turn, execution: Execution, worker: Worker, finding: Finding) -> None:
    """Note that a failure has to be confirmed elsewhere."""
    turn.state.totals.doubted += 1
    execution.contested[worker.name] = finding
    execution.history.note(turn.now, "in doubt, as seen by", worker.name)


def settle(turn: Turn, execution: Execution, worker: Worker, outcome: Outcome) -> None:
    """Let a tool's word decide about what others said of the same action."""
    for name, finding in execution.contested.items():
        if name != worker.name and outcome.succeeded:
            fault(turn, execution, name, finding, worker, outcome)
    execution.contested.clear()


def compare(turn: Turn, audit: Audit, worker: Worker, outcome: Outcome) -> None:
    """Take what another worker found of an action that had failed; a success is the first's fault.

    Anything but a verdict says nothing.
    """
    execution, finding = audit.execution, audit.finding
    forget(turn, execution)
    if outcome.kind is not OutcomeKind.TOOL or finding is None:
        return
    turn.state.totals.audited += 1
    if outcome.succeeded:
        causes.succeed(turn, execution)
        for name in audit.witnesses:
            fault(turn, execution, name, finding, worker, outcome)


def fault(
    turn: Turn,
    execution: Execution,
    name: str,
    finding: Finding,
    other: Worker,
    outcome: Outcome,
) -> None:
    """Count a failure that was no failure elsewhere; after some, the worker is quarantined."""
    worker = next((w for w in turn.state.workers.values() if w.name == name), None)
    if worker is None:
        return
    turn.state.totals.faults += 1
    faults = worker.health.faults
    faults[finding.fingerprint] = faults.get(finding.fingerprint, 0) + 1
    worker.history.note(turn.now, "failed alone:", finding.line)
    blame(turn, worker)
    if sum(faults.values()) >= turn.settings.faults:
        audits.remember(turn, execution, other, outcome)
        audits.convict(turn, worker.name)


def failed(outcome: Outcome) -> bool:
    """Tell whether a tool ran and was not content."""
    return outcome.kind is OutcomeKind.TOOL and not outcome.succeeded
