"""One client's connections to a coordinator, as calls: look up, upload, execute, status.

Knows nothing of compilers or build graphs. When the control connection is lost, everything that
waits gets ConnectionLost; the caller then runs its edges locally.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from cyxmake_cli.cluster.coalesce import Coalescer
from cyxmake_common.digest import Digest
from cyxmake_common.errors import ConnectionLost, CyxError, ProtocolError
from cyxmake_common.ids import BuildId
from cyxmake_common.net.blobs import BlobClient
from cyxmake_common.net.token import JoinToken
from cyxmake_common.net.wss import Connection, Introduction, connect
from cyxmake_common.protocol.messages import (
    ActionCacheEntries,
    ActionCacheGet,
    CacheEntry,
    Channel,
    EntryTimes,
    Error,
    FindMissing,
    Goodbye,
    Heartbeat,
    JobAccept,
    JobCancel,
    JobComplete,
    JobFailed,
    JobOutput,
    JobProgress,
    JobReject,
    JobRequest,
    Missing,
    Status,
    StatusGet,
)

Watch = Callable[[JobOutput | JobProgress], None]
"""Told of a running operation: where it runs, and what a compound action prints."""

JobAnswer = JobComplete | JobFailed | JobReject
"""How an operation can end."""

_PROGRAM = "cyxmake"
_SILENCE_SECONDS = 8.0
"""How long a coordinator may say nothing before builds go on without it."""

_CLOSE_SECONDS = 1.0
KEYS_PER_REQUEST = 200
DIGESTS_PER_REQUEST = 5_000


class ClusterClient:
    """A live session with a coordinator; an async context manager that says goodbye."""

    def __init__(self, token: JoinToken, cache_dir: Path, control: Connection) -> None:
        self._token = token
        self._cache_dir = cache_dir
        self._control = control
        self._build = BuildId(uuid.uuid4().hex)
        self._jobs: dict[str, asyncio.Future[JobAnswer]] = {}
        self._watches: dict[str, Watch] = {}
        self._counter = 0
        self._bulk: list[Connection] = []
        self._lost: ConnectionLost | None = None
        self.blobs = BlobClient(self._connect_bulk)
        self._entries: Coalescer[Digest, tuple[CacheEntry, ...]] = Coalescer(
            self._ask_entries, most=KEYS_PER_REQUEST
        )
        self._missing: Coalescer[Digest, bool] = Coalescer(
            self._ask_missing, most=DIGESTS_PER_REQUEST
        )
        self._tasks = [asyncio.create_task(self._pump()), asyncio.create_task(self._beat())]

    @classmethod
    async def connect(cls, token: JoinToken, cache_dir: Path) -> ClusterClient:
        """Open the control connection; raises ClusterUnreachable, Denied, VersionMismatch."""
        control = await connect(
            token, Introduction(Channel.CONTROL, program=_PROGRAM), authority_cache=cache_dir
        )
        return cls(token, cache_dir, control)

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
        return self._lost

    def traffic(self) -> tuple[int, int]:
        """Return the bytes sent and received so far, on all connections."""
        connections = [self._control, *self._bulk]
        sent = sum(connection.bytes_sent for connection in connections)
        return sent, sum(connection.bytes_received for connection in connections)

    async def close(self) -> None:
        """Say goodbye and close both connections; never raises."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._fail_waiting("the client closed")
        # The peer may be gone or hang; nothing is left to save, and nobody should wait for it.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.blobs.close()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._control.close(Goodbye(reason="build ended", retry=False))

    async def execute(
        self, action: Digest, *, skip_cache: bool = False, watch: Watch | None = None
    ) -> JobAnswer:
        """Have an action done; its blobs are uploaded. Cancelling cancels the remote command."""
        if self._lost:
            raise self._lost
        self._counter += 1
        operation = f"{self._build[:12]}-{self._counter}"
        future: asyncio.Future[JobAnswer] = asyncio.get_running_loop().create_future()
        self._jobs[operation] = future
        if watch is not None:
            self._watches[operation] = watch
        try:
            await self._control.send(
                JobRequest(
                    operation=operation, build=self._build, action=action, skip_cache=skip_cache
                )
            )
            return await future
        except asyncio.CancelledError:
            if not self._lost:
                self._control.send_soon(JobCancel(operation=operation))
            raise
        finally:
            del self._jobs[operation]
            self._watches.pop(operation, None)

    async def entries(self, key: Digest) -> tuple[CacheEntry, ...]:
        """Return the action cache's entries under a reduced key, newest first."""
        return await self._entries.get(key)

    async def entries_with_times(self, key: Digest) -> tuple[tuple[CacheEntry, EntryTimes], ...]:
        """Return the same with their times, for a person who asks."""
        answer = await self._control.request(ActionCacheGet(keys=(key,), times=True))
        if not isinstance(answer, ActionCacheEntries):
            raise ProtocolError(f"{answer.type} is no answer to action_cache_get")
        # An older coordinator sends none.
        unknown = (EntryTimes(stored=0, used=0),) * (len(answer.entries) - len(answer.times))
        return tuple(zip(answer.entries, (*answer.times, *unknown), strict=True))

    async def missing(self, digests: Sequence[Digest]) -> frozenset[Digest]:
        """Return which blobs the cluster lacks."""
        answers = await self._missing.get_all(digests)
        return frozenset(d for d, absent in zip(digests, answers, strict=True) if absent)

    async def status(self) -> Status:
        """Return a picture of the cluster."""
        answer = await self._control.request(StatusGet())
        if not isinstance(answer, Status):
            raise ProtocolError(f"{answer.type} is no answer to status_get")
        return answer

    async def _ask_entries(self, keys: Sequence[Digest]) -> Mapping[Digest, tuple[CacheEntry, ...]]:
        answer = await self._control.request(ActionCacheGet(keys=tuple(keys)))
        if not isinstance(answer, ActionCacheEntries):
            raise ProtocolError(f"{answer.type} is no answer to action_cache_get")
        found: dict[Digest, list[CacheEntry]] = {key: [] for key in keys}
        for entry in answer.entries:
            if entry.key in found:
                found[entry.key].append(entry)
        return {key: tuple(entries) for key, entries in found.items()}

    async def _ask_missing(self, digests: Sequence[Digest]) -> Mapping[Digest, bool]:
        answer = await self._control.request(FindMissing(digests=tuple(digests)))
        if not isinstance(answer, Missing):
            raise ProtocolError(f"{answer.type} is no answer to find_missing")
        absent = set(answer.digests)
        return {digest: digest in absent for digest in digests}

    async def _connect_bulk(self) -> Connection:
        connection = await connect(
            self._token,
            Introduction(Channel.BULK, session=self._control.session, program=_PROGRAM),
            authority_cache=self._cache_dir,
        )
        self._bulk.append(connection)
        return connection

    async def _pump(self) -> None:
        reason = "the coordinator closed the connection"
        async for envelope in self._control.messages():
            message = envelope.message
            match message:
                case JobComplete() | JobFailed() | JobReject():
                    future = self._jobs.get(message.operation)
                    if future and not future.done():
                        future.set_result(message)
                case Goodbye() | Error():
                    text = message.reason if isinstance(message, Goodbye) else message.message
                    reason = text or reason
                case JobProgress() | JobOutput():
                    watch = self._watches.get(message.operation)
                    if watch is not None:
                        watch(message)
                case JobAccept() | Heartbeat():
                    pass
        self._fail_waiting(self._control.close_reason or reason)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._control.welcome.heartbeat_seconds)
            try:
                await self._control.request(Heartbeat(), timeout=_SILENCE_SECONDS)
            except CyxError as error:
                # Closing ends the pump, which tells everyone who waits.
                self._fail_waiting(f"no sign of life in {_SILENCE_SECONDS:.0f} s ({error.code})")
                await self._control.close()
                return

    def _fail_waiting(self, reason: str) -> None:
        self._lost = self._lost or ConnectionLost(f"lost the coordinator: {reason}")
        for future in self._jobs.values():
            if not future.done():
                future.set_exception(self._lost)
