"""`cyxmake status`: show the project that stands here, and the cluster that builds go to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from cyxmake_cli import config
from cyxmake_cli.commands.options import Common, with_options
from cyxmake_common.compound import TOOL
from cyxmake_common.errors import CyxError

if TYPE_CHECKING:
    from cyxmake_cli.building.screen import Screen
    from cyxmake_common.protocol.messages import CauseStatus, Status

_NAMED: Final = 3
"""Workers that a line names."""


@click.command("status", epilog="Example: cyxmake status -C path/to/project --json")
@with_options("directory", "as_json")
def command(common: Common) -> None:
    """Show a project's build system, configuration and last build; the cluster's workers and queue.

    A cluster that is configured and does not answer is an error.
    """
    screen = common.screen()
    project = _project(common.directory.absolute())
    status = cluster_status()
    screen.document({
        "version": 1, "command": "status", "project": project,
        "cluster": None if status is None else status.model_dump(mode="json"),
    })  # fmt: skip
    _tell_of_interrupted(common.directory.absolute(), screen)
    if not common.as_json:
        _show_project(project, screen)
        _show_cluster(status, screen)


def _tell_of_interrupted(directory: Path, screen: Screen) -> None:
    from cyxmake_cli.building.own_folder import OwnFolder
    from cyxmake_cli.recovery.start import tell_of_interrupted

    tell_of_interrupted(OwnFolder(directory), screen.say)


def _project(directory: Path) -> dict[str, Any] | None:
    from cyxmake_cli.building.history import builds
    from cyxmake_cli.building.project import open_project
    from cyxmake_cli.settings import load
    from cyxmake_cli.systems.plan import CONFIGURED

    named = load(directory).settings.build
    try:
        project = open_project(directory, named.directory, named.system)
    except CyxError:
        return None
    done = builds(project.own)
    return {
        "name": project.source.name,
        "system": project.spec.name.value,
        "build_directory": str(project.build),
        "configured": CONFIGURED in project.facts() if project.spec.configured else None,
        "plan": "own" if project.overridden else "found",
        "last": done[-1].facts if done else None,
    }


def cluster_status() -> Status | None:
    """Return what the coordinator says; None without a cluster. Raises CyxError."""
    text = config.token_text()
    if text is None:
        return None
    import asyncio

    from cyxmake_cli.cluster.client import ClusterClient
    from cyxmake_common.net.token import JoinToken

    async def ask() -> Status:
        token = JoinToken.parse(text)
        async with await ClusterClient.connect(token, config.cache_directory()) as cluster:
            return await cluster.status()

    return asyncio.run(ask())


def _show_project(project: dict[str, Any] | None, screen: Screen) -> None:
    if project is None:
        screen.say("project: none here that could be built")
        return
    configured = {True: ", configured", False: ", not configured yet", None: ""}
    screen.say(
        f"project: {project['name']}, builds with {project['system']} in "
        f"{project['build_directory']}{configured[project['configured']]}"
    )
    if last := project["last"]:
        screen.say(
            f"  last {last.get('command')}: {last.get('status')}, "
            f"{float(last.get('seconds', 0)):.1f} s, {last.get('time')}"
        )


def _show_cluster(status: Status | None, screen: Screen) -> None:
    if status is None:
        screen.say("cluster: none is configured: builds bring their own (cyxmake login TOKEN)")
        return
    screen.say(
        f"cluster: {len(status.workers)} workers, {status.running} running, {status.queued} queued,"
        f" {status.completed} completed, {status.failed} failed, "
        f"cache {status.cas_bytes / 1e6:.0f} of {status.cas_limit_bytes / 1e6:.0f} MB"
    )
    for worker in status.workers:
        condition = "draining" if worker.draining else worker.condition
        flag = "" if condition in ("", "ready") else f", {condition}:"
        platform = " ".join(f"{name}={value}" for name, value in worker.properties if name != TOOL)
        if tools := sum(name == TOOL for name, _ in worker.properties):
            platform += f" {tools} tools"
        screen.say(
            f"  {worker.name}: {worker.running}/{worker.slots} running, "
            f"{worker.completed} completed{flag} {platform}"
        )
        for trouble in worker.broken:
            screen.say(f"    not used for toolchain {trouble.id.hash[:12]}: {trouble.detail}")
    for cause in status.causes:
        screen.say(f"  {cause_line(cause)}")


def cause_line(cause: CauseStatus) -> str:
    """Say why actions fail, how many, and where that was seen."""
    held = f", {cause.held} look-alikes wait" if cause.held else ""
    seen = ", ".join(cause.workers[:_NAMED]) + (" ..." if len(cause.workers) > _NAMED else "")
    return f"{cause.actions} failed: {cause.line} (seen by {seen}, {cause.seconds:.0f} s ago{held})"
