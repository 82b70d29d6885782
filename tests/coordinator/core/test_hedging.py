"""Second runs of what takes too long."""

from __future__ import annotations

from cyxmake_coordinator.core.effects import (
    AssignLease,
    CompleteOperation,
    Effect,
    ReportStage,
    RevokeLease,
    Stage,
)
from cyxmake_coordinator.core.events import LeaseFinished, RefusalReason
from cyxmake_coordinator.core.settings import Settings
from support.scheduling import (
    BROKEN,
    DONE,
    FAILED,
    Core,
    assigned,
    completed,
    held,
    pick,
)

PATIENT = Settings(worker_timeout=1000.0, hedge_share=1.0)


def slow_run(settings: Settings = PATIENT) -> tuple[Core, AssignLease]:
    """Return a core in which an action runs that usually takes two seconds, and an idle worker."""
    core = Core(settings)
    core.join("w1")
    for number in range(3):
        core.run_for(assigned(core.submit(f"o{number}", kin="k")), 2.0)
    lease = assigned(core.submit("slow", kin="k"))
    core.start(lease)
    core.join("w2")
    return core, lease


def hedged() -> tuple[Core, AssignLease, AssignLease]:
    """Return the same with a second run under way."""
    core, lease = slow_run()
    second = assigned(core.tick(3.1))
    return core, lease, second


def test_a_run_that_takes_too_long_is_begun_elsewhere() -> None:
    """Half as long again as nine of ten; under a new epoch, as the same attempt."""
    core, _ = slow_run()
    assert core.tick(2.9) == []
    second = assigned(core.tick(0.2))
    assert (second.worker, second.epoch, second.attempt) == ("w2", 2, 1)
    assert core.tick(10.0) == [], "once is enough"
    assert not pick(core.start(second), ReportStage)


def test_what_is_never_cached_is_run_once() -> None:
    """A whole project is long by nature: a second worker is not taken for it."""
    core = Core(PATIENT)
    core.join("w1")
    for number in range(3):
        core.run_for(assigned(core.submit(f"o{number}", kin="k")), 2.0)
    core.start(assigned(core.submit("slow", kin="k", do_not_cache=True)))
    core.join("w2")
    assert core.tick(30.0) == []


def test_the_first_verdict_counts() -> None:
    """The second run wins: the first one is stopped, and nothing it says counts."""
    core, lease, second = hedged()
    core.start(second)
    stopped, done = core.finish(second, FAILED)
    assert isinstance(done, CompleteOperation)
    assert (done.worker, done.outcome) == ("w2", FAILED)
    assert isinstance(stopped, RevokeLease)
    assert stopped.lease == lease.lease
    assert core.finish(lease) == []
    totals = core.state.totals
    assert (totals.hedged, totals.hedges_won, totals.hedge_regret) == (1, 1, 0.0)


def test_regret_is_counted() -> None:
    """The first run ends first: the second one's time was for nothing."""
    core, lease, second = hedged()
    core.start(second)
    core.tick(0.5)
    effects = core.finish(lease)
    assert completed(effects).worker == "w1"
    assert [stop.lease for stop in pick(effects, RevokeLease)] == [second.lease]
    totals = core.state.totals
    assert (totals.hedged, totals.hedges_won, totals.hedge_regret) == (1, 0, 0.5)


def test_a_second_run_that_never_began_cost_nothing() -> None:
    """Its worker was still fetching inputs when the first one ended."""
    core, lease, _ = hedged()
    core.tick(0.5)
    completed(core.finish(lease))
    assert core.state.totals.hedge_regret == 0.0


def test_a_second_run_takes_over() -> None:
    """When the first worker is lost nothing is queued again; the client hears where it runs."""
    core, _, second = hedged()
    core.start(second)
    (report,) = core.leave("w1")
    assert isinstance(report, ReportStage)
    assert (report.stage, report.worker) == (Stage.EXECUTING, "w2")
    assert completed(core.finish(second)).attempts == 1
    assert core.state.totals.retried == 0


