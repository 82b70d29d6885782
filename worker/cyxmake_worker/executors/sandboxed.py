"""Executes actions: layers from the input roots, a sandbox around the command, outputs into the
store.

Knows nothing of leases or connections. Each action gets a scratch directory of its own, which is
always removed: after the action, or, when the worker was killed, at the next start.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import shutil
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from cyxmake_common.action import ActionResult, Command
from cyxmake_common.cas.disk import DiskStore
from cyxmake_common.cas.disk_writer import in_thread
from cyxmake_common.cas.store import write_all
from cyxmake_common.clock import monotonic
from cyxmake_common.compound import Compound, encode_ended
from cyxmake_common.digest import Digest
from cyxmake_common.errors import (
    BlobMissing,
    DigestMismatch,
    ProtocolError,
    SandboxError,
    StoreFull,
)
from cyxmake_common.execution.executor import Execution, ExecutionRequest, Phases
from cyxmake_common.outcome import Cause, Outcome, OutcomeKind
from cyxmake_worker.executors.compound import Allowed, arrange, compound_of
from cyxmake_worker.executors.verdict import Ending, Verdict, judge
from cyxmake_worker.inputs import InputRoots
from cyxmake_worker.outputs import collect, collect_wanted, store_outputs
from cyxmake_worker.sandbox.base import Limits, ProgramNotStarted, Sandbox, SandboxRun
from cyxmake_worker.sandbox.removal import remove_children, remove_tree


@dataclass(frozen=True, slots=True)
class ExecutorSettings:
    """What every action here is held to; `timeout` caps what actions ask for, 0 is none."""

    worker: str = ""
    timeout: float = 0.0
    limits: Limits = field(default_factory=Limits)
    allowed: Allowed = field(default_factory=Allowed)


class SandboxedExecutor:
    """An Executor. `open` before and `close` after use, which also go for the sandbox."""

    def __init__(
        self,
        inputs: InputRoots,
        sandbox: Sandbox,
        store: DiskStore,
        scratch: Path,
        settings: ExecutorSettings | None = None,
    ) -> None:
        self._inputs = inputs
        self._sandbox = sandbox
        self._store = store
        self._scratch = scratch
        self._settings = settings or ExecutorSettings()
        self._numbers = itertools.count(1)
        self._removals: set[asyncio.Task[None]] = set()
        self._running = 0

    def __repr__(self) -> str:
        return f"<SandboxedExecutor {self._sandbox!r} running={self._running} {self._inputs!r}>"

    async def open(self) -> None:
        """Remove what a killed worker left, and start the sandbox; raises SandboxError."""
        await in_thread(lambda: remove_children(self._scratch))
        self._scratch.chmod(0o700)
        await self._sandbox.start()

    async def close(self) -> None:
        """Kill what runs and wait for the last removal."""
        await self._sandbox.close()
        await asyncio.gather(*self._removals, return_exceptions=True)

    async def execute(self, request: ExecutionRequest) -> Execution:
        """Execute an action; see Executor. The blobs of the result are the store's latest used.

        Whoever needs them for longer pins them at once. A loss of the connection that inputs come
        by is not a verdict: that error is passed on.
        """
        self._running += 1
        try:
            return await self._execute(request)
        except ProgramNotStarted as error:
            return _failed(Cause.MISSING_INPUT, error)
        except SandboxError as error:
            return _failed(Cause.SANDBOX, error)
        except BlobMissing as error:
            return _failed(Cause.MISSING_INPUT, error)
        except (ProtocolError, DigestMismatch) as error:
            return _failed(Cause.PROTOCOL, error)
        except StoreFull as error:
            return _failed(Cause.DISK, error)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            return _failed(Cause.DISK if full else Cause.SANDBOX, error)
        finally:
            self._running -= 1

    async def _execute(self, request: ExecutionRequest) -> Execution:
        began = monotonic()
        async with AsyncExitStack() as stack:
            trees = [tree for tree in (request.toolchain, request.action.input_root) if tree]
            layers = [(await stack.enter_async_context(self._inputs.hold(t))).path for t in trees]
            scratch = self._scratch / str(next(self._numbers))
            scratch.mkdir(mode=0o700)
            stack.callback(self._remove_later, scratch)
            compound = compound_of(request.action, layers[-1])
            arrangement, command = None, request.command
            if compound is not None:
                allowed, platform = self._settings.allowed, request.action.platform
                arrangement = arrange(compound, platform, allowed, request.heard)
                if compound.wanted is not None:
                    command = replace(command, output_paths=())
            started = monotonic()
            limits = self._limits(request.action.timeout)
            run = await self._sandbox.run(layers, command, limits, scratch, arrangement)
            ended = monotonic()
            outcome = await self._conclude(run, scratch, command, compound)
        phases = Phases(started - began, ended - started, monotonic() - ended)
        return Execution(outcome, phases, run.process.max_rss)

    def _limits(self, asked: float) -> Limits:
        cap = self._settings.timeout
        return replace(self._settings.limits, timeout=min(asked or cap, cap or asked))

    async def _conclude(
        self, run: SandboxRun, scratch: Path, command: Command, compound: Compound | None
    ) -> Outcome:
        """Take the outputs into the store and judge."""
        wanted = compound.wanted if compound is not None else None
        place = command.working_directory
        found = await in_thread(
            lambda: (
                collect(run.upper, run.places)
                if wanted is None
                else collect_wanted(run.upper, place, wanted, run.laid)
            )
        )
        process = run.process
        if compound is not None and compound.apart:
            ended = run.ended
            # Without times: results of equal actions are held against each other.
            ended = tuple(replace(one, seconds=0.0) for one in ended)
            process = replace(process, stdout=encode_ended(ended), truncated=False)
        verdict = judge(
            Ending(
                process,
                missing=found.missing,
                refused=found.refused,
                out_of_memory=run.out_of_memory,
                disk_free=shutil.disk_usage(scratch).free,
            )
        )
        outputs = await store_outputs(self._store, found)
        pinned = [output.digest for output in outputs]
        try:
            stdout = await self._store_text(process.stdout)
            stderr = await self._store_text(process.stderr)
        finally:
            self._store.unpin(pinned)
        result = ActionResult(
            exit_code=process.exit_code,
            outputs=outputs,
            stdout=stdout,
            stderr=stderr,
            worker=self._settings.worker,
            seconds=process.seconds,
            symlinks=tuple(found.links),
        )
        return _outcome(verdict, result)

    async def _store_text(self, text: bytes) -> Digest | None:
        return await write_all(self._store, text) if text else None

    def _remove_later(self, scratch: Path) -> None:
        # In the background: the verdict need not wait for a dozen unlinks.
        task = asyncio.get_running_loop().create_task(in_thread(lambda: remove_tree(scratch)))
        self._removals.add(task)
        task.add_done_callback(self._removals.discard)


def _outcome(verdict: Verdict, result: ActionResult) -> Outcome:
    return Outcome(verdict.kind, result, verdict.cause, verdict.detail)


def _failed(cause: Cause, error: Exception) -> Execution:
    return Execution(Outcome(OutcomeKind.INFRASTRUCTURE, None, cause, str(error)))
