"""Workers that come, go, fall silent, or hold other leases than we think."""

from __future__ import annotations

from cyxmake_common.ids import SessionId, WorkerId
from cyxmake_common.outcome import Cause, OutcomeKind
from cyxmake_coordinator.core.effects import (
    AssignLease,
    CompleteOperation,
    DisconnectReason,
    DisconnectWorker,
    ReportStage,
    RevokeLease,
    Stage,
)
from cyxmake_coordinator.core.events import HeldLease, WorkerHeartbeat, WorkerLeft
from cyxmake_coordinator.core.settings import Settings
from support.scheduling import (
    DONE,
    FAILED,
    MAC,
    STOPPED,
    Core,
    assigned,
    completed,
    digest,
    held,
    lease_id,
    pick,
)


def test_lost_workers_actions_move_at_once() -> None:
    """In the order they were assigned, ahead of what waits."""
    core = Core(Settings(prefetch=0))
    core.join("w1", slots=2)
    core.join("w2")
    for name in ("o1", "o2", "o3", "o4"):
        core.submit(name)
    lost = [lease.execution.action for lease in core.worker("w1").leases.values()]
    assert core.leave("w1") == []
    moved = pick(core.join("w3", slots=3), AssignLease)
    assert [lease.action for lease in moved] == [*lost, digest("o4")]


def test_last_worker_takes_what_waits_with_it() -> None:
    """With no matching worker left the client is told to go local."""
    core = Core(Settings(prefetch=0))
    core.join("w1")
    core.join("mac", properties=MAC)
    core.submit("o1", requirements=core.worker("w1").properties)
    core.submit("o2", requirements=core.worker("w1").properties)
    done = pick(core.leave("w1"), CompleteOperation)
    assert sorted(d.operation for d in done) == ["o1", "o2"]
    for completion in done:
        assert completion.outcome.kind is OutcomeKind.INFRASTRUCTURE
        assert completion.outcome.cause is Cause.WORKER_LOST


def test_draining_the_last_worker_completes_what_waits() -> None:
    """A drained worker is no hope; what it runs may end there."""
    core = Core(Settings(prefetch=0))
    core.join()
    lease = core.run("o1")
    core.submit("o2")
    assert completed(core.drain()).operation == "o2"
    assert completed(core.finish(lease)).outcome == DONE


def test_stale_goodbye_is_ignored() -> None:
    """The end of an old session does not touch the new one."""
    core = Core()
    core.join(session="old")
    core.join(session="new")
    assert core.do(WorkerLeft(core.now, WorkerId("w1"), SessionId("old"))) == []
    assert core.do(WorkerLeft(core.now, WorkerId("w9"), SessionId("old"))) == []
    assert core.worker("w1").session == "new"


def test_silent_worker_is_let_go() -> None:
    """Its session is closed and its action is elsewhere in the same turn."""
    core = Core()
    core.join("w1")
    lease = core.run()
    core.tick(4.0)
    core.join("w2")
    core.now += 1.5
    gone, moved = core.tick()
    assert gone == DisconnectWorker(lease.worker, lease.session, DisconnectReason.SILENT)
    assert isinstance(moved, AssignLease)
    assert (moved.worker, moved.epoch) == ("w2", 2)
    assert core.finish(lease) == []


def test_worker_that_misses_heartbeats_gets_nothing_more() -> None:
    """Half of the time after which it would be gone, until it is heard of."""
    core = Core()
    core.join("w1", slots=2)
    core.run()
    core.tick(2.5)
    assert not pick(core.submit("later"), AssignLease)
    assert core.worker("w1").condition == "silent"
    (lease,) = core.worker("w1").leases.values()
    report = HeldLease(lease.id, lease.epoch, lease.execution.action)
    assert assigned(core.beat("w1", report)).action == digest("later")


def test_workers_silent_together_get_nothing_of_each_other() -> None:
    """What one loses does not go to another that is lost in the same moment."""
    core = Core()
    core.join("w1")
    core.join("w2")
    core.run()
    effects = core.tick(6.0)
    assert len(pick(effects, DisconnectWorker)) == 2
    assert not pick(effects, AssignLease)
    assert completed(effects).outcome.kind is OutcomeKind.INFRASTRUCTURE


