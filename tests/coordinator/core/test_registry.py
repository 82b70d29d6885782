"""Which workers match an action, and what is said when none does."""

from __future__ import annotations

from cyxmake_common.digest import Digest
from cyxmake_common.ids import WorkerId
from cyxmake_common.outcome import Cause
from cyxmake_common.stand_in import STAND_IN
from cyxmake_coordinator.core.effects import AssignLease, CompleteOperation, Effect, RejectCode
from cyxmake_coordinator.core.events import (
    RefusalReason,
    ToolchainAvailable,
    TreesGone,
    WorkerDrain,
)
from cyxmake_coordinator.core.settings import Settings
from support.scheduling import LINUX, MAC, Core, assigned, digest, pick, rejected

GCC = digest("gcc")


def available(core: Core, toolchain: Digest = GCC) -> list[Effect]:
    """Let a toolchain be in the CAS."""
    return core.do(ToolchainAvailable(core.now, toolchain))


def test_every_requirement_must_be_offered() -> None:
    """Work goes to a worker that offers everything it requires."""
    core = Core()
    core.join("linux")
    core.join("mac", properties=MAC)
    assert assigned(core.submit("o1", requirements=MAC)).worker == "mac"
    assert assigned(core.submit("o2", requirements=LINUX)).worker == "linux"


def test_newcomer_joins_the_pools_it_matches() -> None:
    """A worker takes what waits for its kind, and leaves the rest alone."""
    core = Core(Settings(prefetch=0))
    core.join("linux")
    core.submit("o1", requirements=LINUX)
    core.submit("o2", requirements=LINUX)
    assert core.join("mac", properties=MAC) == []
    assert assigned(core.join("w3")).action == digest("o2")


def test_nobody_is_there() -> None:
    """Without workers an operation is rejected at once."""
    refusal = rejected(Core().submit())
    assert (refusal.code, refusal.detail) == (RejectCode.NO_WORKER, "no worker is connected")


def test_refusal_says_what_is_missing() -> None:
    """The nearest worker and what it lacks are named."""
    core = Core()
    core.join("w1", properties=MAC)
    core.join("w2")
    refusal = rejected(core.submit(requirements=LINUX | {("gpu", "yes")}))
    assert refusal.code is RejectCode.NO_WORKER
    assert refusal.detail.endswith("w2 comes nearest, it lacks gpu=yes")


def test_drained_workers_do_not_count() -> None:
    """With only drained workers nothing is queued; a drain can end."""
    core = Core()
    core.join("w1", draining=True)
    assert rejected(core.submit()).code is RejectCode.DRAINING
    core.drain("w1", on=False)
    assert assigned(core.submit())
    assert core.worker("w1").story()[1].endswith("takes work again")


def test_drain_lets_running_work_finish() -> None:
    """A draining worker keeps its leases and gets no new ones."""
    core = Core(Settings(prefetch=0))
    core.join("w1")
    lease = core.run("o1")
    assert core.drain() == []
    assert core.drain() == []
    core.join("w2")
    assert core.run("o2").worker == "w2"
    core.submit("o3")
    assert not pick(core.finish(lease), AssignLease)


def test_draining_an_unknown_worker_does_nothing() -> None:
    """A wish about a worker that is not there is not kept here."""
    core = Core()
    assert core.do(WorkerDrain(core.now, WorkerId("nobody"), on=True)) == []


def test_missing_toolchain() -> None:
    """A toolchain that is nowhere is asked for; once in the CAS every worker can have it."""
    core = Core()
    core.join()
    refusal = rejected(core.submit(toolchain=GCC))
    assert (refusal.code, refusal.missing) == (RejectCode.MISSING_TOOLCHAIN, (GCC,))
    available(core)
    assert assigned(core.submit(toolchain=GCC)).toolchain == GCC


def test_toolchain_on_a_drained_worker_is_no_use() -> None:
    """A worker without the toolchain can be helped by an upload, drained ones cannot."""
    core = Core()
    core.join("w1", toolchains=[GCC], draining=True)
    assert rejected(core.submit(toolchain=GCC)).code is RejectCode.DRAINING
    core.join("w2")
    assert rejected(core.submit(toolchain=GCC)).code is RejectCode.MISSING_TOOLCHAIN


