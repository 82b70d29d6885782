"""One wish to its end: configure where that is needed, then build, test or install.

Knows the table of build systems and the gate, not the command line and not the cluster.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from cyxmake_cli.building import history
from cyxmake_cli.building.journal import made_here
from cyxmake_cli.building.own_folder import OwnFolder
from cyxmake_cli.building.project import LocalProject
from cyxmake_cli.building.runner import CommandReport, run_commands
from cyxmake_cli.building.screen import Screen
from cyxmake_cli.layers.configured import BuildLayers
from cyxmake_cli.plugins.hooks import Event, happened
from cyxmake_cli.safety.gate import Gate
from cyxmake_cli.safety.permissions import Act, ActKind
from cyxmake_cli.systems.model import BuildType, SystemName, Verb
from cyxmake_cli.systems.plan import RELAYERED, PlannedCommand, Wish, commands
from cyxmake_common.errors import ConfigError, ExitStatus, ProjectError

_CONFIGURATIONS: Final = "configured.json"
_KINDS: Final = {
    Verb.CONFIGURE: ActKind.CONFIGURE,
    Verb.BUILD: ActKind.BUILD,
    Verb.TEST: ActKind.TEST,
    Verb.CLEAN: ActKind.CLEAN,
    Verb.INSTALL: ActKind.INSTALL_PROJECT,
}

_OUT_OF_TREE: Final = (SystemName.CMAKE, SystemName.MESON)

ClusterBuild = Callable[[tuple[str, ...]], tuple[ExitStatus, dict[str, Any]]]
"""Builds on the cluster what has been configured, with words for the tool that builds.

Returns the status and figures of it.
"""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done with a project; `jobs` 0 leaves the number to the tool."""

    verb: Verb
    type: BuildType | None = None
    jobs: int = 0
    targets: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    prefix: str = ""
    verbose: bool = False
    keep_going: bool = False
    """Do everything that does not need what failed, to see all that fails."""


