"""Has what fails in a build kept for `cyxmake replay`: compiles wherever they failed, links there.

Knows nothing of bundles on disk. A failure that cannot be kept is one that cannot be replayed:
nothing else depends on it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from cyxmake_cli.cluster.client import ClusterClient
from cyxmake_cli.cluster.inputs import InputRoots
from cyxmake_cli.cluster.results import RemoteResult
from cyxmake_cli.cluster.submit import Work
from cyxmake_cli.ninja.driver import EdgeResult
from cyxmake_cli.replay.bundle import Ending
from cyxmake_cli.replay.keeper import ReplayKeeper
from cyxmake_cli.strategies.compile_units import CompileUnit
from cyxmake_common.action import ActionResult
from cyxmake_common.errors import CyxError
from cyxmake_common.protocol.messages import JobFailed


class FailedActions:
    """The failed actions of one build; `client` returns the cluster's, if there is one."""

    def __init__(
        self,
        keeper: ReplayKeeper,
        inputs: InputRoots,
        client: Callable[[], Awaitable[ClusterClient | None]],
    ) -> None:
        self._keeper = keeper
        self._inputs = inputs
        self._client = client

    @property
    def kept(self) -> dict[str, str]:
        """What each kept action was to make, by the name to replay it by."""
        return self._keeper.kept

    async def compile_failed(self, unit: CompileUnit, result: EdgeResult) -> None:
        """Keep a compile that failed its edge."""
        where = result.worker or "this machine"
        ending = Ending("tool", "", "", result.exit_code, result.output, where)
        await self._keep(unit, ending)

    async def compile_killed(self, unit: CompileUnit, answer: JobFailed) -> None:
        """Keep a compile that was ended on a worker, with what it had printed by then."""
        client = await self._client()
        output = b""
        with contextlib.suppress(CyxError):
            result = ActionResult.from_bytes(answer.result)
            texts = [text for text in (result.stdout, result.stderr) if text is not None]
            if client is not None:
                output = b"".join((await client.blobs.get_many_bytes(texts)).values())
        kind, cause = answer.kind.value, answer.cause.value
        await self._keep(unit, Ending(kind, cause, answer.detail, -1, output, answer.worker))

    async def link_failed(self, work: Work, result: RemoteResult) -> None:
        """Keep a link that failed on a worker."""
        ending = Ending("tool", "", "", result.exit_code, result.output, result.worker)
        if self._keeper.wants(ending.output, ending.exit_code):
            await self._keeper.keep(work, ending)

    async def _keep(self, unit: CompileUnit, ending: Ending) -> None:
        if not self._keeper.wants(ending.output, ending.exit_code):
            return
        try:
            root = self._inputs.exact([unit])
        except (OSError, ValueError):
            return  # the source is gone, or not to be read: there is nothing to run again
        if root is None:
            return
        work = Work(
            argv=unit.command.argv,
            environment=unit.environment,
            outputs=unit.outputs,
            directory=unit.directory,
            tools=unit.toolchain,
            root=root,
            unit=unit,
        )
        await self._keeper.keep(work, ending)
