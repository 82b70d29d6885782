"""What a worker's answers say of it: speed, and whether it works."""

from __future__ import annotations

import pytest

from cyxmake_common.outcome import Cause, Outcome, OutcomeKind
from cyxmake_coordinator.core.effects import AssignLease
from cyxmake_coordinator.core.events import RefusalReason
from cyxmake_coordinator.core.settings import Settings
from support.scheduling import BROKEN, DONE, FAILED, Core, assigned, digest, pick

KILLED = Outcome(OutcomeKind.AMBIGUOUS, cause=Cause.SIGNAL)
FULL_DISK = Outcome(OutcomeKind.RESOURCE, cause=Cause.DISK)


def tripped(core: Core, first: AssignLease) -> None:
    """Let a worker fail three times in a row."""
    lease = first
    for number in range(3):
        effects = core.finish(lease, BROKEN)
        if number < 2:
            lease = assigned(effects)


def failing() -> Core:
    """Return a core with one worker that was just shut off, and one that is busy."""
    core = Core(Settings(prefetch=0, max_attempts=9, worker_timeout=100.0))
    core.join("good")
    core.run("o0")
    core.join("bad")
    first = core.run("o1")
    core.submit("o2")
    core.submit("o3")
    core.submit("o4")
    tripped(core, first)
    return core


def test_speed_is_measured() -> None:
    """A worker that takes half the time of others for the same actions is twice as fast."""
    core = Core()
    core.join("fast")
    core.join("slow")
    for number in range(60):
        for name, seconds in (("fast", 1.0), ("slow", 2.0)):
            core.drain("slow" if name == "fast" else "fast")
            core.run_for(assigned(core.submit(f"{number} {name}", kin=f"{number % 5}")), seconds)
            core.drain("slow" if name == "fast" else "fast", on=False)
    fast, slow = core.worker("fast").speed, core.worker("slow").speed
    assert 1.6 < fast / slow < 2.4
    assert assigned(core.submit("o")).worker == "fast"


def test_a_run_without_a_start_teaches_nothing() -> None:
    """A result whose beginning was not reported has no duration."""
    core = Core()
    core.join()
    core.finish(core.run())
    assert repr(core.state.learned) == "<History of 0 actions, 1.00 s on average>"


def test_instant_actions_do_not_break_the_measure() -> None:
    """Even when all take no time at all."""
    core = Core()
    core.join()
    for name in ("o1", "o2"):
        core.run_for(core.run(name), 0.0)
    assert core.worker("w1").speed == 1.0


def test_latency_is_measured() -> None:
    """From the assignment to the answer, smoothed."""
    core = Core(Settings(placement="latency"))
    core.join("w1", slots=2)
    core.join("w2", slots=2)
    for seconds in (0.1, 0.3):
        lease = core.run(f"o{seconds}")
        core.now += seconds
        core.accept(lease)
        core.accept(lease)
    assert core.worker("w1").latency == pytest.approx(0.1)
    assert core.worker("w2").latency == pytest.approx(0.3)
    core.beat("w1")


def test_a_failing_worker_is_shut_off_and_probed() -> None:
    """Three failures in a row, two seconds of nothing, then one action at a time."""
    core = failing()
    assert core.worker("bad").condition == "failing"
    assert core.tick(1.5) == []
    probe = assigned(core.tick(0.5))
    assert (probe.worker, probe.action) == ("bad", digest("o4"))
    assert core.worker("bad").condition == "probed"
    assert core.state.totals.tripped == 1
    core.finish(probe)
    assert core.worker("bad").condition == "ready"
    assert "works again" in "".join(core.worker("bad").story())


def test_a_probe_that_fails_shuts_it_off_for_longer() -> None:
    """Each time twice as long."""
    core = failing()
    core.finish(assigned(core.tick(2.0)), BROKEN)
    core.tick(3.5)
    assert core.worker("bad").condition == "failing"
    core.tick(0.5)
    assert core.worker("bad").condition == "probed"


