"""The door itself, lease messages, and what people may ask."""

from __future__ import annotations

import pytest

from cyxmake_common.ids import BuildId, Namespace, OperationId, SessionId, WorkerId
from cyxmake_common.outcome import OutcomeKind
from cyxmake_coordinator.core.effects import AssignLease, ReportStage
from cyxmake_coordinator.core.events import (
    LeaseFinished,
    OperationSubmitted,
    WorkerJoined,
)
from cyxmake_coordinator.core.invariants import InvariantBroken, check_invariants
from cyxmake_coordinator.core.scheduler import Scheduler
from cyxmake_coordinator.core.settings import Settings
from cyxmake_coordinator.core.snapshot import LeaseFacts
from cyxmake_coordinator.core.turn import Turn
from support.scheduling import DONE, LINUX, Core, assigned, digest, pick


def test_example_of_the_whole() -> None:
    """A worker joins, an operation is assigned, run, completed; nothing is left."""
    scheduler = Scheduler(incarnation="a")
    worker, session = WorkerId("w1"), SessionId("s1")
    assert scheduler.handle(WorkerJoined(0.0, worker, session, 1, LINUX)) == []
    _, lease = scheduler.handle(
        OperationSubmitted(
            now=1.0,
            operation=OperationId("o1"),
            session=SessionId("c1"),
            namespace=Namespace("team"),
            build=BuildId("b1"),
            action=digest("action"),
            input_root=digest("root"),
        )
    )
    assert isinstance(lease, AssignLease)
    (done,) = scheduler.handle(LeaseFinished(2.0, worker, lease.lease, lease.epoch, DONE))
    assert repr(done).startswith("CompleteOperation(operation='o1'")
    assert repr(scheduler) == (
        "<Scheduler a: <State 1 workers, 0 operations, 0 waiting, 0 leases, 1 pools>>"
    )


def test_stages_are_told_once() -> None:
    """Accepting tells the client nothing, starting once, and a late acceptance undoes nothing."""
    core = Core()
    core.join()
    lease = core.run()
    assert core.accept(lease) == []
    assert len(pick(core.start(lease), ReportStage)) == 1
    assert core.start(lease) == []
    assert core.accept(lease) == []


def test_only_the_holder_speaks_for_a_lease() -> None:
    """Another worker's word about a lease is fenced off, as is another epoch's."""
    core = Core()
    core.join("w1")
    core.join("w2")
    lease = core.run("o1")
    other = LeaseFinished(core.now, WorkerId("w2"), lease.lease, lease.epoch, DONE)
    later = LeaseFinished(core.now, WorkerId("w1"), lease.lease, lease.epoch + 1, DONE)
    assert core.do(other) == core.do(later) == []
    assert core.state.totals.stale == 2
    assert len(core.finish(lease)) == 1


def test_revoked_lease_does_not_start() -> None:
    """A start that crosses a revoke changes nothing."""
    core = Core()
    core.join()
    lease = core.run("o1")
    core.cancel("o1")
    assert core.start(lease) == []
    assert core.scheduler.lease_facts(lease.lease, lease.epoch) is None


def test_stories() -> None:
    """Operations and workers tell what happened to them, also after the end."""
    core = Core()
    core.join("w1", session="s1")
    core.join("w2")
    lease = core.run("o1")
    core.accept(lease)
    core.start(lease)
    core.now += 1.0
    again = assigned(core.leave("w1"))
    core.now += 1.0
    core.finish(again)
    story = core.scheduler.operation_story(OperationId("o1"))
    assert [line.split(" ", 1)[1] for line in story] == [
        "submitted by c1",
        "assigned to w1",
        "accepted by w1",
        "started on w1",
        "lost with w1",
        "queued again: worker w1 was lost",
        "assigned to w2",
        "tool from w2",
        "completed as tool",
    ]
    assert core.scheduler.worker_story(WorkerId("w2")) == ("100.000 joined on w2#2",)
    assert core.scheduler.worker_story(WorkerId("w1")) == ()
    assert core.scheduler.operation_story(OperationId("o9")) == ()


def test_old_stories_are_forgotten() -> None:
    """Only so many ended operations are kept."""
    core = Core(Settings(remembered=2))
    core.join()
    for name in ("o1", "o2", "o3"):
        core.finish(core.run(name))
    assert list(core.state.finished) == ["o2", "o3"]


def test_snapshot() -> None:
    """Status pages get a copy of workers, pools, counts and totals."""
    core = Core()
    core.join("w2", slots=2, draining=True)
    core.join("w1", slots=2, toolchains=[digest("gcc")])
    core.start(core.run("o1"))
    core.submit("o2", session="c2")
    core.submit("o3", session="c2")
    core.submit("o4", session="c2")
    seen = core.scheduler.snapshot()
    first, second = seen.workers
    assert (first.name, first.held, first.running, first.load) == ("w1", 3, 1, 1.5)
    assert (second.name, second.draining, second.held) == ("w2", True, 0)
    assert (seen.waiting, seen.running, seen.operations, seen.clients) == (1, 1, 4, 2)
    assert (seen.slots, seen.draining) == (2, False)
    (pool,) = seen.pools
    assert (pool.workers, pool.free_workers, pool.waiting, pool.active) == (1, 0, 1, 4)
    core.cancel("o4")
    assert (seen.totals.submitted, seen.totals.completed[OutcomeKind.CANCELLED]) == (4, 0)


def test_lease_facts() -> None:
    """The shell can ask what a result is for before it reports it."""
    core = Core()
    core.join()
    lease = assigned(core.submit("o1", action="a", do_not_cache=True))
    assert core.scheduler.lease_facts(lease.lease, 1) == LeaseFacts(
        Namespace("team"), digest("a"), True, WorkerId("w1"), (OperationId("o1"),)
    )
    assert core.scheduler.lease_facts(lease.lease, 2) is None


def test_reports_in_one_line() -> None:
    """Every object of the core prints its state in one line."""
    core = Core()
    core.join("w1", session="s1")
    lease = core.run("o1")
    core.submit("o2", action="o1")
    core.submit("o3", requirements=LINUX)
    core.submit("o4")
    operations = core.state.operations
    waiting = operations[OperationId("o4")].execution
    running = operations[OperationId("o1")].execution
    assert repr(core.worker("w1")) == "<Worker w1 on s1 2/1 ready, 0 completed, 0 failed>"
    assert repr(core.state.leases[lease.lease]) == "<Lease t-1 epoch 1 on w1 assigned>"
    assert repr(operations[OperationId("o2")]) == "<Operation o2 of c1 in b1 merged>"
    assert repr(running).endswith(
        "attempt 1, for 2 operations, <Lease t-1 epoch 1 on w1 assigned>>"
    )
    assert "queued, attempt 0, for 1 operations, queued in <Pool any, 1 members" in repr(waiting)
    assert "ISA=x86-64,OSFamily=linux" in repr(list(core.state.pools.values())[1])
    core.drain()
    assert "2/1 draining" in repr(core.worker("w1"))
    assert repr(Turn(Core().state, Settings(), 1.0)).startswith("<Turn at 1.000, 0 effects, <State")


def test_broken_state_is_found() -> None:
    """The check names the rule and the object."""
    core = Core()
    core.join()
    core.run()
    core.state.waiting = 5
    with pytest.raises(InvariantBroken, match="waiting executions are counted: <State 1 workers"):
        check_invariants(core.state, core.scheduler.settings)
