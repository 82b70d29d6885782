"""Adds to an edge the inputs that its last run was seen to read: depfile or deps log.

Knows nothing of dirtiness, except that unknown dependencies make an edge run again.
"""

from __future__ import annotations

from collections.abc import Sequence

from cyxmake_cli.ninja.depfile import parse_depfile
from cyxmake_cli.ninja.deps_log import DepsLog
from cyxmake_cli.ninja.disk import Disk
from cyxmake_cli.ninja.errors import DepfileError, GraphError
from cyxmake_cli.ninja.explanations import Explanations
from cyxmake_cli.ninja.graph import Edge, Node, State


class ImplicitDeps:
    """Loads discovered inputs, once per edge."""

    def __init__(
        self, state: State, disk: Disk, deps_log: DepsLog, explanations: Explanations | None
    ) -> None:
        self._state = state
        self._disk = disk
        self._deps_log = deps_log
        self._explanations = explanations
        self.sources_may_vanish = True

    def load(self, edge: Edge) -> bool:
        """Add an edge's discovered inputs; False when they are unknown and it must run."""
        if edge.deps():
            return self._load_from_log(edge)
        depfile = edge.depfile()
        return not depfile or self._load_depfile(edge, depfile)

    def _load_from_log(self, edge: Edge) -> bool:
        output = edge.outputs[0]
        deps = self._deps_log.get(output)
        if deps is None:
            return self._unknown(output, f"deps for '{output.path}' are missing")
        if output.mtime > deps.mtime:
            return self._unknown(
                output,
                f"stored deps info out of date for '{output.path}' "
                f"({deps.mtime} vs {output.mtime})",
            )
        self._insert(edge, self._deps_log.inputs(deps))
        return True

    def _load_depfile(self, edge: Edge, path: str) -> bool:
        output = edge.outputs[0]
        try:
            content = self._disk.read(path)
        except FileNotFoundError:
            content = b""
        except OSError as error:
            raise GraphError(f"loading '{path}': {error.strerror or error}") from None
        if not content:
            return self._unknown(output, f"depfile '{path}' is missing")
        try:
            depfile = parse_depfile(content)
        except DepfileError as error:
            raise GraphError(f"{path}: {error.message}") from None
        if not depfile.outputs:
            raise GraphError(f"{path}: no outputs declared")
        if depfile.outputs[0] != output.path:
            return self._unknown(
                output,
                f"expected depfile '{path}' to mention '{output.path}', got '{depfile.outputs[0]}'",
            )
        declared = {node.path for node in edge.outputs}
        for name in depfile.outputs:
            if name not in declared:
                raise GraphError(
                    f"{path}: depfile mentions '{name}' as an output, "
                    "but no such output was declared"
                )
        self._insert(edge, [self._state.node(name) for name in depfile.inputs])
        return True

    def _insert(self, edge: Edge, nodes: Sequence[Node]) -> None:
        edge.insert_implicit(nodes)
        for node in nodes:
            if node.in_edge is None and (self.sources_may_vanish or not node.in_manifest):
                node.from_deps = True

    def _unknown(self, output: Node, reason: str) -> bool:
        if self._explanations is not None:
            self._explanations.add(output, reason)
        return False
