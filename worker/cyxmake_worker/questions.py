"""Asks an action's compiler something, in the sandbox and over the layers that the action has.

Knows no question. The compiler need not stand on this machine; what it says is not kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from cyxmake_common.action import Command
from cyxmake_common.cas.store import BlobStore, read_all
from cyxmake_common.digest import Digest
from cyxmake_common.execution.executor import ExecutionRequest, Executor

_LARGE: Final = 64 * 1024
"""Below that an answer is left to the store's own order, for it may be some other blob as well."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a compiler said, on both channels."""

    stdout: bytes
    stderr: bytes


class Questions:
    """Asks by one worker's executor."""

    def __init__(self, executor: Executor, store: BlobStore) -> None:
        self._executor = executor
        self._store = store

    def __repr__(self) -> str:
        return f"<Questions {self._executor!r}>"

    async def ask(
        self,
        request: ExecutionRequest,
        arguments: tuple[str, ...],
        environment: tuple[tuple[str, str], ...],
        seconds: float,
    ) -> Answer | None:
        """Run a command in place of an action's own; None when it fails or says too much."""
        command = Command(
            arguments=arguments,
            environment=environment,
            working_directory=request.command.working_directory,
        )
        action = replace(request.action, timeout=seconds, do_not_cache=True)
        execution = await self._executor.execute(ExecutionRequest.of(action, command))
        outcome = execution.outcome
        # Of a success the detail tells that the text was cut.
        if not outcome.succeeded or outcome.result is None or outcome.detail:
            return None
        result = outcome.result
        return Answer(await self._take(result.stdout), await self._take(result.stderr))

    async def _take(self, digest: Digest | None) -> bytes:
        if digest is None:
            return b""
        data = await read_all(self._store, digest)
        if digest.size > _LARGE:
            await self._store.delete(digest)  # nobody asks for it again
        return data
