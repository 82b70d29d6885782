"""The worker's shell over connections in memory: messages in, work done, messages out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from cyxmake_common.digest import Digest
from cyxmake_common.errors import ClusterUnreachable, ConnectionLost, Denied, ExitStatus
from cyxmake_common.ids import LeaseId
from cyxmake_common.net.connection import Connection
from cyxmake_common.outcome import OutcomeKind
from cyxmake_common.protocol.messages import (
    CacheEntry,
    Drain,
    FindMissing,
    Goodbye,
    Heartbeat,
    LeaseAccept,
    LeaseOffer,
    LeaseProgress,
    LeaseReject,
    LeaseResult,
    LeaseRevoke,
    Message,
    Missing,
    RunningLease,
)
from cyxmake_worker.core.effects import Exit
from cyxmake_worker.core.events import Report
from cyxmake_worker.core.state import CoreConfig
from cyxmake_worker.host import Load
from cyxmake_worker.shell import Surroundings, WorkerShell
from support.wire_pair import wire_pair

_M = TypeVar("_M", bound=Message)
ACTION = Digest.of(b"action")
WAIT = 5.0


async def _nothing() -> None:
    return


@dataclass
class FakeWork:
    """Work that does what a test says; remembers what was asked of it."""

    on_prepare: Callable[[], Awaitable[Report | None]] | None = None
    on_execute: Callable[[], Awaitable[None]] = _nothing
    on_upload: Callable[[], Awaitable[None]] = _nothing
    entry: CacheEntry | None = None
    asked: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)

    async def prepare(self, lease: LeaseId, action: Digest) -> Report | None:
        """Bring nothing."""
        self.asked.append(f"prepare {lease}")
        return None if self.on_prepare is None else await self.on_prepare()

    async def execute(self, lease: LeaseId) -> None:
        """Run what the test says."""
        self.asked.append(f"execute {lease}")
        await self.on_execute()

    async def upload(self, lease: LeaseId) -> Report:
        """Deliver nothing."""
        self.asked.append(f"upload {lease}")
        await self.on_upload()
        return LeaseResult(lease=lease, epoch=0, kind=OutcomeKind.TOOL, entry=self.entry)

    def failed(self, lease: LeaseId, error: Exception) -> Report:
        """Say what went wrong."""
        kind = OutcomeKind.INFRASTRUCTURE
        return LeaseResult(lease=lease, epoch=0, kind=kind, detail=str(error))

    def forget(self, lease: LeaseId) -> None:
        """Remember that."""
        self.forgotten.append(lease)


class Stage:
    """A shell and the coordinator's end of each connection that it opens."""

    def __init__(self, work: FakeWork, config: CoreConfig, **wire: float) -> None:
        self.work = work
        self.far: asyncio.Queue[Connection] = asyncio.Queue()
        self.running: list[tuple[RunningLease, ...]] = []
        self.refuse: list[Exception] = []
        self.joined = 0
        self._wire = wire
        around = Surroundings(
            connect=self._connect,
            work=work,
            read_load=lambda: Load(1.5, 10, 20),
            joined=self._count,
            jitter=lambda: 0.5,
            debug=True,
        )
        self.shell = WorkerShell(config, around)
        self.task: asyncio.Task[Exit] = asyncio.create_task(self.shell.run())

    def _count(self, connection: Connection) -> None:
        self.joined += 1

    async def _connect(self, running: tuple[RunningLease, ...]) -> Connection:
        self.running.append(running)
        if self.refuse:
            raise self.refuse.pop(0)
        near, far = wire_pair(running=running, **self._wire)  # type: ignore[arg-type]
        self.far.put_nowait(far)
        return near

    async def connected(self) -> Peer:
        """Return the coordinator's end of the next connection."""
        return Peer(await asyncio.wait_for(self.far.get(), WAIT))

    async def ended(self) -> Exit:
        """Wait for the shell's end."""
        return await asyncio.wait_for(self.task, WAIT)


