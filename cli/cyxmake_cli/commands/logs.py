"""`cyxmake logs`: what a build said."""

from __future__ import annotations

import sys

import click

from cyxmake_cli.commands.options import Common, with_options
from cyxmake_common.errors import UsageError


@click.command("logs", epilog="Examples: cyxmake logs   |   cyxmake logs 20260102-030405-678")
@with_options("directory")
@click.argument("build", required=False)
def command(common: Common, build: str | None) -> None:
    """Print the output of a build or test that ran here, by default of the last one.

    BUILD is an id, or the beginning of one: see `cyxmake history`.
    """
    from cyxmake_cli.building.history import builds
    from cyxmake_cli.building.own_folder import OwnFolder

    found = builds(OwnFolder(common.directory.absolute()))
    chosen = [b for b in found if build is None or b.id.startswith(build)]
    if not chosen:
        what = f"no build begins with {build!r}" if build else "nothing has been built here yet"
        raise UsageError(what, next_step="see `cyxmake history`")
    if build is not None and len(chosen) > 1:
        raise UsageError(
            f"{len(chosen)} builds begin with {build!r}", next_step="write more of the id"
        )
    try:
        data = chosen[-1].log.read_bytes()
    except OSError:
        data = b""
    sys.stdout.buffer.write(data)
    sys.stdout.flush()
