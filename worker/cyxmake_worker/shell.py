"""The worker's body: turns messages, timers and finished work into events, effects into deeds.

Knows nothing of what a lease's work is (work) nor of any decision (core). Everything happens on one
event loop, so an event is handled to its end before the next.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from cyxmake_common.clock import monotonic
from cyxmake_common.digest import Digest
from cyxmake_common.errors import (
    ClusterUnreachable,
    ConnectionLost,
    CyxError,
    Denied,
    VersionMismatch,
)
from cyxmake_common.ids import LeaseId
from cyxmake_common.net.connection import Connection
from cyxmake_common.protocol.messages import (
    Drain,
    FindMissing,
    Goodbye,
    Heartbeat,
    LeaseOffer,
    LeaseResult,
    LeaseRevoke,
    Message,
    RunningLease,
)
from cyxmake_worker.core import effects as do
from cyxmake_worker.core import events as ev
from cyxmake_worker.core.invariants import check_invariants
from cyxmake_worker.core.state import CoreConfig, WorkerState
from cyxmake_worker.host import Load

_log = structlog.get_logger(__name__)

REPLACED: Final = "replaced"
"""The coordinator's reason when another worker has joined under this one's name."""

Connect = Callable[[tuple[RunningLease, ...]], Awaitable[Connection]]


class LeaseWork(Protocol):
    """The work of leases; refusals and verdicts are values. Transfers may raise ConnectionLost."""

    async def prepare(self, lease: LeaseId, action: Digest) -> ev.Report | None:
        """Bring all inputs into the local store; a report ends the lease."""
        ...

    async def execute(self, lease: LeaseId) -> None:
        """Run the command; cancelling kills it."""
        ...

    async def upload(self, lease: LeaseId) -> ev.Report:
        """Bring the outputs to the coordinator; returns how it all ended."""
        ...

    def failed(self, lease: LeaseId, error: Exception) -> ev.Report:
        """Return the report about work that failed for a reason of ours."""
        ...

    def forget(self, lease: LeaseId) -> None:
        """Let go of everything kept for a lease."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the shell needs from outside; tests hand in their own."""

    connect: Connect
    work: LeaseWork
    read_load: Callable[[], Load]
    joined: Callable[[Connection], None]
    jitter: Callable[[], float] = random.random
    debug: bool = False


