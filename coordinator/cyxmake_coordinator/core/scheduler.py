"""The one door of the scheduler core: events in, effects out.

Knows no clock, no sockets and no tasks: time comes in each event, the caller carries effects out.
"""

from __future__ import annotations

from cyxmake_common.ids import LeaseId, OperationId, WorkerId
from cyxmake_coordinator.core import (
    audits,
    causes,
    families,
    hedging,
    operations,
    reconcile,
    registry,
    strays,
    trust,
    verdicts,
)
from cyxmake_coordinator.core.dispatch import dispatch, end_pauses, take_back
from cyxmake_coordinator.core.effects import Effect
from cyxmake_coordinator.core.events import (
    ClientLeft,
    CoordinatorDrain,
    Event,
    LeaseAccepted,
    LeaseEvent,
    LeaseFinished,
    LeaseRejected,
    LeaseStarted,
    OperationCancelled,
    OperationSubmitted,
    Tick,
    ToolchainAvailable,
    TreesGone,
    WorkerDrain,
    WorkerHeartbeat,
    WorkerJoined,
    WorkerLeft,
)
from cyxmake_coordinator.core.executions import sweep
from cyxmake_coordinator.core.history import History
from cyxmake_coordinator.core.invariants import check_invariants
from cyxmake_coordinator.core.leases import answered, find, start
from cyxmake_coordinator.core.placement import ALGORITHMS
from cyxmake_coordinator.core.settings import Settings
from cyxmake_coordinator.core.snapshot import ClusterSnapshot, LeaseFacts, lease_facts, snapshot
from cyxmake_coordinator.core.state import State
from cyxmake_coordinator.core.turn import Turn


class Scheduler:
    """Decides which worker runs which action for whom.

    `incarnation` must differ between runs of the coordinator: it is part of every lease id. With
    `checked`, the state is examined after each event, at a cost that grows with the state.
    """

    def __init__(
        self, settings: Settings | None = None, *, incarnation: str = "0", checked: bool = False
    ) -> None:
        self.settings = settings or Settings()
        algorithm = ALGORITHMS[self.settings.placement]
        self.state = State(incarnation, algorithm, History(self.settings.history))
        self._checked = checked

    def __repr__(self) -> str:
        return f"<Scheduler {self.state.incarnation}: {self.state!r}>"

    def handle(self, event: Event) -> list[Effect]:
        """Take one event and return what has to be done because of it, in order."""
        self.state.now = max(self.state.now, event.now)  # a clock set back stands still
        turn = Turn(self.state, self.settings, self.state.now)
        _apply(turn, event)
        for pool in turn.shrunk:
            sweep(turn, pool)
        families.look_after(turn)
        dispatch(turn)
        if isinstance(event, Tick):  # on slots that nobody wants
            hedging.hedge(turn)
            audits.run(turn)
        if self._checked:
            check_invariants(self.state, self.settings)
        return turn.effects

    def snapshot(self) -> ClusterSnapshot:
        """Copy what people want to know of the cluster."""
        return snapshot(self.state)

    def lease_facts(self, lease: LeaseId, epoch: int) -> LeaseFacts | None:
        """Return what a lease is about, or None when a result for it would be ignored."""
        return lease_facts(self.state, lease, epoch)

    def operation_story(self, operation: OperationId) -> tuple[str, ...]:
        """Tell what happened to an operation under way or ended lately; empty when unknown."""
        found = self.state.operations.get(operation) or self.state.finished.get(operation)
        return found.story() if found else ()

    def worker_story(self, worker: WorkerId) -> tuple[str, ...]:
        """Tell what happened to a live worker; empty when unknown."""
        found = self.state.workers.get(worker)
        return found.story() if found else ()


def _apply(turn: Turn, event: Event) -> None:
    match event:
        case LeaseAccepted() | LeaseStarted() | LeaseRejected() | LeaseFinished():
            _apply_lease(turn, event)
        case OperationSubmitted():
            operations.submit(turn, event)
        case OperationCancelled():
            operations.cancel(turn, event.operation)
        case ClientLeft():
            operations.leave(turn, event.session)
        case CoordinatorDrain():
            turn.state.draining = event.on
        case ToolchainAvailable():
            registry.toolchain_available(turn, event.toolchain)
        case TreesGone():
            registry.trees_gone(turn, event.worker, event.trees)
        case WorkerHeartbeat():
            reconcile.heartbeat(turn, event)
        case WorkerJoined():
            reconcile.join(turn, event)
        case WorkerLeft():
            reconcile.leave(turn, event)
        case WorkerDrain():
            registry.set_draining(turn, event.worker, event.on)
        case _:
            _tick(turn, event)


def _apply_lease(turn: Turn, event: LeaseEvent) -> None:
    if (worker := turn.state.workers.get(event.worker)) is not None:
        reconcile.hear(turn, worker)
    if strays.hear(turn, event):
        return
    lease = find(turn, event)
    if lease is None:
        return
    match event:
        case LeaseFinished():
            verdicts.finish(turn, lease, event)
        case LeaseStarted():
            start(turn, lease)
        case LeaseRejected():
            verdicts.reject(turn, lease, event)
        case _:
            answered(turn, lease)


def _tick(turn: Turn, _: Tick) -> None:
    reconcile.drop_silent(turn)
    reconcile.drop_absent(turn)
    strays.expire(turn)
    operations.expire(turn)
    causes.expire(turn)
    end_pauses(turn)
    trust.probe(turn)
    take_back(turn)
