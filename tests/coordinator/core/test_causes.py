"""Failures grouped by cause, and look-alikes held while one of them shows the way."""

from __future__ import annotations

from cyxmake_common.ids import OperationId
from cyxmake_common.outcome import Cause
from cyxmake_coordinator.core.effects import AssignLease, CompleteOperation, Effect
from cyxmake_coordinator.core.settings import Settings
from support.scheduling import CRASH, DONE, FAILED, NO_HEADER, Core, assigned, digest, pick

UNITS = 500


def one_slot_each(workers: int, **more: float) -> Core:
    """Return a core with workers of one slot, no audits by chance and nothing ahead."""
    core = Core(Settings(prefetch=0, audit_every=0, worker_timeout=1e6, **more))  # type: ignore[arg-type]
    for number in range(workers):
        core.join(f"w{number}")
    return core


def submit_all(core: Core, count: int, alike: str = "c") -> list[AssignLease]:
    """Submit units of one build; return the leases of those that run at once."""
    effects = [e for n in range(count) for e in core.submit(f"o{n}", kin=f"k{n}", alike=alike)]
    return pick(effects, AssignLease)


def fail_until_quiet(core: Core, leases: list[AssignLease]) -> tuple[int, list[Effect]]:
    """Let everything that runs fail for one cause; return the number of runs, and all effects."""
    runs, told = 0, list[Effect]()
    while leases:
        runs += 1
        effects = core.finish(leases.pop(0), FAILED, finding=NO_HEADER)
        told += effects
        leases += pick(effects, AssignLease)
    return runs, told


def test_five_hundred_units_that_lack_one_header_are_one_cause() -> None:
    """A dozen of them run; the others go back to their client with the cause, at once."""
    core = one_slot_each(4)
    runs, told = fail_until_quiet(core, submit_all(core, UNITS))
    ends = pick(told, CompleteOperation)
    assert len(ends) == UNITS
    back = [end.outcome for end in ends if end.outcome.cause is Cause.SAME_CAUSE]
    assert runs == UNITS - len(back) <= 16
    assert back[0].detail.endswith(f"look-alikes failed: {NO_HEADER.line}")
    (cause,) = core.state.causes.values()
    assert len(cause.actions) == cause.failures == runs
    assert sum(cause.workers.values()) == runs
    assert core.state.totals.causes == 1


def test_a_success_of_the_canary_releases_the_others() -> None:
    """The last one of the list is tried first: it is least like those that failed."""
    core = one_slot_each(1)
    (lease,) = submit_all(core, 20)
    for _ in range(3):
        lease = assigned(core.finish(lease, FAILED, finding=NO_HEADER))
    assert len(pick_held(core)) == 16
    assert lease.action == core.state.operations[OperationId(last(core))].execution.action
    following = assigned(core.finish(lease, DONE))
    assert pick_held(core) == []
    assert core.state.waiting == 15
    # It takes more to hold them again.
    for _ in range(3):
        following = assigned(core.finish(following, FAILED, finding=NO_HEADER))
    assert pick_held(core) == []


def pick_held(core: Core) -> list[str]:
    """Return the operations that are held."""
    return [
        name
        for name, operation in core.state.operations.items()
        if operation.execution in operation.execution.pool.held
    ]


def last(core: Core) -> str:
    """Return the operation submitted last of those under way."""
    return max(core.state.operations, key=lambda name: int(name[1:]))


def test_nothing_is_held_for_long() -> None:
    """A canary that takes its time holds nothing up: then all go, and are held no more."""
    core = one_slot_each(1)
    (lease,) = submit_all(core, 10)
    for _ in range(3):
        lease = assigned(core.finish(lease, FAILED, finding=NO_HEADER))
    assert len(pick_held(core)) == 6
    core.tick(core.scheduler.settings.hold_most)
    assert pick_held(core) == []
    runs, told = fail_until_quiet(core, [lease])
    assert runs == len(pick(told, CompleteOperation)) == 7


def test_failures_for_different_causes_hold_nothing() -> None:
    """Nor do those of actions that nobody calls alike."""
    core = one_slot_each(1)
    (lease,) = submit_all(core, 10)
    for finding in (NO_HEADER, CRASH) * 4:
        lease = assigned(core.finish(lease, FAILED, finding=finding))
        assert pick_held(core) == []
    other = one_slot_each(1)
    (lease,) = submit_all(other, 10, alike="")
    runs, _ = fail_until_quiet(other, [lease])
    assert runs == 10


def test_another_cause_releases_what_is_held() -> None:
    """It is no longer known what the others would fail for."""
    core = one_slot_each(1)
    (lease,) = submit_all(core, 10)
    for _ in range(3):
        lease = assigned(core.finish(lease, FAILED, finding=NO_HEADER))
    core.finish(lease, FAILED, finding=CRASH)
    assert pick_held(core) == []


def test_what_is_held_can_be_cancelled_and_wanted_by_others() -> None:
    """A cancelled canary gets a successor; another build's wish for a held action runs it."""
    core = one_slot_each(1)
    (lease,) = submit_all(core, 10)
    for _ in range(3):
        lease = assigned(core.finish(lease, FAILED, finding=NO_HEADER))
    held = pick_held(core)
    core.submit("x1", action=held[0], build="b2", session="c2")
    assert held[0] not in pick_held(core)
    core.cancel(held[1])
    assert len(pick_held(core)) == len(held) - 2
    core.cancel(last(core))
    assert len(pick_held(core)) == len(held) - 3
    for name in list(core.state.operations):
        core.cancel(name)
    assert pick_held(core) == []
    assert core.state.holding_back == {}


def test_what_was_sent_again_with_more_is_not_held() -> None:
    """Its success releases the others: they may be helped in the same way."""
    core = one_slot_each(1)
    (lease,) = submit_all(core, 10)
    for _ in range(3):
        lease = assigned(core.finish(lease, FAILED, finding=NO_HEADER))
    held = len(pick_held(core))
    core.submit("healed", kin="k0", alike="c", do_not_cache=True, priority=-1)
    assert len(pick_held(core)) == held
    healed = assigned(core.finish(lease, FAILED, finding=NO_HEADER))
    while core.state.leases[healed.lease].execution.kin != digest("k0"):
        healed = assigned(core.finish(healed, FAILED, finding=NO_HEADER))
    core.finish(healed, DONE)
    assert pick_held(core) == []


def test_a_cause_is_closed_by_what_it_mends() -> None:
    """When every action that failed for it has succeeded; the next build's inputs are others."""
    core = one_slot_each(2)
    for number in range(2):
        core.finish(
            core.run(f"o{number}") if number else kin(core, "o0"), FAILED, finding=NO_HEADER
        )
    core.finish(kin(core, "again", "k0"), DONE)
    assert [len(cause.actions) for cause in core.state.causes.values()] == [1]
    core.tick(core.scheduler.settings.cause_memory + 1)
    assert not core.state.causes
    assert not core.state.ailing


def kin(core: Core, name: str, known: str = "k0") -> AssignLease:
    """Submit an operation of a known kin."""
    return assigned(core.submit(name, kin=known))