class WorkerShell:
    """Runs one worker until it leaves."""

    def __init__(self, config: CoreConfig, around: Surroundings) -> None:
        self._core = WorkerState(config)
        self._around = around
        self._connection: Connection | None = None
        self._heard_bytes = 0
        self._beat_bytes = 0
        self._tasks: dict[LeaseId, asyncio.Task[None]] = {}
        self._others: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._exit: do.Exit | None = None
        self._exited = asyncio.Event()

    def __repr__(self) -> str:
        return f"<WorkerShell {self._core!r} {self._connection!r}>"

    async def run(self) -> do.Exit:
        """Join and work until the machine says that it is over; nothing runs on afterwards."""
        self.feed(ev.Started(monotonic()))
        try:
            await self._exited.wait()
        finally:
            await self._stop()
        if self._exit is None:
            raise AssertionError("the worker ended without a reason")
        return self._exit

    def leave(self) -> None:
        """Drain and end; called again, end at once."""
        self.feed(ev.LeaveAsked(monotonic()))

    # ── the one door ────────────────────────────────────────────────────────────────────────────

    def feed(self, event: ev.Event) -> None:
        """Let the machine handle an event and carry out what it decides."""
        for effect in self._core.handle(event):
            self._carry_out(effect)
        if self._around.debug:
            check_invariants(self._core)
        self._set_timer()

    def _carry_out(self, effect: do.Effect) -> None:
        match effect:
            case do.Send(message):
                self._send(message)
            case do.Beat(leases):
                self._beat(leases)
            case do.Prepare(lease, action):
                self._begin(lease, self._prepare(lease, action))
            case do.Execute(lease):
                self._begin(lease, self._execute(lease))
            case do.Upload(lease):
                self._begin(lease, self._upload(lease))
            case do.Abort(lease):
                self._spawn(self._abort(lease))
            case do.Forget(lease):
                self._around.work.forget(lease)
            case do.Connect(running):
                self._spawn(self._connect(running))
            case do.Disconnect(reason):
                self._disconnect(reason)
            case do.Exit():
                self._exit = effect
                self._exited.set()
            case _:
                raise AssertionError(f"unknown effect {effect!r}")

    def _beat(self, leases: tuple[LeaseId, ...]) -> None:
        load = self._around.read_load()
        self._send(
            Heartbeat(
                leases=leases,
                load=load.load,
                memory_free_bytes=load.memory_free_bytes,
                disk_free_bytes=load.disk_free_bytes,
            )
        )
        connection = self._connection
        if connection is not None and connection.bytes_received == self._beat_bytes:
            # An idle coordinator has nothing to say: an empty question tells it from a dead one.
            self._spawn(self._probe(connection))
        self._beat_bytes = 0 if connection is None else connection.bytes_received

    async def _probe(self, connection: Connection) -> None:
        with suppress(CyxError):
            await connection.request(FindMissing(digests=()))

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._core.deadline()
        if deadline is not None:
            delay = max(0.0, deadline - monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        # Answers to requests do not pass through `_receive`, but they are signs of life too.
        connection = self._connection
        if connection is not None and connection.bytes_received != self._heard_bytes:
            self._heard_bytes = connection.bytes_received
            self.feed(ev.Heard(monotonic()))
        self.feed(ev.Tick(monotonic(), self._around.jitter()))

    # ── the connection ──────────────────────────────────────────────────────────────────────────

    def _send(self, message: Message) -> None:
        if self._connection is None:
            return
        try:
            self._connection.send_soon(message)
        except ConnectionLost:
            return  # the end of the connection is about to be noticed
        except CyxError as error:
            _log.error("message-not-sent", type=message.type, error=str(error))
            if isinstance(message, LeaseResult) and message.entry is not None:
                self._send(message.model_copy(update={"entry": None}))

    async def _connect(self, running: tuple[RunningLease, ...]) -> None:
        try:
            connection = await self._around.connect(running)
        except (Denied, VersionMismatch) as error:
            self._connect_failed(error, final=True)
        except Exception as error:
            if not isinstance(error, CyxError | OSError):
                _log.exception("connect-broke")
            self._connect_failed(error, final=False)
        else:
            self._connection = connection
            self._heard_bytes = connection.bytes_received
            self.feed(ev.Connected(monotonic(), connection.welcome.heartbeat_seconds))
            self._around.joined(connection)
            await self._receive(connection)

    def _connect_failed(self, error: Exception, *, final: bool) -> None:
        _log.warning("connect-failed", error=str(error))
        self.feed(ev.ConnectFailed(monotonic(), self._around.jitter(), str(error), final))

    async def _receive(self, connection: Connection) -> None:
        async for envelope in connection.messages():
            if self._connection is not connection:
                return
            self.feed(ev.Heard(monotonic()))
            self._take(envelope.message)
        if self._connection is connection:
            self._connection = None
            _log.warning("connection-lost", reason=connection.close_reason)
            reason = connection.close_reason
            self.feed(ev.Disconnected(monotonic(), self._around.jitter(), reason))

    def _take(self, message: Message) -> None:
        now = monotonic()
        match message:
            case LeaseOffer():
                self.feed(ev.Offered(now, LeaseId(message.lease), message.epoch, message.action))
            case LeaseRevoke():
                self.feed(ev.Revoked(now, LeaseId(message.lease), message.epoch))
            case Drain(leave=True):
                if not self._core.leaving:  # a second wish would be to end at once
                    self.leave()
            case Drain():
                self.feed(ev.DrainAsked(now, message.on))
            case Goodbye() if message.reason == REPLACED:
                self.feed(ev.Replaced(now))
            case Goodbye():
                jitter = self._around.jitter()
                self.feed(ev.GoodbyeReceived(now, jitter, message.reason, message.retry))
            case _:
                pass  # a sign of life is all that the rest is

    def _disconnect(self, reason: str) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            _log.info("disconnecting", reason=reason)
            self._spawn(connection.close())

    # ── leases ──────────────────────────────────────────────────────────────────────────────────

    def _begin(self, lease: LeaseId, work: Coroutine[None, None, ev.Event]) -> None:
        task = asyncio.create_task(self._follow(lease, work), name=f"lease {lease}")
        self._tasks[lease] = task

    async def _follow(self, lease: LeaseId, work: Coroutine[None, None, ev.Event]) -> None:
        """Do one stage of a lease and tell how it ended; when cancelled, `_abort` tells."""
        now = monotonic
        try:
            event = await work
        except (ConnectionLost, ClusterUnreachable) as error:
            _log.info("transfer-interrupted", lease=lease, error=str(error))
            event = ev.Interrupted(now(), lease)
        except Exception as error:
            if not isinstance(error, CyxError | OSError):
                _log.exception("lease-failed", lease=lease)
            event = ev.Finished(now(), lease, self._around.work.failed(lease, error))
        self._tasks.pop(lease, None)
        self.feed(event)

    async def _prepare(self, lease: LeaseId, action: Digest) -> ev.Event:
        report = await self._around.work.prepare(lease, action)
        if report is not None:
            return ev.Finished(monotonic(), lease, report)
        return ev.Prepared(monotonic(), lease)

    async def _execute(self, lease: LeaseId) -> ev.Event:
        try:
            await self._around.work.execute(lease)
        except (ConnectionLost, ClusterUnreachable) as error:
            # Execution is local: there is no connection whose return would mend this.
            return ev.Finished(monotonic(), lease, self._around.work.failed(lease, error))
        return ev.Executed(monotonic(), lease)

    async def _upload(self, lease: LeaseId) -> ev.Event:
        report = await self._around.work.upload(lease)
        return ev.Finished(monotonic(), lease, report)

    async def _abort(self, lease: LeaseId) -> None:
        task = self._tasks.pop(lease, None)
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self.feed(ev.Stopped(monotonic(), lease))

    # ── the end ─────────────────────────────────────────────────────────────────────────────────

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    async def _stop(self) -> None:
        """Kill what runs, then close the connection: what was queued on it is still sent."""
        if self._timer is not None:
            self._timer.cancel()
        running = list(self._tasks.values())
        for task in running:
            task.cancel()
        connection, self._connection = self._connection, None
        closing = connection.close() if connection is not None else asyncio.sleep(0)
        await asyncio.gather(closing, *running, return_exceptions=True)
        others = list(self._others)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
