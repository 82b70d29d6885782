"""What `build`, `test`, `install` and `auto` share: from options to a task, on the cluster or here.

No command itself.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cyxmake_cli import config
from cyxmake_cli.building.perform import ClusterBuild, Report, Task, perform
from cyxmake_cli.building.project import LocalProject, open_project
from cyxmake_cli.commands.options import Common
from cyxmake_cli.settings import AiSettings, Settings, load
from cyxmake_cli.systems.model import SystemName, Verb
from cyxmake_common.errors import ExitStatus

if TYPE_CHECKING:
    from cyxmake_cli.building.screen import Screen
    from cyxmake_cli.safety.gate import Gate

_ON_CLUSTER: Final = (
    SystemName.CMAKE, SystemName.MESON, SystemName.NINJA, SystemName.AUTOTOOLS, SystemName.MAKE,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options of a building command say."""

    verb: Verb
    targets: tuple[str, ...] = ()
    type: str | None = None
    build_dir: str | None = None
    jobs: int | None = None
    system: str | None = None
    options: tuple[str, ...] = ()
    local_only: bool | None = None
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A project and a task, with the gate and the screen that go with them."""

    project: LocalProject
    task: Task
    gate: Gate
    screen: Screen
    cluster: ClusterBuild | None
    ai: AiSettings

    def run(self) -> Report:
        """Do it, with the fixes that are in force."""
        own = self.project.own.path
        if not any((own / name).exists() for name in ("recovery", "layers.toml")):
            return perform(self.project, self.task, self.gate, self.screen, self.cluster)
        from cyxmake_cli.recovery.start import fixes_in_force, tell_of_interrupted

        tell_of_interrupted(self.project.own, self.screen.say)
        with fixes_in_force(self.project, self.task, self.gate) as task:
            return perform(self.project, task, self.gate, self.screen, self.cluster)

    def attempt(self, task: Task) -> Report:
        """Do a task once; what fails on the cluster is done here again, to hear why."""
        from cyxmake_cli.recovery.start import asking_for_fixits

        if self.cluster is not None:
            report = perform(self.project, task, self.gate, self.screen, self.cluster)
            if report.status is not ExitStatus.BUILD_FAILED or report.where != "cluster":
                return report
        with asking_for_fixits(self.project):
            return perform(self.project, task, self.gate, self.screen)


def prepare(common: Common, wanted: Wanted) -> Prepared:
    """Return what is to be done; raises CyxError."""
    settings = load(
        common.directory,
        flags={
            "build.jobs": wanted.jobs,
            "build.type": wanted.type,
            "build.system": wanted.system,
            "build.directory": wanted.build_dir,
            "cluster.enabled": None if wanted.local_only is None else not wanted.local_only,
            "ai.enabled": False if common.no_ai else None,
        },
    ).settings
    named = settings.build
    project = open_project(common.directory, named.directory, named.system)
    task = Task(
        wanted.verb,
        named.type,
        named.jobs,
        wanted.targets,
        wanted.options,
        wanted.prefix,
        common.verbose,
    )
    screen = common.screen()
    gate = common.gate(screen, str(project.source), str(project.build))
    cluster = _cluster(common, settings, project, task)
    return Prepared(project, task, gate, screen, cluster, settings.ai)


def _cluster(
    common: Common, settings: Settings, project: LocalProject, task: Task
) -> ClusterBuild | None:
    """Return how the cluster does the build; None: it is not to, or cannot."""
    if not settings.cluster.enabled or project.overridden:
        return None
    if project.spec.name not in _ON_CLUSTER or config.token_text() is None:
        return None
    if project.spec.name is SystemName.CMAKE and not _uses_ninja(project):
        print(f"cyxmake: {project.build} is not for Ninja: it is built here", file=sys.stderr)  # noqa: T201
        return None

    def run(words: tuple[str, ...]) -> tuple[ExitStatus, dict[str, Any]]:
        from cyxmake_cli.build import BuildRequest, build

        here = load(
            common.directory,
            flags={
                "build.directory": str(project.build),
                "build.jobs": settings.build.jobs,
                "cluster.enabled": True,
            },
        ).settings
        with stdout_to_stderr(common.as_json), tempfile.TemporaryDirectory() as folder:
            summary = Path(folder, "summary.json")
            status = build(
                BuildRequest(
                    here,
                    targets=task.targets,
                    make_options=words if project.spec.name is SystemName.MAKE else (),
                    directory=project.source,
                    verbose=common.verbose,
                    quiet=common.quiet,
                    summary=summary,
                )
            )
            figures = json.loads(summary.read_bytes()) if summary.exists() else {}
        return status, figures

    return run


def _uses_ninja(project: LocalProject) -> bool:
    """Tell whether a CMake project is configured for Ninja, or will be."""
    try:
        cache = (project.build / "CMakeCache.txt").read_text("utf-8", "replace")
    except OSError:
        return shutil.which("ninja") is not None
    return "CMAKE_GENERATOR:INTERNAL=Ninja\n" in cache


@contextmanager
def stdout_to_stderr(wanted: bool) -> Iterator[None]:
    """Send what this process and its children write to stdout to stderr meanwhile."""
    if not wanted:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
        sys.stdout.flush()
    finally:
        os.dup2(kept, 1)
        os.close(kept)
