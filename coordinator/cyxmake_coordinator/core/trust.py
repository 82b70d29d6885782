"""What a worker's answers say of the worker: how fast it is, and whether it works.

Knows nothing of what becomes of its actions.
"""

from __future__ import annotations

from typing import Final

from cyxmake_common.outcome import Cause, Outcome, OutcomeKind
from cyxmake_coordinator.core.registry import refresh
from cyxmake_coordinator.core.state import Execution, Lease, Worker
from cyxmake_coordinator.core.turn import Turn

_FADE: Final = 0.95
"""How much an action counts when the next one has ended."""
_PRIOR: Final = 4.0
"""A new worker's speed is 1 as surely as if so many average actions had shown it."""


def measure(turn: Turn, lease: Lease, worker: Worker, memory: int) -> None:
    """Learn from a run that ended with a verdict what the action and the worker are like."""
    if lease.started_at is None:
        return
    learned, kin = turn.state.learned, lease.execution.kin
    seconds = turn.now - lease.started_at
    expected, taken = (_FADE * part for part in worker.pace)
    worker.pace = expected, taken = expected + learned.expected(kin), taken + seconds
    # Of sums, not of single actions: one that was twice as long as expected says little.
    prior = _PRIOR * learned.mean
    # Actions that took no time at all tell nothing of it.
    known = expected + prior > 0 and taken + prior > 0
    worker.speed = (expected + prior) / (taken + prior) if known else 1.0
    learned.learn(kin, seconds, memory)


def weigh(turn: Turn, execution: Execution, worker: Worker, outcome: Outcome) -> None:
    """Count an outcome for or against the worker it came from.

    An ambiguous one is held against it only when the action succeeds elsewhere: one that no worker
    can do must not cost the cluster all of them.
    """
    good = outcome.kind in (OutcomeKind.TOOL, OutcomeKind.RESOURCE)
    worker.completed += good
    worker.failed += not good
    if outcome.cause is Cause.DISK and _may_be_full(turn, worker):
        _fill(turn, worker)
    elif outcome.kind is OutcomeKind.INFRASTRUCTURE and outcome.cause is not Cause.MISSING_INPUT:
        blame(turn, worker)
    elif outcome.kind is OutcomeKind.AMBIGUOUS or outcome.cause is Cause.DISK:
        # A file beyond a limit is the action's fault, or the worker's; its disk is not full.
        execution.doubted[worker.session] = worker.name
    elif outcome.kind is OutcomeKind.TOOL:
        if worker.health.succeed():
            worker.history.note(turn.now, "works again")
        _settle_doubts(turn, execution)


def _settle_doubts(turn: Turn, execution: Execution) -> None:
    for session, name in execution.doubted.items():
        doubted = turn.state.workers.get(name)
        if doubted is not None and doubted.session == session:
            blame(turn, doubted)
    execution.doubted.clear()


def blame(turn: Turn, worker: Worker) -> None:
    """Count a failure that is the worker's own; after some in a row it is shut off for a while."""
    settings = turn.settings
    if worker.health.fail(
        turn.now, settings.breaker_strikes, settings.breaker_pause, settings.breaker_pause_most
    ):
        _shut_off(turn, worker, "it keeps failing")


def _may_be_full(turn: Turn, worker: Worker) -> bool:
    return worker.disk_free is None or worker.disk_free < turn.settings.low_disk


def _fill(turn: Turn, worker: Worker) -> None:
    settings = turn.settings
    pause, most = settings.breaker_pause, settings.breaker_pause_most
    if worker.health.fill(turn.now, pause, most, worker.disk_free):
        _shut_off(turn, worker, "its disk is full")


def _shut_off(turn: Turn, worker: Worker, why: str) -> None:
    turn.state.totals.tripped += 1
    worker.history.note(turn.now, f"shut off: {why}")
    refresh(turn, worker)
    turn.shrunk.update(worker.pools)  # nobody else may be there for what waits


def probe(turn: Turn) -> None:
    """Let workers that were shut off for long enough show whether they work again."""
    for worker in turn.state.workers.values():
        if worker.health.end_pause(turn.now):
            worker.history.note(turn.now, "gets one action as a probe")
            refresh(turn, worker)
