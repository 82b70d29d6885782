"""The sandbox of machines that have none: it runs nothing and says why.

Knows nothing of how others are tried (see probe).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cyxmake_common.action import Command
from cyxmake_common.errors import SandboxError
from cyxmake_worker.sandbox.base import Arrangement, Limits, SandboxKind, SandboxRun


class NoSandbox:
    """A Sandbox that refuses."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def __repr__(self) -> str:
        return f"<NoSandbox {self._reason}>"

    @property
    def kind(self) -> SandboxKind:
        """Return what this sandbox is."""
        return SandboxKind.NONE

    async def start(self) -> None:
        """Do nothing: a worker without a sandbox may still join and say so."""

    async def run(
        self,
        layers: Sequence[Path],
        command: Command,
        limits: Limits,
        scratch: Path,
        arrangement: Arrangement | None = None,
    ) -> SandboxRun:
        """Raise SandboxError."""
        raise SandboxError(f"this worker cannot run actions: {self._reason}")

    async def close(self) -> None:
        """Do nothing."""
