"""What happens on disk and in the logs before an edge's command starts and after it has ended.

Knows nothing of who runs the command. The steps and their order are ninja's, so that ninja finds
nothing to do afterwards: dependencies first, then restat, plan, response file, build log, deps log.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cyxmake_cli.ninja.build_log import BuildLog, LogEntry
from cyxmake_cli.ninja.depfile import parse_depfile, parse_show_includes
from cyxmake_cli.ninja.deps_log import DepsLog
from cyxmake_cli.ninja.dirty import DependencyScan
from cyxmake_cli.ninja.disk import MISSING, UNREADABLE, Disk
from cyxmake_cli.ninja.errors import DepfileError, GraphError
from cyxmake_cli.ninja.graph import Edge, Node, State
from cyxmake_cli.ninja.paths import encode
from cyxmake_cli.ninja.plan import Plan


@dataclass(frozen=True, slots=True)
class Result:
    """What a driver says about a command that has ended.

    `depfile` are the bytes of a depfile that was not written, since it would be removed at once.
    """

    ok: bool
    output: bytes = b""
    depfile: bytes | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """What to show of an edge that has ended, and whether it counts as built."""

    ok: bool
    output: bytes
    cleaned: tuple[Edge, ...] = ()
    """Edges that need not run any more, because the outputs did not change."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Which helper files stay behind, for people who debug a build."""

    depfiles: bool = False
    rspfiles: bool = False


class Finisher:
    """Prepares the disk for commands and books their results."""

    def __init__(
        self, state: State, disk: Disk, build_log: BuildLog, deps_log: DepsLog, keep: Keep
    ) -> None:
        self._state = state
        self._disk = disk
        self._build_log = build_log
        self._deps_log = deps_log
        self._keep = keep
        builddir = state.builddir()
        self._lock_path = f"{builddir}/.ninja_lock" if builddir else ".ninja_lock"

    def __repr__(self) -> str:
        return f"Finisher({self._build_log!r}, {self._deps_log!r})"

    def prepare(self, edge: Edge) -> None:
        """Make directories and the response file; raises OSError."""
        for node in edge.outputs:
            self._disk.mkdirs(node.path)
        if self._build_log.format.marks_start:
            # A file written now shows what time the file system itself believes it is.
            self._disk.write(self._lock_path, b"")
            edge.command_start_mtime = max(self._disk.stat(self._lock_path), 0)
            depfile = edge.depfile()
            if depfile:
                self._disk.mkdirs(depfile)
        rspfile = edge.rspfile()
        if rspfile:
            self._disk.write(rspfile, encode(edge.rspfile_content()))
        if edge.flag("generator"):
            # Generators run ninja's own tools, which rewrite the log.
            self._build_log.suspend()

    def withdraw(self, edge: Edge) -> None:
        """Undo `prepare` for a command that did not run; raises OSError."""
        rspfile = edge.rspfile()
        if rspfile and not self._keep.rspfiles:
            self._disk.remove(rspfile)

    def complete(
        self,
        edge: Edge,
        result: Result,
        span_ms: tuple[int, int],
        work: tuple[DependencyScan, Plan],
    ) -> Finished:
        """Book a command's result in plan and logs; raises OSError and GraphError."""
        scan, plan = work
        result, deps = self._extract_deps(edge, result)
        if not result.ok:
            plan.edge_finished(edge, False)
            return Finished(False, result.output)
        mtime, cleaned = self._restat(edge, plan)
        plan.edge_finished(edge, True)
        rspfile = edge.rspfile()
        if rspfile and not self._keep.rspfiles:
            self._disk.remove(rspfile)
        entry = LogEntry(*span_ms, mtime, scan.command_hash(edge))
        self._build_log.record([node.path for node in edge.outputs], entry)
        if deps is not None:
            for node in edge.outputs:
                self._deps_log.record(node, self._stat(node.path), deps)
        return Finished(True, result.output, tuple(cleaned))

    def abandon(self, edges: Iterable[Edge]) -> None:
        """Remove what interrupted commands have written; raises OSError."""
        for edge in edges:
            depfile = edge.depfile()
            for node in edge.outputs:
                # An untouched output is good, unless a new depfile may stand beside it.
                if depfile or self._disk.stat(node.path) != node.mtime:
                    self._disk.remove(node.path)
            if depfile:
                self._disk.remove(depfile)

    def close(self) -> None:
        """Remove the file that told the time."""
        if self._build_log.format.marks_start and self._disk.stat(self._lock_path) > MISSING:
            self._disk.remove(self._lock_path)

    def _stat(self, path: str) -> int:
        mtime = self._disk.stat(path)
        if mtime == UNREADABLE:
            raise GraphError(f"stat({path}): cannot be read")
        return mtime

    def _extract_deps(self, edge: Edge, result: Result) -> tuple[Result, list[Node] | None]:
        """Return the result with its output filtered, and the nodes the command read."""
        kind = edge.deps()
        if not kind:
            return result, None
        if kind == "msvc":
            prefix = encode(edge.binding("msvc_deps_prefix"))
            paths, shown = parse_show_includes(result.output, prefix)
            return Result(result.ok, shown), [self._state.node(path) for path in paths]
        try:
            if kind != "gcc":
                raise DepfileError(f"unknown deps type '{kind}'")
            return result, self._read_depfile(edge, result.depfile)
        except (DepfileError, OSError) as error:
            if not result.ok:
                return result, None
            message = error.message if isinstance(error, DepfileError) else str(error)
            glue = b"\n" if result.output else b""
            return Result(False, result.output + glue + encode(message)), None

    def _read_depfile(self, edge: Edge, held: bytes | None) -> list[Node]:
        """Return what a depfile names; where it would stay, one that is only held is written."""
        path = edge.depfile()
        if not path:
            raise DepfileError("edge with deps=gcc but no depfile makes no sense")
        try:
            content = self._disk.read(path) if held is None else held
        except FileNotFoundError:
            return []
        names: list[str] = []
        stays = True
        try:
            if content:
                names = parse_depfile(content).inputs
                stays = self._keep.depfiles
        finally:
            if stays and held is not None:
                self._disk.write(path, held)
        if not stays:
            self._disk.remove(path)
        return [self._state.node(name) for name in names]

    def _restat(self, edge: Edge, plan: Plan) -> tuple[int, list[Edge]]:
        """Return the mtime to record, and the edges that unchanged outputs make unnecessary."""
        restat = edge.flag("restat")
        recorded = edge.command_start_mtime
        cleaned: list[Edge] = []
        unchanged = False
        if restat or not recorded or edge.flag("generator"):
            for node in edge.outputs:
                mtime = self._stat(node.path)
                recorded = max(recorded, mtime)
                if restat and node.mtime == mtime:
                    unchanged = True
                    cleaned += plan.clean_node(node)
        if unchanged:
            recorded = edge.command_start_mtime or self._newest_input(edge)
        return recorded, cleaned

    def _newest_input(self, edge: Edge) -> int:
        """Return what ninja 1.11 records when a restat command left an output alone."""
        newest = max([self._stat(node.path) for node in edge.blocking_inputs], default=0)
        depfile = edge.depfile()
        if newest and depfile and not edge.deps():
            newest = max(newest, self._stat(depfile))
        return newest