class Peer:
    """The coordinator's end, message by message."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._messages = connection.messages()

    def send(self, message: Message) -> None:
        """Say something to the worker."""
        self.connection.send_soon(message)

    def offer(self, name: str, epoch: int = 1) -> None:
        """Offer a lease."""
        self.send(LeaseOffer(lease=name, epoch=epoch, action=ACTION))

    async def expect(self, kind: type[_M]) -> _M:
        """Return the next message, signs of life aside; it must be of a kind."""
        async with asyncio.timeout(WAIT):
            async for envelope in self._messages:
                if isinstance(envelope.message, kind):
                    return envelope.message
                assert isinstance(envelope.message, Heartbeat | FindMissing), envelope.message
        raise AssertionError("the connection ended")


@contextlib.asynccontextmanager
async def stage(
    work: FakeWork | None = None,
    slots: int = 1,
    prefetch: int = 1,
    once: bool = False,
    **wire: float,
) -> AsyncIterator[Stage]:
    """Run a shell for the length of the block, and end it whatever happened."""
    made = Stage(work or FakeWork(), CoreConfig(slots, prefetch, once), **wire)
    try:
        yield made
    finally:
        made.shell.leave()
        made.shell.leave()
        await made.ended()
        while not made.far.empty():
            await made.far.get_nowait().close()


async def test_a_lease_is_accepted_run_and_reported_in_order() -> None:
    """Accept, progress, result; the stages of the work in between."""
    async with stage() as s:
        peer = await s.connected()
        peer.offer("a", epoch=7)
        assert (await peer.expect(LeaseAccept)).epoch == 7
        assert (await peer.expect(LeaseProgress)).stage == "executing"
        result = await peer.expect(LeaseResult)
        assert (result.epoch, result.kind) == (7, OutcomeKind.TOOL)
        assert s.work.asked == ["prepare a", "execute a", "upload a"]
        assert s.joined == 1


async def test_a_revoked_command_is_cancelled_and_the_coordinator_told() -> None:
    """Cancelling reaches the executor; afterwards nothing is kept of the lease."""
    killed = asyncio.Event()

    async def run() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            killed.set()

    async with stage(FakeWork(on_execute=run)) as s:
        peer = await s.connected()
        peer.offer("a")
        await peer.expect(LeaseAccept)
        await peer.expect(LeaseProgress)
        peer.send(LeaseRevoke(lease="a", epoch=1))
        assert (await peer.expect(LeaseResult)).kind is OutcomeKind.CANCELLED
        assert killed.is_set()
        assert s.work.forgotten == ["a"]


async def test_work_that_breaks_is_reported_and_breaks_nothing_else() -> None:
    """Even a bug of ours is an infrastructure outcome, and the next lease runs."""

    async def run() -> None:
        raise RuntimeError("a bug")

    async with stage(FakeWork(on_execute=run)) as s:
        peer = await s.connected()
        for name in ("a", "b"):
            peer.offer(name)
            await peer.expect(LeaseAccept)
            await peer.expect(LeaseProgress)
            result = await peer.expect(LeaseResult)
            assert (result.kind, result.detail) == (OutcomeKind.INFRASTRUCTURE, "a bug")


async def test_a_lease_that_cannot_run_here_is_handed_back() -> None:
    """A refusal after the acceptance has the lease's epoch."""

    async def prepare() -> Report | None:
        return LeaseReject(lease="a", epoch=0, reason="unsupported")

    async with stage(FakeWork(on_prepare=prepare)) as s:
        peer = await s.connected()
        peer.offer("a", epoch=3)
        await peer.expect(LeaseAccept)
        assert await peer.expect(LeaseReject) == LeaseReject(
            lease="a", epoch=3, reason="unsupported"
        )


async def test_after_a_cut_the_lease_is_named_and_its_result_sent() -> None:
    """The upload that was cut off is begun again on the new connection."""
    cut = [True]

    async def upload() -> None:
        if cut:
            cut.clear()
            peer.connection._wire.abort()
            raise ConnectionLost("cut")

    async with stage(FakeWork(on_upload=upload)) as s:
        peer = await s.connected()
        peer.offer("a", epoch=2)
        await peer.expect(LeaseAccept)
        again = await s.connected()
        assert [(x.lease, x.epoch) for x in s.running[1]] == [("a", 2)]
        assert (await again.expect(LeaseResult)).epoch == 2
        assert s.work.asked.count("execute a") == 1
        assert s.work.asked.count("upload a") == 2


async def test_refused_connections_are_tried_again() -> None:
    """A coordinator that is not there yet is no error."""
    made = FakeWork()
    async with stage(made) as s:
        s.refuse += [ClusterUnreachable("not yet"), OSError("not yet either")]
        first = await s.connected()
        first.connection._wire.abort()
        await s.connected()
        assert len(s.running) >= 3


