"""Peers that speak the real protocol over real TLS, with scripted behaviour and no compilers.

A worker here answers leases as its script says; a client collects what it is told per operation.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self

from cyxmake_common.action import Action, ActionResult, Command, Directory, OutputFile
from cyxmake_common.digest import Digest
from cyxmake_common.net.blobs import BlobClient
from cyxmake_common.net.connection import Connection
from cyxmake_common.net.token import JoinToken
from cyxmake_common.net.wss import Introduction, connect
from cyxmake_common.outcome import OutcomeKind
from cyxmake_common.protocol.messages import (
    CacheEntry,
    Channel,
    Goodbye,
    Heartbeat,
    JobAccept,
    JobCancel,
    JobComplete,
    JobFailed,
    JobReject,
    JobRequest,
    LeaseAccept,
    LeaseOffer,
    LeaseProgress,
    LeaseReject,
    LeaseResult,
    LeaseRevoke,
    Message,
    RunningLease,
    WorkerFacts,
)

WAIT = 10.0
"""Seconds after which a test gives up on something that should come at once."""

Answer = LeaseResult | LeaseReject | None
Script = Callable[["FakeWorker", LeaseOffer], Awaitable[Answer]]
Verdict = JobComplete | JobFailed | JobReject


class Peer:
    """One control connection and the bulk connection beside it."""

    def __init__(self, token: JoinToken, control: Connection) -> None:
        self.token = token
        self.control = control
        self.blobs = BlobClient(self.bulk)
        self.goodbye: asyncio.Future[Goodbye] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.ensure_future(self._read())

    async def bulk(self) -> Connection:
        """Open a bulk connection of this session."""
        introduction = Introduction(Channel.BULK, session=self.control.session)
        return await connect(self.token, introduction)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.leave()

    async def leave(self) -> None:
        """Close both connections in order."""
        await self.blobs.close()
        await self.control.close()
        await self._reader

    async def upload(self, *blobs: bytes) -> None:
        """Put blobs into the store."""
        await self.blobs.put_many([(Digest.of(blob), blob) for blob in blobs])

    async def closed(self) -> None:
        """Wait until the coordinator has closed the control connection."""
        async with asyncio.timeout(WAIT):
            await self.control.closed.wait()

    def receive(self, message: Message) -> None:
        """Take a message that is no answer."""

    async def _read(self) -> None:
        async for envelope in self.control.messages():
            if isinstance(envelope.message, Goodbye):
                self.goodbye.set_result(envelope.message)
            else:
                self.receive(envelope.message)


class FakeClient(Peer):
    """A client that remembers all it was told."""

    def __init__(self, token: JoinToken, control: Connection) -> None:
        super().__init__(token, control)
        self.told: dict[str, list[Message]] = defaultdict(list)
        self._news = asyncio.Condition()
        self._names = (f"op{number}" for number in itertools.count(1))

    @staticmethod
    async def join(token: JoinToken) -> FakeClient:
        """Connect with a client's or an administrator's token."""
        return FakeClient(token, await connect(token, Introduction(program="test client")))

    def receive(self, message: Message) -> None:
        """Note what is said of an operation."""
        self.told[str(getattr(message, "operation", ""))].append(message)
        asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    def request(self, action: Digest, *, skip_cache: bool = False, build: str = "b") -> str:
        """Ask for an action and return the operation's name."""
        name = next(self._names)
        self.control.send_soon(
            JobRequest(operation=name, build=build, action=action, skip_cache=skip_cache)
        )
        return name

    def cancel(self, name: str) -> None:
        """Cancel an operation."""
        self.control.send_soon(JobCancel(operation=name))

    async def heard(self, name: str, kind: type[Message]) -> Message:
        """Wait for the first message of a kind about an operation."""
        async with asyncio.timeout(WAIT), self._news:
            while True:
                for message in self.told[name]:
                    if isinstance(message, kind):
                        return message
                await self._news.wait()

    async def verdict(self, name: str) -> Verdict:
        """Wait for the end of an operation."""
        async with asyncio.timeout(WAIT), self._news:
            while True:
                for message in self.told[name]:
                    if isinstance(message, JobComplete | JobFailed | JobReject):
                        return message
                await self._news.wait()

    async def accepted(self, name: str) -> JobAccept:
        """Wait until an operation is queued."""
        message = await self.heard(name, JobAccept)
        assert isinstance(message, JobAccept)
        return message

    async def build(self, action: Digest, *, skip_cache: bool = False) -> Verdict:
        """Ask for an action and wait for its end."""
        return await self.verdict(self.request(action, skip_cache=skip_cache))


