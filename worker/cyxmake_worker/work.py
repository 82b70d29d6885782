"""The work of leases, stage by stage: fetch the inputs, execute, upload what the coordinator lacks.

Knows nothing of slots, epochs or reconnects (core): it is told what to do, and ends with a report.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol

import structlog

from cyxmake_common.action import Action, ActionResult, Command
from cyxmake_common.compound import COMPOUND
from cyxmake_common.digest import EMPTY, Digest
from cyxmake_common.errors import (
    BlobMissing,
    ProtocolError,
    SandboxError,
    StoreFull,
)
from cyxmake_common.execution.executor import Execution, ExecutionRequest, Executor
from cyxmake_common.ids import LeaseId
from cyxmake_common.net.blobs import BlobSource
from cyxmake_common.outcome import Cause, Outcome, OutcomeKind
from cyxmake_common.protocol.messages import (
    MAX_DIGESTS,
    MAX_INLINE,
    MAX_TEXT,
    CacheEntry,
    FindMissing,
    LeaseReject,
    LeaseResult,
    Message,
    Missing,
)
from cyxmake_worker.core.events import Report
from cyxmake_worker.entries import without_private
from cyxmake_worker.fetch import Fetcher, MissingInputs
from cyxmake_worker.inputs import Layer, UnfitTree
from cyxmake_worker.output_relay import OutputRelay
from cyxmake_worker.proofs import ToolchainProofs
from cyxmake_worker.stand_ins import NoStandIn

MISSING_INPUTS: Final = "missing-inputs"
TOOLCHAIN_BROKEN: Final = "toolchain-broken"
UNSUPPORTED: Final = "unsupported"
_log = structlog.get_logger(__name__)


class OutputStore(Protocol):
    """The store that executors leave their outputs in."""

    def pin(self, digests: Iterable[Digest]) -> None:
        """Keep blobs; counted."""
        ...

    def unpin(self, digests: Iterable[Digest]) -> None:
        """Take back one pin of each blob."""
        ...

    def path_of(self, digest: Digest) -> Path:
        """Return a blob's file; raises BlobMissing."""
        ...


class Roots(Protocol):
    """Trees as directories on this machine."""

    def __contains__(self, tree: Digest) -> bool:
        """Tell whether a tree is laid out already."""
        ...

    async def acquire(self, tree: Digest) -> Layer:
        """Lay a tree out, until it is released; raises MissingInputs and others."""
        ...

    def release(self, layer: Layer) -> None:
        """Give a tree back."""
        ...


class Uploader(Protocol):
    """The coordinator's store, as far as outputs go there."""

    async def put_many(self, items: Sequence[tuple[Digest, BlobSource]]) -> int:
        """Upload blobs; raises ConnectionLost, StoreFull."""
        ...


class Substitutes(Protocol):
    """Trees in place of toolchains whose programs run on another kind of machine."""

    async def tree(self, action: Action, toolchain: Digest) -> Digest:
        """Return the tree to lay out for a toolchain; raises NoStandIn, MissingInputs."""
        ...

    def disturbed(self, request: ExecutionRequest, layers: Sequence[Path]) -> str:
        """Return why an action with these layers would mean something else here; else nothing."""
        ...


class Recorder(Protocol):
    """Turns a success into an entry of the action cache."""

    def prepare(self, request: ExecutionRequest, layers: Sequence[Path]) -> ExecutionRequest:
        """Return what is really executed, so that the inputs read can be told afterwards."""
        ...

    async def record(
        self, request: ExecutionRequest, layers: Sequence[Path], result: ActionResult
    ) -> tuple[ActionResult, CacheEntry | None]:
        """Return the result as the client wants it, and the entry if there can be one."""
        ...


class NoEntries:
    """A Recorder that makes none: where a file is found under names that it does not have."""

    def prepare(self, request: ExecutionRequest, layers: Sequence[Path]) -> ExecutionRequest:
        """Return the request as it is."""
        return request

    async def record(
        self, request: ExecutionRequest, layers: Sequence[Path], result: ActionResult
    ) -> tuple[ActionResult, CacheEntry | None]:
        """Return the result as it is."""
        return result, None


