"""`cyxmake launcher`: stand-ins for compilers, and the agent behind them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from cyxmake_cli.commands.options import let_write_settings
from cyxmake_common.errors import ExitStatus

_DIRECTORY: Final[Callable[[Callable[..., object]], Callable[..., object]]] = click.option(
    "--dir", "directory", type=click.Path(path_type=Path, file_okay=False),
    help="The folder of stand-ins (default: in the cache directory).",
)  # fmt: skip


@click.group("launcher", epilog="Example: cyxmake launcher install")
def command() -> None:
    """Send the compiles of Make, autotools, SCons and their like to the cluster."""


@command.command("install")
@_DIRECTORY
def install(directory: Path | None) -> None:
    """Make a folder of stand-ins for the compilers in PATH; put it first in PATH to use it."""
    from cyxmake_cli.launcher import masquerade
    from cyxmake_cli.launcher.home import Home
    from cyxmake_cli.launcher.stub import stub

    home = Home.of_user()
    folder = (directory or home.masquerade).absolute()
    let_write_settings(f"put stand-ins for compilers into {folder}", folder)
    program = stub(home)
    names = masquerade.install(
        folder, program, masquerade.compiler_names(os.environ.get("PATH", os.defpath))
    )
    click.echo(f"stand-ins for {', '.join(names) or 'no compiler: none is in PATH'}")
    click.echo(f'  export PATH="{folder}:$PATH"')
    click.echo(f"  or with CMake: -DCMAKE_C_COMPILER_LAUNCHER={program}")
    click.echo(f"                 -DCMAKE_CXX_COMPILER_LAUNCHER={program}")


@command.command("remove")
@_DIRECTORY
def remove(directory: Path | None) -> None:
    """Remove the stand-ins that `install` made, and nothing else."""
    from cyxmake_cli.launcher import masquerade
    from cyxmake_cli.launcher.home import Home

    folder = (directory or Home.of_user().masquerade).absolute()
    let_write_settings(f"remove the stand-ins in {folder}", folder)
    click.echo(f"removed {', '.join(masquerade.remove(folder))} from {folder}")


@command.command("start")
def start() -> None:
    """Start the agent and wait for its cluster; compiles start it too, and do not wait."""
    from cyxmake_cli import config, settings
    from cyxmake_cli.cluster.session import client_token
    from cyxmake_cli.launcher.builds import begin
    from cyxmake_cli.launcher.home import Home

    environ = dict(os.environ)
    token = client_token(settings.load(Path()).settings.cluster.coordinator)
    if token is not None:
        environ[config.TOKEN_VARIABLE] = token.text()
    cluster = begin(Home.of_user(), environ)
    click.echo(cluster.problem or f"ready: {cluster.slots} slots")


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON.")
@_DIRECTORY
def status(as_json: bool, directory: Path | None) -> None:
    """Show the stand-ins, and what the agent has done."""
    from cyxmake_cli.launcher import builds, masquerade
    from cyxmake_cli.launcher.home import Home

    home = Home.of_user()
    folder = (directory or home.masquerade).absolute()
    answer = builds.status(home)
    names = masquerade.installed(folder)
    if as_json:
        click.echo(json.dumps({"agent": answer, "folder": str(folder), "names": names}, indent=2))
        return
    click.echo(f"stand-ins in {folder}: {', '.join(names) or 'none'}")
    if answer is None:
        click.echo("no agent runs")
        return
    served = answer["served"]
    click.echo(f"agent {answer['pid']}: {answer['running']} running")
    for name, state in answer["clusters"].items():
        click.echo(f"  {name}: {state}")
    click.echo(f"  {served['hits']} hits, {served['remote']} remote, {served['local']} local")
    for reason, count in sorted(served["reasons"].items(), key=lambda item: -item[1]):
        click.echo(f"    local because: {reason} ({count})")


@command.command("stop")
def stop() -> ExitStatus:
    """End the agent; the next compile starts another."""
    from cyxmake_cli.launcher.builds import end_agent
    from cyxmake_cli.launcher.home import Home

    click.echo("stopped" if end_agent(Home.of_user()) else "no agent runs")
    return ExitStatus.OK
