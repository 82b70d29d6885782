"""`cyxmake auto`: build until it works."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from cyxmake_cli.commands.options import (
    BUILD_DIR,
    CLUSTER,
    JOBS,
    OPTION,
    SYSTEM,
    TYPE,
    Common,
    with_options,
)
from cyxmake_common.errors import ExitStatus

if TYPE_CHECKING:
    from cyxmake_cli.commands.local_build import Prepared


@click.command("auto", epilog="Examples: cyxmake auto   |   cyxmake auto -C project --yes")
@click.argument("targets", nargs=-1)
@with_options("directory", "verbose", "quiet", "dry_run", "colours", "as_json", "yes")
@TYPE
@BUILD_DIR
@JOBS
@SYSTEM
@OPTION
@CLUSTER
def command(
    common: Common,
    targets: tuple[str, ...],
    type_: str | None,
    build_dir: str | None,
    jobs: int | None,
    system: str | None,
    options: tuple[str, ...],
    local_only: bool | None,
) -> ExitStatus:
    """Build TARGETS until it works: install tools that are missing, ask for less at a time.

    Whatever changes the machine is asked about first. The same repair is never tried twice for the
    same failure.
    """
    from cyxmake_cli.commands.local_build import Wanted, prepare
    from cyxmake_cli.systems.model import Verb

    wanted = Wanted(
        Verb.BUILD, targets, type_, build_dir, jobs, system, options, local_only=local_only
    )
    return run(prepare(common, wanted))


def run(prepared: Prepared) -> ExitStatus:
    """Build what was prepared until it works."""
    from cyxmake_cli.building.auto import FewerJobs, build_until
    from cyxmake_cli.building.perform import Report, Task, cpus

    _get_missing_tools(prepared)

    def attempt(task: Task) -> Report:
        return replace(prepared, task=task).run()

    report, applied = build_until(prepared.task, attempt, [FewerJobs(cpus)], prepared.screen.say)
    if not prepared.gate.dry_run:
        prepared.screen.document(report.as_json() | {"repairs": applied})
    return report.status


def _get_missing_tools(prepared: Prepared) -> None:
    """Install what the build system needs and is not here; whatever is refused stays missing."""
    from cyxmake_cli.tools.installing import available, install, ways_to_get
    from cyxmake_cli.tools.packages import MANAGERS

    project = prepared.project
    for group in project.missing():
        ways = [(way, name) for name in group for way in ways_to_get(name, available())]
        for (manager, package), name in ways[:1]:
            prepared.screen.say(f"cyxmake: {project.spec.title} needs {name}, which is not here")
            install(MANAGERS[manager], (package,), prepared.gate, project.source)
