"""The worker's decisions: which lease runs, what is sent, when to connect again, when to leave.

Knows nothing of time, sockets, processes or files: it is told events and answers with effects.

Theory of operation. `handle` is the one door. A lease is accepted while fewer than `slots +
prefetch` are unsettled; its inputs are fetched at once, and it executes as soon as a slot is free,
in the order of acceptance. Everything survives a lost connection: commands go on, fetching and
uploading stall and are begun again after WELCOME, reports are kept. A report that was sent is kept
until the coordinator has been heard of long enough after it, because the last messages on a dying
connection may never arrive; sending a report twice is harmless, its epoch fences it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cyxmake_common.errors import ExitStatus
from cyxmake_common.ids import LeaseId
from cyxmake_common.outcome import Cause, OutcomeKind
from cyxmake_common.protocol.messages import (
    Drain,
    Goodbye,
    LeaseAccept,
    LeaseProgress,
    LeaseReject,
    LeaseResult,
)
from cyxmake_worker.core import effects as do
from cyxmake_worker.core import events as ev
from cyxmake_worker.core.lease import IN_FLIGHT, SETTLED, Lease, Stage
from cyxmake_worker.core.link import Link, LinkState

CONFIRM_SECONDS: Final = 3.0
"""A report sent this long before the last sign of the coordinator has surely arrived."""

LEAVE_PATIENCE: Final = 10.0
"""Seconds that a leaving worker without running work waits for a coordinator to report to."""

ONCE_PATIENCE: Final = 10.0
"""Seconds that a worker of an embedded cluster waits for its coordinator to appear."""

MAX_INTERRUPTIONS: Final = 4
"""Tries of one transfer while the control connection stands; then the lease is given up."""

BUSY: Final = "busy"


@dataclass(frozen=True, slots=True)
class CoreConfig:
    """What the machine must know of its program; `once` ends with the first connection."""

    slots: int
    prefetch: int = 1
    once: bool = False


class WorkerState:
    """The machine. One event in, effects out; ask `deadline` when to send the next Tick."""

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self.link = Link()
        self.leases: dict[LeaseId, Lease] = {}
        self.draining = False
        self.leaving = False
        self.exited = False
        self._give_up_at: float | None = None
        self._effects: list[do.Effect] = []

    def __repr__(self) -> str:
        mood = "exited" if self.exited else "leaving" if self.leaving else ""
        mood = mood or ("draining" if self.draining else "working")
        return f"<WorkerState {mood} {self.link!r} {list(self.leases.values())}>"

    def handle(self, event: ev.Event) -> list[do.Effect]:
        """Take one event and return what to do, in order."""
        if self.exited:
            return []
        self._effects = []
        self._dispatch(event)
        if not self.exited:
            self._fill_slots()
            self._leave_when_empty(event.now)
        return self._effects

    def deadline(self) -> float | None:
        """Return the moment at which the machine wants a Tick, if any."""
        if self.exited:
            return None
        times = [t for t in (self.link.deadline(), self._give_up_at) if t is not None]
        return min(times, default=None)

    @property
    def executing(self) -> int:
        """Return how many slots are taken."""
        return sum(lease.executing for lease in self.leases.values())

    @property
    def unsettled(self) -> int:
        """Return how many leases still need work of this worker."""
        return sum(lease.stage not in SETTLED for lease in self.leases.values())

    # ── dispatch ────────────────────────────────────────────────────────────────────────────────

    def _dispatch(self, event: ev.Event) -> None:
        match event:
            case ev.Started():
                self._start(event)
            case ev.Connected():
                self._connected(event)
            case ev.ConnectFailed():
                self._connect_failed(event)
            case ev.Disconnected():
                self._disconnected(event)
            case ev.GoodbyeReceived():
                self._goodbye(event)
            case ev.Replaced() if self.link.up:
                # Both would push each other out for ever.
                self._emit(do.Disconnect("replaced"))
                self._exit(ExitStatus.CONFIG, "another worker joined under this name; use --name")
            case ev.Heard():
                self._heard(event)
            case ev.Tick():
                self._tick(event)
            case ev.DrainAsked():
                self.draining = event.on or self.leaving
            case ev.LeaveAsked():
                self._leave(event)
            case ev.Replaced():
                pass  # about a connection that is gone
            case _:
                self._dispatch_lease(event)

    def _dispatch_lease(self, event: ev.Event) -> None:
        match event:
            case ev.Offered():
                self._offered(event)
            case ev.Revoked():
                self._revoked(event)
            case ev.Prepared():
                self._advance(event.lease, Stage.PREPARING, Stage.READY)
            case ev.Executed():
                if lease := self._advance(event.lease, Stage.EXECUTING, Stage.UPLOADING):
                    self._emit(do.Upload(lease.id))
            case ev.Finished():
                self._finished(event)
            case ev.Interrupted():
                self._interrupted(event)
            case ev.Stopped():
                self._stopped(event)
            case _:
                raise AssertionError(f"unknown event {event!r}")

    def _emit(self, effect: do.Effect) -> None:
        self._effects.append(effect)

    # ── the connection ──────────────────────────────────────────────────────────────────────────

    def _start(self, event: ev.Started) -> None:
        if self.link.state is LinkState.IDLE:
            if self.config.once:
                self._give_up_at = event.now + ONCE_PATIENCE
            self._connect()

    def _connect(self) -> None:
        self.link.connecting()
        running = [x.running for x in self.leases.values() if x.stage is not Stage.STOPPING]
        self._emit(do.Connect(tuple(running)))

    def _connected(self, event: ev.Connected) -> None:
        if self.link.state is not LinkState.CONNECTING:
            return
        self.link.welcomed(event.now, event.heartbeat)
        if not self.leaving:
            self._give_up_at = None
        if self.draining:
            self._emit(do.Send(Drain(on=True)))
        for lease in self.leases.values():
            lease.interruptions = 0
            if lease.stage is Stage.PREPARE_STALLED:
                self._prepare(lease)
            elif lease.stage is Stage.UPLOAD_STALLED:
                self._upload(lease)
            elif lease.stage in (Stage.DONE, Stage.REPORTED):
                self._report(lease, event.now)

    def _connect_failed(self, event: ev.ConnectFailed) -> None:
        if self.link.state is not LinkState.CONNECTING:
            return
        if event.final:
            self._exit(ExitStatus.DENIED, event.reason)
            return
        self._lost(event.now, event.jitter, event.reason)

    def _disconnected(self, event: ev.Disconnected) -> None:
        if not self.link.up:
            return
        self._lost(event.now, event.jitter, event.reason)

    def _goodbye(self, event: ev.GoodbyeReceived) -> None:
        if not self.link.up:
            return
        self._emit(do.Disconnect("answer to a goodbye"))
        if self.config.once or not event.retry:
            self._exit(ExitStatus.OK, f"the coordinator said goodbye: {event.reason}")
            return
        self._lost(event.now, event.jitter, event.reason)

    def _lost(self, now: float, jitter: float, reason: str) -> None:
        """Plan another try; a worker of an embedded cluster lives as long as its coordinator."""
        if self.config.once and self.link.ever_up:
            self._exit(ExitStatus.CLUSTER_UNREACHABLE, f"the coordinator is gone: {reason}")
            return
        self.link.lost(now, jitter)

    def _heard(self, event: ev.Heard) -> None:
        if not self.link.up:
            return
        self.link.last_heard = event.now
        sure = event.now - CONFIRM_SECONDS
        arrived = [
            lease
            for lease in self.leases.values()
            if lease.stage is Stage.REPORTED and lease.reported_at <= sure
        ]
        for lease in arrived:
            self._forget(lease)

    def _tick(self, event: ev.Tick) -> None:
        link, now = self.link, event.now
        if self._give_up_at is not None and now >= self._give_up_at and self._may_give_up():
            self._exit(ExitStatus.CLUSTER_UNREACHABLE, "no coordinator answers")
            return
        if link.silent(now):
            silent = f"the coordinator was silent for {now - link.last_heard:.1f} s"
            self._emit(do.Disconnect(silent))
            self._lost(now, event.jitter, silent)
        elif link.up and now >= link.next_beat:
            link.next_beat = now + link.heartbeat
            leases = [x.id for x in self.leases.values() if x.stage is not Stage.REPORTED]
            self._emit(do.Beat(tuple(leases)))
        elif link.state is LinkState.WAITING and now >= link.retry_at:
            self._connect()

    # ── leases ──────────────────────────────────────────────────────────────────────────────────

    def _offered(self, event: ev.Offered) -> None:
        if not self.link.up:
            return
        known = self.leases.get(event.lease)
        if known is not None:
            self._offered_again(known, event)
        elif self.draining or self.unsettled >= self.config.slots + self.config.prefetch:
            self._emit(do.Send(LeaseReject(lease=event.lease, epoch=event.epoch, reason=BUSY)))
        else:
            lease = Lease(event.lease, event.epoch, event.action)
            self.leases[lease.id] = lease
            self._emit(do.Send(LeaseAccept(lease=lease.id, epoch=lease.epoch)))
            self._emit(do.Prepare(lease.id, lease.action))

    def _offered_again(self, lease: Lease, event: ev.Offered) -> None:
        """A repeated offer renews the epoch of the work that is there already."""
        if event.epoch < lease.epoch or lease.stage is Stage.STOPPING:
            reject = LeaseReject(lease=event.lease, epoch=event.epoch, reason=BUSY)
            self._emit(do.Send(reject))
            return
        lease.epoch = event.epoch
        self._emit(do.Send(LeaseAccept(lease=lease.id, epoch=lease.epoch)))
        if lease.stage in (Stage.DONE, Stage.REPORTED):
            self._report(lease, event.now)

    def _revoked(self, event: ev.Revoked) -> None:
        lease = self.leases.get(event.lease)
        if lease is None:
            self._cancelled(event.lease, event.epoch)
        elif event.epoch < lease.epoch or lease.stage is Stage.STOPPING:
            return
        elif lease.stage in IN_FLIGHT:
            lease.set_stage(Stage.STOPPING)
            self._emit(do.Abort(lease.id))
        else:
            if lease.stage is not Stage.REPORTED:
                self._cancelled(lease.id, lease.epoch)
            self._forget(lease)

    def _stopped(self, event: ev.Stopped) -> None:
        lease = self.leases.get(event.lease)
        if lease is not None and lease.stage is Stage.STOPPING:
            self._cancelled(lease.id, lease.epoch)
            self._forget(lease)

    def _cancelled(self, lease: LeaseId, epoch: int) -> None:
        """Answer a revoke: the coordinator keeps the slot taken until it hears this."""
        if self.link.up:
            kind, cause = OutcomeKind.CANCELLED, Cause.CLIENT
            self._emit(do.Send(LeaseResult(lease=lease, epoch=epoch, kind=kind, cause=cause)))

    def _advance(self, lease_id: LeaseId, before: Stage, after: Stage) -> Lease | None:
        """Move a lease on, unless the news is about work that was aborted meanwhile."""
        lease = self.leases.get(lease_id)
        if lease is None or lease.stage is not before:
            return None
        lease.set_stage(after)
        return lease

    def _finished(self, event: ev.Finished) -> None:
        lease = self.leases.get(event.lease)
        if lease is not None and lease.stage in IN_FLIGHT:
            lease.finish(event.report)
            if self.link.up:
                self._report(lease, event.now)

    def _interrupted(self, event: ev.Interrupted) -> None:
        lease = self.leases.get(event.lease)
        if lease is None or lease.stage not in (Stage.PREPARING, Stage.UPLOADING):
            return
        preparing = lease.stage is Stage.PREPARING
        lease.set_stage(Stage.PREPARE_STALLED if preparing else Stage.UPLOAD_STALLED)
        if not self.link.up:
            return  # begun again after WELCOME
        lease.interruptions += 1
        if lease.interruptions >= MAX_INTERRUPTIONS:
            what = "the inputs did not arrive" if preparing else "the outputs cannot be delivered"
            lease.give_up(what)
            self._report(lease, event.now)
        elif preparing:
            self._prepare(lease)
        else:
            self._upload(lease)

    def _prepare(self, lease: Lease) -> None:
        lease.set_stage(Stage.PREPARING)
        self._emit(do.Prepare(lease.id, lease.action))

    def _upload(self, lease: Lease) -> None:
        lease.set_stage(Stage.UPLOADING)
        self._emit(do.Upload(lease.id))

    def _report(self, lease: Lease, now: float) -> None:
        if lease.report is None:
            raise AssertionError(f"{lease!r} has no report")
        if lease.stage is Stage.DONE:
            lease.set_stage(Stage.REPORTED)
        lease.reported_at = now
        self._emit(do.Send(lease.report.model_copy(update={"epoch": lease.epoch})))

    def _forget(self, lease: Lease) -> None:
        del self.leases[lease.id]
        self._emit(do.Forget(lease.id))

    def _fill_slots(self) -> None:
        """Start the oldest ready leases while slots are free."""
        free = self.config.slots - self.executing
        for lease in self.leases.values():
            if free <= 0:
                return
            if lease.stage is Stage.READY:
                lease.set_stage(Stage.EXECUTING)
                if self.link.up:
                    progress = LeaseProgress(lease=lease.id, epoch=lease.epoch, stage="executing")
                    self._emit(do.Send(progress))
                self._emit(do.Execute(lease.id))
                free -= 1

    # ── leaving ─────────────────────────────────────────────────────────────────────────────────

    def _leave(self, event: ev.LeaveAsked) -> None:
        if self.leaving:
            if self.link.up:
                self._emit(do.Send(Goodbye(reason="the worker was told to stop", retry=False)))
            self._exit(ExitStatus.OK, "told to stop at once")
            return
        self.leaving = self.draining = True
        if self.link.up:
            self._emit(do.Send(Drain(on=True)))

    def _leave_when_empty(self, now: float) -> None:
        """Say goodbye when a leaving worker owes nothing; without a connection, wait a little."""
        if not self.leaving or self.exited:
            return
        owing = [x for x in self.leases.values() if x.stage is not Stage.REPORTED]
        if self.link.up:
            self._give_up_at = None
            if not owing:
                self._emit(do.Send(Goodbye(reason="drained", retry=False)))
                self._exit(ExitStatus.OK, "drained")
        elif not self.leases:
            self._exit(ExitStatus.OK, "drained")
        elif self._give_up_at is None and self._may_give_up():
            self._give_up_at = now + LEAVE_PATIENCE

    def _may_give_up(self) -> bool:
        """Tell whether waiting for the coordinator is all that is left to do."""
        return not any(lease.stage in IN_FLIGHT for lease in self.leases.values())

    def _exit(self, status: ExitStatus, reason: str) -> None:
        self.exited = True
        self._emit(do.Exit(status, reason))
