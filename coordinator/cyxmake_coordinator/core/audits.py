"""Whether workers do what they should: some results are held against another worker's.

Knows nothing of clients: they have their answer already. Audits run where slots are idle and never
wait in a queue. Two workers that differ are judged by a third; the one that stands alone is
quarantined and gets nothing but tests, actions whose result is agreed upon, until it has passed
some in a row. Quarantine never takes the last workers: then the doubt is only counted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from cyxmake_common.ids import WorkerId
from cyxmake_common.outcome import Cause, Outcome, OutcomeKind
from cyxmake_common.stand_in import lacking
from cyxmake_coordinator.core.dispatch import free_worker
from cyxmake_coordinator.core.effects import ForgetResult, Stage
from cyxmake_coordinator.core.events import Finding
from cyxmake_coordinator.core.executions import forget, retry_or_complete
from cyxmake_coordinator.core.leases import assign, revoke
from cyxmake_coordinator.core.registry import set_quarantine
from cyxmake_coordinator.core.state import Audit, Evidence, Execution, LeasePhase, Worker
from cyxmake_coordinator.core.story import Story
from cyxmake_coordinator.core.turn import Turn

_AT_ONCE: Final = 16
"""Audits under way."""
_CANARIES: Final = 4
"""Agreed actions that are remembered."""


def sample(turn: Turn, execution: Execution, worker: Worker, outcome: Outcome) -> None:
    """Begin an audit of a result, once in so many."""
    state, every = turn.state, turn.settings.audit_every
    evidence = _evidence(outcome)
    if not every or execution.do_not_cache or evidence is None or evidence[0] != 0:
        return
    state.verdicts += 1
    if state.verdicts % every == 0 and len(state.audits) < _AT_ONCE:
        _begin(turn, execution, {worker.name: evidence})


def check(
    turn: Turn, execution: Execution, worker: Worker, outcome: Outcome, finding: Finding
) -> None:
    """Begin an audit of a failure: another worker may find that it is none."""
    state, evidence = turn.state, _evidence(outcome)
    if evidence is not None and not execution.do_not_cache and len(state.audits) < _AT_ONCE:
        _begin(turn, execution, {worker.name: evidence}).finding = finding


def run(turn: Turn) -> None:
    """Give audits to workers that have nothing else to do, and tests to quarantined workers."""
    for audit in list(turn.state.audits):
        execution = audit.execution
        if execution.lease is not None:
            continue
        name = None
        if not execution.pool.queue:
            name = free_worker(turn, execution, audit.witnesses)
        if name is not None:
            assign(turn, execution, turn.state.workers[name], None, "")
        elif audit.since + turn.settings.audit_patience <= turn.now:
            turn.state.totals.disputed += len(audit.witnesses) > 1
            forget(turn, execution)
    for worker in list(turn.state.workers.values()):
        if worker.health.quarantined:
            _test(turn, worker)


def hear(turn: Turn, audit: Audit, worker: Worker, outcome: Outcome) -> None:
    """Take what a worker found; anything but a verdict says nothing."""
    evidence = _evidence(outcome)
    if evidence is None:
        forget(turn, audit.execution)
    elif audit.suspect is not None:
        forget(turn, audit.execution)
        _judge_test(turn, worker, evidence in audit.witnesses.values())
    else:
        _compare(turn, audit, worker, evidence)


def remember(turn: Turn, execution: Execution, worker: Worker, outcome: Outcome) -> None:
    """Keep an action as a test for quarantined workers, where no audit has left one."""
    evidence = _evidence(outcome)
    if evidence is not None and not turn.state.canaries and not execution.do_not_cache:
        turn.state.canaries.append(Audit(execution, turn.now, {worker.name: evidence}))


def _compare(turn: Turn, audit: Audit, worker: Worker, evidence: Evidence) -> None:
    first, agreeing = next(iter(audit.witnesses)), evidence in audit.witnesses.values()
    audit.witnesses[worker.name] = evidence
    if not agreeing and len(audit.witnesses) == 2:
        audit.since = turn.now  # whom to believe is for a third worker to say
        return
    if not agreeing:
        turn.state.totals.disputed += 1
        forget(turn, audit.execution)
        return
    turn.state.totals.audited += 1
    turn.state.canaries.append(Audit(audit.execution, turn.now, {worker.name: evidence}))
    del turn.state.canaries[:-_CANARIES]
    forget(turn, audit.execution)
    for name in [name for name, found in audit.witnesses.items() if found != evidence]:
        if name == first:
            wrong = audit.execution
            turn.effects.append(ForgetResult(wrong.namespace, wrong.action))
        convict(turn, name)


def convict(turn: Turn, name: WorkerId) -> None:
    """Quarantine a worker, and give what it runs to others."""
    worker = turn.state.workers.get(name)
    if worker is None or worker.health.quarantined or not _can_spare(turn, worker):
        return
    turn.state.totals.quarantined += 1
    worker.health.test_at = turn.now + turn.settings.canary_pause
    set_quarantine(turn, worker, on=True)
    for lease in reversed(list(worker.leases.values())):
        if lease.phase is not LeasePhase.REVOKED:
            revoke(turn, lease)
            detail = f"worker {name} was quarantined"
            outcome = Outcome(OutcomeKind.INFRASTRUCTURE, cause=Cause.PROTOCOL, detail=detail)
            retry_or_complete(turn, lease.execution, outcome, name)


def _can_spare(turn: Turn, worker: Worker) -> bool:
    workers = turn.state.workers.values()
    good = [w.slots for w in workers if not w.health.quarantined and w is not worker]
    total = sum(w.slots for w in workers)
    return bool(good) and sum(good) >= turn.settings.quarantine_floor * total


def _test(turn: Turn, worker: Worker) -> None:
    state = turn.state
    if turn.now < worker.health.test_at or not worker.free or worker.away_since is not None:
        return
    for known in reversed(state.canaries):
        pool = known.execution.pool
        toolchain = pool.toolchain
        fits = not lacking(pool.requirements, worker.properties)
        suits = fits and toolchain not in worker.broken
        if suits and (
            toolchain is None or toolchain in worker.toolchains or toolchain in state.toolchains
        ):
            worker.health.test_at = turn.now + turn.settings.canary_pause
            test = _begin(turn, known.execution, dict(known.witnesses), worker.name)
            assign(turn, test.execution, worker, None, "")
            return


def _judge_test(turn: Turn, worker: Worker, passed: bool) -> None:
    health, settings = worker.health, turn.settings
    if not passed:
        health.tests_passed = 0
        health.tests_failed += 1
        pause = settings.canary_pause * 2.0 ** min(health.tests_failed, 8)
        health.test_at = turn.now + pause
        return
    health.tests_passed += 1
    health.test_at = turn.now
    if health.tests_passed >= settings.canaries:
        health.tests_passed = health.tests_failed = 0
        health.faults.clear()
        turn.state.totals.readmitted += 1
        set_quarantine(turn, worker, on=False)


def _begin(
    turn: Turn,
    like: Execution,
    witnesses: dict[WorkerId, Evidence],
    suspect: WorkerId | None = None,
) -> Audit:
    execution = replace(
        like,
        stage=Stage.QUEUED,
        operations={},
        lease=None,
        hedge=None,
        orphan=None,
        audit=None,
        do_not_cache=True,
        epoch=0,
        attempts=0,
        losses=0,
        exhausted=False,
        outgrown=False,
        excluded={},
        doubted={},
        contested={},
        family=None,
        last_outcome=None,
        last_assigned_at=None,
        history=Story(),
    )
    audit = execution.audit = Audit(execution, turn.now, witnesses, suspect=suspect)
    execution.pool.active += 1
    turn.state.audits[audit] = None
    return audit


def _evidence(outcome: Outcome) -> Evidence | None:
    result = outcome.result
    if outcome.kind is not OutcomeKind.TOOL or result is None:
        return None
    return result.exit_code, result.outputs, result.stdout, result.stderr