def test_toolchain_on_one_worker_only() -> None:
    """Until its tree is in the CAS, work waits for the worker that has it."""
    core = Core(Settings(prefetch=0))
    core.join("w1", toolchains=[GCC])
    core.join("w2")
    core.join("mac", properties=MAC)
    assert assigned(core.submit("o1", toolchain=GCC, requirements=LINUX)).worker == "w1"
    assert not pick(core.submit("o2", toolchain=GCC, requirements=LINUX), AssignLease)
    assert available(core, digest("clang")) == []
    assert assigned(available(core)).worker == "w2"


def test_toolchain_is_learned_from_running() -> None:
    """A worker that has started an action has its toolchain, and is preferred from then on."""
    core = Core()
    core.join("w1")
    core.join("w2")
    available(core)
    core.submit("o0")
    lease = assigned(core.submit("o1", toolchain=GCC, root="other"))
    assert lease.worker == "w2"
    core.start(lease)
    core.finish(lease)
    assert core.worker("w2").toolchains == {GCC}
    for name in ("o2", "o3"):
        again = assigned(core.submit(name, toolchain=GCC, root=name))
        assert again.worker == "w2"
        core.start(again)
        core.finish(again)


def test_lost_toolchain_is_asked_for_again() -> None:
    """A worker that misses the toolchain proves that it is gone; what waits is not stranded."""
    core = Core(Settings(prefetch=0))
    core.join("w1", toolchains=[GCC])
    lease = assigned(core.submit("o1", toolchain=GCC))
    core.submit("o2", toolchain=GCC)
    core.submit("o3")
    effects = core.reject(lease, RefusalReason.MISSING_INPUTS, (GCC,))
    assert [done.operation for done in pick(effects, CompleteOperation)] == ["o1", "o2"]
    assert rejected(core.submit("o4", toolchain=GCC)).code is RejectCode.MISSING_TOOLCHAIN


def test_toolchain_lost_from_the_store_stays_with_its_holders() -> None:
    """Workers that hold the toolchain themselves remain members."""
    core = Core()
    core.join("w1")
    available(core)
    lease = assigned(core.submit("o1", toolchain=GCC))
    core.join("w2", toolchains=[GCC])
    core.reject(lease, RefusalReason.MISSING_INPUTS, (GCC,))
    assert assigned(core.submit("o2", toolchain=GCC)).worker == "w2"


def test_broken_toolchain_goes_elsewhere() -> None:
    """A worker on which a toolchain fails its test gets none of its actions, but all others."""
    core = Core()
    core.join("w1")
    core.join("w2")
    available(core)
    lease = assigned(core.submit("o1", toolchain=GCC))
    moved = assigned(core.reject(lease, RefusalReason.TOOLCHAIN_BROKEN, detail="Illegal"))
    assert {lease.worker, moved.worker} == {"w1", "w2"}
    core.start(moved)
    core.finish(moved)
    for name in ("o2", "o3"):
        again = assigned(core.submit(name, toolchain=GCC, root=name))
        assert again.worker == moved.worker
        core.start(again)
        core.finish(again)
    core.submit("o4", toolchain=GCC)
    assert assigned(core.submit("o5", root="other")).worker == lease.worker


def gone(core: Core, worker: str, *trees: Digest) -> list[Effect]:
    """Let a worker give up trees."""
    return core.do(TreesGone(core.now, WorkerId(worker), frozenset(trees)))


def test_a_worker_that_gave_up_a_toolchain_is_no_holder() -> None:
    """It is warm for nothing that needs it; another that holds it comes first."""
    core = Core()
    core.join("w1", toolchains=[GCC])
    available(core)
    lease = assigned(core.submit("o1", toolchain=GCC, root="r"))
    core.start(lease)
    core.finish(lease)
    assert (digest("r"), GCC) in core.worker("w1").warm
    gone(core, "w1", GCC)
    assert core.worker("w1").toolchains == set()
    assert (digest("r"), GCC) not in core.worker("w1").warm
    core.join("w2", toolchains=[GCC])
    assert assigned(core.submit("o2", toolchain=GCC, root="r", build="b2")).worker == "w2"
    gone(core, "nobody", GCC)


def test_the_last_worker_gives_up_a_toolchain() -> None:
    """It was not in the store: what waits ends, and the client is asked for it."""
    core = Core(Settings(prefetch=0))
    core.join("w1", toolchains=[GCC])
    lease = assigned(core.submit("o1"))
    core.submit("o2", toolchain=GCC)
    (done,) = pick(gone(core, "w1", GCC), CompleteOperation)
    assert done.operation == "o2"
    assert rejected(core.submit("o3", toolchain=GCC)).code is RejectCode.MISSING_TOOLCHAIN
    core.start(lease)


