"""Work that was begun before the coordinator was started anew."""

from __future__ import annotations

import pytest

from cyxmake_common.ids import WorkerId
from cyxmake_coordinator.core.effects import AssignLease, ReportStage, RevokeLease
from cyxmake_coordinator.core.events import (
    HeldLease,
    LeaseAccepted,
    LeaseFinished,
    LeaseStarted,
)
from cyxmake_coordinator.core.settings import Settings
from support.scheduling import (
    BROKEN,
    DONE,
    Core,
    assigned,
    completed,
    digest,
    held,
    lease_id,
    pick,
)

OLD = HeldLease(lease_id("before-7"), 3, digest("a"))
W1 = WorkerId("w1")


def restarted(*, slots: int = 1) -> Core:
    """Return a new core to which a worker comes that still runs something."""
    core = Core(Settings(prefetch=0))
    assert core.join("w1", slots=slots, held=(OLD,)) == []
    return core


def ended(core: Core) -> LeaseFinished:
    """Return the end of what the worker runs."""
    return LeaseFinished(core.now, W1, OLD.lease, OLD.epoch, DONE)


def test_what_runs_is_given_to_who_asks_for_it() -> None:
    """Nothing is assigned, nothing runs twice, and the result counts."""
    core = restarted()
    core.beat("w1", OLD)
    assert not pick(core.submit("o1", action="a"), AssignLease)
    assert core.beat("w1", OLD) == []
    done = completed(core.do(ended(core)))
    assert (done.operation, done.worker, done.attempts) == ("o1", "w1", 1)
    assert core.state.totals.resumed == 1


def test_what_has_started_is_known_to_run() -> None:
    """The client is told at once."""
    core = restarted()
    core.do(LeaseStarted(core.now, W1, OLD.lease, OLD.epoch))
    core.do(LeaseAccepted(core.now, W1, OLD.lease, OLD.epoch))
    assert pick(core.submit("o1", action="a"), ReportStage)


def test_what_has_ended_is_kept() -> None:
    """A result that comes before its client is waiting for it, once."""
    core = restarted()
    core.do(ended(core))
    assert completed(core.submit("o1", action="a")).outcome == DONE
    assert assigned(core.submit("o2", action="a"))


def test_a_client_that_is_first_is_served_by_the_worker_that_comes() -> None:
    """Whoever comes first, both meet."""
    core = Core(Settings(prefetch=0))
    core.join("w0")
    core.run("o0")
    core.submit("o1", action="a")
    assert core.join("w1", held=(OLD,)) == []
    assert completed(core.do(ended(core))).operation == "o1"


def test_an_action_that_was_assigned_anew_goes_back() -> None:
    """The new run has not started: the older one is ahead of it."""
    core = Core(Settings(prefetch=0))
    core.join("w0")
    lease = assigned(core.submit("o1", action="a"))
    (stop,) = core.join("w1", held=(OLD,))
    assert isinstance(stop, RevokeLease)
    assert stop.lease == lease.lease
    assert completed(core.do(ended(core))).worker == "w1"


@pytest.mark.parametrize("started", [False, True])
def test_an_action_that_was_started_anew_has_two_runs(started: bool) -> None:
    """Whichever ends first counts."""
    core = Core(Settings(prefetch=0))
    core.join("w0", slots=2)
    lease = assigned(core.submit("o1", action="a"))
    core.start(lease)
    assert core.join("w1", slots=2, held=(OLD,)) == []
    if started:
        core.do(LeaseStarted(core.now, W1, OLD.lease, OLD.epoch))
    third = HeldLease(lease_id("before-9"), 1, OLD.action)
    core.join("w2", held=(third,))
    assert completed(core.do(ended(core))).worker == "w1"
    assert core.finish(lease) == []


def test_a_second_run_may_have_started_before_it_is_known() -> None:
    """The worker says so before anybody asks; then a client's new run has begun, too."""
    core = Core(Settings(prefetch=0))
    core.join("w0")
    core.join("w1", held=(OLD,))
    core.do(LeaseStarted(core.now, W1, OLD.lease, OLD.epoch))
    lease = assigned(core.submit("o1", action="a", do_not_cache=True))
    core.start(lease)
    core.submit("o2", action="a")
    assert completed(core.do(ended(core))).operation == "o2"


def test_a_stray_takes_a_slot() -> None:
    """The worker is as full as it is."""
    core = restarted()
    assert not pick(core.submit("o1"), AssignLease)
    assert assigned(core.do(ended(core))).action == digest("o1")


def test_only_a_verdict_is_kept() -> None:
    """What came to nothing is run again."""
    core = restarted()
    core.do(LeaseFinished(core.now, W1, OLD.lease, OLD.epoch, BROKEN))
    assert assigned(core.submit("o1", action="a"))


def test_nobody_asks() -> None:
    """After a minute the worker is told to stop, and results are forgotten."""
    core = restarted(slots=2)
    other = HeldLease(lease_id("before-8"), 1, digest("b"))
    core.join("w2", held=(other,))
    core.do(LeaseFinished(core.now, WorkerId("w2"), other.lease, other.epoch, DONE))
    for _ in range(59):
        core.now += 1.0
        core.beat("w1", OLD)
        core.beat("w2")
    assert core.tick(0.5) == []
    (stop,) = core.tick(0.5)
    assert isinstance(stop, RevokeLease)
    assert (stop.lease, stop.epoch) == (OLD.lease, OLD.epoch)
    assert not core.state.finds


def test_what_a_worker_no_longer_names_is_gone() -> None:
    """Also what is gone with it, and what another worker does already."""
    core = restarted()
    assert pick(core.join("w2", held=(OLD,)), RevokeLease)
    core.beat("w1")
    assert not core.state.strays
    core = restarted()
    assert repr(core.state.strays[OLD.action]) == "<Stray before-7 epoch 3 on w1>"
    core.leave("w1")
    assert not core.state.strays
    core = restarted()
    core.join("w1")
    assert not core.state.strays


def test_a_wrong_epoch_is_fenced_off() -> None:
    """As with any lease."""
    core = restarted()
    core.do(LeaseFinished(core.now, W1, OLD.lease, OLD.epoch + 1, DONE))
    assert core.state.totals.stale == 1
    assert len(core.state.strays) == 1


def test_who_wants_no_cached_result_gets_none() -> None:
    """An action that is not to be cached is run."""
    core = restarted(slots=2)
    assert assigned(core.submit("o1", action="a", do_not_cache=True))


def test_a_lease_belongs_to_one_worker() -> None:
    """Another worker that names a lease which is under way elsewhere is told to stop."""
    core = restarted()
    core.submit("o1", action="a")
    (stop,) = pick(core.join("w2", held=(OLD,)), RevokeLease)
    assert (stop.worker, stop.lease) == ("w2", OLD.lease)
    assert completed(core.do(ended(core))).worker == "w1"


def test_a_worker_does_not_run_an_action_twice() -> None:
    """One that comes back with an earlier run of what it runs by now is told to stop that."""
    core = Core(Settings(prefetch=0))
    core.join("w1", slots=2)
    lease = assigned(core.submit("o1", action="a"))
    core.start(lease)
    (stop,) = pick(core.join("w1", slots=2, held=(held(lease), OLD)), RevokeLease)
    assert stop.lease == OLD.lease
    assert completed(core.finish(lease)).attempts == 1
