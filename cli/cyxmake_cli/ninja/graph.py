"""The build graph as data: nodes (files), edges (commands), pools, and the state of one manifest.

Knows nothing of the disk, the logs or of what is out of date; others fill those fields in.

Each edge's inputs stand in three runs: explicit, implicit, order-only; dependencies found in
depfiles and dyndep files are inserted at the end of the implicit run. Fields from `mtime` and
`mark` on belong to the dirtiness scan and the plan, and are cleared by `State.reset`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from cyxmake_cli.ninja.errors import GraphError, ManifestError
from cyxmake_cli.ninja.paths import shell_quote
from cyxmake_cli.ninja.scope import PHONY, Rule, Scope, expand


class Mark(IntEnum):
    """Where a walk over the graph stands with an edge."""

    NONE = 0
    IN_STACK = 1
    DONE = 2


class Node:
    """A file, known by its canonical path."""

    __slots__ = (
        "deps_id",
        "dirty",
        "dyndep_pending",
        "exists",
        "from_deps",
        "in_edge",
        "in_manifest",
        "mtime",
        "out_edges",
        "path",
        "validation_out_edges",
    )

    def __init__(self, path: str) -> None:
        self.path = path
        self.in_edge: Edge | None = None
        self.out_edges: list[Edge] = []
        self.validation_out_edges: list[Edge] = []
        self.in_manifest = False
        self.from_deps = False
        self.dyndep_pending = False
        self.deps_id = -1
        self.mtime = -1
        self.exists: bool | None = None
        self.dirty = False

    def __repr__(self) -> str:
        flags = " dirty" if self.dirty else ""
        return f"Node({self.path} mtime={self.mtime}{flags})"

    def reset(self) -> None:
        """Forget what the disk said."""
        self.mtime, self.exists, self.dirty = -1, None, False


class Pool:
    """A limit on how many of its edges run at once; depth 0 is no limit."""

    __slots__ = ("depth", "name")

    def __init__(self, name: str, depth: int) -> None:
        self.name = name
        self.depth = depth

    def __repr__(self) -> str:
        return f"Pool({self.name or 'default'} depth={self.depth})"


DEFAULT_POOL: Final = Pool("", 0)
CONSOLE_POOL: Final = Pool("console", 1)


class Edge:
    """One build statement: a rule that makes outputs from inputs."""

    __slots__ = (
        "command_start_mtime",
        "deps_loaded",
        "deps_missing",
        "dyndep",
        "env",
        "id",
        "implicit_inputs",
        "implicit_outputs",
        "inputs",
        "mark",
        "order_only",
        "outputs",
        "outputs_ready",
        "pool",
        "rule",
        "urgency",
        "validations",
    )

    def __init__(self, number: int, rule: Rule, env: Scope) -> None:
        self.id = number
        self.rule = rule
        self.env = env
        self.pool = DEFAULT_POOL
        self.outputs: list[Node] = []
        self.inputs: list[Node] = []
        self.validations: list[Node] = []
        self.implicit_outputs = 0
        self.implicit_inputs = 0
        self.order_only = 0
        self.dyndep: Node | None = None
        self.mark = Mark.NONE
        self.outputs_ready = False
        self.deps_loaded = False
        self.deps_missing = False
        self.urgency = -1
        self.command_start_mtime = 0

    def __repr__(self) -> str:
        outs = " ".join(node.path for node in self.outputs)
        return f"Edge({self.id} {outs}: {self.rule.name} of {len(self.inputs)} inputs)"

    @property
    def is_phony(self) -> bool:
        """Tell whether the edge has no command and only names its inputs."""
        return self.rule is PHONY

    @property
    def use_console(self) -> bool:
        """Tell whether the command must own the terminal while it runs."""
        return self.pool is CONSOLE_POOL

    @property
    def explicit_inputs(self) -> list[Node]:
        """The inputs that `$in` names."""
        return self.inputs[: len(self.inputs) - self.implicit_inputs - self.order_only]

    @property
    def blocking_inputs(self) -> list[Node]:
        """The inputs whose change makes the edge dirty: all but the order-only ones."""
        return self.inputs[: len(self.inputs) - self.order_only] if self.order_only else self.inputs

    @property
    def explicit_outputs(self) -> list[Node]:
        """The outputs that `$out` names."""
        return self.outputs[: len(self.outputs) - self.implicit_outputs]

    def blocker(self) -> Edge | None:
        """Return an edge that must run before this one; None when this one could start."""
        for node in reversed(self.inputs):
            if node.in_edge is not None and not node.in_edge.outputs_ready:
                return node.in_edge
        return None

    def binding(self, name: str, *, quote: bool = True) -> str:
        """Return a variable as this edge sees it; `quote` shell-quotes `$in` and `$out`."""
        return _EdgeLookup(self, quote).lookup(name)

    def flag(self, name: str) -> bool:
        """Tell whether a variable is set to anything."""
        return self.binding(name) != ""

    def command(self) -> str:
        """Return the shell command."""
        return self.binding("command")

    def hashed_command(self) -> str:
        """Return what the build log's hash covers: the command and the response file."""
        content = self.binding("rspfile_content")
        return f"{self.command()};rspfile={content}" if content else self.command()

    def description(self) -> str:
        """Return the line to show while the command runs; may be empty."""
        return self.binding("description")

    def depfile(self) -> str:
        """Return the path of the depfile, or nothing."""
        return self.binding("depfile", quote=False)

    def deps(self) -> str:
        """Return how dependencies are found after the command: `gcc`, `msvc` or nothing."""
        return self.binding("deps")

    def rspfile(self) -> str:
        """Return the path of the response file, or nothing."""
        return self.binding("rspfile", quote=False)

    def rspfile_content(self) -> str:
        """Return what the response file must hold."""
        return self.binding("rspfile_content")

    def insert_implicit(self, nodes: Iterable[Node]) -> tuple[int, int]:
        """Add discovered inputs after the implicit ones; return where they stand."""
        added = list(nodes)
        start = len(self.inputs) - self.order_only
        self.inputs[start:start] = added
        self.implicit_inputs += len(added)
        for node in added:
            node.out_edges.append(self)
        return start, start + len(added)