def _fits(request: ExecutionRequest) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What work is done with; tests hand in their own."""

    name: str
    fetcher: Fetcher
    store: OutputStore
    roots: Roots
    seed: Callable[[Digest], Awaitable[None]]
    stand_ins: Substitutes
    executor: Executor
    proofs: ToolchainProofs
    uploader: Uploader
    recorder: Recorder
    ask: Callable[[Message], Awaitable[Message]]
    tell: Callable[[Message], None]
    unfit: Callable[[ExecutionRequest], str] = _fits
    can_execute: bool = True


@dataclass(slots=True)
class _Job:
    """What is kept of one lease between its stages."""

    request: ExecutionRequest | None = None
    layers: list[Layer] = field(default_factory=list)
    execution: Execution | None = None
    pinned: frozenset[Digest] = frozenset()
    conclusion: tuple[Outcome, CacheEntry | None] | None = None

    @property
    def paths(self) -> list[Path]:
        """Return where the layers are, uppermost first."""
        return [layer.path for layer in self.layers]


class LeaseJobs:
    """Does the work of any number of leases."""

    def __init__(self, workshop: Workshop) -> None:
        self._with = workshop
        self._jobs: dict[LeaseId, _Job] = {}

    def __repr__(self) -> str:
        return f"<LeaseJobs {list(self._jobs)}>"

    # ── stages ──────────────────────────────────────────────────────────────────────────────────

    async def prepare(self, lease: LeaseId, action: Digest) -> Report | None:
        """Have everything that the action needs laid out on disk, and kept there."""
        if not self._with.can_execute:
            return LeaseReject(lease=lease, epoch=0, reason=UNSUPPORTED)
        job = self._jobs.setdefault(lease, _Job())
        try:
            wanted = Action.from_bytes(await self._with.fetcher.read(action))
            command = Command.from_bytes(await self._with.fetcher.read(wanted.command))
            request = ExecutionRequest(action, wanted, command)
            tools = request.toolchain
            if tools is not None:
                tools = await self._with.stand_ins.tree(wanted, tools)
            if why := self._with.unfit(request):
                return _unsupported(lease, why)
            for root in (tools, wanted.input_root):
                if root is not None and all(layer.digest != root for layer in job.layers):
                    job.layers.append(await self._lay_out(root))
        except NoStandIn as none:
            return _broken(lease, str(none))
        except UnfitTree as unfit:
            return _unsupported(lease, str(unfit))
        except MissingInputs as lost:
            missing = lost.digests[:MAX_DIGESTS]
            return LeaseReject(lease=lease, epoch=0, reason=MISSING_INPUTS, missing=missing)
        if request.toolchain is not None:
            tree = job.layers[0]
            wrong = await self._with.proofs.check(request.toolchain, tree.digest, tree.path)
            if wrong:
                return _broken(lease, wrong)
            if why := self._with.stand_ins.disturbed(request, job.paths):
                return _unsupported(lease, why)
        job.request = request
        return None

    async def _lay_out(self, root: Digest) -> Layer:
        if root not in self._with.roots:
            await self._with.seed(root)
        return await self._with.roots.acquire(root)

    async def execute(self, lease: LeaseId) -> None:
        """Run the action to its verdict; its outputs are pinned in the local store."""
        job = self._jobs[lease]
        # Only the command may differ: the digest stays the client's own.
        request = self._with.recorder.prepare(_request(job), job.paths)
        if not request.action.property(COMPOUND):
            job.execution = await self._with.executor.execute(request)
        else:
            relay = OutputRelay(lease, self._with.tell)
            job.execution = await self._with.executor.execute(replace(request, heard=relay.hear))
            relay.flush()
        if job.execution.outcome.result is not None:
            self._pin(job, job.execution.outcome.result)

    async def upload(self, lease: LeaseId) -> Report:
        """Bring outputs to the coordinator's store; the report may be sent afterwards."""
        job = self._jobs[lease]
        if job.execution is None:
            raise AssertionError(f"{lease} was not executed")
        if job.conclusion is None:
            # Here and not in `execute`: the slot is free by now, and the next command runs.
            job.conclusion = await self._conclude(job, job.execution)
        outcome, entry = job.conclusion
        if outcome.result is not None:
            await self._deliver(outcome.result.blobs() | _entry_blobs(entry))
        _log.info(
            "executed",
            lease=lease,
            kind=outcome.kind.value,
            exit_code=outcome.result.exit_code if outcome.result else None,
            seconds=round(job.execution.phases.command, 3),
            cached=entry is not None,
        )
        return _result(lease, outcome, entry, job.execution.max_rss)

    def failed(self, lease: LeaseId, error: Exception) -> Report:
        """Return the report about work that failed for a reason of ours."""
        _log.warning("lease-failed", lease=lease, error=str(error))
        outcome = Outcome(
            OutcomeKind.INFRASTRUCTURE,
            cause=_cause(error),
            detail=f"{self._with.name}: {type(error).__name__}: {error}"[:MAX_TEXT],
        )
        return _result(lease, outcome, None)

    def forget(self, lease: LeaseId) -> None:
        """Let go of everything kept for a lease."""
        job = self._jobs.pop(lease, None)
        if job is not None:
            for layer in job.layers:
                self._with.roots.release(layer)
            self._with.store.unpin(job.pinned)

    # ── helpers ─────────────────────────────────────────────────────────────────────────────────

    async def _conclude(self, job: _Job, execution: Execution) -> tuple[Outcome, CacheEntry | None]:
        """Return the outcome as the client wants it, and the entry of a success."""
        outcome = execution.outcome
        if outcome.result is None:
            return outcome, None
        result, entry = await self._record(_request(job), job.paths, outcome.result)
        if entry is not None:
            self._pin(job, ActionResult.from_bytes(entry.result))
        return replace(outcome, result=result), entry if outcome.succeeded else None

    def _pin(self, job: _Job, result: ActionResult) -> None:
        fresh = result.blobs() - job.pinned - {EMPTY}
        self._with.store.pin(fresh)
        job.pinned |= fresh

    async def _record(
        self, request: ExecutionRequest, layers: Sequence[Path], result: ActionResult
    ) -> tuple[ActionResult, CacheEntry | None]:
        try:
            return await self._with.recorder.record(request, layers, result)
        except Exception:
            # An entry makes the next build faster; a result without one is as good.
            _log.exception("no-cache-entry", action=str(request.digest))
            return without_private(result), None

    async def _deliver(self, blobs: Collection[Digest]) -> None:
        wanted = tuple(sorted(digest for digest in blobs if digest != EMPTY))
        missing: list[Digest] = []
        for start in range(0, len(wanted), MAX_DIGESTS):
            answer = await self._with.ask(FindMissing(digests=wanted[start : start + MAX_DIGESTS]))
            if not isinstance(answer, Missing):
                raise ProtocolError(f"{answer.type} is no answer to find_missing")
            missing += answer.digests
        if missing:
            store = self._with.store
            await self._with.uploader.put_many([(d, store.path_of(d)) for d in missing])


