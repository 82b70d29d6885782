"""`cyxmake config`: what holds here, where it comes from, and how to change it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cyxmake_cli import settings
from cyxmake_cli.commands.options import let_write_settings
from cyxmake_common.config import keys_of, read_flags
from cyxmake_common.errors import ConfigError, UsageError

_DIRECTORY = click.option(
    "-C", "directory", type=click.Path(path_type=Path), default=Path(),
    help="The project (default: the current directory).",
)  # fmt: skip


@click.group("config", epilog="Example: cyxmake config set cache.remap_paths true --project")
def command() -> None:
    """Show and change the settings: of this project (cyxmake.toml) and of yours (config.toml).

    Options win over the environment (CYXMAKE_CACHE_REMAP_PATHS=1), that over the project's file,
    that over yours.
    """


@command.command("show", epilog="Example: cyxmake config show --json")
@_DIRECTORY
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(directory: Path, as_json: bool) -> None:
    """Show every setting, its value, and where that comes from."""
    loaded = settings.load(directory)
    rows = [
        (key, _value(loaded, key), loaded.found[key].origin if key in loaded.found else "default")
        for key in keys_of(settings.Settings)
    ]
    if as_json:
        found = {key: {"value": value, "origin": origin} for key, value, origin in rows}
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(f"project: {loaded.project_file or f'no {settings.PROJECT_FILE} from here upward'}")
    user = loaded.user_file
    click.echo(f"user:    {user}{'' if user.is_file() else ' (does not exist)'}")
    for key, value, origin in rows:
        click.echo(f"  {key} = {_text(value)}  ({origin})")


@command.command("get", epilog="Example: cyxmake config get build.jobs")
@_DIRECTORY
@click.argument("key")
def get(directory: Path, key: str) -> None:
    """Print the value of one setting, and nothing else."""
    _check(key)
    click.echo(_text(_value(settings.load(directory), key)))


@command.command("set", epilog="Example: cyxmake config set build.jobs 16")
@_DIRECTORY
@click.option("--project", is_flag=True, help="In the project's cyxmake.toml, not in your own.")
@click.argument("key")
@click.argument("value")
def set_(directory: Path, project: bool, key: str, value: str) -> None:
    """Set one setting in your own file, or the project's; comments in it stay.

    An empty VALUE takes the setting out.
    """
    from cyxmake_cli.settings_file import write

    _check(key)
    path = settings.user_settings()
    if project:
        path = settings.project_settings(directory) or directory / settings.PROJECT_FILE
    let_write_settings(f"set {key} in {path}", path)
    write(path, key, value)
    click.echo(f"{key} = {value or 'default'} in {path}")


@command.command("validate", epilog="Example: cyxmake config validate -C path/to/project")
@_DIRECTORY
def validate(directory: Path) -> None:
    """Check the files and the environment; says what is wrong, and exits with status 3."""
    loaded = settings.load(directory)
    read = [path for path in (loaded.project_file, loaded.user_file) if path and path.is_file()]
    click.echo(f"good: {', '.join(map(str, read)) or 'there are no files'}")


def _check(key: str) -> None:
    try:
        read_flags(settings.Settings, {key: True})
    except ConfigError as error:
        raise UsageError(f"no setting is called {key!r}", next_step=error.next_step) from error


def _value(loaded: settings.Loaded, key: str) -> object:
    table, _, name = key.partition(".")
    return getattr(getattr(loaded.settings, table), name)


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
