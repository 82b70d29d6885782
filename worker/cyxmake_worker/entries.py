"""Turns a successful compile into an entry of the action cache, with its exact inputs.

Knows nothing of leases or connections.
"""

from __future__ import annotations

from cyxmake_common.action import ActionResult
from cyxmake_common.cas.disk import DiskStore
from cyxmake_common.execution.executor import ExecutionRequest, Executor
from cyxmake_common.protocol.messages import CacheEntry
from cyxmake_worker.fetch import Fetcher
from cyxmake_worker.toolchains import LocalToolchains


class EntryRecorder:
    """Makes entries."""

    def __init__(
        self, store: DiskStore, fetcher: Fetcher, executor: Executor, local: LocalToolchains
    ) -> None:
        self._store = store

    def prepare(self, request: ExecutionRequest) -> ExecutionRequest:
        """Return what is really executed."""
        return request

    async def record(
        self, request: ExecutionRequest, result: ActionResult
    ) -> tuple[ActionResult, CacheEntry | None]:
        """Return the result and its entry."""
        return result, None
