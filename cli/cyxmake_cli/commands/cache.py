"""`cyxmake cache`: what this machine keeps for builds, how sound it is, and how to be rid of it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import click

from cyxmake_cli import config
from cyxmake_cli.commands import cache_show
from cyxmake_common.errors import ConfigError, ExitStatus

_PARTS = {
    "embedded/coordinator": "results and blobs of the embedded cluster",
    "embedded/worker": "inputs and toolchains laid out by the embedded worker",
    "toolchains": "descriptions of compilers",
    "history": "what explains misses",
}
"""Folder below the cache directory to what it holds."""


@click.group("cache", epilog="Example: cyxmake cache stats")
def command() -> None:
    """Show, verify or clear what this machine keeps for builds.

    A cluster's own store is looked after by `cyxmake-coordinator status` and `fsck`.
    """


command.add_command(cache_show.command)


@command.command("stats", epilog="Example: cyxmake cache stats --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stats(as_json: bool) -> None:
    """Show the size of each part of the cache on this machine."""
    base = config.cache_directory()
    parts = {part: _measure(base / part) for part in _PARTS}
    if as_json:
        found = {part: {"files": files, "bytes": size} for part, (files, size) in parts.items()}
        click.echo(json.dumps({"directory": str(base), "parts": found}, indent=2))
        return
    click.echo(f"{base}")
    for part, (files, size) in parts.items():
        click.echo(f"  {size / 1e6:10.1f} MB in {files:6} files: {_PARTS[part]} ({part})")


@command.command("verify", epilog="Example: cyxmake cache verify")
def verify() -> ExitStatus:
    """Check every blob of the embedded cluster; damaged ones are removed, and made anew later.

    Exits with 3 while a build uses the embedded cluster.
    """
    import subprocess
    import sys

    data = config.cache_directory() / "embedded" / "coordinator"
    if not data.is_dir():
        click.echo("there is no embedded cluster's store yet")
        return ExitStatus.OK
    argv = [sys.executable, "-P", "-m", "cyxmake_coordinator.main", "fsck", "--data-dir", str(data)]
    return ExitStatus(subprocess.run(argv, check=False).returncode)


@command.command("clear", epilog="Example: cyxmake cache clear --yes")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def clear(yes: bool) -> None:
    """Remove everything that builds keep on this machine; the next build starts cold."""
    from cyxmake_cli.commands.options import Common
    from cyxmake_cli.safety.permissions import Act, ActKind

    base = config.cache_directory()
    if (base / "embedded" / "coordinator" / "embedded.json").exists():
        raise ConfigError(
            "a build uses the embedded cluster right now", next_step="try again when it has ended"
        )
    size = sum(_measure(base / part)[1] for part in _PARTS)
    screen = Common(yes=yes).screen()
    act = Act(
        ActKind.CLEAN,
        f"remove {size / 1e6:.1f} MB below {base}",
        removes=tuple(str(base.absolute() / part) for part in _PARTS),
    )
    if not Common(yes=yes).gate(screen, str(base)).permit(act):
        return
    for part in _PARTS:
        shutil.rmtree(base / part, ignore_errors=True)
    left = [part for part in _PARTS if (base / part).exists()]
    if left:
        raise ConfigError(f"could not remove {', '.join(left)} below {base}")
    click.echo(f"removed {size / 1e6:.1f} MB")


def _measure(directory: Path) -> tuple[int, int]:
    """Return how many files a directory holds, and their bytes; two names count once."""
    seen: dict[tuple[int, int], int] = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                status = os.lstat(os.path.join(folder, name))  # noqa: PTH118 - may be many
            except OSError:
                continue  # removed meanwhile
            seen[status.st_dev, status.st_ino] = status.st_size
    return len(seen), sum(seen.values())
