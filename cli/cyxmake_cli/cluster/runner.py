"""Runs the edges of a build: compiles and links on the cluster where that is sure, the rest here.

Knows nothing of plans and screens. The cluster may appear while the build already runs, and may go
away at any time: an edge that cannot be done there runs locally, and its result says why. Only the
compiler's own verdict fails an edge: a failure seen on the cluster is confirmed by a local run.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from pathlib import Path

from cyxmake_cli.cluster.homecoming import Homecoming
from cyxmake_cli.cluster.link_runner import LinkRunner
from cyxmake_cli.cluster.native import Native
from cyxmake_cli.cluster.path_maps import PathMaps
from cyxmake_cli.cluster.placing import Placing
from cyxmake_cli.cluster.remote import RemoteCompiler
from cyxmake_cli.cluster.response_files import reader_in
from cyxmake_cli.cluster.results import RemoteResult
from cyxmake_cli.cluster.toolchains import Toolchains
from cyxmake_cli.cluster.working_directory import SearchLinks, with_believed_directory
from cyxmake_cli.cluster.wrappers import Wrappers
from cyxmake_cli.ninja.driver import EdgeResult, Turn, Where
from cyxmake_cli.ninja.graph import Edge
from cyxmake_cli.strategies.compile_units import (
    NOT_A_COMPILE,
    CompileUnit,
    EdgeFacts,
    plan_unit,
    split_edge,
)
from cyxmake_common.execution.process import ProcessRequest, run_process
from cyxmake_common.toolchain.local import LocalOnly


class EdgeRunner:
    """The Runner of one build in `directory`, with `local_jobs` processes of its own at a time.

    `cluster` resolves to a compiler on the cluster, or to the reason why there is none. `linking`
    takes the links; `home` brings what was left in the cluster before something here reads it.
    `maps` adds an option to compiles, wherever they run.
    """

    def __init__(
        self,
        directory: str,
        environ: Mapping[str, str],
        toolchains: Toolchains,
        cluster: asyncio.Future[RemoteCompiler | LocalOnly],
        linking: LinkRunner,
        home: Homecoming,
        *,
        local_jobs: int,
        maps: PathMaps | None = None,
    ) -> None:
        self._directory = directory
        self._read = reader_in(directory)
        self._links = SearchLinks()
        self._environ = with_believed_directory(environ, directory)
        self._wrappers = Wrappers(toolchains)
        self._native = Native(environ)
        self._cluster = cluster
        self._maps = maps
        self._linking = linking
        self._home = home
        self._slots = asyncio.Semaphore(local_jobs)

    async def run(self, edge: Edge, turn: Turn) -> EdgeResult:
        """Run one edge to its end, wherever that is."""
        argv = self._split(edge)
        command = edge.command()
        if self._maps is not None and not isinstance(argv, LocalOnly):
            mapped = await self._maps.mapped(argv, self._read)
            if mapped is not argv:
                argv, command = mapped, shlex.join(mapped)
        # Without restat ninja goes by times: an equal output has to be as new as any other.
        placing = Placing(keep_equal=edge.flag("restat"))
        compiled = await self._remotely(edge, argv, placing, turn)
        if isinstance(compiled, LocalOnly):
            return await self._run_here(edge, turn, command, compiled.reason)
        if compiled.exit_code != 0:
            here = await self._run_here(edge, turn, command, "a failure is confirmed here")
            if here.exit_code == 0:
                return EdgeResult(
                    0, here.output, Where.LOCAL, here.seconds, reason="failed on the cluster only"
                )
            return here
        where = Where.REMOTE if compiled.worker else Where.CACHE
        why = f"sent again with {compiled.healed}" if compiled.healed else ""
        return EdgeResult(0, compiled.output, where, compiled.seconds, compiled.worker, why)

    async def _remotely(
        self, edge: Edge, argv: list[str] | LocalOnly, placing: Placing, turn: Turn
    ) -> RemoteResult | LocalOnly:
        """Do an edge on the cluster, or say why it has to run here."""
        if argv == NOT_A_COMPILE:
            return await self._linking.run(edge, placing, turn)
        unit = argv if isinstance(argv, LocalOnly) else await self._plan(edge, argv)
        if isinstance(unit, LocalOnly):
            return unit
        await self._home.for_compile(edge)
        return await self._compile(unit, placing, turn)

    def _split(self, edge: Edge) -> list[str] | LocalOnly:
        outputs = tuple(str(node.path) for node in edge.outputs)
        return split_edge(EdgeFacts(edge.command(), outputs, edge.use_console))

    async def _plan(self, edge: Edge, argv: list[str]) -> CompileUnit | LocalOnly:
        if self._cluster.done() and isinstance(nothing := self._cluster.result(), LocalOnly):
            return nothing  # no need to look at compilers
        meant = await self._wrappers.see(argv, self._directory)
        if isinstance(meant, LocalOnly):
            return meant
        said = await self._native.explicit(meant.argv, meant.compiler, meant.toolchain, self._read)
        if isinstance(said, LocalOnly):
            return said
        outputs = tuple(str(node.path) for node in edge.outputs)
        unit = plan_unit(
            said.argv,
            outputs,
            self._directory,
            meant.toolchain,
            meant.compiler,
            self._environ,
            self._read,
            said.provided,
        )
        return unit if isinstance(unit, LocalOnly) else self._links.noted(unit)

    async def _compile(
        self, unit: CompileUnit, placing: Placing, turn: Turn
    ) -> RemoteResult | LocalOnly:
        remote = await asyncio.shield(self._cluster)
        if isinstance(remote, LocalOnly):
            return remote
        return await remote.compile(unit, placing, turn=turn.take)

    async def _run_here(self, edge: Edge, turn: Turn, command: str, reason: str) -> EdgeResult:
        await self._home.for_command(edge)
        await turn.take()
        async with self._slots:
            try:
                result = await run_process(
                    ProcessRequest(
                        command,
                        cwd=Path(self._directory),
                        merge=True,
                        console=edge.use_console,
                    )
                )
            except OSError as error:
                return EdgeResult(127, f"{error.strerror}: {error.filename}\n".encode())
        self._links.clear()
        # A command that a signal ended counts as failed; 128 + n is how shells report it.
        code = result.exit_code if result.signal == 0 else 128 + result.signal
        return EdgeResult(code, result.stdout, Where.LOCAL, result.seconds, reason=reason)
