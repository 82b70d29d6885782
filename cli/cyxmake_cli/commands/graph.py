"""`cyxmake graph`: which files need which."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cyxmake_cli.commands.options import BUILD_DIR, Common, with_options
from cyxmake_common.errors import CyxError, ExitStatus, UsageError

if TYPE_CHECKING:
    from cyxmake_cli.graph.read import ProjectGraph


@click.group("graph", epilog="Examples: cyxmake graph impact src/core.h   |   cyxmake graph cycles")
def command() -> None:
    """Show what C and C++ files of a project include, and what follows from that.

    Read from the compile database or ninja's graph of the build directory, with the search path of
    each compile; before a project is configured, from its folders. Conditionals are ignored.
    """


_FILE = click.argument("file", type=click.Path(path_type=Path))


@command.command("deps", epilog="Example: cyxmake graph deps src/main.c --direct")
@_FILE
@with_options("directory", "as_json")
@BUILD_DIR
@click.option("--direct", is_flag=True, help="Only what it includes itself.")
def deps(common: Common, file: Path, build_dir: str | None, direct: bool) -> None:
    """Show the files that FILE includes, directly or through others."""
    from cyxmake_cli.graph.queries import reach

    found = _read(common, build_dir)
    name = _name(common, found, file)
    reached = reach(found.graph.needs, name)
    files = sorted(path for path, steps in reached.items() if not direct or steps == 1)
    _print(common, found, {"file": name, "needs": files}, files)


@command.command("impact", epilog="Example: cyxmake graph impact include/core.h")
@_FILE
@with_options("directory", "as_json")
@BUILD_DIR
def impact(common: Common, file: Path, build_dir: str | None) -> None:
    """Show what a change of FILE reaches: what is compiled again, and headers between."""
    from cyxmake_cli.graph.queries import impact as impact_of

    found = _read(common, build_dir)
    name = _name(common, found, file)
    units, between = impact_of(found.graph, name)
    lines = [*units, f"{len(units)} of {len(found.graph.units)} compiles, {len(between)} headers"]
    _print(common, found, {"file": name, "units": units, "headers": between}, lines)


@command.command("hotspots", epilog="Example: cyxmake graph hotspots -n 5")
@with_options("directory", "as_json")
@BUILD_DIR
@click.option("-n", "--most", type=click.IntRange(1), default=10, show_default=True,
              help="How many are shown.")  # fmt: skip
def hotspots(common: Common, build_dir: str | None, most: int) -> None:
    """Show the headers whose change costs most compiles."""
    from cyxmake_cli.graph.queries import hotspots as hotspots_of

    found = _read(common, build_dir)
    spots = hotspots_of(found.graph, most)
    total = len(found.graph.units)
    lines = [f"{one.units:5} of {total}  {one.bytes / 1e3:8.0f} kB  {one.file}" for one in spots]
    _print(common, found, {"hotspots": [asdict(one) for one in spots]}, lines)


@command.command("cycles", epilog="Example: cyxmake graph cycles")
@with_options("directory", "as_json")
@BUILD_DIR
def cycles(common: Common, build_dir: str | None) -> ExitStatus:
    """Show headers that include each other in a circle; the status is 1 when there are any."""
    from cyxmake_cli.graph.queries import cycles as cycles_of

    found = _read(common, build_dir)
    groups = cycles_of(found.graph)
    lines = [" <-> ".join(group) for group in groups] or ["no file includes itself by others"]
    _print(common, found, {"cycles": groups}, lines)
    return ExitStatus.BUILD_FAILED if groups else ExitStatus.OK


@command.command("order", epilog="Example: cyxmake graph order --json")
@with_options("directory", "as_json")
@BUILD_DIR
def order(common: Common, build_dir: str | None) -> None:
    """Show all files so that each comes after those it includes."""
    from cyxmake_cli.graph.queries import order as order_of

    found = _read(common, build_dir)
    files = order_of(found.graph)
    _print(common, found, {"order": files}, files)


def _read(common: Common, build_dir: str | None) -> ProjectGraph:
    from cyxmake_cli.analysis.files import files_of
    from cyxmake_cli.building.project import open_project
    from cyxmake_cli.graph.read import read_graph
    from cyxmake_cli.settings import load

    root = common.directory.absolute()
    named = load(root, flags={"build.directory": build_dir}).settings.build
    try:
        build = open_project(root, named.directory, named.system).build
    except CyxError:
        build = root / (named.directory or "build")
    return read_graph(root, build, files_of(root).sizes)


def _name(common: Common, found: ProjectGraph, file: Path) -> str:
    """Return how the graph calls a file that a person named from where they stand, or from root."""
    import os

    root = os.path.realpath(common.directory)
    known = {*found.graph.needs, *found.graph.units, *found.graph.sizes}
    for path in (file, common.directory / file):
        name = os.path.relpath(os.path.realpath(path), root)
        if name in known:
            return name
    raise UsageError(
        f"no compile of this project reads {file}", next_step="see `cyxmake graph order`"
    )


def _print(common: Common, found: ProjectGraph, document: dict[str, Any], lines: Any) -> None:
    screen = common.screen()
    screen.document({"version": 1, "command": "graph", "basis": found.basis, **document})
    if not common.as_json:
        for line in lines:
            screen.say(line)
