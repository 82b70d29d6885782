"""Takes edges that link, or make a static library, to the cluster where that is sure.

Knows nothing of plans and screens; where it cannot, it says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from cyxmake_cli.cluster.link_tools import LinkTools
from cyxmake_cli.cluster.links import RemoteLinker
from cyxmake_cli.cluster.placing import Placing
from cyxmake_cli.cluster.response_files import reader_in
from cyxmake_cli.cluster.results import RemoteResult
from cyxmake_cli.cluster.target_batches import LinkPart, MadeLink
from cyxmake_cli.cluster.toolchains import Toolchains
from cyxmake_cli.cluster.way import Way
from cyxmake_cli.ninja.graph import Edge
from cyxmake_cli.strategies.compile_units import EdgeFacts
from cyxmake_cli.strategies.link_units import LinkUnit, parse_linking, plan_link, split_link
from cyxmake_common.toolchain.compile_command import CompilerKind
from cyxmake_common.toolchain.link_command import LinkCommand
from cyxmake_common.toolchain.local import LocalOnly


class LinkRunner:
    """The links of one build in `directory`; `cluster` resolves to what links there, or why not."""

    def __init__(
        self,
        directory: str,
        environ: Mapping[str, str],
        toolchains: Toolchains,
        tools: LinkTools,
        cluster: asyncio.Future[RemoteLinker | LocalOnly],
    ) -> None:
        self._directory = directory
        self._read = reader_in(directory)
        self._environ = environ
        self._toolchains = toolchains
        self._tools = tools
        self._cluster = cluster

    async def part(self, edge: Edge, made: frozenset[str]) -> LinkPart | None:
        """Return a link's part in an action that makes these objects; None where it is unsure."""
        remote = await asyncio.shield(self._cluster)
        if isinstance(remote, LocalOnly):
            return None
        outputs = tuple(node.path for node in edge.outputs)
        commands = split_link(EdgeFacts(edge.command(), outputs, edge.use_console))
        if isinstance(commands, LocalOnly):
            return None
        unit = await self._plan(commands, outputs)
        return None if isinstance(unit, LocalOnly) else await remote.part(unit, made)

    async def run(
        self, edge: Edge, placing: Placing, way: Way, made: MadeLink | None = None
    ) -> RemoteResult | LocalOnly:
        """Do an edge's link on the cluster, or say why it has to run here.

        `made` is what came of it when its target was done.
        """
        outputs = tuple(node.path for node in edge.outputs)
        commands = split_link(EdgeFacts(edge.command(), outputs, edge.use_console))
        if isinstance(commands, LocalOnly):
            return commands
        remote = await asyncio.shield(self._cluster)
        if isinstance(remote, LocalOnly):
            return remote
        if made is not None:
            placed = await remote.place_made(made, placing, way)
            if not isinstance(placed, LocalOnly):
                return placed
        unit = await self._plan(commands, outputs)
        if not isinstance(unit, LocalOnly):
            done = await remote.link(unit, placing, way)
            if not isinstance(done, LocalOnly):
                return done
            unit = done
        return LocalOnly(f"links here: {unit.reason}")

    async def _plan(
        self, commands: list[list[str]], outputs: tuple[str, ...]
    ) -> LinkUnit | LocalOnly:
        command = parse_linking(commands, self._read)
        if isinstance(command, LinkCommand):
            kind = await self._kind(command.compiler)
            if isinstance(kind, LocalOnly):
                return kind
            command = parse_linking(commands, self._read, kind)
        if isinstance(command, LocalOnly):
            return command
        tools = await self._tools.find(command, self._directory)
        if isinstance(tools, LocalOnly):
            return tools
        return plan_link(command, outputs, self._directory, tools, self._environ)

    async def _kind(self, compiler: str) -> CompilerKind | LocalOnly:
        """Return whose command line a driver understands, whatever it is called."""
        found = await self._toolchains.find(compiler, self._directory)
        return found if isinstance(found, LocalOnly) else found[1].kind