def test_heartbeats_and_lease_messages_keep_a_worker_alive() -> None:
    """Whatever a worker sends proves that it lives."""
    core = Core()
    core.join("w1")
    lease = core.run()
    core.now += 4.0
    core.accept(lease)
    core.now += 4.0
    core.beat("w1", held(lease))
    assert core.tick(4.0) == []


def test_heartbeat_of_a_stale_session_is_ignored() -> None:
    """An old session neither keeps the new one alive nor speaks for it."""
    core = Core()
    core.join(session="new")
    for name, session in (("w1", "old"), ("w9", "new")):
        unknown = HeldLease(lease_id("x"), 1, digest("x"))
        event = WorkerHeartbeat(core.now + 4, WorkerId(name), SessionId(session), (unknown,))
        assert core.do(event) == []
    assert pick(core.tick(6.0), DisconnectWorker)


def test_lease_unknown_to_its_worker_is_assigned_again() -> None:
    """After the grace a lease the worker does not name is lost; before, it may be on its way."""
    core = Core()
    core.join()
    lease = core.run()
    core.now += 2.0
    assert core.beat() == []
    core.now += 3.0
    again = assigned(core.beat())
    assert (again.epoch, again.attempt, again.worker) == (2, 2, "w1")
    assert core.finish(lease) == []


def test_lease_mislaid_again_and_again() -> None:
    """Attempts are counted, so that it ends."""
    core = Core()
    core.join()
    core.run()
    for _ in range(2):
        core.now += 5.0
        core.beat()
    core.now += 5.0
    outcome = completed(core.beat()).outcome
    assert outcome.detail == "worker w1 does not know of the action"


def test_revoked_lease_is_repeated_until_the_worker_has_forgotten_it() -> None:
    """A lost revoke is sent again; a lost answer is made up for."""
    core = Core(Settings(prefetch=0))
    core.join()
    lease = core.run("o1")
    core.cancel("o1")
    core.submit("o2")
    (again,) = core.beat("w1", held(lease))
    assert isinstance(again, RevokeLease)
    core.now += 5.0
    assert assigned(core.beat()).action == digest("o2")


def test_unknown_lease_is_revoked() -> None:
    """A worker that holds something we did not give it, or gave long ago, is told to stop."""
    core = Core()
    unknown = HeldLease(lease_id("t-99"), 3, digest("x"))
    (told,) = core.join("w1", held=(unknown,), session="s")
    assert told == RevokeLease(WorkerId("w1"), SessionId("s"), lease_id("t-99"), 3)
    assert core.beat("w1", unknown) == [told]


def test_worker_that_ignores_timeouts_loses_the_lease() -> None:
    """An action long past its timeout is tried once elsewhere, as one out of time."""
    core = Core(Settings(overdue_grace=1.0, worker_timeout=100.0))
    core.join("w1")
    lease = assigned(core.submit(timeout=2.0))
    core.start(lease)
    core.now += 2.5
    assert core.beat("w1", held(lease)) == []
    core.now += 1.0
    revoked, done = core.beat("w1", held(lease))
    assert isinstance(revoked, RevokeLease)
    assert isinstance(done, CompleteOperation)
    assert (done.outcome.kind, done.outcome.cause) == (OutcomeKind.RESOURCE, Cause.TIME)
    assert done.outcome.detail == "worker w1 did not end the action after 2 s"


def test_new_session_keeps_the_leases_it_reports() -> None:
    """A reconnect costs nothing: what the worker still runs goes on, the rest moves."""
    core = Core()
    core.join("w1", slots=2, session="old")
    first, second = core.run("o1"), core.run("o2")
    core.start(first)
    effects = core.join("w1", slots=2, session="new", held=(held(first), held(first)))
    assert effects[0] == DisconnectWorker(
        WorkerId("w1"), SessionId("old"), DisconnectReason.REPLACED
    )
    again = assigned(effects)
    assert (again.action, again.session, again.epoch) == (second.action, "new", 2)
    assert completed(core.finish(first)).attempts == 1
    assert core.state.totals.adopted == 1
    assert core.finish(second) == []


def test_new_session_stays_warm() -> None:
    """The machine's disk outlives its connection."""
    core = Core()
    core.join("w1")
    core.join("w2")
    core.finish(assigned(core.submit("o1", root="r")))
    core.join("w1")
    for name in ("o2", "o3"):
        lease = assigned(core.submit(name, root="r"))
        assert lease.worker == "w1"
        core.finish(lease)