def test_a_second_run_that_fails_changes_nothing() -> None:
    """Nor does one that is refused or lost."""

    def broken(core: Core, second: AssignLease) -> list[Effect]:
        return core.finish(second, BROKEN)

    def busy(core: Core, second: AssignLease) -> list[Effect]:
        return core.reject(second, RefusalReason.BUSY)

    def lost(core: Core, second: AssignLease) -> list[Effect]:
        return core.leave("w2")

    def mislaid(core: Core, second: AssignLease) -> list[Effect]:
        core.now += 5.0
        return core.beat("w2")

    for accident in (broken, busy, lost, mislaid):
        core, lease, second = hedged()
        assert accident(core, second) == []
        assert completed(core.finish(lease)).attempts == 1


def test_a_first_run_that_fails_leaves_it_to_the_second() -> None:
    """Which may not have begun yet."""
    core, lease, second = hedged()
    assert core.finish(lease, BROKEN) == []
    assert core.state.leases[second.lease].execution.stage is Stage.ASSIGNED
    core.start(second)
    assert completed(core.finish(second)).worker == "w2"


def test_cancelling_stops_both() -> None:
    """Both workers are told."""
    core, lease, second = hedged()
    stops = pick(core.cancel("slow"), RevokeLease)
    assert {stop.lease for stop in stops} == {lease.lease, second.lease}
    core.finish(lease)
    core.finish(second)


def test_a_reconnecting_worker_keeps_its_second_run() -> None:
    """Leases of both kinds survive a broken connection."""
    core, _, second = hedged()
    core.cut("w2")
    assert core.join("w2", held=(held(second),)) == []
    assert completed(core.finish(second)).worker == "w2"


def test_second_runs_take_idle_slots_only() -> None:
    """None while something waits, none without a free slot, none beyond their share."""
    core, _ = slow_run()
    core.run("busy")
    core.submit("ahead")
    core.submit("ahead2")
    core.submit("waits")
    assert not pick(core.tick(3.1), AssignLease)
    core, _ = slow_run()
    core.run("busy")
    assert not pick(core.tick(3.1), AssignLease)
    core = Core(Settings(worker_timeout=1000.0, hedge_share=0.1))
    core.join("w1", slots=4)
    for name in ("o1", "o2", "o3"):
        core.start(core.run(name))
    core.join("w2", slots=4)
    assert len(pick(core.tick(5.0), AssignLease)) == 1
    assert core.tick(5.0) == []


def test_what_waits_for_inputs_goes_to_who_has_them() -> None:
    """A worker that fetches for long is overtaken by a warm one, not by another cold one."""
    core = Core(PATIENT)
    core.join("warm")
    core.run_for(core.run("o1"), 2.0)
    core.start(core.run("o2"))
    core.join("cold")
    cold = core.run("o3")
    assert cold.worker == "cold"
    core.join("colder")
    assert not pick(core.tick(1.0), AssignLease)
    lease = next(iter(core.worker("warm").leases.values()))
    core.drain("colder")
    core.do(LeaseFinished(core.now, lease.worker, lease.id, lease.epoch, DONE))
    second = assigned(core.tick(2.1))
    assert (second.worker, second.action) == ("warm", cold.action)
    (report, stop) = core.start(second)
    assert isinstance(stop, RevokeLease)
    assert stop.lease == cold.lease, "the run that has begun is the only one"
    assert isinstance(report, ReportStage)
    assert completed(core.finish(second)).worker == "warm"


def test_nobody_is_left_for_a_second_run_of_what_needs_memory() -> None:
    """All workers of its kind are draining: it runs where it runs."""
    core = Core(PATIENT)
    core.join("w1", memory=64 << 30)
    for number in range(3):
        core.run_for(assigned(core.submit(f"o{number}", kin="k")), 2.0, memory=6 << 30)
    core.start(assigned(core.submit("slow", kin="k")))
    core.drain("w1")
    assert core.tick(30.0) == []
