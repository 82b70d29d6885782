"""`cyxmake install`: install what a project builds below a prefix."""

from __future__ import annotations

from pathlib import Path

import click

from cyxmake_cli.commands.options import (
    BUILD_DIR,
    CLUSTER,
    JOBS,
    SYSTEM,
    TYPE,
    Common,
    with_options,
)
from cyxmake_common.errors import ExitStatus


@click.command("install", epilog="Example: cyxmake install --prefix ~/.local")
@with_options("directory", "verbose", "quiet", "dry_run", "colours", "as_json", "yes")
@click.option(
    "--prefix", required=True, type=click.Path(path_type=Path), help="Where it is installed."
)
@TYPE
@BUILD_DIR
@JOBS
@SYSTEM
@CLUSTER
def command(
    common: Common,
    prefix: Path,
    type_: str | None,
    build_dir: str | None,
    jobs: int | None,
    system: str | None,
    local_only: bool | None,
) -> ExitStatus:
    """Build a project and install it below a prefix, after asking."""
    from cyxmake_cli.commands.local_build import Wanted, prepare
    from cyxmake_cli.systems.model import Verb

    place = str(prefix.expanduser().absolute())
    wanted = Wanted(
        Verb.INSTALL, (), type_, build_dir, jobs, system, (), local_only=local_only, prefix=place
    )
    prepared = prepare(common, wanted)
    report = prepared.run()
    if not common.dry_run:
        prepared.screen.document(report.as_json())
    return report.status