def test_joining_twice_on_one_session_closes_nothing() -> None:
    """A worker may tell its facts again."""
    core = Core()
    core.join("w1", session="s")
    assert core.join("w1", session="s", slots=3) == []
    assert core.worker("w1").slots == 3


def test_report_that_does_not_agree_is_revoked() -> None:
    """Another epoch or another action is not the same promise."""
    core = Core()
    core.join("w1", session="old")
    lease = core.run()
    wrong = (
        HeldLease(lease.lease, 7, lease.action),
        HeldLease(lease.lease, lease.epoch, digest("other")),
    )
    effects = core.join("w1", session="new", held=wrong)
    assert len(pick(effects, RevokeLease)) == 2
    assert assigned(effects).epoch == 2


def test_revoked_lease_is_carried_over_and_revoked_again() -> None:
    """Its slot stays taken on the new session, too."""
    core = Core(Settings(prefetch=0))
    core.join("w1", session="old")
    lease = core.run("o1")
    core.cancel("o1")
    effects = core.join("w1", session="new", held=(held(lease),))
    assert [revoked.session for revoked in pick(effects, RevokeLease)] == ["new"]
    assert not pick(core.submit("o2"), AssignLease)
    assert assigned(core.finish(lease, STOPPED)).action == digest("o2")


def test_worker_that_comes_back_in_time_goes_on() -> None:
    """While a lost action still waits, the worker that ran it may finish it."""
    core = Core(Settings(prefetch=0))
    core.join("w1")
    core.join("w2")
    first, other = core.run("o1"), core.run("o2")
    core.start(first)
    core.leave("w1")
    assert core.state.waiting == 1
    effects = core.join("w1", held=(held(first),))
    (stage,) = effects
    assert isinstance(stage, ReportStage)
    assert (stage.stage, stage.worker) == (Stage.EXECUTING, "w1")
    assert completed(core.finish(first, FAILED)).attempts == 1
    assert completed(core.finish(other))


def test_coming_back_undoes_the_loss() -> None:
    """A worker with a bad connection does not make its action suspicious."""
    core = Core(Settings(prefetch=0))
    core.join("w1")
    core.join("w2")
    first, _ = core.run("o1"), core.run("o2")
    core.start(first)
    for _ in range(5):
        assert not pick(core.leave("w1"), AssignLease)
        core.join("w1", held=(held(first),))
    assert core.worker("w1").leases[first.lease].execution.losses == 0
    assert completed(core.finish(first)).outcome == DONE


def test_coming_back_before_the_start_is_not_executing() -> None:
    """A lease that had not begun is only assigned again."""
    core = Core(Settings(prefetch=0))
    core.join("w1")
    core.join("w2")
    first, _ = core.run("o1"), core.run("o2")
    core.leave("w1")
    assert core.join("w1", held=(held(first),)) == []
    assert completed(core.finish(first))


def test_worker_that_comes_back_too_late_is_told_to_stop() -> None:
    """Once the action is elsewhere the old lease is fenced off."""
    core = Core()
    core.join("w1")
    core.join("w2")
    lease = core.run()
    moved = assigned(core.leave("w1"))
    (told,) = core.join("w1", held=(held(lease),))
    assert isinstance(told, RevokeLease)
    assert core.finish(lease) == []
    assert completed(core.finish(moved))


def test_orphan_of_another_worker_is_not_adopted() -> None:
    """Only the worker that had the lease may come back with it."""
    core = Core(Settings(prefetch=0))
    core.join("w1")
    core.join("w2", slots=1)
    lease, _ = core.run("o1"), core.run("o2")
    core.leave("w1")
    effects = core.join("w3", held=(held(lease),))
    assert len(pick(effects, RevokeLease)) == 1
    assert assigned(effects).worker == "w3"


def test_more_leases_than_room_are_not_kept() -> None:
    """A worker that comes back with fewer slots keeps what fits."""
    core = Core()
    core.join("w1", slots=3)
    leases = [core.run(name) for name in ("o1", "o2", "o3")]
    effects = core.join("w1", slots=1, held=tuple(map(held, leases)))
    assert [revoked.lease for revoked in pick(effects, RevokeLease)] == [leases[2].lease]
    assert core.state.waiting == 1
