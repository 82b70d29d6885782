"""`cyxmake packages`: the package managers of this machine, by one set of words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cyxmake_cli.commands.options import Common, with_options
from cyxmake_common.errors import ExitStatus, ProjectError, UsageError

if TYPE_CHECKING:
    from cyxmake_cli.tools.packages import PackageManager

_WITH = click.option(
    "--with", "with_", metavar="MANAGER", help="Package manager (default: the system's own)."
)


@click.group("packages", epilog="Examples: cyxmake packages managers   |   packages exists zlib1g")
def command() -> None:
    """Search, check, list, install and remove packages, with whichever manager is here.

    Names are checked to exist before anything is installed, and a person is asked.
    """


@command.command("managers", epilog="Example: cyxmake packages managers --json")
@with_options("as_json")
def managers(common: Common) -> None:
    """Show which package managers are here, and which of their verbs are known."""
    from cyxmake_cli.tools.installing import available

    screen = common.screen()
    verbs = {
        m.name: [v for v in ("search", "exists", "files", "install", "remove") if getattr(m, v)]
        for m in available()
    }
    screen.document({"version": 1, "command": "packages", "managers": verbs})
    if not common.as_json:
        for name, known in verbs.items():
            screen.say(f"{name:<8} {' '.join(known)}")


@command.command("search", epilog="Example: cyxmake packages search zlib --with npm")
@_WITH
@click.argument("name")
def search(with_: str | None, name: str) -> ExitStatus:
    """Search for packages by name."""
    return _ask(with_, "search", name)


@command.command("files", epilog="Example: cyxmake packages files zlib1g-dev")
@_WITH
@click.argument("name")
def files(with_: str | None, name: str) -> ExitStatus:
    """List the files of an installed package."""
    return _ask(with_, "files", name)


@command.command("exists", epilog="Example: cyxmake packages exists left-pad --with npm")
@_WITH
@click.argument("name")
def exists(with_: str | None, name: str) -> ExitStatus:
    """Say whether there is such a package; the status is 1 if not."""
    from cyxmake_cli.tools.installing import exists as is_there

    manager = _manager(with_)
    there = is_there(manager, name, Path().absolute())
    click.echo(f"{manager.name} {'knows' if there else 'does not know'} {name}")
    return ExitStatus.OK if there else ExitStatus.BUILD_FAILED


@command.command("install", epilog="Example: cyxmake packages install zlib1g-dev")
@with_options("directory", "dry_run", "yes")
@_WITH
@click.argument("names", nargs=-1, required=True)
def install(common: Common, with_: str | None, names: tuple[str, ...]) -> ExitStatus:
    """Install packages that exist, after asking."""
    from cyxmake_cli.tools.installing import install as install_here

    root = common.directory.absolute()
    gate = common.gate(common.screen(), str(root))
    done = install_here(_manager(with_), names, gate, root)
    return ExitStatus.OK if done or common.dry_run else ExitStatus.DENIED


@command.command("remove", epilog="Example: cyxmake packages remove zlib1g-dev")
@with_options("directory", "dry_run", "yes")
@_WITH
@click.argument("names", nargs=-1, required=True)
def remove(common: Common, with_: str | None, names: tuple[str, ...]) -> ExitStatus:
    """Remove packages; that is dangerous, and asked about in any case."""
    from cyxmake_cli.tools.installing import remove as remove_here

    root = common.directory.absolute()
    gate = common.gate(common.screen(), str(root))
    done = remove_here(_manager(with_), names, gate, root)
    return ExitStatus.OK if done or common.dry_run else ExitStatus.DENIED


def _manager(name: str | None) -> PackageManager:
    from cyxmake_cli.tools.installing import available
    from cyxmake_cli.tools.packages import MANAGERS

    if name is not None and name not in MANAGERS:
        raise UsageError(
            f"no package manager is called {name!r}", next_step=f"one of {', '.join(MANAGERS)}"
        )
    found = [m for m in available() if name in (None, m.name)]
    if not found:
        raise ProjectError(
            f"{name or 'no package manager that is known'} is not here",
            next_step="see `cyxmake packages managers`",
        )
    return found[0]


def _ask(with_: str | None, verb: str, name: str) -> ExitStatus:
    from cyxmake_cli.tools.installing import run_here
    from cyxmake_cli.tools.packages import argvs

    manager = _manager(with_)
    words = manager.search if verb == "search" else manager.files
    if words is None:
        raise UsageError(
            f"{manager.name} has no way to {verb}", next_step="see `cyxmake packages managers`"
        )
    done = run_here(argvs(words, (name,))[0], Path().absolute())
    click.echo(done.stdout, nl=False)
    return ExitStatus.OK if done.succeeded else ExitStatus.BUILD_FAILED