async def test_a_denied_token_ends_the_worker() -> None:
    """Trying again with the same token helps nobody."""
    async with stage() as s:
        first = await s.connected()
        s.refuse.append(Denied("the token is revoked"))
        await first.connection.close(Goodbye(reason="restart"))
        ended = await s.ended()
        assert ended == Exit(ExitStatus.DENIED, "the token is revoked")


async def test_another_worker_of_the_same_name_ends_this_one() -> None:
    """Two would push each other out for ever."""
    async with stage() as s:
        peer = await s.connected()
        peer.send(Goodbye(reason="replaced"))
        ended = await s.ended()
        assert "--name" in ended.reason
        assert ended.status is ExitStatus.CONFIG


async def test_an_entry_that_is_too_large_is_left_out() -> None:
    """The result matters more than what the next build could make of it."""
    entry = CacheEntry(key=ACTION, manifest=ACTION, paths=b"x" * 70_000, result=b"")
    async with stage(FakeWork(entry=entry), message_bytes=65536) as s:
        peer = await s.connected()
        peer.offer("a")
        await peer.expect(LeaseAccept)
        await peer.expect(LeaseProgress)
        assert (await peer.expect(LeaseResult)).entry is None


async def test_signs_of_life_tell_of_leases_and_load_and_ask_for_one() -> None:
    """A coordinator that has nothing to say is asked an empty question."""

    async def run() -> None:
        await asyncio.Event().wait()

    async with stage(FakeWork(on_execute=run), heartbeat=0.05) as s:
        peer = await s.connected()
        peer.offer("a")
        await peer.expect(LeaseAccept)
        await peer.expect(LeaseProgress)
        beat = await peer.expect(Heartbeat)
        assert (beat.leases, beat.load) == (("a",), 1.5)
        async with asyncio.timeout(WAIT):
            async for envelope in peer.connection.messages():
                if isinstance(envelope.message, FindMissing):
                    peer.connection.send_soon(Missing(digests=()), envelope.id)
                    break


async def test_leaving_waits_for_the_running_command() -> None:
    """Drain is announced, the result delivered, then Goodbye is said."""
    go = asyncio.Event()

    async def run() -> None:
        await go.wait()

    async with stage(FakeWork(on_execute=run)) as s:
        peer = await s.connected()
        peer.offer("a")
        await peer.expect(LeaseAccept)
        await peer.expect(LeaseProgress)
        s.shell.leave()
        assert (await peer.expect(Drain)).on
        peer.offer("b")
        assert (await peer.expect(LeaseReject)).reason == "busy"
        go.set()
        await peer.expect(LeaseResult)
        await peer.expect(Goodbye)
        assert (await s.ended()).status is ExitStatus.OK


async def test_the_coordinators_drain_is_obeyed_until_it_is_taken_back() -> None:
    """A drained worker stays and refuses."""
    async with stage() as s:
        peer = await s.connected()
        peer.send(Drain(on=True))
        peer.offer("a")
        assert (await peer.expect(LeaseReject)).reason == "busy"
        peer.send(Drain(on=False))
        peer.offer("b")
        await peer.expect(LeaseAccept)


async def test_a_worker_that_is_sent_away_finishes_and_leaves() -> None:
    """What runs is done and reported; asked twice, it does not end the sooner."""
    go = asyncio.Event()

    async def run() -> None:
        await go.wait()

    async with stage(FakeWork(on_execute=run)) as s:
        peer = await s.connected()
        peer.offer("a")
        await peer.expect(LeaseAccept)
        await peer.expect(LeaseProgress)
        for _ in range(2):
            peer.send(Drain(on=True, leave=True))
        assert (await peer.expect(Drain)).on
        peer.offer("b")
        assert (await peer.expect(LeaseReject)).reason == "busy"
        go.set()
        await peer.expect(LeaseResult)
        await peer.expect(Goodbye)
        assert (await s.ended()).status is ExitStatus.OK


@pytest.mark.parametrize("once", [True, False])
async def test_a_goodbye_with_retry_ends_only_an_embedded_worker(once: bool) -> None:
    """Others come back to a coordinator that restarts."""
    async with stage(once=once) as s:
        peer = await s.connected()
        await peer.connection.close(Goodbye(reason="restart", retry=True))
        if once:
            assert (await s.ended()).status is ExitStatus.OK
        else:
            await s.connected()
