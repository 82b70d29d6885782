"""Workers whose results are held against each other's."""

from __future__ import annotations

from cyxmake_common.action import ActionResult
from cyxmake_common.ids import Namespace
from cyxmake_common.outcome import Outcome, OutcomeKind
from cyxmake_coordinator.core.effects import (
    AssignLease,
    CompleteOperation,
    Effect,
    ForgetResult,
    RejectCode,
    RevokeLease,
)
from cyxmake_coordinator.core.events import PropertySet, RefusalReason
from cyxmake_coordinator.core.settings import Settings
from support.scheduling import (
    BROKEN,
    DONE,
    LINUX,
    MAC,
    OUT_OF_MEMORY,
    Core,
    assigned,
    completed,
    digest,
    pick,
    rejected,
)

EACH = Settings(prefetch=0, audit_every=1, worker_timeout=10_000.0, hedge_least=1000.0)


def result(text: str) -> Outcome:
    """Return a good verdict with some output."""
    return Outcome(OutcomeKind.TOOL, ActionResult(exit_code=0, stdout=digest(text)))


def audited(outcome: Outcome = DONE, workers: int = 3) -> tuple[Core, AssignLease]:
    """Return a core that has begun to audit what w1 found."""
    core = Core(EACH)
    core.join("w1")
    lease = core.run("o1")
    completed(core.finish(lease, outcome))
    for number in range(2, workers + 1):
        core.join(f"w{number}")
    return core, assigned(core.tick())


def disputed(core: Core, second: AssignLease, found: Outcome) -> AssignLease:
    """Let the second worker find something else; return the third one's lease."""
    assert core.finish(second, found) == []
    return assigned(core.tick())


def quarantined() -> Core:
    """Return a core in which w1 stood alone."""
    core, second = audited(result("wrong"))
    third = disputed(core, second, DONE)
    core.finish(third, DONE)
    assert core.worker("w1").condition == "quarantined"
    return core


def test_agreement_is_silent() -> None:
    """The second run is of another worker, and no client hears of it."""
    core, second = audited()
    assert second.worker == "w2"
    assert core.finish(second, DONE) == []
    assert core.state.totals.audited == 1
    assert not core.state.audits
    assert core.tick() == []


def test_who_stands_alone_is_quarantined() -> None:
    """The third worker decides; what came of the wrong result is forgotten."""
    core, second = audited(result("wrong"))
    third = disputed(core, second, DONE)
    assert third.worker == "w3"
    assert core.finish(third, DONE) == [ForgetResult(Namespace("team"), digest("o1"))]
    assert core.state.totals.quarantined == 1
    assert {assigned(core.submit(f"n{i}")).worker for i in range(2)} == {"w2", "w3"}


def test_the_first_result_may_be_the_right_one() -> None:
    """Then nothing is forgotten, and what the guilty one runs goes to others."""
    core = Core(EACH)
    core.join("w1", slots=2)
    core.finish(core.run("o1"), DONE)
    core.join("w2", slots=2)
    second = assigned(core.tick())
    core.join("w3", slots=2)
    third = disputed(core, second, result("wrong"))
    for number in range(5):
        core.submit(f"n{number}")
    holds = list(core.worker("w2").leases.values())
    assert len(holds) == 2
    core.cancel(next(iter(holds[0].execution.operations)))
    running = [holds[1].execution.action]
    effects = core.finish(third, DONE)
    assert not pick(effects, ForgetResult)
    assert core.worker("w2").condition == "quarantined"
    assert len(pick(effects, RevokeLease)) == len(running)
    moved = pick(effects, AssignLease)
    assert moved and {lease.action for lease in moved} <= set(running)


def test_when_all_differ_nobody_is_blamed() -> None:
    """Such an action has no one result."""
    core, second = audited(result("one"))
    third = disputed(core, second, result("two"))
    assert core.finish(third, result("three")) == []
    totals = core.state.totals
    assert (totals.disputed, totals.quarantined) == (1, 0)


def test_without_a_third_worker_nobody_is_blamed() -> None:
    """The question is dropped after a while."""
    core, second = audited(result("one"), workers=2)
    core.finish(second, result("two"))
    assert core.tick() == []
    core.tick(60.0)
    assert not core.state.audits
    assert core.state.totals.disputed == 1


def test_an_audit_needs_an_idle_slot() -> None:
    """While work waits, and without another worker, there is none; then it is given up."""
    core = Core(EACH)
    core.join("w1")
    core.finish(core.run("o1"))
    assert core.tick() == []
    core.run("o2")
    core.join("w2")
    core.run("o3")
    core.submit("o4")
    assert core.tick(60.0) == []
    assert not core.state.audits
    assert core.state.totals.disputed == 0


def test_what_cannot_be_repeated_is_not_audited() -> None:
    """Failures, verdicts without a result, what is not to be cached, and what is not chosen."""
    core = Core(Settings(prefetch=0, audit_every=2))
    core.join("w1")
    core.join("w2")
    core.finish(assigned(core.submit("o1", do_not_cache=True)))
    core.finish(core.run("o2"), Outcome(OutcomeKind.TOOL))
    core.finish(core.run("o3"))
    assert core.tick() == []
    core.finish(core.run("o4"))
    assert assigned(core.tick()).action == digest("o4")
    core = Core(Settings(audit_every=0))
    core.join()
    core.finish(core.run("o1"))
    assert not core.state.audits