def test_a_worker_that_gave_up_an_input_root() -> None:
    """It is warm for it no longer, and keeps its toolchains."""
    core = Core()
    core.join("w1", toolchains=[GCC])
    core.finish(assigned(core.submit("o1", toolchain=GCC, root="r")))
    gone(core, "w1", digest("r"))
    assert (digest("r"), GCC) not in core.worker("w1").warm
    assert core.worker("w1").toolchains == {GCC}


def test_toolchain_that_is_broken_everywhere() -> None:
    """Nobody is left: what waits ends, what comes is refused, both with what is wrong."""
    core = Core(Settings(prefetch=0))
    core.join("w1")
    available(core)
    lease = assigned(core.submit("o1", toolchain=GCC))
    core.submit("o2", toolchain=GCC)
    effects = core.reject(lease, RefusalReason.TOOLCHAIN_BROKEN, detail="Illegal instruction")
    for done in pick(effects, CompleteOperation):
        assert done.outcome.cause is Cause.TOOLCHAIN
        assert done.outcome.detail == "w1: Illegal instruction"
    assert {done.operation for done in pick(effects, CompleteOperation)} == {"o1", "o2"}
    refusal = rejected(core.submit("o3", toolchain=GCC))
    assert refusal.code is RejectCode.TOOLCHAIN_BROKEN
    assert refusal.detail == "w1: Illegal instruction"
    core.join("w2", draining=True)
    assert rejected(core.submit("o4", toolchain=GCC)).code is RejectCode.TOOLCHAIN_BROKEN
    core.join("w3")
    assert assigned(core.submit("o5", toolchain=GCC)).worker == "w3"


def test_warm_roots_are_bounded() -> None:
    """Of the roots and builds given to a worker the latest are remembered."""
    core = Core(Settings(warm_roots=2))
    core.join(slots=4)
    for root in ("r1", "r2", "r1", "r3"):
        core.finish(assigned(core.submit("o", root=root)))
    assert list(core.worker("w1").warm) == ["b1", (digest("r3"), None)]


def test_idle_pools_are_retired() -> None:
    """Pools nobody uses do not pile up; a pool in use stays."""
    core = Core(Settings(idle_pools=2))
    core.join(slots=4, properties=LINUX | {("a", "1"), ("b", "1")})
    core.submit("o1", requirements=frozenset({("a", "1")}))
    core.finish(assigned(core.submit("o2", requirements=frozenset({("b", "1")}))))
    core.finish(assigned(core.submit("o3", requirements=LINUX)))
    assert [sorted(pool.requirements) for pool in core.state.pools.values()] == [
        [("a", "1")],
        sorted(LINUX),
    ]


def test_a_worker_has_at_least_one_slot() -> None:
    """A worker that claims no slots would hold up what waits for it."""
    core = Core()
    core.join(slots=0)
    assert assigned(core.submit())


def test_a_late_start_brings_a_lost_toolchain_back() -> None:
    """Who starts an action with a toolchain has it, though it was given up everywhere."""
    core = Core()
    core.join(slots=2)
    available(core)
    first = assigned(core.submit("o1", toolchain=GCC))
    second = assigned(core.submit("o2", toolchain=GCC))
    core.reject(first, RefusalReason.MISSING_INPUTS, (GCC,))
    assert rejected(core.submit("o3", toolchain=GCC)).code is RejectCode.MISSING_TOOLCHAIN
    core.start(second)
    assert pick(core.submit("o4", toolchain=GCC), AssignLease)


def test_a_stand_in_joins_the_pools_of_another_machine() -> None:
    """A worker of another kind is used only if it offers the very tool that the action names."""
    core = Core(Settings(prefetch=0))
    portable = LINUX | {(STAND_IN, "zig 1")}
    core.join("older", properties=MAC | {(STAND_IN, "zig 0")})
    refusal = rejected(core.submit("o1", requirements=portable))
    assert refusal.detail.startswith("no worker offers all that is required; older comes nearest")
    assert STAND_IN not in refusal.detail
    core.join("mac", properties=MAC | {(STAND_IN, "zig 1")})
    assert assigned(core.submit("o2", requirements=portable)).worker == "mac"
    assert rejected(core.submit("o3", requirements=LINUX)).code is RejectCode.NO_WORKER
