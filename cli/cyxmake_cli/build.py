"""One build from the command's request to its exit status: the wings of the client put together.

Knows no details of any of them. What a build without work needs is imported at the top; everything
else only once there is work to do, so that finding out that nothing is to be done stays quick.
"""

from __future__ import annotations

import shutil
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cyxmake_cli.analysis.detectors import Project, detect
from cyxmake_cli.away import AwayFiles, allowed
from cyxmake_cli.ninja.disk import RealDisk
from cyxmake_cli.ninja.session import BuildGraph, Keep, Options
from cyxmake_cli.settings import ClusterSettings, Download, Settings, Strategy
from cyxmake_common.errors import ExitStatus, ProjectError, UsageError

if TYPE_CHECKING:
    from cyxmake_cli.cluster.session import BuildSession
    from cyxmake_cli.layers.dbuild import ProjectInLayers
    from cyxmake_cli.ninja.driver import EdgeResult
    from cyxmake_cli.ninja.graph import Edge
    from cyxmake_cli.ui.progress import Progress
    from cyxmake_cli.ui.tally import Summary, Tally

_ALONE: Final = Settings(cluster=ClusterSettings(enabled=False))
_PLANS: Final = 3
"""How often a build is planned anew because files that were left in the cluster are lost there."""

_MANIFEST_TRIES: Final = 100
"""A manifest that changes at every regeneration is given up after as many tries as ninja makes."""

