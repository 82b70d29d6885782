"""`cyxmake cache show`: what the cluster keeps for the sources of a project."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from cyxmake_cli import config, settings
from cyxmake_common.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from cyxmake_cli.cluster.joined import Joined
    from cyxmake_cli.cluster.stored import Entry, Unit

_SCALES: Final = ((86400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))
_NAMED: Final = 5
"""Files that are named without --verbose."""


@click.command("show", epilog="Examples: cyxmake cache show src/main.c   |   cyxmake cache show")
@click.argument("what", required=False, default="", metavar="[PATH|DIGEST]")
@click.option(
    "-C", "directory", type=click.Path(path_type=Path), default=Path(),
    help="The project (default: the current directory).",
)  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Name every file that an entry hangs on.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(what: str, directory: Path, verbose: bool, as_json: bool) -> None:
    """Show what is stored for a source, an output, or a key's digest; for all units without one.

    Units are those of the last build here. An entry fits when everything its compiler read, and
    everything it looked for in vain, is today as it was then.
    """
    import asyncio

    from cyxmake_cli.analysis.detectors import detect
    from cyxmake_cli.build import shared_root
    from cyxmake_cli.cluster.history import History
    from cyxmake_cli.cluster.stored import units

    loaded = settings.load(directory).settings
    named = loaded.build.directory
    project = detect(directory, None if named is None else Path(named))
    kept = config.cache_directory() / "history"
    history = History(kept, shared_root(project), str(project.source))
    found = units(history, what)
    if not found:
        raise UsageError(
            f"the last build here had no unit named {what}" if what else "nothing was built here",
            next_step="run `cyxmake dbuild` first; name a source, an output, or a key's digest",
        )

    async def ask() -> tuple[str, list[tuple[Unit, list[Entry]]]]:
        from cyxmake_cli.cluster import stored
        from cyxmake_common.cas.file_digests import FileDigests

        joined = await _join(loaded.cluster.coordinator)
        try:
            digests = FileDigests()
            pairs = [
                (unit, await stored.entries(joined.client, unit, history, digests))
                for unit in found
            ]
        finally:
            await joined.close()
        return "the embedded cluster" if joined.embedded else joined.client.address, pairs

    where, pairs = asyncio.run(ask())
    if as_json:
        click.echo(json.dumps({"cluster": where, "units": [_json(*pair) for pair in pairs]}))
        return
    click.echo(f"stored by {where}")
    for unit, entries in pairs:
        if what:
            _describe(unit, entries, verbose)
        else:
            fitting = sum(not entry.misfit for entry in entries)
            size = sum(entry.size for entry in entries)
            click.echo(f"  {_plain(unit.name)}: {fitting} of {len(entries)} fit, {_size(size)}")


async def _join(coordinator: str | None) -> Joined:
    from cyxmake_cli.cluster.joined import Joined
    from cyxmake_cli.cluster.session import client_token

    base = config.cache_directory()
    token = client_token(coordinator)
    if token is not None:
        return await Joined.with_token(token, base)
    if not (base / "embedded" / "coordinator").is_dir():
        raise ConfigError(
            "nothing is stored: there is no cluster, and none was ever embedded here",
            next_step="run `cyxmake dbuild`, or `cyxmake login TOKEN`",
        )
    return await Joined.with_embedded(base, 1)


def _describe(unit: Unit, entries: list[Entry], verbose: bool) -> None:
    from cyxmake_common.clock import wall

    fields, now = unit.fields, wall()
    click.echo(_plain(unit.name))
    click.echo(f"  key       {unit.key}")
    click.echo(f"  compiler  {unit.compiler} ({fields['toolchain'][:12]})")
    click.echo(f"  arguments {' '.join(_plain(word) for word in fields['arguments'])}")
    for name, value in fields["environment"]:
        click.echo(f"  variable  {name}={value}")
    click.echo(f"  source    {fields['source'][:12]}")
    if not entries:
        click.echo("  nothing is stored under this key")
    for entry in entries:
        state = "fits today's files" if not entry.misfit else "does not fit today's files"
        click.echo(f"  entry: {state}")
        for reason in entry.misfit:
            click.echo(f"    because {_plain(reason)}")
        place = f"only for {entry.root}" if entry.root else "for checkouts at any place"
        click.echo(f"    holds {place}")
        outputs = ", ".join(f"{name} {_size(size)}" for name, size in entry.outputs)
        click.echo(f"    {_size(entry.size)}: {outputs}")
        made = f" by {entry.worker}" if entry.worker else ""
        click.echo(f"    compiled in {entry.seconds:.2f} s{made}, {_ago(entry.stored, now)}")
        click.echo(f"    last used {_ago(entry.used, now)}")
        own = [path for path in entry.dependencies if path.startswith("{root}")]
        click.echo(f"    {len(entry.dependencies)} files read, {len(own)} of them in the project")
        _list(entry.dependencies if verbose else own[:_NAMED])
        if not verbose and len(own) > _NAMED:
            click.echo(f"      … and {len(own) - _NAMED} more (--verbose)")
        click.echo(f"    {len(entry.absent)} files looked for in vain")
        _list(entry.absent if verbose else ())


def _list(paths: Sequence[str]) -> None:
    for path in paths:
        click.echo(f"      {_plain(path)}")


def _json(unit: Unit, entries: list[Entry]) -> dict[str, object]:
    return {
        "name": unit.name,
        "key": str(unit.key),
        "compiler": unit.compiler,
        **unit.fields,
        "entries": [{**asdict(entry), "size": entry.size} for entry in entries],
    }


def _plain(text: str) -> str:
    return text.replace("{root}/", "")


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


def _ago(moment: float, now: float) -> str:
    if moment <= 0:
        return "at an unknown time"
    passed = max(0.0, now - moment)
    for seconds, name in _SCALES:
        if passed >= 2 * seconds:
            return f"{int(passed / seconds)} {name} ago"
    return "just now"
