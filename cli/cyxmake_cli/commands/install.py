"""`cyxmake install`: install what a project builds below a prefix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cyxmake_cli.commands.options import Common, with_options, with_wanted
from cyxmake_common.errors import ExitStatus

if TYPE_CHECKING:
    from cyxmake_cli.commands.local_build import Wanted


@click.command("install", epilog="Example: cyxmake install --prefix ~/.local")
@with_options("directory", "verbose", "quiet", "dry_run", "colours", "as_json", "yes")
@click.option(
    "--prefix", required=True, type=click.Path(path_type=Path), help="Where it is installed."
)
@with_wanted("install", "targets", "options")
def command(common: Common, wanted: Wanted, prefix: Path) -> ExitStatus:
    """Build a project and install it below a prefix, after asking."""
    from cyxmake_cli.commands.local_build import prepare

    place = str(prefix.expanduser().absolute())
    prepared = prepare(common, replace(wanted, prefix=place))
    report = prepared.run()
    if not common.dry_run:
        prepared.screen.document(report.as_json())
    return report.status
