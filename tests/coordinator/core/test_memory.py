"""Room for actions that need much memory."""

from __future__ import annotations

from cyxmake_coordinator.core.effects import AssignLease
from cyxmake_coordinator.core.events import PropertySet, WorkerHeartbeat
from cyxmake_coordinator.core.settings import Settings
from support.scheduling import (
    BROKEN,
    LINUX,
    OUT_OF_MEMORY,
    Core,
    assigned,
    digest,
    held,
    pick,
)

GIB = 1 << 30


def taught(*machines: tuple[str, int, int], prefetch: int = 0) -> Core:
    """Return a core that knows that `link` needs 6 GiB, and its workers: name, slots, GiB."""
    core = Core(Settings(prefetch=prefetch))
    core.join("teacher", memory=64 * GIB)
    core.run_for(assigned(core.submit("o", kin="link")), 1.0, memory=6 * GIB)
    for name, slots, memory in machines:
        core.join(name, slots=slots, memory=memory * GIB)
    core.drain("teacher")
    return core


def test_two_heavy_actions_do_not_meet_in_a_small_machine() -> None:
    """The second one goes where there is room, though the first worker has a free slot."""
    core = taught(("w1", 4, 8), ("w2", 4, 8))
    first, second = (assigned(core.submit(name, kin="link")) for name in ("l1", "l2"))
    assert {first.worker, second.worker} == {"w1", "w2"}
    assert core.worker("w1").reserved == 6 * GIB
    assert assigned(core.submit("light")).worker in ("w1", "w2")


def test_a_worker_is_kept_for_what_fits_nowhere() -> None:
    """It gets nothing else until the heavy action fits; light ones go elsewhere."""
    core = taught(("w1", 2, 8), ("w2", 1, 4))
    first = assigned(core.submit("l1", kin="link"))
    assert first.worker == "w1"
    assert not pick(core.submit("l2", kin="link"), AssignLease)
    light = assigned(core.submit("o1"))
    assert light.worker == "w2"
    assert not pick(core.submit("o2"), AssignLease), "w1 is kept though a slot is free"
    effects = pick(core.run_for(first, 1.0), AssignLease)
    assert [(lease.action, lease.worker) for lease in effects] == [
        (digest("l2"), "w1"),
        (digest("o2"), "w1"),
    ]


def test_a_kept_worker_that_goes_is_not_waited_for() -> None:
    """What it was kept for finds another worker."""
    core = taught(("w1", 2, 8), ("w2", 2, 7))
    leases = [assigned(core.submit(f"l{number}", kin="link")) for number in range(2)]
    core.submit("l3", kin="link")
    assert core.state.leases[leases[0].lease].worker == "w1"
    assert core.worker("w1").kept_for is not None
    core.drain("w1")
    assert core.worker("w1").kept_for is None
    assert core.worker("w2").kept_for is not None
    core.cut("w2")
    core.submit("o1")
    assert core.worker("w2").kept_for is None
    assert not pick(core.submit("l4", kin="link"), AssignLease)
    core.cancel("l4")
    core.cancel("l3")
    core.cancel("o1")
    assert core.state.waiting == 0


def test_no_worker_is_kept_twice() -> None:
    """A heavy action for which no other worker could be kept waits until one can."""
    gpu: PropertySet = frozenset({("gpu", "yes")})
    core = taught(("w2", 2, 8))
    core.join("w1", slots=2, memory=8 * GIB, properties=LINUX | gpu)
    first = assigned(core.submit("l1", kin="link", requirements=gpu))
    core.submit("l2", kin="link", requirements=gpu)
    third = assigned(core.submit("l3", kin="link"))
    assert third.worker == "w2"
    assert not pick(core.finish(third, BROKEN), AssignLease)
    assert core.worker("w2").kept_for is None
    second = assigned(core.finish(first))
    assert assigned(core.finish(second)).action == digest("l3")


def test_cancelling_frees_the_kept_worker() -> None:
    """Nothing waits for a room that nobody wants."""
    core = taught(("w1", 2, 8))
    core.submit("l1", kin="link")
    core.submit("l2", kin="link")
    core.submit("o1")
    assert assigned(core.cancel("l2")).action == digest("o1")


def test_a_quota_comes_before_a_kept_worker() -> None:
    """A user at its quota holds no worker back."""
    core = Core(Settings(prefetch=0, user_slots={"ann": 2}))
    core.join("teacher", memory=64 * GIB)
    core.run_for(assigned(core.submit("o", kin="link")), 1.0, memory=6 * GIB)
    core.drain("teacher")
    core.join("w1", slots=4, memory=8 * GIB)
    core.submit("l1", kin="link", user="ann")
    core.submit("l2", kin="link", user="ann")
    assert core.worker("w1").kept_for is not None
    core.join("w2", slots=1)
    core.submit("o1", user="ann")
    core.submit("o2", user="ann")
    assert core.worker("w1").kept_for is None
    assert assigned(core.submit("b1", user="bob")).worker == "w1"


def test_out_of_memory_gets_a_worker_for_itself() -> None:
    """The second try runs beside nothing else."""
    core = Core(Settings(prefetch=0))
    core.join("w1", slots=2, memory=8 * GIB)
    core.join("w2", slots=2, memory=8 * GIB)
    lease = assigned(core.submit("o1"))
    others = [assigned(core.submit(name)) for name in ("o2", "o3", "o4")]
    second = next(other for other in others if other.worker != lease.worker)
    assert not pick(core.finish(lease, OUT_OF_MEMORY), AssignLease)
    core.finish(second)
    third = next(o for o in others if o.worker != lease.worker and o is not second)
    again = assigned(core.finish(third))
    assert (again.action, again.attempt, again.worker) == (digest("o1"), 2, second.worker)


def test_memory_that_others_took_counts() -> None:
    """A machine says what is free; what was assigned since is taken off."""
    core = taught(("w1", 4, 64))
    lease = assigned(core.submit("l1", kin="link"))
    session = core.worker("w1").session
    core.do(WorkerHeartbeat(core.now, lease.worker, session, (held(lease),), 7 * GIB))
    second = assigned(core.submit("l2", kin="link"))
    assert core.worker("w1").memory_free == GIB
    assert not pick(core.submit("l3", kin="link"), AssignLease)
    leases = (held(lease), held(second))
    effects = core.do(WorkerHeartbeat(core.now, lease.worker, session, leases, 8 * GIB))
    assert assigned(effects).action == digest("l3")


def test_a_worker_that_is_kept_no_longer_serves_all_its_pools() -> None:
    """What it was kept for goes to a newcomer; what waits elsewhere for it goes at once."""
    gpu = LINUX | {("gpu", "one")}
    core = Core(Settings(prefetch=0))
    core.join("teacher", memory=64 * GIB)
    core.run_for(assigned(core.submit("o", kin="link")), 1.0, memory=6 * GIB)
    core.drain("teacher")
    core.join("w1", slots=2, memory=8 * GIB, properties=gpu)
    core.submit("l1", kin="link")
    core.submit("l2", kin="link")
    core.submit("o1", requirements=gpu)
    leases = pick(core.join("w2", memory=8 * GIB), AssignLease)
    assert {(lease.worker, lease.action) for lease in leases} == {
        ("w2", digest("l2")),
        ("w1", digest("o1")),
    }
