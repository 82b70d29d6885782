"""A scheduler core with short names for its events, for tests.

Knows nothing of pytest. Every event is followed by a check of the invariants.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Final, TypeVar

from cyxmake_common.action import ActionResult
from cyxmake_common.digest import Digest
from cyxmake_common.ids import BuildId, LeaseId, Namespace, OperationId, SessionId, WorkerId
from cyxmake_common.outcome import Cause, Outcome, OutcomeKind
from cyxmake_coordinator.core.effects import (
    AssignLease,
    CompleteOperation,
    Effect,
    RejectOperation,
)
from cyxmake_coordinator.core.events import (
    Event,
    Finding,
    HeldLease,
    LeaseAccepted,
    LeaseFinished,
    LeaseRejected,
    LeaseStarted,
    OperationCancelled,
    OperationSubmitted,
    PropertySet,
    RefusalReason,
    Tick,
    WorkerDrain,
    WorkerHeartbeat,
    WorkerJoined,
    WorkerLeft,
)
from cyxmake_coordinator.core.scheduler import Scheduler
from cyxmake_coordinator.core.settings import Settings
from cyxmake_coordinator.core.state import Worker

E = TypeVar("E", bound=Effect)

LINUX: Final = frozenset({("OSFamily", "linux"), ("ISA", "x86-64")})
MAC: Final = frozenset({("OSFamily", "macos"), ("ISA", "arm64")})

DONE: Final = Outcome(OutcomeKind.TOOL, ActionResult(exit_code=0))
FAILED: Final = Outcome(OutcomeKind.TOOL, ActionResult(exit_code=1))
BROKEN: Final = Outcome(OutcomeKind.INFRASTRUCTURE, cause=Cause.SANDBOX)
ODD: Final = Outcome(OutcomeKind.AMBIGUOUS, cause=Cause.SIGNAL)
OUT_OF_MEMORY: Final = Outcome(OutcomeKind.RESOURCE, cause=Cause.MEMORY)
FULL: Final = Outcome(OutcomeKind.RESOURCE, cause=Cause.DISK)
CRASH: Final = Finding("crash", "tool_crash", "cc1plus crashed", doubtful=True)
NO_HEADER: Final = Finding("header", "missing_header", "the header a.h is missing")
STOPPED: Final = Outcome(OutcomeKind.CANCELLED)


def digest(name: str) -> Digest:
    """Return the digest of a name."""
    return Digest.of(name.encode())


def pick(effects: Iterable[Effect], kind: type[E]) -> list[E]:
    """Return the effects of one kind."""
    return [effect for effect in effects if isinstance(effect, kind)]


def held(lease: AssignLease) -> HeldLease:
    """Return a lease as its worker reports it."""
    return HeldLease(lease.lease, lease.epoch, lease.action)


class Core:
    """A scheduler at a moment; each method feeds one event and returns the effects."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.scheduler = Scheduler(settings, incarnation="t", checked=True)
        self.state = self.scheduler.state
        self.now = 100.0
        self._sessions = 0

    def do(self, event: Event) -> list[Effect]:
        """Feed an event."""
        return self.scheduler.handle(event)

    def worker(self, name: str) -> Worker:
        """Return a live worker."""
        return self.state.workers[WorkerId(name)]

    def join(
        self,
        name: str = "w1",
        *,
        slots: int = 1,
        properties: PropertySet = LINUX,
        toolchains: Iterable[Digest] = (),
        held: tuple[HeldLease, ...] = (),
        draining: bool = False,
        session: str = "",
        memory: int = 0,
    ) -> list[Effect]:
        """Let a worker join, on a new session unless one is given."""
        self._sessions += 1
        return self.do(
            WorkerJoined(
                now=self.now,
                worker=WorkerId(name),
                session=SessionId(session or f"{name}#{self._sessions}"),
                slots=slots,
                properties=properties,
                toolchains=frozenset(toolchains),
                held=held,
                draining=draining,
                memory=memory,
            )
        )

    def cut(self, name: str = "w1") -> list[Effect]:
        """Break the connection of a worker."""
        return self.do(WorkerLeft(self.now, WorkerId(name), self.worker(name).session))

    def leave(self, name: str = "w1") -> list[Effect]:
        """Break the connection of a worker that does not come back."""
        return self.cut(name) + self.tick(self.scheduler.settings.reconnect_grace)

    def beat(
        self, name: str = "w1", *leases: HeldLease, disk_free: int | None = None
    ) -> list[Effect]:
        """Let a worker send a heartbeat that names leases."""
        session = self.worker(name).session
        return self.do(
            WorkerHeartbeat(self.now, WorkerId(name), session, leases, disk_free=disk_free)
        )

    def drain(self, name: str = "w1", on: bool = True) -> list[Effect]:
        """Drain a worker, or end its drain."""
        return self.do(WorkerDrain(self.now, WorkerId(name), on))

    def submit(
        self,
        name: str = "o1",
        *,
        action: str = "",
        session: str = "c1",
        build: str = "b1",
        namespace: str = "team",
        root: str = "root",
        toolchain: Digest | None = None,
        requirements: PropertySet = frozenset(),
        priority: int = 0,
        timeout: float = 0.0,
        do_not_cache: bool = False,
        user: str = "",
        kin: str = "",
        rank: float = 0.0,
        wait_at_most: float = inf,
        alike: str = "",
    ) -> list[Effect]:
        """Submit an operation; its action is its own unless one is named."""
        return self.do(
            OperationSubmitted(
                now=self.now,
                operation=OperationId(name),
                session=SessionId(session),
                namespace=Namespace(namespace),
                build=BuildId(build),
                action=digest(action or name),
                input_root=digest(root),
                toolchain=toolchain,
                requirements=requirements,
                priority=priority,
                timeout=timeout,
                do_not_cache=do_not_cache,
                user=user,
                kin=digest(kin) if kin else None,
                rank=rank,
                deadline=self.now + wait_at_most,
                alike=alike,
            )
        )

    def cancel(self, name: str) -> list[Effect]:
        """Cancel an operation."""
        return self.do(OperationCancelled(self.now, OperationId(name)))

    def accept(self, lease: AssignLease) -> list[Effect]:
        """Let the worker take a lease."""
        return self.do(LeaseAccepted(self.now, lease.worker, lease.lease, lease.epoch))

    def start(self, lease: AssignLease) -> list[Effect]:
        """Let the worker start a lease."""
        return self.do(LeaseStarted(self.now, lease.worker, lease.lease, lease.epoch))

    def finish(
        self,
        lease: AssignLease,
        outcome: Outcome = DONE,
        memory: int = 0,
        finding: Finding | None = None,
    ) -> list[Effect]:
        """Let the worker finish a lease; `finding` is what was read in a failed tool's output."""
        now, worker = self.now, lease.worker
        return self.do(
            LeaseFinished(now, worker, lease.lease, lease.epoch, outcome, memory, finding)
        )

    def run_for(self, lease: AssignLease, seconds: float, memory: int = 0) -> list[Effect]:
        """Let the worker start a lease, and finish it later."""
        self.start(lease)
        self.now += seconds
        return self.finish(lease, memory=memory)

    def reject(
        self,
        lease: AssignLease,
        reason: RefusalReason,
        missing: tuple[Digest, ...] = (),
        detail: str = "",
    ) -> list[Effect]:
        """Let the worker hand a lease back."""
        return self.do(
            LeaseRejected(self.now, lease.worker, lease.lease, lease.epoch, reason, missing, detail)
        )

    def tick(self, seconds: float = 0.0) -> list[Effect]:
        """Let time pass."""
        self.now += seconds
        return self.do(Tick(self.now))

    def run(self, name: str = "o1") -> AssignLease:
        """Submit an operation that is assigned at once; return its lease."""
        return assigned(self.submit(name))


def assigned(effects: Iterable[Effect]) -> AssignLease:
    """Return the one assignment among effects."""
    (lease,) = pick(effects, AssignLease)
    return lease


def completed(effects: Iterable[Effect]) -> CompleteOperation:
    """Return the one completion among effects."""
    (completion,) = pick(effects, CompleteOperation)
    return completion


def rejected(effects: Iterable[Effect]) -> RejectOperation:
    """Return the one rejection among effects."""
    (rejection,) = pick(effects, RejectOperation)
    return rejection


def lease_id(name: str) -> LeaseId:
    """Return a lease id that the core did not make."""
    return LeaseId(name)
