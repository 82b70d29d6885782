"""One worker's control connection: its lease messages become events, in the order they were sent.

Knows nothing of scheduling. A worker's word is checked where it can be: a result whose blobs are
not in the store is no result. One that keeps sending what cannot be is disconnected.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import structlog

from cyxmake_common.action import Action, ActionResult
from cyxmake_common.cas.store import read_all
from cyxmake_common.digest import Digest
from cyxmake_common.errors import BlobMissing, CyxError, ProtocolError
from cyxmake_common.ids import LeaseId, WorkerId
from cyxmake_common.net.connection import Connection
from cyxmake_common.outcome import Cause, Outcome, OutcomeKind
from cyxmake_common.protocol.codec import Envelope
from cyxmake_common.protocol.messages import (
    CacheEntry,
    Drain,
    FindMissing,
    Goodbye,
    Heartbeat,
    LeaseAccept,
    LeaseOutput,
    LeaseProgress,
    LeaseReject,
    LeaseResult,
    Missing,
    StatusGet,
    TreesGone,
    WorkerFacts,
)
from cyxmake_coordinator.core import events
from cyxmake_coordinator.gateways.house import House
from cyxmake_coordinator.gateways.strikes import Strikes
from cyxmake_coordinator.intake import toolchain_of
from cyxmake_coordinator.shell import WorkerSession

_EXECUTING: Final = "executing"
_log = structlog.get_logger(__name__)


class WorkerPeer:
    """Serves one worker."""

    def __init__(
        self, connection: Connection, facts: WorkerFacts, house: House, strikes: Strikes
    ) -> None:
        self._connection = connection
        self._house = house
        self._shell = house.shell
        self._strikes = strikes
        running = connection.hello.running
        self._worker = WorkerSession(
            name=WorkerId(facts.name),
            session=connection.session,
            facts=facts,
            outlet=connection,
            held={
                LeaseId(lease.lease): events.HeldLease(
                    LeaseId(lease.lease), lease.epoch, lease.action
                )
                for lease in running
            },
        )

    def __repr__(self) -> str:
        return f"<WorkerPeer {self._worker.name} holding {len(self._worker.held)} leases>"

    async def serve(self) -> None:
        """Take messages until the connection ends."""
        self._shell.worker_joined(self._worker)
        _log.info("worker_joined", worker=self._worker.name, slots=self._worker.facts.slots)
        try:
            async for envelope in self._connection.messages():
                if isinstance(envelope.message, Goodbye):
                    break
                await self._receive(envelope)
        finally:
            self._shell.worker_left(self._worker)
            reason = self._connection.close_reason
            _log.info("worker_left", worker=self._worker.name, reason=reason)

    async def _receive(self, envelope: Envelope) -> None:
        now, name = self._shell.now(), self._worker.name
        match envelope.message:
            case LeaseAccept() as accept:
                lease = LeaseId(accept.lease)
                self._shell.feed(events.LeaseAccepted(now, name, lease, accept.epoch))
            case LeaseProgress() as progress if progress.stage == _EXECUTING:
                lease = LeaseId(progress.lease)
                self._shell.feed(events.LeaseStarted(now, name, lease, progress.epoch))
            case LeaseOutput() as output:
                self._shell.hear(name, output.lease, output.data)
            case LeaseResult() as result:
                await self._finish(result)
            case LeaseReject() as reject:
                await self._reject(reject)
            case Heartbeat() as heartbeat:
                self._beat(heartbeat)
                # Answered, so that a worker notices within seconds when we are gone without a word.
                self._connection.send_soon(Heartbeat(), reply_to=envelope.id)
            case TreesGone() as gone:
                self._shell.feed(events.TreesGone(now, name, frozenset(gone.trees)))
            case FindMissing() as question:
                missing = await self._house.storage.blobs.find_missing(question.digests)
                answer = Missing(digests=tuple(sorted(missing)))
                self._connection.send_soon(answer, reply_to=envelope.id)
            case StatusGet():
                self._connection.send_soon(self._house.status(), reply_to=envelope.id)
            case Drain() as wish:
                # Its own wish ends with its session; only an administrator's is remembered.
                self._shell.feed(events.WorkerDrain(self._shell.now(), name, wish.on))
            case _:
                pass

    def _beat(self, heartbeat: Heartbeat) -> None:
        worker = self._worker
        worker.load = heartbeat.load
        held = tuple(
            worker.held[lease]
            for name in heartbeat.leases
            if (lease := LeaseId(name)) in worker.held
        )
        free, room = heartbeat.memory_free_bytes or None, heartbeat.disk_free_bytes
        self._shell.feed(
            events.WorkerHeartbeat(self._shell.now(), worker.name, worker.session, held, free, room)
        )

    # ── ends of leases ──────────────────────────────────────────────────────────────────────────

    async def _finish(self, message: LeaseResult) -> None:
        held = self._worker.held.pop(LeaseId(message.lease), None)
        if message.missing:
            await self._lose_inputs(message.lease, message.epoch, message.missing, held)
            return
        outcome = await self._judge(message)
        entry = _usable_entry(message, outcome)
        self._shell.feed(
            events.LeaseFinished(
                self._shell.now(),
                self._worker.name,
                LeaseId(message.lease),
                message.epoch,
                outcome,
                message.memory_bytes,
                await self._house.findings.of(outcome),
            ),
            entry,
        )

    async def _judge(self, message: LeaseResult) -> Outcome:
        """Return what is to be believed of a result."""
        try:
            result = ActionResult.from_bytes(message.result) if message.result else None
        except ProtocolError as error:
            return self._distrust(f"a result that cannot be read: {error.message}")
        if result is None and message.kind is OutcomeKind.TOOL:
            return self._distrust("a verdict without a result")
        if result is not None:
            result = replace(result, worker=self._worker.name)
            if await self._house.storage.blobs.find_missing(result.blobs()):
                return self._distrust("a result without its blobs")
        return Outcome(message.kind, result, message.cause, message.detail)

    def _distrust(self, what: str) -> Outcome:
        name = self._worker.name
        self._strikes.add(what)
        return Outcome(
            OutcomeKind.INFRASTRUCTURE, cause=Cause.PROTOCOL, detail=f"worker {name} sent {what}"
        )

    async def _reject(self, message: LeaseReject) -> None:
        held = self._worker.held.pop(LeaseId(message.lease), None)
        try:
            reason = events.RefusalReason(message.reason)
        except ValueError:
            # A newer worker's reason: whatever it is, this worker does not run the action.
            reason = events.RefusalReason.UNSUPPORTED
        if reason is events.RefusalReason.MISSING_INPUTS:
            await self._lose_inputs(message.lease, message.epoch, message.missing, held)
            return
        self._feed_rejected(message.lease, message.epoch, reason, detail=message.detail)

    async def _lose_inputs(
        self,
        lease: str,
        epoch: int,
        named: tuple[Digest, ...],
        held: events.HeldLease | None,
    ) -> None:
        """Ask the client for what is really missing; else it is the worker that cannot fetch."""
        lost = await self._really_missing(named, held.action if held else None)
        if lost:
            reason = events.RefusalReason.MISSING_INPUTS
            self._feed_rejected(lease, epoch, reason, lost)
            return
        detail = f"worker {self._worker.name} could not fetch inputs that are in the store"
        outcome = Outcome(OutcomeKind.INFRASTRUCTURE, cause=Cause.PROTOCOL, detail=detail)
        self._shell.feed(
            events.LeaseFinished(
                self._shell.now(), self._worker.name, LeaseId(lease), epoch, outcome
            )
        )

    async def _really_missing(
        self, named: tuple[Digest, ...], action: Digest | None
    ) -> tuple[Digest, ...]:
        missing = set(await self._house.storage.blobs.find_missing(named))
        if action is not None and missing:
            missing |= await self._doubt_trees(action)
        return tuple(sorted(missing))

    async def _doubt_trees(self, action_digest: Digest) -> set[Digest]:
        """Look the action's trees up again: what one worker missed, more may be missing of."""
        closures = self._house.closures
        try:
            action = Action.from_bytes(await read_all(self._house.storage.blobs, action_digest))
            missing = set(await closures.look_again(action.input_root))
            toolchain = toolchain_of(action)
            lacking = await closures.look_again(toolchain) if toolchain is not None else ()
        except BlobMissing:
            return {action_digest}
        except CyxError:
            return set()
        if lacking and toolchain is not None:
            # The root's name tells the core that the toolchain can no longer be fetched.
            missing.update(lacking, {toolchain})
        return missing

    def _feed_rejected(
        self,
        lease: str,
        epoch: int,
        reason: events.RefusalReason,
        missing: tuple[Digest, ...] = (),
        detail: str = "",
    ) -> None:
        now, name = self._shell.now(), self._worker.name
        self._shell.feed(
            events.LeaseRejected(now, name, LeaseId(lease), epoch, reason, missing, detail)
        )


def _usable_entry(message: LeaseResult, outcome: Outcome) -> CacheEntry | None:
    """Return the worker's cache entry when it tells of the result just verified."""
    if message.entry is None or not outcome.succeeded or outcome.result is None:
        return None
    # What was verified is what is kept. Of the entry's own copy only one digest is taken: that of
    # the template which stands for the depfile, and the cache itself sees that its blob is here.
    kept = outcome.result
    if message.entry.depfile:
        templated = _with_template(kept, message.entry)
        if templated is None:
            return None
        kept = templated
    return message.entry.model_copy(update={"result": kept.to_bytes()})


def _with_template(result: ActionResult, entry: CacheEntry) -> ActionResult | None:
    """Return a result whose depfile is the entry's template; None when the entry has none."""
    try:
        claimed = ActionResult.from_bytes(entry.result)
    except ProtocolError:
        return None
    digests = {output.path: output.digest for output in claimed.outputs}
    if entry.depfile not in digests or all(o.path != entry.depfile for o in result.outputs):
        return None
    outputs = tuple(
        replace(output, digest=digests[entry.depfile]) if output.path == entry.depfile else output
        for output in result.outputs
    )
    return replace(result, outputs=outputs)
