"""The driver's one door to a ninja build: load, plan, hand out ready edges, take results.

Knows nothing of processes, tasks, clusters or clocks: a driver runs the edges and tells the time.

A driver's loop (any number of edges at a time, ending in any order):

    graph = BuildGraph.load(RealDisk(build_dir), Options(ninja_version="1.11.1"))
    if graph.plan_manifest():                 # build.ninja itself is out of date
        run_edges(graph)
        if graph.manifest_rebuilt():          # close, load again and start over
            ...
    if graph.plan(["all"]):                   # False: no work to do
        run_edges(graph)
    graph.close()

    def run_edges(graph):
        while graph.more_to_do():
            while free_slots() and (edge := graph.next_ready()) is not None:
                graph.started(edge, now_ms())
                start(edge.command())
            if nothing_is_running():
                break                         # graph.failure() says why
            edge, ok, output = wait_for_one()
            show(graph.finished(edge, Result(ok, output), now_ms()).output)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cyxmake_cli.ninja.build_log import BuildLog
from cyxmake_cli.ninja.deps_log import DepsLog
from cyxmake_cli.ninja.dirty import DependencyScan
from cyxmake_cli.ninja.disk import MISSING, Disk
from cyxmake_cli.ninja.errors import GraphError
from cyxmake_cli.ninja.explanations import Explanations
from cyxmake_cli.ninja.finish import Finished, Finisher, Keep, Result
from cyxmake_cli.ninja.graph import Edge, Node, State
from cyxmake_cli.ninja.log_format import format_of_release
from cyxmake_cli.ninja.manifest import load_manifest
from cyxmake_cli.ninja.paths import canonicalize
from cyxmake_cli.ninja.plan import Plan

__all__ = ["BuildGraph", "Finished", "Keep", "Options", "Result"]


_KEEP_NOTHING = Keep()
_UNKNOWN_MS = 1000


@dataclass(frozen=True, slots=True)
class Options:
    """How to read and build, as on ninja's command line."""

    manifest: str = "build.ninja"
    ninja_version: str = "1.11.1"
    """What `ninja --version` says; decides the format of a log that does not exist yet."""
    keep_going: int = 1
    """How many commands may fail before no other is started; 0 is no limit."""
    dry_run: bool = False
    explain: bool = False
    keep: Keep = _KEEP_NOTHING