_AHEAD: Final = 200
"""Edges whose results and inputs are looked for before it is their turn."""


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What the command line asks for, and what the settings say."""

    settings: Settings
    targets: tuple[str, ...] = ()
    directory: Path = Path()
    configure_options: tuple[str, ...] = ()
    make_options: tuple[str, ...] = ()
    """For make alone, where it does the build."""
    verbose: bool = False
    quiet: bool = False
    dry_run: bool = False
    debug: frozenset[str] = frozenset()
    summary: Path | None = None


def build(request: BuildRequest) -> ExitStatus:
    """Configure where needed, bring the targets up to date, return the exit status.

    Raises CyxError for everything that is not a verdict of the project's own tools.
    """
    start = time.monotonic()
    named = request.settings.build.directory
    build_dir = None if named is None else Path(named)
    project = detect(request.directory, build_dir, request.configure_options)
    layers = _layers(project)
    with layers or nullcontext():
        return _build(project, layers, request, start)


def _build(
    project: Project, layers: ProjectInLayers | None, request: BuildRequest, start: float
) -> ExitStatus:
    if layers is not None and not request.dry_run:
        project = layers.configuring(project)
    if project.configure_command is not None:
        from cyxmake_cli.configuring import configure

        configure(project)
        if layers is not None:
            layers.remember()
    if project.system.uses_make:
        return _run_make(project, request, start)
    away = AwayFiles.load(str(project.build))
    for attempt in range(_PLANS + 1):
        if attempt == _PLANS:
            away.lose(away.all())
        status = _plan_and_run(project, request, away, start)
        if status is not None:
            return status
    raise AssertionError("a build with everything at home has nothing to lose")


def _plan_and_run(
    project: Project, request: BuildRequest, away: AwayFiles, start: float
) -> ExitStatus | None:
    """Plan and run; None when files turned out to be lost that the plan had counted on."""
    graph = _load_current(project, request, away)
    try:
        away.keep_logged(graph.build_log.entries)
        download = request.settings.build.download
        if download is not Download.ALL:
            products = graph.products(request.targets)
            away.allow(allowed(download, graph.outputs(), products))
        if not graph.plan(request.targets):
            if not request.quiet:
                print("cyxmake: no work to do.")  # noqa: T201 - this is the user interface
            if request.summary is not None:
                _write_summary(request, None, start, ExitStatus.OK)
            return ExitStatus.OK
        for line in graph.explain_lines():
            print(f"cyxmake explain: {line}")  # noqa: T201
        if request.dry_run:
            for edge in graph.wanted():
                print(edge.command() if request.verbose else edge.description() or edge.command())  # noqa: T201
            return ExitStatus.OK
        return _run(graph, project, request, start, away)
    finally:
        graph.close()
        if not request.dry_run:
            away.save()


def _layers(project: Project) -> ProjectInLayers | None:
    """Make the packages ready that the project builds with, if it has written any down."""
    from cyxmake_cli.building.own_folder import FOLDER

    own = project.source / FOLDER
    if not any((own / name).exists() for name in ("layers.toml", "layers-used.json")):
        return None
    from cyxmake_cli.layers.dbuild import ProjectInLayers

    return ProjectInLayers(project)


def _load_current(project: Project, request: BuildRequest, away: AwayFiles) -> BuildGraph:
    """Load the graph; when `build.ninja` itself is out of date, remake it first."""
    for _ in range(_MANIFEST_TRIES):
        disk = RealDisk(str(project.build), away.mtime)
        graph = BuildGraph.load(disk, _options(project, request))
        try:
            if not graph.plan_manifest():
                return graph
            if request.dry_run:
                print("cyxmake: build.ninja itself is out of date")  # noqa: T201
                return graph
            alone = BuildRequest(_ALONE)
            status = _run(graph, project, alone, time.monotonic(), away)
            if status is not ExitStatus.OK:
                raise ProjectError(
                    "build.ninja could not be brought up to date",
                    next_step="see the output above",
                )
            if not graph.manifest_rebuilt():
                return graph
        except BaseException:
            graph.close()
            raise
        graph.close()
    raise ProjectError(f"build.ninja is still out of date after {_MANIFEST_TRIES} tries")


def _options(project: Project, request: BuildRequest) -> Options:
    version = ""
    if not (project.build / ".ninja_log").exists() and shutil.which("ninja"):
        import subprocess

        # Only a log that does not exist yet needs to know which format the installed ninja writes.
        found = subprocess.run(["ninja", "--version"], capture_output=True, text=True, check=False)
        version = found.stdout.strip()
    debug = request.debug
    return Options(
        ninja_version=version or Options().ninja_version,
        keep_going=request.settings.build.keep_going,
        explain="explain" in debug,
        dry_run=request.dry_run,
        keep=Keep(depfiles="keepdepfile" in debug, rspfiles="keeprsp" in debug),
    )


def _run(
    graph: BuildGraph, project: Project, request: BuildRequest, start: float, away: AwayFiles
) -> ExitStatus | None:
    """Run what is planned; None when files are lost that the plan had counted on."""
    import asyncio

    from cyxmake_cli.cluster.homecoming import FilesLost
    from cyxmake_cli.cluster.session import BuildSession
    from cyxmake_cli.ninja.driver import drive
    from cyxmake_cli.strategies.targets import Group, plan_groups
    from cyxmake_cli.ui.progress import Progress
    from cyxmake_cli.ui.tally import Tally

    tally = Tally(total=len(graph.wanted()))
    progress = Progress(tally, time.monotonic, verbose=request.verbose, quiet=request.quiet)
    for warning in graph.warnings():
        progress.note(f"warning: {warning}")

    listeners = _Listeners(progress, graph, away)
    groups: tuple[Group, ...] = ()
    if request.settings.build.strategy in (Strategy.TARGETS, Strategy.HYBRID):
        groups = plan_groups(graph.wanted())

    async def main() -> None:
        async with BuildSession(
            directory=str(project.build),
            root=shared_root(project),
            source=str(project.source),
            note=progress.note,
            settings=request.settings,
            away=away,
            fresh=not graph.build_log.entries,
            groups=groups,
        ) as session:
            listeners.session = session
            if away.files() and (lost := await session.home.lost()):
                raise FilesLost(lost)
            try:
                await drive(
                    graph,
                    session.runner,
                    listeners,
                    jobs=session.jobs,
                    ahead=_AHEAD,
                    now_ms=lambda: int((time.monotonic() - start) * 1000),
                )
            finally:
                tally.bytes_up, tally.bytes_down = session.traffic()
                races = session.lanes.racing.totals
                tally.won_here, tally.won_there = races.won_here, races.won_there
                tally.regret = races.regret

    try:
        asyncio.run(main())
    except FilesLost as error:
        progress.note(f"cyxmake: {error}; planning anew")
        away.lose(error.paths)
        return None
    except KeyboardInterrupt:
        progress.close()
        _write_summary(request, tally, start, ExitStatus.CANCELLED)
        progress.note("cyxmake: interrupted")
        return ExitStatus.CANCELLED
    finally:
        progress.close()
    failure = graph.failure()
    status = ExitStatus.BUILD_FAILED if failure else ExitStatus.OK
    if failure:
        progress.note(f"cyxmake: build stopped: {failure}")
        from cyxmake_cli.config import cache_directory

        tally.causes = listeners.failures.counts()
        for line in listeners.failures.lines(project.source, cache_directory()):
            progress.note(f"cyxmake: {line}")
        if listeners.session is not None and (kept := listeners.session.failed.kept):
            name, target = next(iter(kept.items()))
            others = f" ({len(kept) - 1} more: --list)" if len(kept) > 1 else ""
            progress.note(f"cyxmake: {target} again, as it was: cyxmake replay {name}{others}")
    _finish(request, tally, progress, start, status)
    return status


def shared_root(project: Project) -> str:
    """Return the directory whose name results of a project do not depend on, where they can."""
    from cyxmake_cli.strategies.path_map import root_of

    return root_of(str(project.source), str(project.build))


def _run_make(project: Project, request: BuildRequest, start: float) -> ExitStatus:
    """Have `make` do the build, with our stand-ins for the compilers that it calls by name."""
    from cyxmake_cli.launcher.make import MakeRun, make
    from cyxmake_cli.ui.progress import Progress
    from cyxmake_cli.ui.tally import Tally

    tally = Tally()
    progress = Progress(tally, time.monotonic, verbose=request.verbose, quiet=request.quiet)
    made = make(
        MakeRun(
            directory=project.build,
            root=Path(shared_root(project)),
            targets=(*request.make_options, *request.targets),
            settings=request.settings,
            quiet=request.quiet,
            dry_run=request.dry_run,
        ),
        progress.note,
    )
    figures = made.figures
    tally.done = tally.total = figures["hits"] + figures["remote"] + figures["local"]
    tally.cache_hits, tally.remote, tally.local = (
        figures["hits"],
        figures["remote"],
        figures["local"],
    )
    tally.reasons.update(figures["reasons"])
    tally.workers.update(figures["workers"])
    tally.seconds = figures["seconds"]
    tally.bytes_up, tally.bytes_down = figures["bytes_up"], figures["bytes_down"]
    tally.failed = int(made.status is ExitStatus.BUILD_FAILED)
    if request.dry_run:
        return made.status
    if made.status is ExitStatus.CANCELLED:
        _write_summary(request, tally, start, made.status)
        progress.note("cyxmake: interrupted")
    else:
        _finish(request, tally, progress, start, made.status)
    return made.status


class _Listeners:
    """Tells the screen and the session of every edge."""

    def __init__(self, progress: Progress, graph: BuildGraph, away: AwayFiles) -> None:
        self.session: BuildSession | None = None
        from cyxmake_cli.failures import Failures

        self.failures = Failures()
        self._progress = progress
        self._graph = graph
        self._away = away

    def edge_started(self, edge: Edge) -> None:
        self._progress.edge_started(edge)

    def edge_finished(self, edge: Edge, result: EdgeResult, output: bytes) -> None:
        # Before anything that depends on the edge can start: its outputs are new files now.
        if self.session is not None:
            self.session.finished(edge, result)
        if result.exit_code != 0:
            self.failures.add(edge.outputs[0].path, result.exit_code, output)
        if self._away and result.exit_code == 0:
            for node in edge.outputs:
                self._away.logged(node.path, self._graph.build_log.entries[node.path])
        self._progress.edge_finished(edge, result, output)

    def edges_skipped(self, edges: tuple[Edge, ...]) -> None:
        self._progress.edges_skipped(edges)


def _finish(
    request: BuildRequest, tally: Tally, progress: Progress, start: float, status: ExitStatus
) -> None:
    from cyxmake_cli.ui.tally import render

    summary = _write_summary(request, tally, start, status)
    if not request.quiet:
        for line in render(summary):
            progress.note(line)


def _write_summary(
    request: BuildRequest, tally: Tally | None, start: float, status: ExitStatus
) -> Summary:
    import json

    from cyxmake_cli.ui.tally import Tally

    summary = (tally or Tally()).summary(time.monotonic() - start, int(status))
    if request.summary is not None:
        try:
            request.summary.write_text(json.dumps(summary, indent=2) + "\n", "utf-8")
        except OSError as error:
            raise UsageError(f"cannot write the summary to {request.summary}: {error}") from error
    return summary
