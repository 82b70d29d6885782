"""`cyxmake test`: run a project's own tests."""

from __future__ import annotations

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


@click.command("test", epilog="Examples: cyxmake test   |   cyxmake test -C project -j8 --json")
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
    """Run the tests that a project has, built first where its tool does not do that.

    Exit status 1 when tests fail; the tool's own status is shown, and stands in the JSON document.
    """
    from cyxmake_cli.commands.local_build import Wanted, prepare
    from cyxmake_cli.systems.model import Verb

    wanted = Wanted(
        Verb.TEST, targets, type_, build_dir, jobs, system, options, local_only=local_only
    )
    prepared = prepare(common, wanted)
    report = prepared.run()
    if not common.dry_run:
        prepared.screen.document(report.as_json())
    return report.status
