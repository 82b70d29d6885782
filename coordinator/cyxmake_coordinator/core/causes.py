"""What actions fail for, grouped: five hundred units that lack one header are one cause.

Knows nothing of what is done about it. A cause is open for whoever pays until each of its actions
has succeeded, or until nothing was heard of it for long; an action is known by its kin, so that the
next build, with other inputs, closes what it mends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cyxmake_common.digest import Digest
from cyxmake_common.ids import Namespace, WorkerId
from cyxmake_coordinator.core.events import Finding

if TYPE_CHECKING:
    from cyxmake_coordinator.core.state import Execution, Worker
    from cyxmake_coordinator.core.turn import Turn

_MOST: Final = 1_000
"""Open causes; those that were heard of longest ago are forgotten."""
_MOST_ACTIONS: Final = 10_000
"""Actions of one cause that are told apart."""

CauseKey = tuple[Namespace, str, str]
"""Namespace, user, fingerprint."""


@dataclass(slots=True, eq=False)
class OpenCause:
    """One reason why actions of one user fail."""

    key: CauseKey
    finding: Finding
    since: float
    heard: float
    actions: dict[Digest, None] = field(default_factory=dict)
    """By kin, those that failed for it and have not succeeded since."""
    failures: int = 0
    workers: dict[WorkerId, int] = field(default_factory=dict)
    """Failures by the worker that saw them."""

    def __repr__(self) -> str:
        return f"<OpenCause {self.finding.line!r}: {len(self.actions)} actions>"


def note(turn: Turn, execution: Execution, worker: Worker, finding: Finding) -> bool:
    """Take note of a failure; True when this worker had not seen this cause before."""
    state = turn.state
    key = execution.namespace, execution.user, finding.fingerprint
    cause = state.causes.get(key)
    if cause is None:
        cause = state.causes[key] = OpenCause(key, finding, turn.now, turn.now)
        state.totals.causes += 1
        if len(state.causes) > _MOST:
            _close(turn, next(iter(state.causes.values())))
    state.causes.move_to_end(key)
    cause.heard = turn.now
    cause.failures += 1
    fresh = worker.name not in cause.workers
    cause.workers[worker.name] = cause.workers.get(worker.name, 0) + 1
    _leave(turn, execution, keep=key)
    if len(cause.actions) < _MOST_ACTIONS:
        cause.actions[execution.kin] = None
        state.ailing[execution.namespace, execution.kin] = key
    return fresh


def succeed(turn: Turn, execution: Execution) -> None:
    """Take note of a success: what the action failed for before, it fails for no more."""
    _leave(turn, execution)


def expire(turn: Turn) -> None:
    """Forget causes of which nothing was heard for long."""
    oldest = turn.now - turn.settings.cause_memory
    while turn.state.causes:
        cause = next(iter(turn.state.causes.values()))
        if cause.heard > oldest:
            return
        _close(turn, cause)


def _leave(turn: Turn, execution: Execution, keep: CauseKey | None = None) -> None:
    state = turn.state
    name = execution.namespace, execution.kin
    key = state.ailing.get(name)
    if key is None or key == keep:
        return
    del state.ailing[name]
    cause = state.causes[key]
    del cause.actions[execution.kin]
    if not cause.actions:
        del state.causes[key]


def _close(turn: Turn, cause: OpenCause) -> None:
    for kin in cause.actions:
        del turn.state.ailing[cause.key[0], kin]
    del turn.state.causes[cause.key]
