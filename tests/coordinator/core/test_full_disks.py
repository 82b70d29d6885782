"""Workers whose disk is full, and what becomes of actions when no worker is left for them."""

from __future__ import annotations

from cyxmake_common.ids import OperationId
from cyxmake_common.outcome import Cause
from cyxmake_coordinator.core.effects import AssignLease, CompleteOperation
from cyxmake_coordinator.core.settings import Settings
from support.scheduling import BROKEN, FULL, Core, assigned, completed, pick, rejected

MIB = 1 << 20


def test_a_full_disk_gets_nothing_until_it_has_room() -> None:
    """One failure is enough; a heartbeat that tells of more room makes it worth a probe."""
    core = Core(Settings(prefetch=0))
    core.join("w1")
    core.join("w2")
    first = core.run("o1")
    again = assigned(core.finish(first, FULL))
    assert again.worker != first.worker
    full = core.worker(first.worker)
    assert full.condition == "disk-full"
    core.finish(again)
    core.beat(full.name, disk_free=2 * MIB)
    for free in (MIB, 64 * MIB // 16, MIB):  # what the action left, and its removal
        core.beat(full.name, disk_free=free)
    core.tick(0.5)
    assert core.run("o2").worker == again.worker
    core.beat(full.name, disk_free=64 * MIB)
    core.tick()
    assert full.condition == "probed"
    probe = core.run("o3")
    assert probe.worker == full.name
    core.finish(probe)
    assert full.condition == "ready"
    assert not full.health.full


def test_a_file_beyond_a_limit_fills_no_disk() -> None:
    """An action that writes too much is no reason to shut worker after worker off."""
    core = Core(Settings(prefetch=0))
    for name in ("w1", "w2", "w3"):
        core.join(name)
        core.beat(name, disk_free=50 << 30)
    lease = core.run("o1")
    for _ in range(2):
        lease = assigned(core.finish(lease, FULL))
    assert completed(core.finish(lease, FULL)).outcome == FULL
    assert [worker.condition for worker in core.state.workers.values()] == ["ready"] * 3


def test_when_all_disks_are_full_everything_comes_back() -> None:
    """What waits is given back with the reason, and what comes then is refused with it."""
    core = Core(Settings(prefetch=0))
    core.join("w1")
    core.join("w2")
    leases = [core.run("o1"), core.run("o2")]
    core.submit("o3")
    core.submit("o4")
    ends = [end for lease in leases for end in core.finish(lease, FULL)]
    while more := pick(ends, AssignLease):
        ends = [e for e in ends if e not in more] + [
            end for lease in more for end in core.finish(lease, FULL)
        ]
    answers = {end.operation: end.outcome for end in pick(ends, CompleteOperation)}
    assert sorted(answers) == ["o1", "o2", "o3", "o4"]
    assert {outcome.cause for outcome in answers.values()} == {Cause.DISK}
    assert "w1 (disk-full), w2 (disk-full)" in answers[OperationId("o4")].detail
    assert "disk-full" in rejected(core.submit("o5")).detail
    core.beat("w1", disk_free=MIB)
    core.beat("w1", disk_free=MIB * 9)
    core.tick()
    assert core.run("o6").worker == "w1"


def test_a_cluster_that_fails_again_and_again_is_not_waited_for() -> None:
    """The first pause is short enough to wait; after a failed probe everything comes back."""
    core = Core(Settings(prefetch=0, max_attempts=9))
    core.join("w1")
    for number in range(3):
        completed(core.finish(core.run(f"o{number}"), BROKEN))
    assert not pick(core.submit("o4"), CompleteOperation)
    core.submit("o5")
    ends = core.finish(assigned(core.tick(2.0)), BROKEN)
    assert {end.operation for end in pick(ends, CompleteOperation)} == {"o4", "o5"}
    assert "w1 (failing)" in rejected(core.submit("o6")).detail
    assert pick(core.tick(4.0), AssignLease) == []
    probe = core.run("o7")
    core.finish(probe)
    assert core.worker("w1").condition == "ready"


def test_what_only_a_full_worker_could_run_comes_back() -> None:
    """The others have failed it already; nobody is left to wait for."""
    core = Core(Settings(prefetch=0))
    core.join("w1")
    core.join("w2")
    first = core.run("o1")
    second = core.run("o2")
    core.finish(second, FULL)
    assert completed(core.finish(first, BROKEN)).outcome == BROKEN
