"""Bad worker or bad source: what is run again elsewhere, and what that says of whom."""

from __future__ import annotations

from cyxmake_coordinator.core.effects import AssignLease
from cyxmake_coordinator.core.settings import Settings
from support.scheduling import CRASH, DONE, FAILED, NO_HEADER, Core, assigned, completed, pick


def two() -> Core:
    """Return a core with two workers of one slot, whose audits are of failures only."""
    core = Core(Settings(prefetch=0, audit_every=0, worker_timeout=100.0))
    core.join("w1")
    core.join("w2")
    return core


def test_a_crash_is_seen_on_another_worker_first() -> None:
    """What fails there, too, is the source's; nobody is blamed."""
    core = two()
    first = core.run("o1")
    again = assigned(core.finish(first, FAILED, finding=CRASH))
    assert again.worker != first.worker
    answer = completed(core.finish(again, FAILED, finding=CRASH))
    assert answer.outcome == FAILED
    assert answer.attempts == 2
    totals = core.state.totals
    assert (totals.doubted, totals.faults) == (1, 0)
    assert not any(worker.health.strikes for worker in core.state.workers.values())


def test_what_succeeds_elsewhere_is_counted_against_the_worker() -> None:
    """The client gets the success; the worker's later failures of this cause are doubted, too."""
    core = two()
    first = core.run("o1")
    again = assigned(core.finish(first, FAILED, finding=CRASH))
    assert completed(core.finish(again, DONE)).outcome == DONE
    bad = core.worker(first.worker)
    assert bad.health.faults == {CRASH.fingerprint: 1}
    assert "failed alone: cc1plus crashed" in "".join(bad.story())
    assert core.worker(again.worker).health.faults == {}


def test_three_faults_put_a_worker_into_quarantine() -> None:
    """However many of its other actions succeed in between; tests let it out again."""
    core = two()
    core.join("w3")
    for number in range(3):
        leases = [core.run(f"o{number}-{n}") for n in range(3)]
        bad = next(lease for lease in leases if lease.worker == "w1")
        for lease in leases:
            if lease is not bad:
                core.finish(lease)
        again = assigned(core.finish(bad, FAILED, finding=CRASH))
        core.finish(again)
        if number < 2:
            assert core.worker("w1").condition == "ready"
    assert core.worker("w1").condition == "quarantined"
    for _ in range(2):
        test = assigned(core.tick(core.scheduler.settings.canary_pause))
        assert test.worker == "w1"
        core.finish(test)
    assert core.worker("w1").condition == "ready"
    assert core.worker("w1").health.faults == {}


def test_a_lone_worker_is_believed() -> None:
    """Nothing waits for another opinion that nobody can give."""
    core = Core()
    core.join("w1")
    assert completed(core.finish(core.run("o1"), FAILED, finding=CRASH)).outcome == FAILED


def test_an_ordinary_failure_goes_to_the_client_at_once() -> None:
    """And is run once more where a slot is idle: it may be this worker that lacks the header."""
    core = two()
    first = core.run("o1")
    assert completed(core.finish(first, FAILED, finding=NO_HEADER)).outcome == FAILED
    check = assigned(core.tick())
    assert check.worker != first.worker
    core.finish(check, DONE)
    assert core.worker(first.worker).health.faults == {NO_HEADER.fingerprint: 1}
    second = core.run("o2")
    assert second.worker == first.worker or core.state.totals.faults == 1


def test_a_cause_is_checked_once_for_each_worker() -> None:
    """Five hundred failures of one cause are not run a thousand times."""
    core = two()
    checks = 0
    for number in range(6):
        lease = core.run(f"o{number}")
        core.finish(lease, FAILED, finding=NO_HEADER)
        for check in pick(core.tick(), AssignLease):
            checks += 1
            core.finish(check, FAILED, finding=NO_HEADER)
    assert checks <= 2
    assert core.state.totals.faults == 0
