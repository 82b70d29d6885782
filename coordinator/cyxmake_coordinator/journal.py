"""Tells the log what becomes of every lease and action, one debug line each.

Knows nothing of decisions: a scheduler looks at events before the core does, and at the core's
effects. Only an action's end is told later, when its result is kept: one that a crash takes along
was no end.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from cyxmake_common.digest import Digest
from cyxmake_common.ids import Namespace
from cyxmake_coordinator.core import effects as out
from cyxmake_coordinator.core import events
from cyxmake_coordinator.core.scheduler import Scheduler

_log = structlog.get_logger(__name__)


class JournallingScheduler(Scheduler):
    """Decides as its base does."""

    def handle(self, event: events.Event) -> list[out.Effect]:
        """Take one event, write down what it and its effects mean, and return the effects."""
        self._hear(event)
        effects = super().handle(event)
        for effect in effects:
            _tell(effect)
        return effects

    def _hear(self, event: events.Event) -> None:
        match event:
            case events.WorkerJoined():
                held = [lease.lease for lease in event.held]
                _log.debug("worker_came", worker=event.worker, held=held)
            case events.WorkerLeft():
                _log.debug("worker_went", worker=event.worker)
            case events.OperationSubmitted():
                _log.debug(
                    "operation_submitted",
                    operation=event.operation,
                    action=event.action.hash,
                    build=event.build,
                    user=event.user,
                )
            case events.LeaseStarted():
                _log.debug(
                    "lease_started", worker=event.worker, lease=event.lease, epoch=event.epoch
                )
            case events.LeaseRejected():
                _log.debug(
                    "lease_refused",
                    worker=event.worker,
                    lease=event.lease,
                    epoch=event.epoch,
                    reason=event.reason.value,
                    detail=event.detail,
                )
            case events.LeaseFinished():
                _log.debug(
                    "lease_finished",
                    worker=event.worker,
                    lease=event.lease,
                    epoch=event.epoch,
                    kind=event.outcome.kind.value,
                    detail=event.outcome.detail,
                    counts=self.lease_facts(event.lease, event.epoch) is not None,
                )
            case _:
                pass


def _tell(effect: out.Effect) -> None:
    match effect:
        case out.AssignLease():
            _log.debug(
                "lease_assigned",
                worker=effect.worker,
                lease=effect.lease,
                epoch=effect.epoch,
                action=effect.action.hash,
                attempt=effect.attempt,
            )
        case out.RevokeLease():
            _log.debug(
                "lease_revoked", worker=effect.worker, lease=effect.lease, epoch=effect.epoch
            )
        case out.DisconnectWorker():
            _log.debug("worker_given_up", worker=effect.worker, reason=effect.reason.value)
        case _:
            pass


def tell_ends(completions: Iterable[out.CompleteOperation]) -> None:
    """Write one line for each action that ended, whoever waited for it."""
    actions: dict[tuple[Namespace, Digest], list[out.CompleteOperation]] = {}
    for completion in completions:
        actions.setdefault((completion.namespace, completion.action), []).append(completion)
    for (namespace, action), ended in actions.items():
        outcome = ended[0].outcome
        _log.debug(
            "action_ended",
            action=action.hash,
            namespace=namespace,
            kind=outcome.kind.value,
            succeeded=outcome.succeeded,
            detail=outcome.detail,
            worker=ended[0].worker or "",
            attempts=ended[0].attempts,
            operations=[completion.operation for completion in ended],
        )
