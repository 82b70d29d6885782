"""The scheduler's body: feeds it events with the time in them, carries out its effects, ticks.

Knows nothing of sockets: sessions are Outlets. Whatever changes the cluster goes through `feed`; a
result is in the action cache before any client hears of it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final, Protocol

import structlog

from cyxmake_common.cache.store import ActionCache, result_entry
from cyxmake_common.digest import Digest
from cyxmake_common.ids import BuildId, LeaseId, Namespace, OperationId, SessionId, WorkerId
from cyxmake_common.outcome import OutcomeKind
from cyxmake_common.protocol.messages import (
    MAX_DIGESTS,
    CacheEntry,
    Goodbye,
    JobAccept,
    JobComplete,
    JobFailed,
    JobOutput,
    JobProgress,
    JobReject,
    JobRequest,
    LeaseOffer,
    LeaseRevoke,
    Message,
    WorkerFacts,
)
from cyxmake_coordinator.closures import Closures
from cyxmake_coordinator.core import effects as out
from cyxmake_coordinator.core import events
from cyxmake_coordinator.core.scheduler import Scheduler
from cyxmake_coordinator.intake import Prepared, offered_by
from cyxmake_coordinator.listeners import listeners

_TICK_SECONDS: Final = 0.25
_KEEP_SECONDS: Final = 60.0
_RECENT: Final = 2_000
_log = structlog.get_logger(__name__)


class Outlet(Protocol):
    """The way to one peer."""

    def send_soon(
        self, message: Message, reply_to: str | None = None, *, urgent: bool = True
    ) -> None:
        """Queue a message; never blocks and never raises."""
        ...

    async def close(self, goodbye: Goodbye | None = None) -> None:
        """End the session, with a last word."""
        ...


@dataclass(slots=True)
class WorkerSession:
    """What the shell keeps of a worker's session beside what the core knows."""

    name: WorkerId
    session: SessionId
    facts: WorkerFacts
    outlet: Outlet
    held: dict[LeaseId, events.HeldLease] = field(default_factory=dict)
    """Leases offered in this session or named when it began: heartbeats say only their names."""
    load: float = 0.0


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the shell keeps of an operation while the core has it."""

    name: str
    prepared: Prepared


class Shell:
    """Owns the scheduler of one coordinator."""

    def __init__(
        self,
        scheduler: Scheduler,
        cache: ActionCache,
        closures: Closures,
        now: Callable[[], float],
        ended: Callable[[Sequence[out.CompleteOperation]], None] | None = None,
    ) -> None:
        """`ended` is told of operations that have ended, once no crash can take that back."""
        self._scheduler = scheduler
        self._cache = cache
        self._closures = closures
        self.now = now
        self._ended_for_good = ended
        self._clients: dict[SessionId, Outlet] = {}
        self._counted: set[SessionId] = set()
        self._workers: dict[SessionId, WorkerSession] = {}
        self._wishes: dict[OperationId, _Wish] = {}
        self._drained: set[WorkerId] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._recent: OrderedDict[tuple[Namespace, Digest], asyncio.Task[None]] = OrderedDict()
        self._entries: OrderedDict[tuple[Namespace, Digest], CacheEntry] = OrderedDict()
        self._keep_at = now() + _KEEP_SECONDS
        self._carry_out: dict[type[out.Effect], Callable[..., None]] = {
            out.AssignLease: self._assign,
            out.AcceptOperation: self._accept,
            out.RejectOperation: self._reject,
            out.ReportStage: self._report,
            out.RevokeLease: self._revoke,
            out.DisconnectWorker: self._disconnect,
            out.ForgetResult: self._forget_result,
        }

    def __repr__(self) -> str:
        peers = f"{len(self._clients)} clients, {len(self._workers)} workers"
        return f"<Shell {peers}, {len(self._wishes)} operations>"

    @property
    def scheduler(self) -> Scheduler:
        """Return the core, for looking only."""
        return self._scheduler

    @property
    def clients(self) -> int:
        """Return how many client sessions are open, administrators left out."""
        return len(self._counted)

    @property
    def idle(self) -> bool:
        """Whether no client wants anything."""
        return not self._wishes

    def workers(self) -> Iterator[WorkerSession]:
        """Iterate over the open worker sessions."""
        return iter(self._workers.values())

    # ── the one door ────────────────────────────────────────────────────────────────────────────

    def feed(self, event: events.Event, entry: CacheEntry | None = None) -> None:
        """Let the core handle an event; `entry` goes to the action cache with its result."""
        completions: list[out.CompleteOperation] = []
        for effect in self._scheduler.handle(event):
            if isinstance(effect, out.CompleteOperation):
                completions.append(effect)
            else:
                self._carry_out[type(effect)](effect)
        if completions:
            self._complete(completions, entry)

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            now = self.now()
            try:
                self.feed(events.Tick(now))
            except Exception:
                # A fault of the core, seen in its log, must not end every other build, too.
                _log.exception("tick_failed")
            if now >= self._keep_at:
                self._keep_at = now + _KEEP_SECONDS
                self._start(self._keep_inputs())

    async def close(self) -> None:
        """Take no new operations, and wait until every finished result is recorded."""
        self.feed(events.CoordinatorDrain(self.now(), on=True))
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    # ── sessions ────────────────────────────────────────────────────────────────────────────────

    def client_joined(self, session: SessionId, outlet: Outlet, *, counted: bool = True) -> None:
        """Know a client's session; an administrator's look at the cluster is not `counted`."""
        self._clients[session] = outlet
        if counted:
            self._counted.add(session)

    def client_left(self, session: SessionId, patience: float = 0.0) -> None:
        """Forget a client's session; what it wanted is cancelled when nobody wants it by then."""
        self._counted.discard(session)
        if self._clients.pop(session, None) is None:
            return
        if patience:
            loop = asyncio.get_running_loop()
            loop.call_later(patience, lambda: self.feed(events.ClientLeft(self.now(), session)))
        else:
            self.feed(events.ClientLeft(self.now(), session))

    def worker_joined(self, worker: WorkerSession) -> None:
        """Know a worker's session, and the leases it still works on."""
        self._workers[worker.session] = worker
        self.feed(
            events.WorkerJoined(
                now=self.now(),
                worker=worker.name,
                session=worker.session,
                slots=worker.facts.slots,
                properties=offered_by(worker.facts),
                toolchains=frozenset(toolchain.id for toolchain in worker.facts.toolchains),
                held=tuple(worker.held.values()),
                draining=worker.name in self._drained,
                memory=worker.facts.memory_bytes,
            )
        )

    def worker_left(self, worker: WorkerSession) -> None:
        """Forget a worker's session."""
        if self._workers.pop(worker.session, None) is not None:
            self.feed(events.WorkerLeft(self.now(), worker.name, worker.session))

    def drain(self, name: WorkerId, on: bool) -> bool:
        """Drain a worker, now and whenever it comes back; False when it is not here now."""
        (self._drained.add if on else self._drained.discard)(name)
        self.feed(events.WorkerDrain(self.now(), name, on))
        return any(worker.name == name for worker in self._workers.values())

    # ── operations ──────────────────────────────────────────────────────────────────────────────

    def submit(
        self,
        session: SessionId,
        namespace: Namespace,
        user: str,
        request: JobRequest,
        prepared: Prepared,
    ) -> None:
        """Hand an operation whose inputs are here to the core; `user` is who pays for it."""
        if session not in self._clients:
            return
        operation = _operation_id(session, request.operation)
        toolchain = prepared.toolchain
        if toolchain is not None and not self._toolchain_ready(toolchain, prepared):
            self._send_reject(session, request.operation, prepared)
            return
        self._wishes.setdefault(operation, _Wish(request.operation, prepared))
        now = self.now()
        self.feed(
            events.OperationSubmitted(
                now=now,
                operation=operation,
                session=session,
                namespace=namespace,
                build=BuildId(request.build),
                action=request.action,
                input_root=prepared.action.input_root,
                toolchain=toolchain,
                requirements=prepared.requirements,
                priority=request.priority,
                timeout=prepared.action.timeout,
                do_not_cache=prepared.action.do_not_cache,
                user=user,
                kin=prepared.action.command,
                rank=request.rank_seconds,
                deadline=now + request.deadline_seconds if request.deadline_seconds else inf,
                alike=request.alike,
            )
        )

    async def finished_lately(self, namespace: Namespace, action: Digest) -> bool:
        """Tell whether the cache has, by now, a result that it may not have had a moment ago.

        Does not yield to other tasks when it has not: a caller may go on to `submit` on that.
        """
        recording = self._recent.get((namespace, action))
        if recording is None:
            return False
        await asyncio.shield(recording)
        return True

    def cancel(self, session: SessionId, name: str) -> None:
        """Cancel one operation of a client; nothing happens when it has ended already."""
        self.feed(events.OperationCancelled(self.now(), _operation_id(session, name)))

    def _toolchain_ready(self, toolchain: Digest, prepared: Prepared) -> bool:
        """Tell the core of a toolchain every worker can fetch; False when nobody has it."""
        if not prepared.toolchain_missing:
            if toolchain not in self._scheduler.state.toolchains:
                self.feed(events.ToolchainAvailable(self.now(), toolchain))
            return True
        # The core never hears that a tree was evicted: what it believed of it is not asked here.
        return any(
            facts.id == toolchain
            for worker in self._workers.values()
            for facts in worker.facts.toolchains
        )

    def hear(self, worker: WorkerId, lease: str, data: bytes) -> None:
        """Pass on what a running command printed."""
        for session, name in listeners(self._scheduler.state, worker, lease):
            self._to_client(session, JobOutput(operation=name, worker=worker, data=data))

    # ── effects ─────────────────────────────────────────────────────────────────────────────────

    def _to_client(self, session: SessionId, message: Message, *, urgent: bool = True) -> None:
        outlet = self._clients.get(session)
        if outlet is not None:
            outlet.send_soon(message, urgent=urgent)

    def _assign(self, effect: out.AssignLease) -> None:
        worker = self._workers.get(effect.session)
        if worker is not None:
            worker.held[effect.lease] = events.HeldLease(effect.lease, effect.epoch, effect.action)
            worker.outlet.send_soon(
                LeaseOffer(
                    lease=effect.lease,
                    epoch=effect.epoch,
                    action=effect.action,
                    attempt=effect.attempt,
                )
            )

    def _accept(self, effect: out.AcceptOperation) -> None:
        wish = self._wishes[effect.operation]
        accept = JobAccept(operation=wish.name, merged=effect.merged)
        self._to_client(effect.session, accept, urgent=False)

    def _reject(self, effect: out.RejectOperation) -> None:
        if effect.code is out.RejectCode.DUPLICATE:
            # The first operation of that name goes on, with its wish.
            name, missing = effect.operation.removeprefix(f"{effect.session}/"), effect.missing
        else:
            wish = self._wishes.pop(effect.operation)
            name = wish.name
            missing = wish.prepared.toolchain_missing[:MAX_DIGESTS] or effect.missing
        self._to_client(
            effect.session,
            JobReject(
                operation=name, code=effect.code.value, detail=effect.detail, missing=missing
            ),
        )

    def _send_reject(self, session: SessionId, name: str, prepared: Prepared) -> None:
        self._to_client(
            session,
            JobReject(
                operation=name,
                code=out.RejectCode.MISSING_TOOLCHAIN.value,
                detail="the toolchain is on no worker and not whole in the store",
                missing=prepared.toolchain_missing[:MAX_DIGESTS],
            ),
        )

    def _report(self, effect: out.ReportStage) -> None:
        wish = self._wishes[effect.operation]
        self._to_client(
            effect.session,
            JobProgress(operation=wish.name, stage=effect.stage.value, worker=effect.worker or ""),
            urgent=False,
        )

    def _revoke(self, effect: out.RevokeLease) -> None:
        worker = self._workers.get(effect.session)
        if worker is not None:
            worker.outlet.send_soon(LeaseRevoke(lease=effect.lease, epoch=effect.epoch))

    def _forget_result(self, effect: out.ForgetResult) -> None:
        _log.warning("result_disputed", action=effect.action.hash)
        self._start(self._remove(effect.namespace, effect.action))

    async def _remove(self, namespace: Namespace, action: Digest) -> None:
        # Under its own name, and under the reduced key that other trees would find it by.
        wrong = list(await self._cache.get(namespace, (action,)))
        if (entry := self._entries.get((namespace, action))) is not None:
            wrong.append(entry)
        await self._cache.remove(namespace, wrong)

    def _disconnect(self, effect: out.DisconnectWorker) -> None:
        worker = self._workers.pop(effect.session, None)
        if worker is not None:
            _log.warning("worker_disconnected", worker=effect.worker, reason=effect.reason.value)
            self._start(worker.outlet.close(Goodbye(reason=effect.reason.value)))

    # ── verdicts ────────────────────────────────────────────────────────────────────────────────

    def _complete(self, completions: list[out.CompleteOperation], entry: CacheEntry | None) -> None:
        """Answer at once, or after recording when there is a result worth keeping."""
        keep: dict[tuple[Namespace, Digest], bytes] = {}
        answers: list[tuple[SessionId, Message]] = []
        # Operations that were merged share one outcome: its result is encoded once.
        encoded: dict[int, bytes] = {}
        for effect in completions:
            wish = self._wishes.pop(effect.operation)
            outcome = effect.outcome
            if id(outcome) not in encoded:
                encoded[id(outcome)] = outcome.result.to_bytes() if outcome.result else b""
            result = encoded[id(outcome)]
            if outcome.succeeded and not wish.prepared.action.do_not_cache:
                keep[effect.namespace, effect.action] = result
            answers.append((effect.session, _verdict(effect, wish.name, result)))
        if not keep:
            self._answer(completions, answers)
            return
        recording = self._start(self._record(keep, entry, completions, answers))
        for key in keep:
            self._recent[key] = recording
            if len(self._recent) > _RECENT:
                self._recent.popitem(last=False)
            if entry is not None:
                self._entries[key] = entry
                if len(self._entries) > _RECENT:
                    self._entries.popitem(last=False)

    async def _record(
        self,
        results: dict[tuple[Namespace, Digest], bytes],
        entry: CacheEntry | None,
        completions: Sequence[out.CompleteOperation],
        answers: list[tuple[SessionId, Message]],
    ) -> None:
        more = () if entry is None else (entry,)
        try:
            for (namespace, action), result in results.items():
                await self._cache.put(namespace, result_entry(action, result), *more)
        except Exception:
            # A full disk under the cache must not keep a finished result from its client.
            _log.exception("action_cache_write_failed")
        self._answer(completions, answers)

    def _answer(
        self,
        completions: Sequence[out.CompleteOperation],
        answers: list[tuple[SessionId, Message]],
    ) -> None:
        if self._ended_for_good is not None:
            self._ended_for_good(completions)
        for session, message in answers:
            self._to_client(session, message)

    # ── helpers ─────────────────────────────────────────────────────────────────────────────────

    async def _keep_inputs(self) -> None:
        # Blobs of waiting and running operations are touched, not pinned: a touch a minute keeps
        # them at the young end of the LRU, and a store whose whole limit is written anew within a
        # minute could not be helped by pins, only filled. A blob that is lost anyway is named by
        # the worker and sent again by the client.
        trees = {wish.prepared.action.input_root for wish in self._wishes.values()}
        trees.update(w.prepared.toolchain for w in self._wishes.values() if w.prepared.toolchain)
        for root in trees:
            await self._closures.look_again(root)

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task_failed", error=repr(error))


def _operation_id(session: SessionId, name: str) -> OperationId:
    """Return an id unique among all clients: names are the client's own choice."""
    return OperationId(f"{session}/{name}")


def _verdict(effect: out.CompleteOperation, name: str, result: bytes) -> JobComplete | JobFailed:
    outcome = effect.outcome
    if outcome.kind is OutcomeKind.TOOL and outcome.result is not None:
        return JobComplete(
            operation=name,
            result=result,
            worker=effect.worker or "",
            queue_seconds=effect.queue_seconds,
            attempts=effect.attempts,
        )
    return JobFailed(
        operation=name,
        kind=outcome.kind,
        cause=outcome.cause,
        detail=outcome.detail,
        missing=effect.missing[:MAX_DIGESTS],
        result=result,
        worker=effect.worker or "",
    )