class BuildGraph:
    """One manifest, its two logs, and one plan at a time."""

    def __init__(
        self, state: State, disk: Disk, logs: tuple[BuildLog, DepsLog], options: Options
    ) -> None:
        self.state = state
        self.build_log, self.deps_log = logs
        self._disk = disk
        self._options = options
        self._explanations = Explanations() if options.explain else None
        self._finisher = Finisher(state, disk, *logs, options.keep)
        self._scan = self._new_scan()
        self._plan = Plan(self._scan)
        self._started_ms: dict[Edge, int] = {}
        self._failures = 0

    def __repr__(self) -> str:
        return f"BuildGraph({self.state!r}, {self._plan!r}, {len(self._started_ms)} running)"

    @classmethod
    def load(cls, disk: Disk, options: Options | None = None) -> BuildGraph:
        """Read the manifest and both logs; raises ManifestError and OSError."""
        options = options or Options()
        state = load_manifest(disk.read, options.manifest)
        builddir = state.builddir()
        prefix = f"{builddir}/" if builddir else ""
        release = format_of_release(options.ninja_version)
        build_log = BuildLog.load(disk, prefix + ".ninja_log", release)
        deps_log = DepsLog.load(disk, prefix + ".ninja_deps", state)
        if not options.dry_run:
            disk.mkdirs(prefix + ".ninja_log")
            build_log.open_for_write(lambda path: _is_dead(state, disk, path))
            deps_log.open_for_write(_has_deps)
        return cls(state, disk, (build_log, deps_log), options)

    def warnings(self) -> tuple[str, ...]:
        """Return what was odd about the manifest and the logs, for people."""
        found = [*self.state.warnings, self.build_log.warning, self.deps_log.warning]
        return tuple(text for text in found if text)

    def plan_manifest(self) -> bool:
        """Plan to bring the manifest itself up to date; False when there is nothing to do."""
        node = self.state.paths.get(canonicalize(self._options.manifest))
        return node is not None and self._plan_nodes([node])

    def manifest_rebuilt(self) -> bool:
        """After that plan has run, tell whether the manifest changed and must be loaded again."""
        node = self.state.paths.get(canonicalize(self._options.manifest))
        if node is not None and node.dirty:
            return True
        self.state.reset()
        self._scan = self._new_scan()
        return False

    def plan(self, targets: Sequence[str] = ()) -> bool:
        """Plan targets (`foo.c^`: what is made of foo.c; none: the defaults); False: up to date.

        Raises GraphError for unknown targets, missing sources and cycles.
        """
        return self._plan_nodes([self.target(name) for name in targets] or self._defaults())

    def target(self, name: str) -> Node:
        """Return the node that a person means; raises GraphError."""
        path = canonicalize(name)
        if not path:
            raise GraphError("empty path")
        node = self.state.paths.get(path.removesuffix("^"))
        if node is None:
            raise GraphError(f"unknown target '{path}'{self._suggestion(path)}")
        if not path.endswith("^"):
            return node
        if node.out_edges:
            return node.out_edges[0].outputs[0]
        user = self.deps_log.first_user(node)
        if user is None:
            raise GraphError(f"'{node.path}' has no out edge")
        return user

    def outputs(self) -> set[str]:
        """Return the paths of all files that commands make."""
        return {
            node.path for edge in self.state.edges if not edge.is_phony for node in edge.outputs
        }

    def products(self, targets: Sequence[str] = ()) -> set[str]:
        """Return the files that targets stand for, behind phony names; raises GraphError."""
        found: set[Node] = set()
        pending = [self.target(name) for name in targets] or list(self._defaults())
        while pending:
            node = pending.pop()
            if node not in found:
                found.add(node)
                if node.in_edge is not None and node.in_edge.is_phony:
                    pending += node.in_edge.inputs
                elif node.in_edge is not None:
                    pending += node.in_edge.outputs
        return {node.path for node in found}

    def more_to_do(self) -> bool:
        """Tell whether an edge with a command is still to run or running."""
        return self._plan.more_to_do()

    def next_ready(self) -> Edge | None:
        """Take the most urgent edge that can start now; None when all must wait, or none may."""
        while not self.gave_up():
            edge = self._plan.find_work()
            if edge is None or not edge.is_phony:
                return edge
            self._plan.edge_finished(edge, True)
        return None

    def started(self, edge: Edge, now_ms: int) -> None:
        """Prepare the disk for an edge's command; `now_ms` counts from the start of the build."""
        self._started_ms[edge] = now_ms
        if not self._options.dry_run:
            self._finisher.prepare(edge)

    def begun(self, edge: Edge, now_ms: int) -> None:
        """Take note that a started edge's command runs only now."""
        self._started_ms[edge] = now_ms

    def withdraw(self, edge: Edge) -> None:
        """Take back a started edge whose command never ran."""
        if self._started_ms.pop(edge, None) is not None and not self._options.dry_run:
            self._finisher.withdraw(edge)

    def finished(self, edge: Edge, result: Result, now_ms: int) -> Finished:
        """Take the result of a started edge; its outputs and depfile are on disk by now."""
        started_ms = self._started_ms.pop(edge)
        if self._options.dry_run:
            self._plan.edge_finished(edge, result.ok)
            done = Finished(result.ok, result.output)
        else:
            work = (self._scan, self._plan)
            done = self._finisher.complete(edge, result, (started_ms, now_ms), work)
        self._failures += not done.ok
        return done

    def gave_up(self) -> bool:
        """Tell whether so many commands failed that no other will be handed out."""
        return 0 < self._options.keep_going <= self._failures

    def failure(self) -> str:
        """Say in ninja's words why the build stopped; empty when it is complete."""
        if not self.more_to_do():
            return ""
        if self.gave_up():
            return "subcommands failed" if self._options.keep_going > 1 else "subcommand failed"
        if self._failures:
            return "cannot make progress due to previous errors"
        return "interrupted" if self._started_ms else "stuck"

    def abandon(self, edges: Iterable[Edge]) -> None:
        """Remove what started edges have half written, after their commands were stopped."""
        stopped = [edge for edge in edges if self._started_ms.pop(edge, None) is not None]
        if not self._options.dry_run:
            self._finisher.abandon(stopped)

    def wanted(self) -> list[Edge]:
        """Return the edges with commands that the plan would run, in manifest order."""
        return self._plan.wanted()

    def explanations(self, edge: Edge) -> tuple[str, ...]:
        """Say why an edge is out of date; needs `Options.explain`."""
        return self._explanations.of_edge(edge) if self._explanations is not None else ()

    def explain_lines(self) -> list[str]:
        """Return every reason found, in order, as `ninja -d explain` prints them."""
        return self._explanations.lines if self._explanations is not None else []

    def close(self) -> None:
        """Close the logs; what was recorded is on disk already."""
        if not self._options.dry_run:
            self._finisher.close()
            self.build_log.close()
            self.deps_log.close()

    def _new_scan(self) -> DependencyScan:
        logs = (self.build_log, self.deps_log)
        return DependencyScan(self.state, self._disk, *logs, self._explanations)

    def _defaults(self) -> list[Node]:
        return self.state.default_nodes()

    def _plan_nodes(self, nodes: Iterable[Node]) -> bool:
        self._failures = 0
        self._plan = Plan(self._scan, self._cost)
        for node in nodes:
            for target in [node, *self._scan.recompute_dirty(node)]:
                maker = target.in_edge
                if target is node if maker is None else not maker.outputs_ready:
                    self._plan.add_target(target)
        if not self._plan.more_to_do():
            return False
        self._plan.prepare_queue()
        return True

    def _cost(self, edge: Edge) -> int:
        """Return how long an edge took last time, in milliseconds, or a guess."""
        if edge.is_phony:
            return 0
        entry = self.build_log.entries.get(edge.outputs[0].path)
        return max(entry.end_ms - entry.start_ms, 1) if entry is not None else _UNKNOWN_MS

    def _suggestion(self, path: str) -> str:
        if path in ("clean", "help"):
            return ""
        from difflib import get_close_matches

        close = get_close_matches(path, self.state.paths, n=1, cutoff=0.7)
        return f", did you mean '{close[0]}'?" if close else ""


def _is_dead(state: State, disk: Disk, path: str) -> bool:
    """Tell whether a log entry is for a file that nobody makes any more and that is gone."""
    node = state.paths.get(path)
    if node is not None and node.in_edge is not None:
        return False
    return disk.stat(path) == MISSING


def _has_deps(node: Node) -> bool:
    return node.in_edge is not None and node.in_edge.deps() != ""
