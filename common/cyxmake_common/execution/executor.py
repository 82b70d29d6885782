"""The one interface of everything that executes actions: one method.

Knows nothing of where it happens: in a sandbox here, on a worker, in a test. Wrappers (time
limit, tracing) implement the same interface around another executor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from cyxmake_common.action import TOOLCHAIN, Action, Command
from cyxmake_common.digest import Digest
from cyxmake_common.errors import ProtocolError
from cyxmake_common.outcome import Outcome


@dataclass(frozen=True, slots=True)
class ExecutionRequest:
    """One action to execute, with its command already loaded; `digest` is the action's own.

    `heard` is told what a compound action prints, as it comes.
    """

    digest: Digest
    action: Action
    command: Command
    heard: Callable[[bytes], None] | None = field(default=None, compare=False)

    @staticmethod
    def of(action: Action, command: Command) -> ExecutionRequest:
        """Return the request for an action; the digest follows from the action's bytes."""
        return ExecutionRequest(Digest.of(action.to_bytes()), action, command)

    @property
    def toolchain(self) -> Digest | None:
        """Return the tree that is laid over the input root; raises ProtocolError."""
        text = self.action.property(TOOLCHAIN)
        try:
            return Digest.parse(text) if text else None
        except ValueError as error:
            raise ProtocolError(f"{TOOLCHAIN}: {error}") from error


@dataclass(frozen=True, slots=True)
class Phases:
    """Where the time of an execution went, in seconds."""

    inputs: float = 0.0
    command: float = 0.0
    outputs: float = 0.0


@dataclass(frozen=True, slots=True)
class Execution:
    """A verdict and what it cost; every blob of its result is in the executor's store."""

    outcome: Outcome
    phases: Phases = Phases()
    max_rss: int = 0


class Executor(Protocol):
    """Executes one action at a time per call; calls may overlap."""

    async def execute(self, request: ExecutionRequest) -> Execution:
        """Execute an action to its verdict; when cancelled, kills it and leaves nothing behind."""
        ...
