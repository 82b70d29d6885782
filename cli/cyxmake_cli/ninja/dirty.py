"""Decides which files are out of date, exactly as ninja does.

Knows nothing of what is done about it; files are seen only through a Disk.

A depth-first walk from a target. Each edge is a generator that yields the inputs it must wait for,
so that a chain of ten thousand edges needs no deeper stack than a chain of two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cyxmake_cli.ninja.build_log import BuildLog, LogEntry
from cyxmake_cli.ninja.deps_log import DepsLog
from cyxmake_cli.ninja.disk import UNREADABLE, Disk
from cyxmake_cli.ninja.dyndep import Dyndeps, load_dyndep
from cyxmake_cli.ninja.errors import GraphError
from cyxmake_cli.ninja.explanations import Explanations
from cyxmake_cli.ninja.graph import Edge, Mark, Node, State
from cyxmake_cli.ninja.implicit_deps import ImplicitDeps


class DependencyScan:
    """The walk that stats files, loads discovered dependencies and sets `Node.dirty`."""

    def __init__(
        self,
        state: State,
        disk: Disk,
        build_log: BuildLog,
        deps_log: DepsLog,
        explanations: Explanations | None = None,
    ) -> None:
        self._state = state
        self._disk = disk
        self._log = build_log
        self._explanations = explanations
        self._implicit = ImplicitDeps(state, disk, deps_log, explanations)
        self._implicit.sources_may_vanish = build_log.format.sources_may_vanish
        self._stack: list[Node] = []
        self._validations: list[Node] = []
        self._hashes: dict[Edge, int] = {}

    def recompute_dirty(self, node: Node) -> list[Node]:
        """Set the dirtiness of a node and all below it; return the validations met on the way."""
        found: list[Node] = []
        queue = [node]
        for target in queue:
            self._stack, self._validations = [], []
            self._walk(target)
            queue += self._validations
            found += self._validations
        return found

    def outputs_dirty(self, edge: Edge, newest_input: Node | None) -> bool:
        """Tell whether an edge with clean inputs must run because of its outputs."""
        if edge.is_phony:
            return any(self._phony_dirty(edge, out, newest_input) for out in edge.outputs)
        return any(self._output_dirty(edge, out, newest_input) for out in edge.outputs)

    def command_hash(self, edge: Edge) -> int:
        """Return what the build log keeps of an edge's command and response file."""
        known = self._hashes.get(edge)
        if known is None:
            known = self._hashes[edge] = self._log.format.hash_command(edge.hashed_command())
        return known

    def load_dyndep(self, node: Node) -> dict[Edge, Dyndeps]:
        """Read a dyndep file that is up to date and extend the graph by it."""
        if self._explanations is not None:
            self._explanations.add(node, f"loading dyndep file '{node.path}'")
        try:
            content = self._disk.read(node.path)
        except OSError as error:
            reason = error.strerror or str(error)
            raise GraphError(f"loading '{node.path}': {reason}") from None
        found = load_dyndep(self._state, node, content)
        if not self._log.format.sources_may_vanish:
            for dyndeps in found.values():
                for added in dyndeps.inputs:
                    added.from_deps = not added.in_manifest
        return found

    def stat(self, node: Node) -> None:
        """Ask the disk about a node; raises GraphError when the disk cannot say."""
        mtime = self._disk.stat(node.path)
        if mtime == UNREADABLE:
            raise GraphError(f"stat({node.path}): cannot be read")
        node.mtime = mtime
        node.exists = mtime != 0

    def _walk(self, target: Node) -> None:
        if target.in_edge is None:
            if target.exists is None:
                self._stat_leaf(target)
            return
        if target.in_edge.mark is Mark.DONE:
            return
        pending = [self._visit(target, target.in_edge)]
        while pending:
            node = next(pending[-1], None)
            if node is None:
                pending.pop()
            elif node.in_edge is None:
                if node.exists is None:
                    self._stat_leaf(node)
            elif node.in_edge.mark is not Mark.DONE:
                pending.append(self._visit(node, node.in_edge))

    def _visit(self, node: Node, edge: Edge) -> Iterator[Node]:
        if edge.mark is Mark.IN_STACK:
            raise GraphError(self._cycle(node, edge))
        edge.mark = Mark.IN_STACK
        self._stack.append(node)
        edge.outputs_ready = True
        edge.deps_missing = False
        if not edge.deps_loaded and edge.dyndep is not None and edge.dyndep.dyndep_pending:
            yield edge.dyndep
            producer = edge.dyndep.in_edge
            if edge.dyndep.dyndep_pending and (producer is None or producer.outputs_ready):
                self.load_dyndep(edge.dyndep)
        for out in edge.outputs:
            if out.exists is None:
                self.stat(out)
        if not edge.deps_loaded:
            edge.deps_loaded = True
            edge.deps_missing = not self._implicit.load(edge)
        self._validations += edge.validations
        for known in edge.inputs:
            producer = known.in_edge
            if producer is None:
                if known.exists is None:
                    self._stat_leaf(known)
            elif producer.mark is not Mark.DONE:
                yield known
        dirty, newest = self._inputs_dirty(node, edge)
        if dirty or edge.deps_missing or self.outputs_dirty(edge, newest):
            for out in edge.outputs:
                out.dirty = True
            # A phony edge without inputs has nothing to do, so its output is always ready.
            if not edge.is_phony or edge.inputs:
                edge.outputs_ready = False
        edge.mark = Mark.DONE
        self._stack.pop()

    def _stat_leaf(self, node: Node) -> None:
        self.stat(node)
        node.dirty = not node.exists
        if node.dirty and self._explanations is not None:
            if node.from_deps and self._log.format.sources_may_vanish:
                reason = f"output {node.path} of phony edge with no inputs doesn't exist"
            else:
                reason = f"{node.path} has no in-edge and is missing"
            self._explanations.add(node, reason)

    def _inputs_dirty(self, node: Node, edge: Edge) -> tuple[bool, Node | None]:
        """Return whether an input is dirty, and the newest of the clean ones."""
        dirty = False
        newest: Node | None = None
        newest_mtime = -2
        for known in edge.blocking_inputs:
            producer = known.in_edge
            if producer is not None and not producer.outputs_ready:
                edge.outputs_ready = False
            if known.dirty:
                dirty = True
                if self._explanations is not None:
                    self._explanations.add(node, f"{known.path} is dirty")
            elif known.mtime > newest_mtime:
                newest, newest_mtime = known, known.mtime
        if edge.order_only:
            for known in edge.inputs[-edge.order_only :]:
                producer = known.in_edge
                if producer is not None and not producer.outputs_ready:
                    edge.outputs_ready = False
        return dirty, newest

    def _cycle(self, node: Node, edge: Edge) -> str:
        start = next(i for i, known in enumerate(self._stack) if known.in_edge is edge)
        # Name the output that closes the circle, not another output of the same edge.
        circle = [node, *self._stack[start + 1 :], node]
        text = "dependency cycle: " + " -> ".join(known.path for known in circle)
        single = len(edge.outputs) == 1 and not edge.implicit_outputs
        if len(circle) == 2 and edge.is_phony and single and not edge.implicit_inputs:
            text += " [-w phonycycle=err]"
        return text

    def _phony_dirty(self, edge: Edge, out: Node, newest: Node | None) -> bool:
        if not edge.inputs and not out.exists:
            if self._explanations is not None:
                self._explanations.add(
                    out, f"output {out.path} of phony edge with no inputs doesn't exist"
                )
            return True
        # Whoever depends on the name sees the newest file behind it.
        if newest is not None and not out.exists:
            out.mtime = max(out.mtime, newest.mtime)
        return False

    def _output_dirty(self, edge: Edge, out: Node, newest: Node | None) -> bool:
        if not out.exists:
            return self._because(out, "output {} doesn't exist")
        entry = self._log.entries.get(out.path)
        if newest is not None and self._is_older(edge, out, entry, newest):
            return True
        if entry is None:
            generator = edge.flag("generator")
            return not generator and self._because(out, "command line not found in log for {}")
        if entry.command_hash != self.command_hash(edge) and not edge.flag("generator"):
            return self._because(out, "command line changed for {}")
        if newest is not None and entry.mtime < newest.mtime:
            # The file may be newer than that: a failed or killed command wrote it.
            return self._because(
                out, "recorded mtime of {} older than most recent input {} ({} vs {})",
                [newest.path, entry.mtime, newest.mtime],
            )  # fmt: skip
        return False

    def _is_older(self, edge: Edge, out: Node, entry: LogEntry | None, newest: Node) -> bool:
        if out.mtime >= newest.mtime:
            return False
        mtime, prefix = out.mtime, ""
        if entry is not None and edge.flag("restat"):
            # A restat rule may have left the file alone: the log knows when it was last looked at.
            if self._log.format.marks_start:
                return False
            mtime, prefix = entry.mtime, "restat of "
        if mtime >= newest.mtime:
            return False
        return self._because(
            out, prefix + "output {} older than most recent input {} ({} vs {})",
            [newest.path, mtime, newest.mtime],
        )  # fmt: skip

    def _because(self, out: Node, reason: str, details: Sequence[object] = ()) -> bool:
        if self._explanations is not None:
            self._explanations.add(out, reason.format(out.path, *details))
        return True
