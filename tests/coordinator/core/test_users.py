"""Several users: shares, quotas, limits, deadlines."""

from __future__ import annotations

from cyxmake_common.outcome import Cause, OutcomeKind
from cyxmake_coordinator.core.effects import AssignLease, RejectCode
from cyxmake_coordinator.core.events import PropertySet
from cyxmake_coordinator.core.settings import EVERYONE, Settings
from support.scheduling import LINUX, Core, assigned, completed, digest, pick, rejected

GCC, CLANG = digest("gcc"), digest("clang")


def turns(core: Core, first: AssignLease, count: int, seconds: dict[str, float]) -> list[str]:
    """Run one action after the other; return the first letters of their operations."""
    lease, order = first, []
    for _ in range(count):
        execution = core.state.leases[lease.lease].execution
        name = next(iter(execution.operations))[0]
        order.append(name)
        lease = assigned(core.run_for(lease, seconds[name]))
    return order


def test_users_share_time_over_all_their_toolchains() -> None:
    """Who has two toolchains gets no more than who has one, and long actions cost more."""
    core = Core(Settings(prefetch=0))
    core.join(toolchains=[GCC, CLANG])
    first = core.run("x")
    for number in range(60):
        toolchain = GCC if number % 2 else CLANG
        core.submit(f"a{number}", user="ann", toolchain=toolchain, requirements=LINUX, kin="a")
        core.submit(f"b{number}", user="bob", toolchain=GCC, requirements=LINUX, kin="b")
    order = turns(core, first, 50, {"x": 1.0, "a": 1.0, "b": 4.0})
    assert 35 <= order.count("a") <= 42


def test_weights_and_quotas_are_by_user_with_a_default() -> None:
    """A name of its own, else the star, else no difference at all."""
    settings = Settings(user_weights={"ci": 0.5}, user_slots={EVERYONE: 4, "ci": 2})
    assert (settings.weight("ci"), settings.weight("ann")) == (0.5, 1.0)
    assert (settings.slots_of("ci"), settings.slots_of("ann")) == (2, 4)
    assert Settings().slots_of("ann") is None
    assert Settings(user_weights={EVERYONE: 2.0}).weight("ann") == 2.0


def test_a_quota_leaves_slots_to_others() -> None:
    """A user at its quota waits though slots are free; its next goes when one of its ends."""
    core = Core(Settings(prefetch=0, user_slots={"ann": 1}))
    core.join("w1", slots=2)
    lease = assigned(core.submit("a1", user="ann"))
    assert not pick(core.submit("a2", user="ann"), AssignLease)
    other = assigned(core.submit("b1", user="bob"))
    core.finish(other)
    assert assigned(core.finish(lease)).action == digest("a2")


def test_a_quota_counts_everywhere() -> None:
    """What a user has ended on one kind of worker lets its work begin on another."""
    mac: PropertySet = frozenset({("OSFamily", "macos")})
    core = Core(Settings(prefetch=0, user_slots={"ann": 1}))
    core.join("linux")
    core.join("mac", properties=mac)
    lease = assigned(core.submit("a1", user="ann", requirements=LINUX))
    core.submit("a2", user="ann", requirements=mac)
    assert assigned(core.cancel("a1") + core.finish(lease)).worker == "mac"


def test_the_queue_of_a_user_is_limited() -> None:
    """One user cannot fill the whole queue; the answer says whose limit it is."""
    core = Core(Settings(prefetch=0, user_queue_limit=2))
    core.join()
    for name in ("a0", "a1", "a2"):
        core.submit(name, user="ann")
    refusal = rejected(core.submit("a3", user="ann"))
    assert (refusal.code, refusal.detail) == (
        RejectCode.QUEUE_FULL,
        "2 actions of this user are waiting",
    )
    core.submit("b1", user="bob")
    core.cancel("a1")
    assert not pick(core.submit("a4", user="ann"), type(refusal))


def test_the_longest_way_goes_first() -> None:
    """The client's upward rank orders its build."""
    core = Core(Settings(prefetch=0))
    core.join()
    lease = core.run("o0")
    core.submit("short", rank=1.0)
    core.submit("long", rank=60.0)
    assert assigned(core.finish(lease)).action == digest("long")


def test_an_operation_is_given_up_at_its_deadline() -> None:
    """One that still waits ends with the reason; one that runs goes on."""
    core = Core(Settings(prefetch=0))
    core.join()
    core.start(assigned(core.submit("o1", wait_at_most=1.0)))
    core.submit("o2", action="a", wait_at_most=1.0)
    core.submit("o3", action="a")
    core.submit("o4", wait_at_most=1.0)
    core.cancel("o4")
    assert core.tick(0.5) == []
    expired = completed(core.tick(0.5))
    assert (expired.operation, expired.outcome.kind) == ("o2", OutcomeKind.INFRASTRUCTURE)
    assert expired.outcome.cause is Cause.TIME
    assert len(core.state.operations) == 2
    assert core.state.totals.expired == 1


def test_groups_and_accounts_end_with_their_pools() -> None:
    """Pools that are retired take what their users had with them."""
    core = Core(Settings(idle_pools=1))
    core.join(slots=4, properties=LINUX | {("a", "1")})
    core.finish(assigned(core.submit("o1", requirements=frozenset({("a", "1")}))))
    core.submit("o2", requirements=LINUX)
    assert list(core.state.groups) == [LINUX]


def test_a_second_user_frees_what_the_first_ones_quota_holds_back() -> None:
    """An action that waits for one user's quota goes at once when another user wants it too."""
    core = Core(Settings(prefetch=0, user_slots={"ann": 1}))
    core.join("w1", slots=2)
    core.run_for(assigned(core.submit("a0", user="ann")), 1.0)
    assigned(core.submit("a1", user="ann"))
    assert not pick(core.submit("a2", action="shared", user="ann"), AssignLease)
    assert assigned(core.submit("b1", action="shared", user="bob")).action == digest("shared")