class FakeWorker(Peer):
    """A worker whose script says how each lease ends; None leaves a lease unanswered."""

    def __init__(self, token: JoinToken, control: Connection, script: Script) -> None:
        super().__init__(token, control)
        self.offers: list[LeaseOffer] = []
        self.revoked: list[LeaseRevoke] = []
        self.offered = asyncio.Event()
        self._script = script
        self._leases: dict[str, LeaseOffer] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._beating = asyncio.ensure_future(self._beat())

    @staticmethod
    async def join(
        token: JoinToken,
        script: Script | None = None,
        facts: WorkerFacts | None = None,
        running: tuple[RunningLease, ...] = (),
    ) -> FakeWorker:
        """Connect with a worker's token; without a script, every action succeeds."""
        introduction = Introduction(worker=facts or worker_facts(), running=running)
        return FakeWorker(token, await connect(token, introduction), script or succeed)

    async def leave(self) -> None:
        """Stop beating and close."""
        for task in (self._beating, *self._tasks):
            task.cancel()
        await asyncio.gather(self._beating, *self._tasks, return_exceptions=True)
        await super().leave()

    def receive(self, message: Message) -> None:
        """Answer a lease, or note that it was taken back."""
        if isinstance(message, LeaseOffer):
            self.offers.append(message)
            self._leases[message.lease] = message
            self.offered.set()
            task = asyncio.ensure_future(self._work(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif isinstance(message, LeaseRevoke):
            self.revoked.append(message)

    async def _work(self, offer: LeaseOffer) -> None:
        lease, epoch = offer.lease, offer.epoch
        self.control.send_soon(LeaseAccept(lease=lease, epoch=epoch))
        self.control.send_soon(LeaseProgress(lease=lease, epoch=epoch, stage="executing"))
        answer = await self._script(self, offer)
        if answer is not None:
            self.end(answer)

    def end(self, answer: LeaseResult | LeaseReject) -> None:
        """Report the end of a lease."""
        self._leases.pop(answer.lease, None)
        self.control.send_soon(answer)

    def stop_beating(self) -> None:
        """Fall silent."""
        self._beating.cancel()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.control.welcome.heartbeat_seconds)
            self.control.send_soon(Heartbeat(leases=tuple(self._leases)))


async def succeed(worker: FakeWorker, offer: LeaseOffer) -> LeaseResult:
    """Upload one output, derived from the action, and report success."""
    output = b"output of " + offer.action.hash.encode()
    await worker.upload(output)
    return success(offer, output)


async def hang(_worker: FakeWorker, _offer: LeaseOffer) -> None:
    """Never report anything."""


def success(
    offer: LeaseOffer, output: bytes, exit_code: int = 0, entry: CacheEntry | None = None
) -> LeaseResult:
    """Return the report of a command that ran to its end and left one file."""
    file = OutputFile("a.o", Digest.of(output))
    result = ActionResult(exit_code, outputs=(file,), seconds=0.25)
    return LeaseResult(
        lease=offer.lease,
        epoch=offer.epoch,
        kind=OutcomeKind.TOOL,
        result=result.to_bytes(),
        entry=entry,
    )


def worker_facts(name: str = "w1", slots: int = 2, **properties: str) -> WorkerFacts:
    """Return what a small worker says of itself."""
    return WorkerFacts(name=name, slots=slots, properties=tuple(sorted(properties.items())))


def compile_action(
    source: str = "int main;",
    *,
    do_not_cache: bool = False,
    platform: Sequence[tuple[str, str]] = (),
) -> tuple[Digest, list[bytes]]:
    """Return an action's digest, and all blobs that it needs: action, command, tree."""
    text = source.encode()
    inner = Directory(files=(("a.c", Digest.of(text), False),)).to_bytes()
    root = Directory(directories=(("src", Digest.of(inner)),)).to_bytes()
    command = Command(
        ("cc", "-c", "a.c"), output_paths=("a.o",), working_directory="src"
    ).to_bytes()
    action = Action(
        command=Digest.of(command),
        input_root=Digest.of(root),
        do_not_cache=do_not_cache,
        platform=tuple(platform),
    ).to_bytes()
    return Digest.of(action), [action, command, root, inner, text]


async def quietly(work: Awaitable[object]) -> None:
    """Await, whatever comes of it."""
    with contextlib.suppress(Exception):
        await work
