"""What clients see: acceptance, merging, rejection, cancelling."""

from __future__ import annotations

from cyxmake_common.ids import OperationId, SessionId
from cyxmake_common.outcome import Cause, OutcomeKind
from cyxmake_coordinator.core.effects import (
    AcceptOperation,
    AssignLease,
    CompleteOperation,
    RejectCode,
    ReportStage,
    RevokeLease,
    Stage,
)
from cyxmake_coordinator.core.events import ClientLeft, CoordinatorDrain
from cyxmake_coordinator.core.settings import Settings
from support.scheduling import DONE, Core, assigned, completed, digest, pick, rejected


def test_operation_is_accepted_then_assigned() -> None:
    """The acceptance comes before the assignment; the lease carries the action's facts."""
    core = Core()
    core.join()
    accepted, lease = core.submit("o1", root="tree", timeout=7.0)
    assert accepted == AcceptOperation(OperationId("o1"), SessionId("c1"), Stage.QUEUED, False)
    assert isinstance(lease, AssignLease)
    assert (lease.action, lease.input_root) == (digest("o1"), digest("tree"))
    assert (lease.timeout, lease.attempt, lease.epoch, lease.lease) == (7.0, 1, 1, "t-1")


def test_result_completes_the_operation() -> None:
    """A tool's verdict goes to the client, with the time spent in the queue."""
    core = Core()
    core.join()
    first = core.run("o1")
    core.submit("o2")
    core.submit("o3")
    core.now += 2.0
    completion = completed(effects := core.finish(first))
    assert (completion.operation, completion.outcome, completion.worker) == ("o1", DONE, "w1")
    assert (completion.attempts, completion.queue_seconds) == (1, 0.0)
    third = assigned(effects)
    core.now += 1.0
    assert completed(core.finish(third)).queue_seconds == 2.0


def test_equal_actions_run_once() -> None:
    """An operation on an action under way shares its execution and its verdict."""
    core = Core()
    core.join()
    lease = assigned(core.submit("o1", action="a"))
    (merged,) = core.submit("o2", action="a", session="c2", build="b2")
    assert merged == AcceptOperation(OperationId("o2"), SessionId("c2"), Stage.ASSIGNED, True)
    stages = pick(core.start(lease), ReportStage)
    assert [(s.operation, s.stage, s.worker) for s in stages] == [
        ("o1", Stage.EXECUTING, "w1"),
        ("o2", Stage.EXECUTING, "w1"),
    ]
    done = pick(core.finish(lease), CompleteOperation)
    assert [(d.operation, d.session, d.merged) for d in done] == [
        ("o1", "c1", False),
        ("o2", "c2", True),
    ]


def test_namespaces_and_do_not_cache_are_not_merged() -> None:
    """What another identity runs, or what must run for itself, is not shared."""
    core = Core()
    core.join(slots=8)
    core.submit("o1", action="a")
    assert pick(core.submit("o2", action="a", namespace="other"), AssignLease)
    assert pick(core.submit("o3", action="a", do_not_cache=True), AssignLease)
    assert pick(core.submit("o4", action="a", do_not_cache=True), AssignLease)
    assert core.state.totals.merged == 0
    assert pick(core.submit("o5", action="a"), AcceptOperation)[0].merged
    core.cancel("o4")
    assert digest("a") in [action for _, action in core.state.flights]


def test_merging_onto_a_waiting_execution_gives_it_the_better_place() -> None:
    """An urgent operation takes the waiting execution it shares along."""
    core = Core(Settings(prefetch=0))
    core.join()
    lease = core.run("o1")
    core.submit("o2")
    core.submit("o3", action="a")
    core.submit("o4", action="a", priority=-1, build="b2")
    assert assigned(core.finish(lease)).action == digest("a")


def test_cancel_keeps_the_execution_for_others() -> None:
    """Only the last operation's cancel stops the action."""
    core = Core()
    core.join()
    lease = assigned(core.submit("o1", action="a"))
    core.submit("o2", action="a", session="c2")
    (gone,) = core.cancel("o1")
    assert isinstance(gone, CompleteOperation)
    assert (gone.outcome.kind, gone.outcome.cause) == (OutcomeKind.CANCELLED, Cause.CLIENT)
    done, revoked = core.cancel("o2")
    assert isinstance(done, CompleteOperation)
    assert isinstance(revoked, RevokeLease)
    assert (revoked.lease, revoked.epoch, revoked.worker) == (lease.lease, 1, "w1")
    assert core.cancel("o2") == []
    assert not pick(core.finish(lease), CompleteOperation)


def test_cancel_while_waiting() -> None:
    """A waiting execution leaves the lanes nobody wants any more, then the queue."""
    core = Core(Settings(prefetch=0))
    core.join()
    lease = core.run("o1")
    core.submit("o2", action="a")
    core.submit("o3", action="a")
    core.submit("o4", action="a", build="b2")
    (execution,) = core.state.operations[OperationId("o2")].execution.pool.queue
    core.cancel("o2")
    assert len(execution.pool.queue.lanes(execution)) == 2
    core.cancel("o3")
    assert execution.pool.queue.lanes(execution) == ((0, "c1", "b2"),)
    core.cancel("o4")
    assert core.state.waiting == 0
    assert not pick(core.finish(lease), AssignLease)


def test_cancelled_action_keeps_its_slot_until_the_worker_has_stopped() -> None:
    """The slot of a revoked lease is not given away before the worker says so."""
    core = Core(Settings(prefetch=0))
    core.join()
    lease = core.run("o1")
    core.cancel("o1")
    assert not pick(core.submit("o2"), AssignLease)
    assert assigned(core.finish(lease)).action == digest("o2")


def test_client_takes_its_operations_with_it() -> None:
    """All operations of a session are cancelled, others are not."""
    core = Core()
    core.join(slots=4)
    core.submit("o1")
    core.submit("o2")
    core.submit("o3", session="c2")
    effects = core.do(ClientLeft(core.now, SessionId("c1")))
    assert [done.operation for done in pick(effects, CompleteOperation)] == ["o1", "o2"]
    assert len(pick(effects, RevokeLease)) == 2
    assert core.do(ClientLeft(core.now, SessionId("c1"))) == []
    assert list(core.state.operations) == ["o3"]


def test_duplicate_id_is_rejected() -> None:
    """An id that is under way cannot be used again; one that has ended can."""
    core = Core()
    core.join()
    lease = core.run("o1")
    assert rejected(core.submit("o1", session="c2")).code is RejectCode.DUPLICATE
    core.finish(lease)
    assert assigned(core.submit("o1"))


def test_draining_coordinator_takes_nothing_new() -> None:
    """What runs goes on; what comes is rejected until the drain ends."""
    core = Core()
    core.join()
    lease = core.run("o1")
    core.do(CoordinatorDrain(core.now, on=True))
    assert rejected(core.submit("o2")).code is RejectCode.DRAINING
    assert completed(core.finish(lease))
    core.do(CoordinatorDrain(core.now, on=False))
    assert assigned(core.submit("o2"))


def test_queue_limit() -> None:
    """A full queue rejects; an operation that shares an execution needs no place."""
    core = Core(Settings(queue_limit=1, prefetch=0))
    core.join()
    core.run("o1")
    core.submit("o2", action="a")
    refusal = rejected(core.submit("o3"))
    assert (refusal.code, refusal.detail) == (RejectCode.QUEUE_FULL, "1 actions are waiting")
    assert pick(core.submit("o4", action="a"), AcceptOperation)
