"""Bringing waiting work and workers together."""

from __future__ import annotations

from cyxmake_coordinator.core.effects import AssignLease, RevokeLease
from cyxmake_coordinator.core.events import RefusalReason
from cyxmake_coordinator.core.settings import Settings
from support.scheduling import (
    BROKEN,
    LINUX,
    MAC,
    Core,
    assigned,
    completed,
    digest,
    held,
    pick,
)


def test_one_action_is_assigned_ahead_when_all_are_busy() -> None:
    """Slots first, everywhere; then one more per worker; then the queue."""
    core = Core()
    core.join("w1", slots=2)
    core.join("w2")
    workers = [core.run(f"o{number}").worker for number in range(5)]
    assert sorted(workers[:3]) == ["w1", "w1", "w2"]
    assert sorted(workers[3:]) == ["w1", "w2"]
    assert not pick(core.submit("o5"), AssignLease)
    assert core.state.waiting == 1


def test_warm_worker_is_preferred_but_not_waited_for() -> None:
    """A root goes where it was; when that worker is full a cold one takes it."""
    core = Core()
    core.join("w1", slots=2)
    core.join("w2", slots=2)
    core.submit("o1", root="r1")
    core.submit("o2", root="r2", build="b2")
    third = assigned(core.submit("o3", root="r2"))
    assert third.worker == "w2"
    assert assigned(core.submit("o4", root="r2")).worker == "w1"


def test_pools_that_share_workers_take_turns() -> None:
    """Neither kind of work keeps the other from a worker both can use."""
    core = Core(Settings(prefetch=0))
    core.join()
    lease = core.run("o0")
    for number in (1, 2):
        core.submit(f"any{number}")
        core.submit(f"linux{number}", requirements=LINUX)
    order = []
    for _ in range(4):
        lease = assigned(core.finish(lease))
        order.append(lease.action)
    # The pool served longest ago is next: that of `linux` has not been served at all.
    assert order == [digest(name) for name in ("linux1", "any1", "linux2", "any2")]


def test_urgent_pool_goes_first() -> None:
    """Priority outranks the turn of the pools."""
    core = Core(Settings(prefetch=0))
    core.join()
    lease = core.run("o0")
    core.submit("linux", requirements=LINUX)
    core.submit("urgent", priority=-1)
    assert assigned(core.finish(lease)).action == digest("urgent")


def test_one_kind_of_work_does_not_block_another() -> None:
    """What waits for a mac does not keep Linux work from Linux workers."""
    core = Core(Settings(prefetch=0))
    core.join("linux")
    core.join("mac", properties=MAC)
    core.submit("m1", requirements=MAC)
    core.submit("m2", requirements=MAC)
    assert assigned(core.submit("l1", requirements=LINUX)).worker == "linux"


def test_excluded_worker_serves_the_next_in_line() -> None:
    """An action that failed on the only free worker waits; others pass it."""
    core = Core(Settings(prefetch=0))
    core.join("w1")
    core.join("w2")
    first, second = core.run("o1"), core.run("o2")
    core.submit("o3")
    effects = core.finish(first, BROKEN)
    assert assigned(effects).action == digest("o3")
    retried = assigned(core.finish(second))
    assert (retried.action, retried.worker, retried.attempt) == (digest("o1"), "w2", 2)


def test_passed_over_actions_keep_their_order() -> None:
    """What could not go to the worker with room is next for others, the first one first."""
    core = Core(Settings(prefetch=0))
    core.join("w1", slots=2)
    core.join("w2")
    leases = [core.run(f"o{number}") for number in range(3)]
    (other,) = [lease for lease in leases if lease.worker == "w2"]
    first, second = (lease for lease in leases if lease is not other)
    core.finish(second, BROKEN)
    core.finish(first, BROKEN)
    again = assigned(core.finish(other))
    assert again.action == first.action
    assert assigned(core.finish(again)).action == second.action


def test_many_excluding_actions_are_not_all_walked() -> None:
    """Past a bound the search ends, and goes on when another worker has room."""
    core = Core(Settings(prefetch=0))
    core.join("w1", slots=20)
    core.join("w2", slots=1)
    leases = [core.run(f"o{number}") for number in range(21)]
    (other,) = [lease for lease in leases if lease.worker == "w2"]
    for lease in leases:
        if lease is not other:
            core.finish(lease, BROKEN)
    assert core.state.waiting == 20
    assert not pick(core.submit("o99"), AssignLease)
    assert assigned(core.finish(other)).worker == "w2"
    assert core.state.waiting == 20


def test_action_ahead_is_taken_back_for_a_free_slot() -> None:
    """An action waiting behind a long one moves to a worker with nothing to do."""
    core = Core()
    core.join("w1")
    running, waiting = core.run("o1"), core.run("o2")
    core.start(running)
    assert core.tick(1.0) == []
    core.join("w2")
    revoked, moved = core.tick(0.1)
    assert isinstance(revoked, RevokeLease)
    assert isinstance(moved, AssignLease)
    assert (revoked.lease, revoked.worker) == (waiting.lease, "w1")
    assert (moved.worker, moved.epoch, moved.attempt) == ("w2", 2, 1)
    assert core.finish(waiting) == []
    assert completed(core.finish(moved)).attempts == 1
    assert core.state.totals.taken_back == 1


def test_action_ahead_is_not_taken_back_early_or_late() -> None:
    """It may wait a little, and stays where its turn has come."""
    core = Core()
    core.join("w1")
    running, _ = core.run("o1"), core.run("o2")
    core.join("w2")
    assert core.tick(0.1) == []
    core.finish(running)
    assert core.tick(1.0) == []


def test_started_action_ahead_is_not_taken_back() -> None:
    """A worker that runs more than its slots is left to it."""
    core = Core()
    core.join("w1")
    core.run("o1")
    core.start(core.run("o2"))
    core.join("w2")
    assert core.tick(1.0) == []


def test_busy_worker_gets_a_pause() -> None:
    """A worker that says busy gets its action again after a while, not at once."""
    core = Core()
    core.join()
    lease = core.run("o1")
    assert core.reject(lease, RefusalReason.BUSY) == []
    assert core.tick(0.4) == []
    again = assigned(core.tick(0.1))
    assert (again.attempt, again.epoch) == (1, 2)


def test_busy_action_stays_at_the_head() -> None:
    """A handed-back action is next, and goes to another worker if there is one."""
    core = Core(Settings(prefetch=0))
    core.join("w1")
    core.join("w2")
    first, second = core.run("o1"), core.run("o2")
    core.submit("o3")
    core.reject(first, RefusalReason.BUSY)
    assert assigned(core.finish(second)).action == digest("o1")


def test_finishing_something_ends_the_pause() -> None:
    """A worker that has finished an action has room again."""
    core = Core()
    core.join(slots=2)
    first, second = core.run("o1"), core.run("o2")
    core.reject(second, RefusalReason.BUSY)
    assert "paused" in repr(core.worker("w1"))
    assert core.beat("w1", held(first)) == []
    assert assigned(core.finish(first)).action == digest("o2")
