"""Runs the edges of a build: compiles and links wherever they are done first, the rest here.

Knows nothing of plans and screens, nor of what is faster (racing). The cluster may appear while the
build already runs, and may go away at any time: an edge that cannot be done there runs locally, and
its result says why. Only the compiler's own verdict fails an edge: a failure seen on the cluster is
confirmed by a local run.
"""

from __future__ import annotations

import asyncio
import posixpath
import shlex
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from cyxmake_cli.cluster.homecoming import Homecoming
from cyxmake_cli.cluster.lanes import Lanes
from cyxmake_cli.cluster.link_runner import LinkRunner
from cyxmake_cli.cluster.native import Native
from cyxmake_cli.cluster.path_maps import PathMaps
from cyxmake_cli.cluster.placing import Placing
from cyxmake_cli.cluster.remote import RemoteCompiler
from cyxmake_cli.cluster.response_files import reader_in
from cyxmake_cli.cluster.results import RemoteResult
from cyxmake_cli.cluster.target_batches import TargetBatches, Together
from cyxmake_cli.cluster.toolchains import Toolchains
from cyxmake_cli.cluster.way import Way
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

CONFIRMED_HERE: Final = LocalOnly("a failure is confirmed here")


Failed = Callable[[CompileUnit, EdgeResult], Awaitable[None]]
"""Takes note of a compile that failed its edge."""


class EdgeRunner:
    """The Runner of one build in `directory`; `lanes` decides what runs where, and when.

    `expected` returns what an edge took before, None when that is not known.
    `cluster` resolves to a compiler on the cluster, or to the reason why there is none. `linking`
    takes the links; `home` brings what was left in the cluster before something here reads it.
    `maps` adds an option to compiles, wherever they run. `targets` does some edges together.
    `failed` is told of compiles that fail.
    """

    def __init__(
        self,
        directory: str,
        environ: Mapping[str, str],
        toolchains: Toolchains,
        cluster: asyncio.Future[RemoteCompiler | LocalOnly],
        linking: LinkRunner,
        home: Homecoming,
        lanes: Lanes,
        *,
        expected: Callable[[Edge], float | None],
        maps: PathMaps | None = None,
        targets: TargetBatches | None = None,
        failed: Failed | None = None,
    ) -> None:
        self._directory = directory
        self._read = reader_in(directory)
        self._links = SearchLinks()
        self._environ = with_believed_directory(environ, directory)
        self._wrappers = Wrappers(toolchains)
        self._native = Native(environ)
        self._cluster = cluster
        self._maps = maps
        self._targets = targets
        self._linking = linking
        self._home = home
        self._lanes = lanes
        self._failed = failed
        self._expected = expected

    async def run(self, edge: Edge, turn: Turn) -> EdgeResult:
        """Run one edge to its end, wherever that is."""
        argv = self._split(edge)
        command = edge.command()
        if self._maps is not None and not isinstance(argv, LocalOnly):
            mapped = await self._maps.mapped(argv, self._read)
            if mapped is not argv:
                argv, command = mapped, shlex.join(mapped)
        # Without restat ninja goes by times: an equal output has to be as new as any other.
        placing = Placing(keep_equal=edge.flag("restat"), held=self._passing_depfile(edge))

        async def here(reason: str) -> EdgeResult:
            return await self._run_here(edge, turn, command, reason)

        rank, seconds = edge.urgency / 1000, self._expected(edge)
        # What restat compares must be written once.
        lane = self._lanes.enter(str(edge.id), turn, rank, seconds, not placing.keep_equal)
        if isinstance(argv, LocalOnly) and argv != NOT_A_COMPILE:
            return await lane.run_only_here(argv.reason, here)
        result = await lane.run(self._there(edge, argv, placing, lane), here)
        if result.exit_code != 0 and self._failed is not None and not isinstance(argv, LocalOnly):
            unit = await self._plan(edge, argv)
            if not isinstance(unit, LocalOnly):
                await self._failed(unit, result)
        return result

    async def _there(
        self, edge: Edge, argv: list[str] | LocalOnly, placing: Placing, way: Way
    ) -> EdgeResult | LocalOnly:
        """Do an edge in the cluster, to success, or say why it has to run here."""
        try:
            done = await self._remotely(edge, argv, placing, way)
        finally:
            if self._targets is not None:
                self._targets.ended(edge)
        if isinstance(done, LocalOnly):
            return done
        if done.exit_code != 0:
            return CONFIRMED_HERE
        where = Where.REMOTE if done.worker else Where.CACHE
        why = f"sent again with {done.healed}" if done.healed else ""
        return EdgeResult(0, done.output, where, done.seconds, done.worker, why, depfile=done.held)

    async def _remotely(
        self, edge: Edge, argv: list[str] | LocalOnly, placing: Placing, way: Way
    ) -> RemoteResult | LocalOnly:
        """Do an edge in the cluster, or say why it has to run here."""
        if isinstance(argv, LocalOnly):
            made = None if self._targets is None else self._targets.made(edge)
            return await self._linking.run(edge, placing, way, made)
        unit = await self._plan(edge, argv)
        if isinstance(unit, LocalOnly):
            return unit
        await self._home.for_compile(edge)
        remote = await asyncio.shield(self._cluster)
        if isinstance(remote, LocalOnly):
            return remote
        submit = None if self._targets is None else self._targets.submitter(edge)
        if submit is not None:
            way = Together(way)
        return await remote.compile(unit, placing, way=way, submit=submit)

    def _passing_depfile(self, edge: Edge) -> str:
        """Return the depfile that the build reads and removes as soon as it is written, if any.

        Beside an output: where that can be written the depfile could be, too.
        """
        depfile = edge.depfile() if edge.deps() == "gcc" else ""
        outputs = [node.path for node in edge.outputs]
        folder = depfile.rpartition("/")[0]
        if not depfile or depfile in outputs or folder != outputs[0].rpartition("/")[0]:
            return ""
        return posixpath.join(self._directory, depfile)

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

    async def _run_here(self, edge: Edge, turn: Turn, command: str, reason: str) -> EdgeResult:
        await self._home.for_command(edge)
        await turn.take()
        try:
            result = await run_process(
                ProcessRequest(
                    command, cwd=Path(self._directory), merge=True, console=edge.use_console
                )
            )
        except OSError as error:
            return EdgeResult(127, f"{error.strerror}: {error.filename}\n".encode())
        self._links.clear()
        # A command that a signal ended counts as failed; 128 + n is how shells report it.
        code = result.exit_code if result.signal == 0 else 128 + result.signal
        if code == 0 and reason == CONFIRMED_HERE.reason:
            reason = "failed on the cluster only"
        return EdgeResult(code, result.stdout, Where.LOCAL, result.seconds, reason=reason)
