"""Proves toolchains on this machine: each compiles its own test before it compiles for anybody.

Knows nothing of leases. A success is remembered across starts, as long as processor, kernel and
sandbox are the same; a failure only until the worker ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from pathlib import Path
from typing import Final

import structlog

from cyxmake_common.action import TOOLCHAIN, Action, Command
from cyxmake_common.cas.store import BlobStore, read_all
from cyxmake_common.clock import monotonic
from cyxmake_common.digest import EMPTY, Digest
from cyxmake_common.errors import CyxError
from cyxmake_common.execution.executor import ExecutionRequest, Executor
from cyxmake_common.outcome import Cause, Outcome, OutcomeKind
from cyxmake_common.toolchain.manifest import MANIFEST_PATH, ToolchainManifest
from cyxmake_common.toolchain.smoke import FOLDER, SmokeTest, smoke_environment

_FORMAT: Final = 1
_MOST_REMEMBERED: Final = 256
_SECONDS: Final = 120.0
_MOST_TEXT: Final = 300
_log = structlog.get_logger(__name__)


class ToolchainProofs:
    """What is known of toolchains here; each is tried once, however many actions wait for it."""

    def __init__(self, executor: Executor, store: BlobStore, memory: Path, machine: str) -> None:
        self._executor = executor
        self._store = store
        self._memory = memory
        self._machine = machine
        self._proven: dict[str, None] = dict.fromkeys(_load(memory, machine))
        self._broken: dict[str, str] = {}
        self._trials: dict[str, asyncio.Task[str]] = {}

    def __repr__(self) -> str:
        return f"<ToolchainProofs {len(self._proven)} proven, {len(self._broken)} broken>"

    async def check(self, toolchain: Digest, tree: Digest, layer: Path) -> str:
        """Return what is wrong with a toolchain here, empty if nothing.

        `layer` is where its tree stands, or the tree in its place: with another, nothing is proven.
        """
        name = str(toolchain) if tree == toolchain else f"{toolchain} by {tree}"
        if name in self._proven:
            return ""
        if name in self._broken:
            return self._broken[name]
        task = self._trials.get(name)
        if task is None:
            task = self._trials[name] = asyncio.create_task(self._try(toolchain, name, layer))
            task.add_done_callback(lambda _: self._trials.pop(name, None))
        return await asyncio.shield(task)  # an action that is revoked ends nobody else's trial

    async def close(self) -> None:
        """End the trials that are under way."""
        trials = list(self._trials.values())
        for trial in trials:
            trial.cancel()
        await asyncio.gather(*trials, return_exceptions=True)

    async def _try(self, toolchain: Digest, name: str, layer: Path) -> str:
        started = monotonic()
        try:
            manifest = ToolchainManifest.from_bytes(Path(f"{layer}{MANIFEST_PATH}").read_bytes())
        except (OSError, ValueError):
            return ""  # a tree that says nothing of itself promises nothing
        for test in manifest.smoke:
            outcome = await self._run(toolchain, manifest, test)
            wrong = await self._judge(outcome, test)
            if wrong is None:
                return ""  # nothing is known: the next action asks again
            if wrong:
                wrong = f"{' '.join(test.arguments)}: {wrong}"
                self._broken[name] = wrong
                _log.error("toolchain-broken", toolchain=str(toolchain), reason=wrong)
                return wrong
        _log.info(
            "toolchain-proven", toolchain=str(toolchain), seconds=round(monotonic() - started, 3)
        )
        self._remember(name)
        return ""

    async def _run(
        self, toolchain: Digest, manifest: ToolchainManifest, test: SmokeTest
    ) -> Outcome:
        command = Command(
            arguments=test.arguments,
            environment=smoke_environment(manifest.path, manifest.variables),
            output_paths=(test.output,),
            working_directory=FOLDER.lstrip("/"),
        )
        action = Action(
            command=Digest.of(command.to_bytes()),
            input_root=EMPTY,
            timeout=_SECONDS,
            do_not_cache=True,
            platform=((TOOLCHAIN, str(toolchain)),),
        )
        execution = await self._executor.execute(ExecutionRequest.of(action, command))
        return execution.outcome

    async def _judge(self, outcome: Outcome, test: SmokeTest) -> str | None:
        """Return what is wrong, empty if nothing; None when something else than the tool failed."""
        result = outcome.result
        not_started = outcome.cause is Cause.MISSING_INPUT
        if outcome.kind not in (OutcomeKind.TOOL, OutcomeKind.AMBIGUOUS) and not not_started:
            return None
        if not outcome.succeeded or result is None:
            code = f"exit {result.exit_code}" if result is not None else ""
            return ": ".join(filter(None, (outcome.detail or code, await self._said(outcome))))
        if [output.digest for output in result.outputs] != [test.digest]:
            return "the object has other bytes than where the toolchain comes from"
        return ""

    async def _said(self, outcome: Outcome) -> str:
        """Return the first words of a compiler that failed."""
        if outcome.result is None or outcome.result.stderr is None:
            return ""
        try:
            text = await read_all(self._store, outcome.result.stderr)
        except CyxError:
            return ""
        lines = text.decode("utf-8", "replace").strip().splitlines()
        return lines[0][:_MOST_TEXT] if lines else ""

    def _remember(self, name: str) -> None:
        self._proven[name] = None
        while len(self._proven) > _MOST_REMEMBERED:
            del self._proven[next(iter(self._proven))]
        facts = {"format": _FORMAT, "machine": self._machine, "proven": list(self._proven)}
        fresh = self._memory.with_name(f"{self._memory.name}.{os.getpid()}")
        with contextlib.suppress(OSError):  # the next start tries again
            fresh.write_text(json.dumps(facts), "utf-8")
            fresh.replace(self._memory)


def _load(path: Path, machine: str) -> list[str]:
    try:
        facts = json.loads(path.read_bytes())
        known = facts["format"] == _FORMAT and facts["machine"] == machine
        return [str(name) for name in facts["proven"]] if known else []
    except (OSError, ValueError, KeyError, TypeError):
        return []
