"""One client's connections to a coordinator, as calls: look up, upload, execute, status.

Knows nothing of compilers or build graphs. While the coordinator is away, calls wait for it; what
was asked of it is asked again when it is back. When it is lost for good, everything that waits gets
ConnectionLost; the caller then runs its edges locally.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from cyxmake_cli.cluster.coalesce import Coalescer
from cyxmake_cli.cluster.cost_model import Link
from cyxmake_cli.cluster.lifeline import Lifeline
from cyxmake_cli.cluster.way import FREE, Way
from cyxmake_common.clock import monotonic
from cyxmake_common.digest import Digest
from cyxmake_common.errors import ConnectionLost, ProtocolError
from cyxmake_common.ids import BuildId
from cyxmake_common.net.blobs import BlobClient
from cyxmake_common.net.token import JoinToken
from cyxmake_common.net.wss import Connection, Introduction, connect
from cyxmake_common.protocol.messages import (
    ActionCacheEntries,
    ActionCacheGet,
    CacheEntry,
    Channel,
    Drain,
    EntryTimes,
    FindMissing,
    Goodbye,
    Heartbeat,
    JobCancel,
    JobComplete,
    JobFailed,
    JobOutput,
    JobProgress,
    JobReject,
    JobRequest,
    Message,
    Missing,
    Status,
    StatusGet,
)

Watch = Callable[[JobOutput | JobProgress], None]
"""Told of a running operation: where it runs, and what a compound action prints."""

JobAnswer = JobComplete | JobFailed | JobReject
"""How an operation can end."""

_PROGRAM = "cyxmake"
_CLOSE_SECONDS = 1.0
_WORKERS_SECONDS = 4.0
"""How long all workers of a coordinator that is back may take to come back as well."""

_FIRST_WORKER_SECONDS = 15.0
"""How long the first of them may take: without any, what is asked for is refused."""

_WORKERS_PAUSE = 0.1
KEYS_PER_REQUEST = 200
DIGESTS_PER_REQUEST = 5_000


class Connected(StrEnum):
    """What became of the coordinator."""

    AWAY = "away"
    BACK = "back"
    GONE = "gone"


class _Job:
    """An operation that has not ended."""

    def __init__(self, request: JobRequest, way: Way, watch: Watch | None) -> None:
        self.request = request
        self.way = way
        self.watch = watch
        self.answer: asyncio.Future[JobAnswer] = asyncio.get_running_loop().create_future()


class ClusterClient:
    """A live session with a coordinator; an async context manager that says goodbye."""

    def __init__(
        self, token: JoinToken, cache_dir: Path, control: Connection, patience: float = 0.0
    ) -> None:
        self._token = token
        self._cache_dir = cache_dir
        self._lifeline = Lifeline(control, self._connect_control, self, patience)
        self._build = BuildId(uuid.uuid4().hex)
        self._jobs: dict[str, _Job] = {}
        self._unsent: dict[str, None] = {}
        """Operations that the coordinator we have now has not heard of."""
        self._workers: frozenset[str] = frozenset()
        self._counter = 0
        self.link = Link()
        """What is known of the line; whoever transfers something measures it."""
        self.hears: Callable[[Connected], None] = lambda _state: None
        """Is told when the coordinator is lost, back, or gone for good."""
        self._bulk: list[Connection] = []
        self.blobs = BlobClient(self._connect_bulk)
        self._entries: Coalescer[Digest, tuple[CacheEntry, ...]] = Coalescer(
            self._ask_entries, most=KEYS_PER_REQUEST
        )
        self._missing: Coalescer[Digest, bool] = Coalescer(
            self._ask_missing, most=DIGESTS_PER_REQUEST
        )
        self._holding = asyncio.create_task(self._lifeline.hold())

    @classmethod
    async def connect(
        cls, token: JoinToken, cache_dir: Path, patience: float = 0.0
    ) -> ClusterClient:
        """Open the control connection; raises ClusterUnreachable, Denied, VersionMismatch.

        A coordinator that is lost later may come back within `patience` seconds.
        """
        control = await connect(
            token, Introduction(Channel.CONTROL, program=_PROGRAM), authority_cache=cache_dir
        )
        return cls(token, cache_dir, control, patience)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def address(self) -> str:
        """Return the coordinator's address."""
        return self._token.address

    @property
    def lost(self) -> ConnectionLost | None:
        """Return why the cluster is gone, or None while it is there."""
        return self._lifeline.lost

    def traffic(self) -> tuple[int, int]:
        """Return the bytes sent and received so far, on all connections."""
        connections = [*self._lifeline.all, *self._bulk]
        sent = sum(connection.bytes_sent for connection in connections)
        return sent, sum(connection.bytes_received for connection in connections)

    async def close(self) -> None:
        """Say goodbye and close both connections; never raises."""
        self._holding.cancel()
        await asyncio.gather(self._holding, return_exceptions=True)
        self.hears = lambda _state: None
        self._lifeline.give_up("the client closed")
        # The peer may be gone or hang; nothing is left to save, and nobody should wait for it.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.blobs.close()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._lifeline.latest.close(Goodbye(reason="build ended", retry=False))

    async def execute(
        self,
        action: Digest,
        *,
        skip_cache: bool = False,
        way: Way = FREE,
        watch: Watch | None = None,
        alike: str = "",
    ) -> JobAnswer:
        """Have an action done; its blobs are uploaded. Cancelling cancels the remote command.

        `alike` names those of the build that may fail as it does.
        """
        if self.lost:
            raise self.lost
        self._counter += 1
        operation = f"{self._build[:12]}-{self._counter}"
        request = JobRequest(
            operation=operation,
            build=self._build,
            action=action,
            skip_cache=skip_cache,
            rank_seconds=way.rank,
            alike=alike,
        )
        job = self._jobs[operation] = _Job(request, way, watch)
        self._unsent[operation] = None
        try:
            if self._lifeline.is_open:
                await self._send(job, self._lifeline.latest)
            return await job.answer  # while the coordinator is away, it is sent when that is back
        except asyncio.CancelledError:
            if self._lifeline.is_open:
                self._lifeline.latest.send_soon(JobCancel(operation=operation))
            raise
        finally:
            self._jobs.pop(operation, None)
            self._unsent.pop(operation, None)

    async def _send(self, job: _Job, control: Connection) -> None:
        self._unsent.pop(job.request.operation, None)
        try:
            await control.send(job.request)
        except ConnectionLost:
            if job.request.operation in self._jobs:
                self._unsent[job.request.operation] = None

    async def entries(self, key: Digest) -> tuple[CacheEntry, ...]:
        """Return the action cache's entries under a reduced key, newest first."""
        return await self._entries.get(key)

    async def entries_with_times(self, key: Digest) -> tuple[tuple[CacheEntry, EntryTimes], ...]:
        """Return the same with their times, for a person who asks."""
        answer = await self._ask(ActionCacheGet(keys=(key,), times=True))
        if not isinstance(answer, ActionCacheEntries):
            raise ProtocolError(f"{answer.type} is no answer to action_cache_get")
        # An older coordinator sends none.
        unknown = (EntryTimes(stored=0, used=0),) * (len(answer.entries) - len(answer.times))
        return tuple(zip(answer.entries, (*answer.times, *unknown), strict=True))

    async def missing(self, digests: Sequence[Digest]) -> frozenset[Digest]:
        """Return which blobs the cluster lacks."""
        answers = await self._missing.get_all(digests)
        return frozenset(d for d, absent in zip(digests, answers, strict=True) if absent)

    async def measure(self) -> None:
        """Find out how long a question and its answer take."""
        start = monotonic()
        await self._ask(Heartbeat())
        self.link = Link(monotonic() - start)

    async def status(self) -> Status:
        """Return a picture of the cluster."""
        answer = await self._ask(StatusGet())
        if not isinstance(answer, Status):
            raise ProtocolError(f"{answer.type} is no answer to status_get")
        self._workers = frozenset(worker.name for worker in answer.workers)
        return answer

    async def drain(self, worker: str, *, on: bool, leave: bool = False) -> None:
        """Have a worker take no new work, then leave, or take work again; raises Denied."""
        await self._ask(Drain(on=on, worker=worker, leave=leave))

    async def _ask(self, question: Message) -> Message:
        """Return the answer, asking again when the coordinator was away; raises CyxError."""
        while True:
            control = await self._lifeline.ready()
            try:
                return await control.request(question)
            except ConnectionLost:
                if not control.closed.is_set():
                    raise

    async def _ask_entries(self, keys: Sequence[Digest]) -> Mapping[Digest, tuple[CacheEntry, ...]]:
        answer = await self._ask(ActionCacheGet(keys=tuple(keys)))
        if not isinstance(answer, ActionCacheEntries):
            raise ProtocolError(f"{answer.type} is no answer to action_cache_get")
        found: dict[Digest, list[CacheEntry]] = {key: [] for key in keys}
        for entry in answer.entries:
            if entry.key in found:
                found[entry.key].append(entry)
        return {key: tuple(entries) for key, entries in found.items()}

    async def _ask_missing(self, digests: Sequence[Digest]) -> Mapping[Digest, bool]:
        answer = await self._ask(FindMissing(digests=tuple(digests)))
        if not isinstance(answer, Missing):
            raise ProtocolError(f"{answer.type} is no answer to find_missing")
        absent = set(answer.digests)
        return {digest: digest in absent for digest in digests}

    # ── the connections ─────────────────────────────────────────────────────────────────────────

    async def _connect_control(self) -> Connection:
        introduction = Introduction(Channel.CONTROL, program=_PROGRAM)
        return await connect(self._token, introduction, authority_cache=self._cache_dir)

    async def _connect_bulk(self) -> Connection:
        control = await self._lifeline.ready()
        connection = await connect(
            self._token,
            Introduction(Channel.BULK, session=control.session, program=_PROGRAM),
            authority_cache=self._cache_dir,
        )
        self._bulk.append(connection)
        return connection

    def take(self, message: Message) -> None:
        """Take what the coordinator says by itself."""
        match message:
            case JobComplete() | JobFailed() | JobReject():
                job = self._jobs.get(message.operation)
                if job is not None and not job.answer.done():
                    job.answer.set_result(message)
            case JobProgress() | JobOutput():
                job = self._jobs.get(message.operation)
                if job is None:
                    return
                if isinstance(message, JobProgress) and message.worker:
                    job.way.executing(message.worker)
                if job.watch is not None:
                    job.watch(message)
            case _:
                pass

    def away(self, reason: str) -> None:
        """Take note that the coordinator is lost for now."""
        self.hears(Connected.AWAY)

    async def back(self, control: Connection) -> None:
        """Ask a coordinator that was started anew for what is still wanted.

        Its workers come back, too, each with what it runs and has run meanwhile: they are waited
        for, so that none of that is begun anew.
        """
        self._unsent.update(dict.fromkeys(self._jobs))
        start = monotonic()
        while (waited := monotonic() - start) < _FIRST_WORKER_SECONDS:
            status = await control.request(StatusGet())
            there = {w.name for w in status.workers} if isinstance(status, Status) else set()
            if self._workers <= there or (there and waited > _WORKERS_SECONDS):
                break
            await asyncio.sleep(_WORKERS_PAUSE)
        while self._unsent:
            await self._send(self._jobs[next(iter(self._unsent))], control)
            if control.closed.is_set():
                raise ConnectionLost(control.close_reason)
        self.hears(Connected.BACK)

    def lost_for_good(self, error: ConnectionLost) -> None:
        """Fail everything that waits."""
        for job in self._jobs.values():
            if not job.answer.done():
                job.answer.set_exception(error)
        self.hears(Connected.GONE)
