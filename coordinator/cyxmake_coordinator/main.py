"""The command line `cyxmake-coordinator`: reads options, runs a command, makes errors one line.

Knows nothing of what the commands do. Heavy imports wait until a command is called.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from cyxmake_common.errors import ExitStatus
from cyxmake_common.program import run_program

if TYPE_CHECKING:
    from cyxmake_coordinator.config import CoordinatorConfig

_F = TypeVar("_F", bound=Callable[..., None])
_LEVELS = ("debug", "info", "warning", "error")


def _data_options(function: _F) -> _F:
    """Add the two options that say which coordinator is meant."""
    path = click.Path(path_type=Path)
    function = click.option("--config", type=path, help="Settings file (TOML).")(function)
    return click.option("--data-dir", type=path, help="Where keys, tokens and blobs are.")(function)


def _serve_options(function: _F) -> _F:
    for option in (
        click.option("--log-json", is_flag=True, default=None, help="Log JSON lines."),
        click.option("--log-level", type=click.Choice(_LEVELS), help="Default: info."),
        click.option("--port", type=int, help="Default: 9876; 0 takes a free one."),
        click.option("--host", help="Default: 127.0.0.1; name another to be reached from outside."),
    ):
        function = option(function)
    return _data_options(function)


def _load(
    config: Path | None, data_dir: Path | None, **flags: str | int | bool | None
) -> CoordinatorConfig:
    from cyxmake_coordinator.config import load_config

    given = None if data_dir is None else str(data_dir)
    return load_config(config, flags={"data_dir": given, **flags})


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from cyxmake_coordinator.version import version

        click.echo(f"cyxmake-coordinator {version()}")
        ctx.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
    help="Show the version and exit.",
)  # fmt: skip
def cli() -> None:
    """Run the coordinator of a CyxMake cluster, and let machines and people in."""


@cli.command()
@_serve_options
@click.option("--announce", is_flag=True, default=None, help="Tell the local network, by mDNS.")
@click.option("--embedded", is_flag=True, help="Live inside a build: end with standard input.")
def serve(
    host: str | None,
    port: int | None,
    data_dir: Path | None,
    config: Path | None,
    log_level: str | None,
    log_json: bool | None,
    announce: bool | None,
    embedded: bool,
) -> None:
    """Serve in the foreground.

    SIGTERM or Ctrl-C ends it in order, a second one at once.
    """
    flags = {"host": host, "port": port, "log_level": log_level, "log_json": log_json}
    settings = _load(config, data_dir, **flags, announce=announce)
    from cyxmake_common.loop import run
    from cyxmake_common.telemetry.log import LogFormat, configure_logging

    configure_logging(
        settings.log_level, LogFormat.JSON if settings.log_json else LogFormat.CONSOLE
    )
    run(_serve(settings, embedded))


async def _serve(settings: CoordinatorConfig, embedded: bool) -> None:
    from cyxmake_coordinator import garbage, service

    def ready(line: str) -> None:
        garbage.settle()
        click.echo(line)

    stopping = service.Stopping()
    await service.serve(settings, ready, embed=embedded, stopping=stopping)
    if stopping.deaf_peers:
        # All stores are closed. Only peers that do not answer the close would hold us up, for
        # seconds, in the end of the event loop.
        sys.stderr.flush()
        os._exit(ExitStatus.OK)


@cli.command()
@_serve_options
def start(
    host: str | None,
    port: int | None,
    data_dir: Path | None,
    config: Path | None,
    log_level: str | None,
    log_json: bool | None,
) -> None:
    """Serve in the background.

    Returns when the server is ready.
    """
    settings = _load(config, data_dir, host=host, port=port, log_level=log_level, log_json=log_json)
    from cyxmake_coordinator.background import start as start_server

    click.echo(start_server(settings, config))


@cli.command()
@_data_options
def stop(data_dir: Path | None, config: Path | None) -> None:
    """Stop the running server and wait for its end."""
    settings = _load(config, data_dir)
    from cyxmake_coordinator.background import stop as stop_server

    click.echo(stop_server(settings))


@cli.command()
@_data_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(data_dir: Path | None, config: Path | None, as_json: bool) -> None:
    """Show the running cluster: workers, queue, store."""
    settings = _load(config, data_dir)
    from cyxmake_coordinator.admin import show_status

    click.echo(show_status(settings, as_json))


@cli.command()
@_data_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def workers(data_dir: Path | None, config: Path | None, as_json: bool) -> None:
    """Show the workers with what they offer."""
    settings = _load(config, data_dir)
    from cyxmake_coordinator.admin import show_workers

    click.echo(show_workers(settings, as_json))


@cli.command()
@_data_options
@click.argument("worker")
@click.option("--off", is_flag=True, help="Let it take work again.")
def drain(data_dir: Path | None, config: Path | None, worker: str, off: bool) -> None:
    """Let a worker finish what it runs and take nothing new."""
    settings = _load(config, data_dir)
    from cyxmake_coordinator.admin import drain_worker

    click.echo(drain_worker(settings, worker, on=not off))


@cli.command()
@_data_options
@click.argument("worker")
def remove(data_dir: Path | None, config: Path | None, worker: str) -> None:
    """Let a worker finish what it runs, and end its program.

    It gets no work should it come back, until `drain WORKER --off`.
    """
    settings = _load(config, data_dir)
    from cyxmake_coordinator.admin import remove_worker

    click.echo(remove_worker(settings, worker))


@cli.command()
@_data_options
def fsck(data_dir: Path | None, config: Path | None) -> None:
    """Check every stored blob; remove damaged ones.

    The coordinator must not be running.
    """
    settings = _load(config, data_dir)
    from cyxmake_coordinator.admin import check_store

    click.echo(check_store(settings))


@cli.command()
@_data_options
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup(data_dir: Path | None, config: Path | None, file: Path) -> None:
    """Write tokens and keys to FILE; the coordinator may be running.

    Keep FILE as secret as the data directory: who has it can play the coordinator. Blobs and cached
    results are not in it.
    """
    settings = _load(config, data_dir)
    from cyxmake_coordinator.admin import back_up

    click.echo(back_up(settings, file))


@cli.command()
@_data_options
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def restore(data_dir: Path | None, config: Path | None, file: Path) -> None:
    """Fill an empty data directory from a backup.

    Every token in it is good again, also one that was revoked since.
    """
    settings = _load(config, data_dir)
    from cyxmake_coordinator.admin import restore_backup

    click.echo(restore_backup(settings, file))


@cli.command()
@click.option("--workers", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.option("--slots", type=click.IntRange(1, 1024), default=16, show_default=True)
@click.option(
    "--speed", type=click.FloatRange(0.001, 1000), default=1.0, show_default=True,
    help="Of the machines; the built-in steps take half a second on average.",
)  # fmt: skip
@click.option("--uneven", is_flag=True, help="Machines, networks and runs of unequal speed.")
@click.option("--actions", type=click.IntRange(1, 1_000_000), default=5_000, show_default=True)
@click.option("--users", type=click.IntRange(1, 100), default=1, show_default=True)
@click.option(
    "--recording", type=click.Path(path_type=Path),
    help="Play this .ninja_log or JSON instead; --actions is then not used.",
)  # fmt: skip
@click.option("--failing", type=click.FloatRange(0, 1), default=0.0, help="Part of the workers.")
@click.option("--placement", default="weighted-locality", show_default=True, help="Or: all.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def simulate(
    workers: int,
    slots: int,
    speed: float,
    uneven: bool,
    actions: int,
    users: int,
    recording: Path | None,
    failing: float,
    placement: str,
    seed: int,
    as_json: bool,
) -> None:
    """Play a build on imagined workers.

    The scheduler is the real one, time is virtual: a minute of a thousand workers takes a minute or
    less. Compare the makespan with its bounds before you buy machines.
    """
    from cyxmake_coordinator.simulate.scenario import Scenario, simulate_text

    scenario = Scenario(
        workers=workers,
        slots=slots,
        speed=speed,
        uneven=uneven,
        actions=actions,
        users=users,
        recording=recording,
        failing=failing,
        seed=seed,
    )
    click.echo(simulate_text(scenario, placement, as_json))


@cli.group()
def token() -> None:
    """Make, list and revoke join tokens.

    Works while the server runs, and before its first start.
    """


@token.command("create")
@_data_options
@click.option("--role", type=click.Choice(("worker", "client", "admin")), required=True)
@click.option("--expires", default="30d", show_default=True, help="30m, 1h, 30d, never.")
@click.option("--label", default="", help="A note, shown by `token list`.")
@click.option("--namespace", default="", help="The part of the action cache it reads and writes.")
@click.option("--address", default="", help="wss://host:port, when others reach it elsewhere.")
def token_create(
    data_dir: Path | None,
    config: Path | None,
    role: str,
    expires: str,
    label: str,
    namespace: str,
    address: str,
) -> None:
    """Print a new token, and nothing else, on standard output."""
    settings = _load(config, data_dir)
    from cyxmake_coordinator.admin import TokenOrder, create_token

    order = TokenOrder(role, expires, label, namespace, address)
    click.echo(create_token(settings, order))


@token.command("list")
@_data_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def token_list(data_dir: Path | None, config: Path | None, as_json: bool) -> None:
    """Show all tokens, without their secrets."""
    settings = _load(config, data_dir)
    from cyxmake_coordinator.admin import list_tokens

    click.echo(list_tokens(settings, as_json))


@token.command("revoke")
@_data_options
@click.argument("token_id")
def token_revoke(data_dir: Path | None, config: Path | None, token_id: str) -> None:
    """Close the door to a token; whoever is connected with it is cut off."""
    settings = _load(config, data_dir)
    from cyxmake_coordinator.admin import revoke_token

    click.echo(revoke_token(settings, token_id))


def main() -> None:
    """Run the command line and exit with an ExitStatus."""
    run_program(cli, "cyxmake-coordinator")


if __name__ == "__main__":
    main()
