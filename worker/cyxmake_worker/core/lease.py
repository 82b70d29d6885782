"""One lease on this worker: its stage, and which changes of stage exist.

Knows nothing of slots or connections.

    PREPARING ──► READY ──► EXECUTING ──► UPLOADING ──► DONE ──► REPORTED
        ▲ │                                  ▲ │
        │ ▼ connection lost                  │ ▼ connection lost
    PREPARE_STALLED                     UPLOAD_STALLED

PREPARING, EXECUTING and UPLOADING may fail straight to DONE. A revoked lease with work in flight
passes through STOPPING until the work is dead; every other one is forgotten at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cyxmake_common.digest import Digest
from cyxmake_common.ids import LeaseId
from cyxmake_common.outcome import Cause, OutcomeKind
from cyxmake_common.protocol.messages import LeaseResult, RunningLease
from cyxmake_worker.core.events import Report


class Stage(StrEnum):
    """How far a lease has come."""

    PREPARING = "preparing"
    PREPARE_STALLED = "prepare-stalled"
    READY = "ready"
    EXECUTING = "executing"
    UPLOADING = "uploading"
    UPLOAD_STALLED = "upload-stalled"
    DONE = "done"
    REPORTED = "reported"
    STOPPING = "stopping"


IN_FLIGHT: Final = frozenset({Stage.PREPARING, Stage.EXECUTING, Stage.UPLOADING})
"""Stages in which the shell works on the lease and owes an event about it."""

SETTLED: Final = frozenset({Stage.DONE, Stage.REPORTED, Stage.STOPPING})
"""Stages that need no more of the slots and the prefetch."""

NEXT: Final[dict[Stage, frozenset[Stage]]] = {
    Stage.PREPARING: frozenset(
        {Stage.PREPARE_STALLED, Stage.READY, Stage.DONE, Stage.STOPPING},
    ),
    Stage.PREPARE_STALLED: frozenset({Stage.PREPARING, Stage.DONE}),
    Stage.READY: frozenset({Stage.EXECUTING}),
    Stage.EXECUTING: frozenset({Stage.UPLOADING, Stage.DONE, Stage.STOPPING}),
    Stage.UPLOADING: frozenset({Stage.UPLOAD_STALLED, Stage.DONE, Stage.STOPPING}),
    Stage.UPLOAD_STALLED: frozenset({Stage.UPLOADING, Stage.DONE}),
    Stage.DONE: frozenset({Stage.REPORTED}),
    Stage.REPORTED: frozenset({Stage.DONE}),
    Stage.STOPPING: frozenset(),
}


@dataclass(slots=True)
class Lease:
    """A promise that this worker owns an action; `report` is there from DONE on."""

    id: LeaseId
    epoch: int
    action: Digest
    stage: Stage = Stage.PREPARING
    report: Report | None = None
    reported_at: float = 0.0
    interruptions: int = 0
    executing: bool = False

    def __repr__(self) -> str:
        return f"<Lease {self.id}@{self.epoch} {self.stage} {self.action.hash[:8]}>"

    @property
    def running(self) -> RunningLease:
        """Return how HELLO names this lease."""
        return RunningLease(lease=self.id, epoch=self.epoch, action=self.action)

    def set_stage(self, stage: Stage) -> None:
        """Move to a stage; only the changes in `NEXT` exist."""
        if stage not in NEXT[self.stage]:
            raise AssertionError(f"{self!r} cannot become {stage}")
        # A killed command holds its slot until it is dead.
        self.executing = stage is Stage.EXECUTING or (self.executing and stage is Stage.STOPPING)
        self.stage = stage

    def finish(self, report: Report) -> None:
        """Keep the report until the coordinator has it."""
        self.report = report
        self.set_stage(Stage.DONE)

    def give_up(self, detail: str) -> None:
        """Keep a report that says which transfer did not succeed."""
        kind, cause = OutcomeKind.INFRASTRUCTURE, Cause.PROTOCOL
        self.finish(
            LeaseResult(lease=self.id, epoch=self.epoch, kind=kind, cause=cause, detail=detail)
        )
