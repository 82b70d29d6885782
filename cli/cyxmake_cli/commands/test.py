"""`cyxmake test`: run a project's own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cyxmake_cli.commands.options import Common, with_options, with_wanted
from cyxmake_common.errors import ExitStatus

if TYPE_CHECKING:
    from cyxmake_cli.commands.local_build import Wanted


@click.command("test", epilog="Examples: cyxmake test   |   cyxmake test -C project -j8 --json")
@with_options("directory", "verbose", "quiet", "dry_run", "colours", "as_json", "yes")
@with_wanted("test")
def command(common: Common, wanted: Wanted) -> ExitStatus:
    """Run the tests that a project has, built first where its tool does not do that.

    Exit status 1 when tests fail; the tool's own status is shown, and stands in the JSON document.
    """
    from cyxmake_cli.commands.local_build import prepare

    prepared = prepare(common, wanted)
    report = prepared.run()
    if not common.dry_run:
        prepared.screen.document(report.as_json())
    return report.status