@dataclass(slots=True)
class Report:
    """What was run and how it ended."""

    project: LocalProject
    task: Task
    status: ExitStatus = ExitStatus.OK
    commands: list[CommandReport] = field(default_factory=list)
    seconds: float = 0.0
    where: str = "local"
    cluster: dict[str, Any] = field(default_factory=dict)
    build_id: str = ""

    @property
    def failed(self) -> CommandReport | None:
        """Return the command that failed."""
        return next((c for c in self.commands if not c.succeeded), None)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON document of `build`, `test` and `install`: see docs/COMMANDS.md."""
        return {
            "version": 1,
            "command": self.task.verb.value,
            "status": self.status.name.lower(),
            "exit_code": int(self.status),
            "system": self.project.spec.name.value,
            "source": str(self.project.source),
            "build_directory": str(self.project.build),
            "type": self.task.type.value if self.task.type else None,
            "targets": list(self.task.targets),
            "where": self.where,
            "seconds": round(self.seconds, 3),
            "commands": [command.as_json() for command in self.commands],
            "cluster": self.cluster,
            "build": self.build_id,
        }


def perform(
    project: LocalProject,
    task: Task,
    gate: Gate,
    screen: Screen,
    cluster: ClusterBuild | None = None,
) -> Report:
    """Do a task; the failure of a tool is in the report, not an exception.

    `cluster` does the build itself on the cluster. Raises CyxError for everything else.
    """
    start = time.monotonic()
    report = Report(project, task)
    if gate.dry_run:
        _show_plan(project, task, gate, screen, cluster is not None)
        return report
    if missing := project.missing():
        raise ProjectError(
            f"{project.spec.title} needs {_names(missing)}, and none is installed",
            next_step="`cyxmake doctor` says how to get it",
        )
    record = history.begin(project.own)
    happened(
        Event.STARTED,
        {"version": 1, "command": task.verb.value, "system": project.spec.name.value,
         "source": str(project.source)},
    )  # fmt: skip
    try:
        layers = _layers(project, gate)
        with made_here(project.own, _written_to(project, _verbs(project, task, layers))):
            _run(report, gate, screen, cluster, record, layers)
    except KeyboardInterrupt:
        report.status = ExitStatus.CANCELLED
        screen.say("cyxmake: interrupted")
    finally:
        report.seconds = time.monotonic() - start
        report.build_id = record.id
        record.finish({"time": datetime.now(UTC).isoformat(timespec="seconds"), **report.as_json()})
    _tell(report, screen)
    happened(Event.ENDED, report.as_json())
    return report


def _run(
    report: Report,
    gate: Gate,
    screen: Screen,
    cluster: ClusterBuild | None,
    record: history.OpenBuild,
    layers: BuildLayers,
) -> None:
    project, task = report.project, report.task
    for verb in _verbs(project, task, layers):
        if verb is Verb.BUILD and cluster is not None:
            report.where = "cluster"
            words = (*_options(project, task, verb, layers), *_anew(project))
            report.status, report.cluster = cluster(words)
            if report.status is not ExitStatus.OK:
                return
            if _anew(project):
                _remember_configuration(project, task)
            continue
        planned = plan_of(project, task, verb, layers)
        if verb is task.verb and not planned:
            _nothing_to_run(project, verb, screen)
        if verb is Verb.CONFIGURE:
            layers.prepare()
        for command in planned:
            gate.require(_act(project, command))
            if task.verbose:
                screen.note(f"$ {_shown(command)}")
            with _by_hand(project, verb):
                reports = run_commands((command,), screen, record.log)
            report.commands.extend(reports)
            if report.failed:
                report.status = ExitStatus.BUILD_FAILED
                if verb is Verb.CONFIGURE:
                    configure_again(project.own, str(project.build))
                return
        if verb is Verb.CONFIGURE or _anew(project):
            _remember_configuration(project, task)
            layers.remember()


def _by_hand(project: LocalProject, verb: Verb) -> AbstractContextManager[None]:
    """Return what keeps files by hand where a tool removes whatever is not its own."""
    if project.spec.name is not SystemName.NPM or verb is not Verb.CONFIGURE:
        return contextlib.nullcontext()
    from cyxmake_cli.building.by_hand import kept_by_hand

    return kept_by_hand(project.build / "node_modules", project.own.path / "node_modules")


def _layers(project: LocalProject, gate: Gate) -> BuildLayers:
    return BuildLayers.of(project.source, project.build, project.spec.name, gate)


def _verbs(project: LocalProject, task: Task, layers: BuildLayers) -> list[Verb]:
    """Return what has to be done for a task, in order."""
    before = [Verb.CONFIGURE] if _must_configure(project, task, layers) else []
    builds = task.verb is Verb.INSTALL or (task.verb is Verb.TEST and not project.spec.test_builds)
    return [*before, *((Verb.BUILD,) if builds else ()), task.verb]


def plan_of(
    project: LocalProject, task: Task, verb: Verb, layers: BuildLayers
) -> tuple[PlannedCommand, ...]:
    """Return the commands of a verb as things stand now."""
    spec = project.spec
    jobs = task.jobs or (cpus() if spec.serial else 0)
    own_targets = task.targets if verb is task.verb or verb is Verb.BUILD else ()
    wish = Wish(
        str(project.source),
        str(project.build),
        task.type,
        jobs,
        own_targets,
        # What is handed to a configuration is not handed to the build as well.
        _options(project, task, verb, layers),
        task.prefix,
        task.verbose,
    )
    facts = project.facts() | ({RELAYERED} if layers.changed else frozenset())
    planned = commands(spec, verb, wish, facts)
    added = layers.variables(running=verb is Verb.TEST)
    words: tuple[str, ...] = ()
    if verb is Verb.BUILD:
        words = (*_anew(project), *(_keep_going(project) if task.keep_going else ()))
    return tuple(
        replace(p, argv=(*p.argv, *words), environment=(*added.items(), *p.environment))
        for p in planned
    )


def _anew(project: LocalProject) -> tuple[str, ...]:
    """Return how make is told to make everything: it does not see that flags have changed."""
    if project.spec.name is not SystemName.MAKE:
        return ()
    known = project.own.read(_CONFIGURATIONS).get(str(project.build), {})
    return ("-B",) if known.get("again") else ()


_KEEP_GOING: Final = {
    SystemName.MAKE: ("-k",),
    SystemName.AUTOTOOLS: ("-k",),
    SystemName.NINJA: ("-k", "0"),
    SystemName.MESON: ("--ninja-args=-k,0",),
    SystemName.CARGO: ("--keep-going",),
    SystemName.SCONS: ("-k",),
}


_CMAKE_KEEP_GOING: Final = {
    "Ninja": ("--", "-k", "0"),
    "Unix Makefiles": ("--", "-k"),
}


def _generator(project: LocalProject) -> str:
    """Return what CMake has configured for; its cache knows, files of an earlier one may lie."""
    try:
        cache = (project.build / "CMakeCache.txt").read_text("utf-8", "replace")
    except OSError:
        return ""
    _, _, after = cache.partition("\nCMAKE_GENERATOR:INTERNAL=")
    return after.partition("\n")[0]


def _keep_going(project: LocalProject) -> tuple[str, ...]:
    """Return how a tool is told to go on after a failure; nothing where a person planned it."""
    if project.overridden:
        return ()
    if project.spec.name is SystemName.CMAKE:
        return _CMAKE_KEEP_GOING.get(_generator(project), ())
    return _KEEP_GOING.get(project.spec.name, ())


def _options(project: LocalProject, task: Task, verb: Verb, layers: BuildLayers) -> tuple[str, ...]:
    if verb is Verb.CONFIGURE:
        return layers.options(task.options)
    return () if project.spec.steps.get(Verb.CONFIGURE) else task.options


def _must_configure(project: LocalProject, task: Task, layers: BuildLayers) -> bool:
    if Verb.CONFIGURE not in project.spec.steps:
        return False
    if project.stale() or layers.changed:
        return True
    known = project.own.read(_CONFIGURATIONS).get(str(project.build), {})
    if known.get("again"):
        return True
    if task.type is not None and known.get("type") != task.type.value:
        return True
    return bool(task.options) and known.get("options") != list(task.options)


def configure_again(own: OwnFolder, build: str) -> None:
    """Have the next build configure, whatever stands there: what stands there is half of it."""
    found = own.read(_CONFIGURATIONS)
    found[build] = {**found.get(build, {}), "again": True}
    with contextlib.suppress(ConfigError):
        own.write(_CONFIGURATIONS, found)


def _remember_configuration(project: LocalProject, task: Task) -> None:
    found = project.own.read(_CONFIGURATIONS)
    before = found.get(str(project.build), {})
    found[str(project.build)] = {
        "type": task.type.value if task.type else before.get("type"),
        "options": list(task.options) or before.get("options", []),
    }
    with contextlib.suppress(ConfigError):  # sources on a read-only disk are configured each time
        project.own.write(_CONFIGURATIONS, found)


def _written_to(project: LocalProject, verbs: list[Verb]) -> tuple[str, ...]:
    """Return where a build may leave something: without configuring, seldom among the sources."""
    if project.spec.name in _OUT_OF_TREE and Verb.CONFIGURE not in verbs:
        return (str(project.build),)
    return (str(project.source), str(project.build))


def _act(project: LocalProject, command: PlannedCommand) -> Act:
    name = f"{command.verb.value} {project.source.name} with {project.spec.title}"
    writes = (str(project.build),) if command.verb is not Verb.INSTALL else ()
    return Act(_KINDS[command.verb], name, command.argv, writes=writes, detail=(_shown(command),))


def _show_plan(
    project: LocalProject, task: Task, gate: Gate, screen: Screen, on_cluster: bool
) -> None:
    shown = []
    layers = _layers(project, gate)
    for verb in _verbs(project, task, layers):
        for command in plan_of(project, task, verb, layers):
            gate.permit(_act(project, command))
            shown.append({"verb": verb.value, "argv": command.argv, "cwd": command.cwd})
    if on_cluster:
        screen.note("the build itself would run on the cluster")
    screen.document({"version": 1, "command": task.verb.value, "dry_run": True, "plan": shown})


def _nothing_to_run(project: LocalProject, verb: Verb, screen: Screen) -> None:
    title, what = project.spec.title, verb.value
    if verb is Verb.BUILD:
        screen.note(f"cyxmake: {project.source.name} has nothing to build: {title} has set it up")
        return
    raise ProjectError(
        f"{project.source} has no way to {what} that {title} would know",
        next_step=f"write one into .cyxmake/plan.json (commands.{what}): `cyxmake init --plan`",
    )


def _tell(report: Report, screen: Screen) -> None:
    if failed := report.failed:
        screen.release()
        screen.say(f"cyxmake: {' '.join(failed.argv[:3])}: {failed.verdict()}")
        if cause := _cause(report, failed):
            screen.say(f"cyxmake: {cause}")
    else:
        screen.forget()
        if report.status is ExitStatus.OK and report.where == "local":
            done = {Verb.BUILD: "built", Verb.TEST: "tested", Verb.INSTALL: "installed"}
            what = done.get(report.task.verb, report.task.verb.value)
            screen.note(
                f"cyxmake: {what} {report.project.source.name} with {report.project.spec.title}"
                f" in {report.seconds:.1f} s"
            )


def _cause(report: Report, failed: CommandReport) -> str | None:
    from cyxmake_cli.config import cache_directory
    from cyxmake_cli.knowledge.advice import advice

    output = failed.stdout + b"\n" + failed.stderr
    return advice(output, failed.exit_code, report.project.source, cache_directory())


def _shown(command: PlannedCommand) -> str:
    import shlex

    variables = [f"{name}={value}" for name, value in command.environment]
    return shlex.join((*variables, *command.argv))


def _names(groups: tuple[tuple[str, ...], ...]) -> str:
    return " and ".join(" or ".join(group) for group in groups)


def cpus() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
