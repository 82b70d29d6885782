"""One client's control connection: its messages become operations, questions and answers.

Knows nothing of scheduling or of the wire. Questions are answered in tasks, so that one slow answer
holds up no other; how many run at once is bounded, and beyond that the client is read no further.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Final, TypeVar

import structlog

from cyxmake_common.action import ActionResult
from cyxmake_common.cache.store import ActionCache, identity_of
from cyxmake_common.errors import CyxError
from cyxmake_common.ids import Namespace, WorkerId
from cyxmake_common.net.connection import Connection
from cyxmake_common.outcome import Cause, OutcomeKind
from cyxmake_common.protocol.codec import Envelope
from cyxmake_common.protocol.messages import (
    MAX_DIGESTS,
    ActionCacheEntries,
    ActionCacheGet,
    Artifact,
    Artifacts,
    ArtifactsGet,
    CacheEntry,
    Done,
    Drain,
    EntryTimes,
    Error,
    FindMissing,
    Goodbye,
    Heartbeat,
    JobCancel,
    JobComplete,
    JobFailed,
    JobReject,
    JobRequest,
    Message,
    Missing,
    Peer,
    StatusGet,
)
from cyxmake_common.protocol.session import to_error
from cyxmake_coordinator.gateways.house import House
from cyxmake_coordinator.intake import MissingBlobs, Prepared

_AT_ONCE: Final = 256
_TURNS: Final = 16
"""After so many operations without waiting, others have a turn."""
_RETURNS_SECONDS: Final = 3.0
_ENTRIES_SHARE: Final = 0.75
_OUR_FAULT: Final = "the coordinator failed; its log says why"
_log = structlog.get_logger(__name__)
_Q = TypeVar("_Q", bound=Message)


class ClientPeer:
    """Serves one client, or an administrator, who may do what a client may and a little more."""

    def __init__(self, connection: Connection, namespace: Namespace, house: House) -> None:
        self._connection = connection
        self._namespace = namespace
        self._house = house
        self._shell = house.shell
        self._cache: ActionCache = house.storage.actions
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._preparing: dict[str, asyncio.Task[None]] = {}
        self._at_once = 0
        """Operations submitted without waiting."""

    def __repr__(self) -> str:
        return f"<ClientPeer {self._connection.name} {len(self._tasks)} answers under way>"

    async def serve(self) -> None:
        """Take messages until the connection ends; everything the client wanted ends with it.

        A connection that breaks is no goodbye: its client may be back in a moment, and ask again.
        """
        patience = _RETURNS_SECONDS
        counted = self._connection.peer is Peer.CLIENT
        self._shell.client_joined(self._connection.session, self._connection, counted=counted)
        try:
            async for envelope in self._connection.messages():
                if isinstance(envelope.message, Goodbye):
                    patience = 0.0
                    break
                await self._receive(envelope)
        finally:
            for task in self._tasks:
                task.cancel()
            self._shell.client_left(self._connection.session, patience)

    async def _receive(self, envelope: Envelope) -> None:
        match envelope.message:
            case JobRequest() as request:
                await self._begin(request)
            case JobCancel() as cancel:
                self._cancel(cancel.operation)
            case FindMissing() as question:
                missing = await self._house.storage.blobs.find_missing(question.digests)
                self._answer(envelope, Missing(digests=tuple(sorted(missing))))
            case ActionCacheGet() as question:
                await self._start(partial(self._answer_later, envelope, self._entries, question))
            case ArtifactsGet() as question:
                await self._start(partial(self._answer_later, envelope, self._artifacts, question))
            case StatusGet():
                admin = self._connection.peer is Peer.ADMIN
                self._answer(envelope, self._house.status(self._namespace, admin=admin))
            case Drain() as wish:
                self._answer(envelope, self._drain(wish))
            case Heartbeat():
                self._answer(envelope, Heartbeat())
            case _:
                pass

    def _answer(self, envelope: Envelope, message: Message) -> None:
        self._connection.send_soon(message, reply_to=envelope.id)

    async def _start(self, work: Callable[[], Coroutine[None, None, None]]) -> asyncio.Task[None]:
        await self._room.acquire()
        task = asyncio.ensure_future(work())
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._room.release()
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("client_task_failed", client=self._connection.name, error=repr(error))

    async def _answer_later(
        self, envelope: Envelope, work: Callable[[_Q], Awaitable[Message]], question: _Q
    ) -> None:
        try:
            message = await work(question)
        except CyxError as error:
            message = to_error(error)
        except Exception:
            _log.exception("client_question_failed", question=envelope.type)
            message = to_error(CyxError(_OUR_FAULT))
        self._answer(envelope, message)

    # ── operations ──────────────────────────────────────────────────────────────────────────────

    async def _begin(self, request: JobRequest) -> None:
        if request.operation in self._preparing:
            self._connection.send_soon(
                JobReject(
                    operation=request.operation,
                    code="duplicate-operation",
                    detail="an operation of this id is under way",
                )
            )
            return
        if await self._submit_now(request):
            return
        task = await self._start(partial(self._submit, request))
        self._preparing[request.operation] = task
        task.add_done_callback(lambda _: self._preparing.pop(request.operation, None))

    def _cancel(self, name: str) -> None:
        task = self._preparing.pop(name, None)
        if task is None:
            self._shell.cancel(self._connection.session, name)
            return
        task.cancel()
        self._connection.send_soon(
            JobFailed(operation=name, kind=OutcomeKind.CANCELLED, cause=Cause.CLIENT)
        )

    async def _submit_now(self, request: JobRequest) -> bool:
        """Submit what nothing has to be looked up for: no task, no waiting. False for the rest."""
        if not request.skip_cache and self._cache.may_hold(request.action):
            return False
        prepared = self._house.intake.prepare_now(request.action)
        if prepared is None:
            return False
        try:
            self._hand_over(request, prepared)
        except Exception:
            self._fail(request)
        self._at_once += 1
        if self._at_once % _TURNS == 0:
            await asyncio.sleep(0)  # others have their turn, however much one client sends at once
        return True

    async def _submit(self, request: JobRequest) -> None:
        try:
            if not request.skip_cache and await self._answer_from_cache(request):
                return
            prepared = await self._house.intake.prepare(request.action)
            # An equal action may have ended since the cache was asked; it must not run again.
            if (
                not request.skip_cache
                and await self._shell.finished_lately(self._namespace, request.action)
                and await self._answer_from_cache(request)
            ):
                return
            # From here on the operation is the core's: a cancel must reach it there.
            self._preparing.pop(request.operation, None)
            self._hand_over(request, prepared)
        except CyxError as error:
            self._refuse(request, error)
        except Exception:
            self._fail(request)

    def _hand_over(self, request: JobRequest, prepared: Prepared) -> None:
        session, user = self._connection.session, self._connection.hello.token_id
        self._shell.submit(session, self._namespace, user, request, prepared)

    def _fail(self, request: JobRequest) -> None:
        """Refuse an operation for a fault of ours that is being handled."""
        _log.exception("operation_failed", client=self._connection.name)
        self._refuse(request, CyxError(_OUR_FAULT))

    def _refuse(self, request: JobRequest, error: CyxError) -> None:
        missing = error.digests if isinstance(error, MissingBlobs) else ()
        self._connection.send_soon(
            JobReject(
                operation=request.operation,
                code=error.code,
                detail=error.message,
                missing=missing,
            )
        )

    async def _answer_from_cache(self, request: JobRequest) -> bool:
        entries = await self._cache.get(self._namespace, (request.action,))
        if not entries:
            return False
        self._connection.send_soon(
            JobComplete(
                operation=request.operation,
                result=entries[0].result,
                worker=ActionResult.from_bytes(entries[0].result).worker,
                cached=True,
            )
        )
        return True

    # ── questions ───────────────────────────────────────────────────────────────────────────────

    async def _entries(self, question: ActionCacheGet) -> ActionCacheEntries:
        # Before they are looked up, which counts as a use.
        known = await self._cache.times(self._namespace, question.keys) if question.times else {}
        entries = await self._cache.get(self._namespace, question.keys)
        limit = int(self._connection.welcome.limits.message_bytes * _ENTRIES_SHARE)
        entries = _fitting(entries, limit)
        if not question.times:
            return ActionCacheEntries(entries=entries)
        times = (known.get(identity_of(entry), (0.0, 0.0)) for entry in entries)
        return ActionCacheEntries(
            entries=entries,
            times=tuple(EntryTimes(stored=stored, used=used) for stored, used in times),
        )

    async def _artifacts(self, question: ArtifactsGet) -> Artifacts:
        entries = await self._cache.get(self._namespace, (question.action,))
        if not entries:
            return Artifacts(found=False)
        outputs = ActionResult.from_bytes(entries[0].result).outputs[:MAX_DIGESTS]
        return Artifacts(
            found=True,
            artifacts=tuple(
                Artifact(path=o.path, digest=o.digest, executable=o.is_executable) for o in outputs
            ),
        )

    def _drain(self, wish: Drain) -> Done | Error:
        if self._connection.peer is not Peer.ADMIN:
            return Error(code="denied", message="only an administrator may drain a worker")
        if not self._house.drain(WorkerId(wish.worker), wish.on, leave=wish.leave):
            return Error(
                code="usage",
                message=f"no worker named {wish.worker!r} is connected; noted for when it is",
                next_step="cyxmake-coordinator workers",
            )
        return Done()


def _fitting(entries: tuple[CacheEntry, ...], limit: int) -> tuple[CacheEntry, ...]:
    """Return as many as fit into one message: one left out is a miss, never an error."""
    kept: list[CacheEntry] = []
    for entry in entries[:MAX_DIGESTS]:
        limit -= len(entry.paths) + len(entry.absent) + len(entry.result) + len(entry.root) + 400
        if limit < 0:
            break
        kept.append(entry)
    return tuple(kept)
