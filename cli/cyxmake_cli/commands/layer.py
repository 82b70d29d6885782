"""`cyxmake layer`: packages that a project builds with, unpacked instead of installed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cyxmake_cli.commands.options import Common, with_options
from cyxmake_common.errors import ExitStatus, ProjectError

if TYPE_CHECKING:
    from cyxmake_cli.layers.model import LayerPlan
    from cyxmake_cli.layers.use import ProjectLayers


@click.group("layer", epilog="Examples: cyxmake layer add libfmt-dev   |   cyxmake layer list")
def command() -> None:
    """Get packages that a project needs without installing them.

    A layer is the files of some packages of Debian or Ubuntu and of what they need, unpacked below
    the cache directory without root, and shared by all projects. A project's layers stand in its
    .cyxmake/layers.toml; its builds use them by themselves, here and on the cluster.
    """


@command.command("add", epilog="Example: cyxmake layer add libfmt-dev libcurl4-openssl-dev")
@with_options("directory", "dry_run", "yes", "as_json")
@click.option("--with", "with_", metavar="MANAGER", default="apt", help="Package manager: apt.")
@click.argument("names", nargs=-1, required=True)
def add(common: Common, with_: str, names: tuple[str, ...]) -> ExitStatus:
    """Get packages NAMES and what they need as one layer of the project, after asking."""
    project = _project(common)
    screen = common.screen()
    plan = project.store.plan(with_, names)
    if common.dry_run:
        for package in plan.packages:
            screen.say(f"  {package.name} {package.version}")
    layer = project.add(plan, common.gate(screen, str(common.directory.absolute())))
    screen.document({"version": 1, "command": "layer", "added": _facts(plan)})
    if layer is not None and not common.as_json:
        screen.say(f"{' '.join(plan.wanted)}: {layer.root}, written down in {project.record.path}")
    return ExitStatus.OK if layer is not None or common.dry_run else ExitStatus.DENIED


@command.command("list", epilog="Example: cyxmake layer list -C project --json")
@with_options("directory", "as_json")
def list_(common: Common) -> None:
    """Show the project's layers, and which of them are here."""
    project = _project(common)
    screen = common.screen()
    plans = project.record.read()
    here = {plan.digest for plan in project.recorded()} if project.is_here() else set()
    screen.document(
        {
            "version": 1,
            "command": "layer",
            "layers": [_facts(plan) | {"here": plan.digest in here} for plan in plans],
        }
    )
    if common.as_json:
        return
    if not plans:
        screen.say("this project has no layers")
    for plan in plans:
        where = "here" if plan.digest in here else "fetched when it is needed"
        screen.say(f"{' '.join(plan.wanted)}  ({plan.system}, {where})")
        for package in plan.packages:
            screen.say(f"  {package.name} {package.version}")


@command.command("remove", epilog="Example: cyxmake layer remove libfmt-dev")
@with_options("directory", "dry_run", "as_json")
@click.argument("names", nargs=-1, required=True)
def remove(common: Common, names: tuple[str, ...]) -> None:
    """Let the project build without the layers of packages NAMES; other projects keep them."""
    project = _project(common)
    known = {name for plan in project.record.read() for name in plan.wanted}
    if unknown := [name for name in names if name not in known]:
        raise ProjectError(
            f"no layer of this project was made for {', '.join(unknown)}",
            next_step="see `cyxmake layer list`",
        )
    if common.dry_run:
        click.echo(f"would remove {', '.join(names)} from {project.record.path}")
        return
    screen = common.screen()
    gone = project.record.remove(names)
    screen.document({"version": 1, "command": "layer", "removed": [_facts(plan) for plan in gone]})
    for plan in () if common.as_json else gone:
        screen.say(f"removed {' '.join(plan.wanted)}; its files stay for others until `prune`")


@command.command("prune", epilog="Example: cyxmake layer prune --older-than 30")
@with_options("dry_run")
@click.option(
    "--older-than", type=click.IntRange(0), default=30, show_default=True, metavar="DAYS",
    help="Remove layers that no build has used for so long.",
)  # fmt: skip
def prune(common: Common, older_than: int) -> None:
    """Remove layers that no project has used for long; a build that needs one fetches it again."""
    from cyxmake_cli.layers.use import user_store

    store = user_store()
    before = time.time() - older_than * 86_400
    count = size = 0
    for layer, used, layer_bytes in store.all():
        if used <= before and (common.dry_run or store.drop(layer.digest)):
            count, size = count + 1, size + layer_bytes
            click.echo(f"{layer.digest[:12]}  {' '.join(layer.plan.wanted)}")
    size += store.drop_fetched(before, dry_run=common.dry_run)
    verb = "would remove" if common.dry_run else "removed"
    click.echo(f"{verb} {count} layers, {size / 1e6:.1f} MB")


def _project(common: Common) -> ProjectLayers:
    from cyxmake_cli.layers.use import ProjectLayers

    if not common.directory.is_dir():
        raise ProjectError(f"{common.directory} is not a directory", next_step="name one with -C")
    return ProjectLayers(Path(common.directory).absolute())


def _facts(plan: LayerPlan) -> dict[str, object]:
    packages = [{"name": p.name, "version": p.version} for p in plan.packages]
    return {
        "manager": plan.manager,
        "system": plan.system,
        "wanted": plan.wanted,
        "digest": plan.digest,
        "download_bytes": plan.download_bytes,
        "packages": packages,
    }
