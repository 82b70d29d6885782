"""What every gateway works with: the shell, the stores, and a picture of the cluster.

Knows nothing of connections.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cyxmake_common.action import WORKER
from cyxmake_common.ids import Namespace, WorkerId
from cyxmake_common.outcome import OutcomeKind
from cyxmake_common.protocol.messages import (
    MAX_TEXT,
    CauseStatus,
    Counter,
    Drain,
    Status,
    ToolchainTrouble,
    WorkerStatus,
)
from cyxmake_coordinator.closures import Closures
from cyxmake_coordinator.core.snapshot import CauseSnapshot, WorkerSnapshot
from cyxmake_coordinator.findings import Findings
from cyxmake_coordinator.intake import Intake
from cyxmake_coordinator.shell import Shell, WorkerSession
from cyxmake_coordinator.storage import Storage

_FAILED: Final = frozenset(
    {OutcomeKind.INFRASTRUCTURE, OutcomeKind.RESOURCE, OutcomeKind.AMBIGUOUS}
)

_MOST_BROKEN: Final = 16
_CAUSES: Final = 50
"""Causes that are told of: what most fail for comes first."""


@dataclass(frozen=True, slots=True)
class House:
    """The rooms behind the doors of one coordinator; `now` is monotonic."""

    shell: Shell
    intake: Intake
    closures: Closures
    storage: Storage
    findings: Findings
    version: str
    now: Callable[[], float]
    started: float

    def status(self, reader: Namespace | None = None, *, admin: bool = False) -> Status:
        """Return a picture of the cluster; `reader` sees why its own actions fail, an admin all."""
        cluster = self.shell.scheduler.snapshot()
        sessions = {worker.session: worker for worker in self.shell.workers()}
        disk = self.storage.disk.stats()
        done = cluster.totals.completed
        return Status(
            version=self.version,
            uptime_seconds=self.now() - self.started,
            workers=tuple(_worker(w, sessions.get(w.session)) for w in cluster.workers),
            clients=self.shell.clients,
            queued=cluster.waiting,
            running=cluster.running,
            completed=done[OutcomeKind.TOOL],
            failed=sum(count for kind, count in done.items() if kind in _FAILED),
            cas_bytes=disk.used_bytes,
            cas_limit_bytes=disk.limit_bytes,
            cas_blobs=disk.blobs,
            counters=tuple(
                Counter(name=name, value=value) for name, value in cluster.totals.counters().items()
            ),
            causes=tuple(
                _cause(cause, self.now())
                for cause in cluster.causes
                if admin or (reader is not None and cause.namespace == reader)
            )[:_CAUSES],
        )

    def drain(self, name: WorkerId, on: bool, *, leave: bool = False) -> bool:
        """Drain a worker and tell it so, or to leave; False when it is not connected."""
        found = self.shell.drain(name, on)
        for worker in self.shell.workers():
            if worker.name == name:
                worker.outlet.send_soon(Drain(on=on, leave=leave and on))
        return found


def _cause(cause: CauseSnapshot, now: float) -> CauseStatus:
    return CauseStatus(
        fingerprint=cause.finding.fingerprint,
        category=cause.finding.category,
        line=cause.finding.line,
        actions=cause.actions,
        failures=cause.failures,
        held=cause.held,
        workers=cause.workers[:_CAUSES],
        seconds=max(0.0, now - cause.heard),
    )


def _worker(snapshot: WorkerSnapshot, session: WorkerSession | None) -> WorkerStatus:
    facts = session.facts if session else None
    return WorkerStatus(
        name=snapshot.name,
        slots=snapshot.slots,
        running=snapshot.running,
        completed=snapshot.completed,
        draining=snapshot.draining,
        properties=tuple(sorted(offer for offer in snapshot.properties if offer[0] != WORKER)),
        toolchains=facts.toolchains if facts else (),
        cpu_model=facts.cpu_model if facts else "",
        memory_bytes=facts.memory_bytes if facts else 0,
        load=session.load if session else 0.0,
        condition=snapshot.condition,
        speed=snapshot.speed,
        machine=facts.machine if facts else "",
        broken=tuple(
            ToolchainTrouble(id=toolchain, detail=detail[:MAX_TEXT])
            for toolchain, detail in list(snapshot.broken.items())[:_MOST_BROKEN]
        ),
    )