def test_a_probed_worker_gets_one_at_a_time() -> None:
    """However many slots it has."""
    core = Core(Settings(prefetch=0, max_attempts=9))
    core.join("w1", slots=4)
    first = core.run("o1")
    core.finish(first, BROKEN)
    for name in ("o2", "o3"):
        core.finish(core.run(name), BROKEN)
    core.submit("o4")
    core.submit("o5")
    assert len(pick(core.tick(2.0), AssignLease)) == 1


@pytest.mark.parametrize(
    ("outcomes", "condition"),
    [
        ([BROKEN, BROKEN, DONE, BROKEN], "ready"),
        ([FAILED] * 4, "ready"),
        ([FULL_DISK], "disk-full"),
        ([Outcome(OutcomeKind.INFRASTRUCTURE, cause=Cause.MISSING_INPUT)] * 4, "ready"),
        ([Outcome(OutcomeKind.RESOURCE, cause=Cause.MEMORY)] * 4, "ready"),
    ],
)
def test_only_failures_of_its_own_in_a_row_count(outcomes: list[Outcome], condition: str) -> None:
    """A failed compile, a lost blob or a small machine are not the worker's fault."""
    core = Core()
    core.join()
    for number, outcome in enumerate(outcomes):
        core.finish(core.run(f"o{number}"), outcome)
    assert core.worker("w1").condition == condition


def test_refusing_everything_counts() -> None:
    """A worker that supports nothing it is given is shut off; one that was busy is not."""
    core = Core()
    core.join("w1", slots=5)
    for number in range(3):
        core.reject(core.run(f"o{number}"), RefusalReason.UNSUPPORTED)
    assert core.worker("w1").condition == "failing"


def test_running_leases_of_a_shut_off_worker_may_end() -> None:
    """Failures that come in meanwhile neither prolong the pause nor double it."""
    core = Core()
    core.join("w1", slots=5)
    leases = [core.run(f"o{number}") for number in range(5)]
    for lease in leases:
        core.finish(lease, BROKEN)
    assert core.worker("w1").health.trips == 1
    assert core.state.totals.counters()["tripped"] == 1


def test_a_new_session_is_the_same_machine() -> None:
    """Reconnecting does not make a failing worker a new one."""
    core = failing()
    core.join("bad")
    assert core.worker("bad").condition == "failing"


def test_an_action_that_no_worker_can_do_is_not_their_fault() -> None:
    """However many such actions there are, every worker still gets the next one."""
    core = Core(Settings(prefetch=0))
    core.join("w1")
    core.join("w2")
    for number in range(5):
        second = assigned(core.finish(core.run(f"o{number}"), KILLED))
        core.start(second)
        core.finish(second, KILLED)
    assert core.state.totals.tripped == 0
    assert {core.run("o8").worker, core.run("o9").worker} == {"w1", "w2"}


def test_what_succeeds_elsewhere_speaks_against_the_worker() -> None:
    """Three actions that ended ambiguously there and well elsewhere shut a worker off."""
    core = Core(Settings(prefetch=0))
    core.join("bad")
    core.join("good")
    for number in range(3):
        core.drain("good")
        first = core.run(f"o{number}")
        core.drain("good", on=False)
        second = assigned(core.finish(first, KILLED))
        assert (first.worker, second.worker) == ("bad", "good")
        core.start(second)
        core.finish(second)
    assert core.state.totals.tripped == 1
    assert not core.worker("bad").health.takes_work(0)


def test_a_worker_that_left_is_blamed_no_more() -> None:
    """A verdict from elsewhere finds nobody to blame when the session is over."""
    core = Core(Settings(prefetch=0))
    core.join("w1")
    core.join("w2")
    first = core.run("o1")
    second = assigned(core.finish(first, KILLED))
    core.leave(first.worker)
    core.start(second)
    core.finish(second)
    assert core.state.totals.tripped == 0


def test_actions_that_take_no_time_say_nothing_of_speed() -> None:
    """Where nothing has taken any time yet, nobody is slower for taking some."""
    core = Core()
    core.join("w1")
    core.run_for(core.run("o1"), 0.0)
    core.drain("w1")
    core.join("w2")
    core.run_for(core.run("o2"), 5.0)
    assert core.worker("w2").speed == 1.0
    assert core.run("o3").worker == "w2"