class _EdgeLookup:
    """Looks variables up for one edge: `$in`, its own bindings, its rule, the file's scope."""

    __slots__ = ("active", "edge", "quote")

    def __init__(self, edge: Edge, quote: bool) -> None:
        self.edge = edge
        self.quote = quote
        self.active: list[str] = []

    def lookup(self, name: str) -> str:
        edge = self.edge
        if name == "in":
            return self._paths(edge.explicit_inputs, " ")
        if name == "out":
            return self._paths(edge.explicit_outputs, " ")
        if name == "in_newline":
            return self._paths(edge.explicit_inputs, "\n")
        env = edge.env
        value = env.bindings.get(name)
        if value is not None:
            return value
        template = edge.rule.bindings.get(name)
        if template is None:
            return env.parent.lookup(name) if env.parent is not None else ""
        if len(template) == 1:
            return template[0]
        if name in self.active:
            cycle = " -> ".join([*self.active[self.active.index(name) :], name])
            raise ManifestError(f"cycle in rule variables: {cycle}")
        self.active.append(name)
        try:
            return expand(template, self.lookup)
        finally:
            self.active.pop()

    def _paths(self, nodes: list[Node], separator: str) -> str:
        if self.quote:
            return separator.join([shell_quote(node.path) for node in nodes])
        return separator.join([node.path for node in nodes])


class State:
    """Everything one manifest declares."""

    __slots__ = ("defaults", "edges", "paths", "pools", "scope", "warnings")

    def __init__(self) -> None:
        self.paths: dict[str, Node] = {}
        self.edges: list[Edge] = []
        self.pools: dict[str, Pool] = {pool.name: pool for pool in (DEFAULT_POOL, CONSOLE_POOL)}
        self.defaults: list[Node] = []
        self.scope = Scope()
        self.scope.rules[PHONY.name] = PHONY
        self.warnings: list[str] = []

    def __repr__(self) -> str:
        return f"State({len(self.edges)} edges, {len(self.paths)} nodes)"

    def node(self, path: str) -> Node:
        """Return the node of a canonical path, made now if it was unknown."""
        node = self.paths.get(path)
        if node is None:
            node = self.paths[path] = Node(path)
        return node

    def add_edge(self, rule: Rule, env: Scope) -> Edge:
        """Append an edge without inputs and outputs."""
        edge = Edge(len(self.edges), rule, env)
        self.edges.append(edge)
        return edge

    def add_inputs(self, edge: Edge, paths: Iterable[str]) -> None:
        """Append inputs to an edge."""
        for path in paths:
            node = self.node(path)
            node.in_manifest = True
            node.out_edges.append(edge)
            edge.inputs.append(node)

    def add_output(self, edge: Edge, path: str) -> bool:
        """Append an output; False when another edge makes that file already."""
        node = self.node(path)
        if node.in_edge is not None:
            return False
        node.in_manifest = True
        node.in_edge = edge
        edge.outputs.append(node)
        return True

    def add_validations(self, edge: Edge, paths: Iterable[str]) -> None:
        """Append nodes that are built along with the edge, without ordering."""
        for path in paths:
            node = self.node(path)
            node.in_manifest = True
            node.validation_out_edges.append(edge)
            edge.validations.append(node)

    def builddir(self) -> str:
        """Return where the logs live; empty is the directory of the manifest."""
        return self.scope.lookup("builddir")

    def root_nodes(self) -> list[Node]:
        """Return the outputs that nothing uses; raises GraphError when there are none."""
        roots = [node for edge in self.edges for node in edge.outputs if not node.out_edges]
        if self.edges and not roots:
            raise GraphError("could not determine root nodes of build graph")
        return roots

    def default_nodes(self) -> list[Node]:
        """Return what is built when no target is named."""
        return self.defaults or self.root_nodes()

    def reset(self) -> None:
        """Forget what the disk and the plan said; the graph stays."""
        for node in self.paths.values():
            node.reset()
        for edge in self.edges:
            edge.outputs_ready = edge.deps_loaded = False
            edge.mark = Mark.NONE
