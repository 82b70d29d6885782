"""`dbuild` of a project with fixes in force: configured and built as they want it.

Knows no fix; what has none in force is left to `dbuild` alone.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from cyxmake_cli.analysis.detectors import detect
from cyxmake_cli.build import BuildRequest, build
from cyxmake_cli.building.own_folder import OwnFolder
from cyxmake_cli.building.perform import Task, perform
from cyxmake_cli.building.project import LocalProject, open_project
from cyxmake_cli.building.screen import Screen
from cyxmake_cli.recovery.journal import Journal
from cyxmake_cli.recovery.start import fixes_in_force, tell_of_interrupted
from cyxmake_cli.safety.gate import Gate
from cyxmake_cli.systems.model import SystemName, Verb
from cyxmake_cli.systems.table import SYSTEMS
from cyxmake_cli.whole import WholeRequest, build_whole
from cyxmake_common.errors import ExitStatus


def build_whole_with_fixes(request: WholeRequest, gate: Gate, screen: Screen) -> ExitStatus:
    """Have a worker build a project whole, with options and variables of the fixes that were kept.

    Raises CyxError.
    """
    project = open_project(request.directory, request.settings.build.directory)
    tell_of_interrupted(project.own, screen.say)
    task = Task(Verb.BUILD, options=request.options)
    with fixes_in_force(project, task, gate) as with_fixes:
        own = f"{project.own.path}/"
        files = tuple(word for word in with_fixes.options if word.startswith(own))
        return build_whole(replace(request, options=with_fixes.options, files=files))


def build_with_fixes(request: BuildRequest, gate: Gate, screen: Screen) -> ExitStatus:
    """Build a project on the cluster with the fixes that were kept; raises CyxError."""
    named = request.settings.build
    place = None if named.directory is None else Path(named.directory)
    found = detect(request.directory, place, request.configure_options)
    own = OwnFolder(found.source)
    tell_of_interrupted(own, screen.say)
    if not Journal(own).active():
        return build(request)
    spec = SYSTEMS[SystemName(found.system.value)]
    project = LocalProject(spec, found.source, found.build, ())
    task = Task(
        Verb.BUILD, None, named.jobs, request.targets, request.configure_options, "",
        request.verbose,
    )  # fmt: skip

    def on_cluster(words: tuple[str, ...]) -> tuple[ExitStatus, dict[str, Any]]:
        options = words if spec.name is SystemName.MAKE else ()
        return build(replace(request, configure_options=(), make_options=options)), {}

    with fixes_in_force(project, task, gate) as with_fixes:
        if request.dry_run:
            return build(request)
        return perform(project, with_fixes, gate, screen, on_cluster).status