def test_an_audit_that_fails_says_nothing() -> None:
    """Whatever way it ends without a verdict."""

    def broken(core: Core, second: AssignLease) -> list[Effect]:
        return core.finish(second, BROKEN)

    def greedy(core: Core, second: AssignLease) -> list[Effect]:
        return core.finish(second, OUT_OF_MEMORY)

    def refused(core: Core, second: AssignLease) -> list[Effect]:
        return core.reject(second, RefusalReason.UNSUPPORTED)

    def lost(core: Core, second: AssignLease) -> list[Effect]:
        core.start(second)
        return core.leave("w2")

    for accident in (broken, greedy, refused, lost):
        core, second = audited()
        assert accident(core, second) == []
        assert not core.state.audits
        assert core.state.totals.audited == 0


def test_quarantine_never_takes_the_last_workers() -> None:
    """With one other worker, or half of the slots gone, the doubt is only counted."""
    core, second = audited(result("wrong"))
    third = disputed(core, second, DONE)
    core.leave("w2")
    core.join("w1", slots=8)
    core.finish(third, DONE)
    assert core.worker("w1").condition == "ready"
    core, second = audited(result("wrong"))
    third = disputed(core, second, DONE)
    core.leave("w1")
    core.finish(third, DONE)
    assert core.state.totals.quarantined == 0


def test_tests_lead_back() -> None:
    """After a pause it is given an action whose result is known; two in a row are enough."""
    core = quarantined()
    assert core.tick(9.0) == []
    first = assigned(core.tick(1.0))
    assert (first.worker, first.action) == ("w1", digest("o1"))
    assert core.finish(first, DONE) == []
    second = assigned(core.tick())
    core.finish(second, DONE)
    assert core.worker("w1").condition == "ready"
    assert core.state.totals.readmitted == 1


def test_a_failed_test_doubles_the_pause() -> None:
    """And the count of those passed begins anew."""
    core = quarantined()
    core.finish(assigned(core.tick(10.0)), DONE)
    core.finish(assigned(core.tick()), result("wrong"))
    assert core.tick(19.0) == []
    core.finish(assigned(core.tick(1.0)), BROKEN)
    assert core.worker("w1").condition == "quarantined"
    assert core.tick(9.0) == []
    assert assigned(core.tick(1.0))


def test_leaving_does_not_end_a_quarantine() -> None:
    """Nor does a new session, nor a drain that ends; an absent worker is not tested."""
    core = quarantined()
    core.join("w1")
    core.drain("w1")
    core.drain("w1", on=False)
    assert core.worker("w1").condition == "quarantined"
    core.leave("w1")
    core.join("w1")
    assert core.worker("w1").condition == "quarantined"
    test = assigned(core.tick(10.0))
    core.cut("w1")
    assert not pick(core.tick(0.1), AssignLease)
    core.join("w1")
    core.finish(test)


def test_a_drained_worker_that_passes_stays_drained() -> None:
    """The two have nothing to do with each other."""
    core = quarantined()
    core.drain("w1")
    for _ in range(2):
        core.finish(assigned(core.tick(10.0)), DONE)
    assert core.worker("w1").condition == "draining"


def test_a_test_must_suit_the_worker() -> None:
    """Without an action it could run, it is not tested."""
    core = Core(EACH)
    core.join("w1", properties=LINUX, toolchains=[digest("gcc")])
    first = core.submit("o1", requirements=LINUX, toolchain=digest("gcc"))
    core.finish(assigned(first), result("wrong"))
    for name in ("w2", "w3"):
        core.join(name, properties=LINUX, toolchains=[digest("gcc")])
    third = disputed(core, assigned(core.tick()), DONE)
    core.finish(third)
    core.join("w1", properties=LINUX)
    assert core.tick(10.0) == []
    core.join("w1", properties=MAC)
    assert core.tick(10.0) == []


def test_refusals_name_the_quarantine() -> None:
    """When it is what keeps the last matching worker from working."""
    special: PropertySet = LINUX | {("gpu", "yes")}
    core = Core(EACH)
    core.join("w1", properties=special)
    core.finish(core.run("o1"), result("wrong"))
    core.join("w2")
    core.join("w3")
    third = disputed(core, assigned(core.tick()), DONE)
    core.finish(third)
    refusal = rejected(core.submit("o2", requirements=special))
    assert refusal.code is RejectCode.DRAINING
    assert refusal.detail == "every worker that matches is draining or quarantined"


def test_at_most_some_audits_at_once() -> None:
    """However many results there are."""
    core = Core(EACH)
    core.join("w1", slots=20)
    leases = [core.run(f"o{number}") for number in range(20)]
    for lease in leases:
        assert pick(core.finish(lease), CompleteOperation)
    assert len(core.state.audits) == 16
    assert "1 witnesses" in repr(next(iter(core.state.audits)))