def _unsupported(lease: LeaseId, detail: str) -> LeaseReject:
    return LeaseReject(lease=lease, epoch=0, reason=UNSUPPORTED, detail=detail[:MAX_TEXT])


def _broken(lease: LeaseId, detail: str) -> LeaseReject:
    return LeaseReject(lease=lease, epoch=0, reason=TOOLCHAIN_BROKEN, detail=detail[:MAX_TEXT])


def _entry_blobs(entry: CacheEntry | None) -> frozenset[Digest]:
    return frozenset() if entry is None else ActionResult.from_bytes(entry.result).blobs()


def _request(job: _Job) -> ExecutionRequest:
    if job.request is None:
        raise AssertionError("the lease was not prepared")
    return job.request


def _result(
    lease: LeaseId, outcome: Outcome, entry: CacheEntry | None, memory: int = 0
) -> LeaseResult:
    data = outcome.result.to_bytes() if outcome.result is not None else b""
    if len(data) > MAX_INLINE:
        detail = "the action has more outputs than a message can name"
        outcome, data, entry = Outcome(OutcomeKind.INFRASTRUCTURE, detail=detail), b"", None
    return LeaseResult(
        lease=lease,
        epoch=0,
        kind=outcome.kind,
        cause=outcome.cause,
        detail=outcome.detail[:MAX_TEXT],
        result=data,
        entry=entry,
        memory_bytes=memory,
    )


def _cause(error: Exception) -> Cause:
    if isinstance(error, BlobMissing):
        return Cause.MISSING_INPUT
    if isinstance(error, StoreFull):
        return Cause.DISK
    if isinstance(error, SandboxError):
        return Cause.SANDBOX
    if isinstance(error, ProtocolError):
        return Cause.PROTOCOL
    return Cause.NONE
