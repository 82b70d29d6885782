"""The worker's command line: reads settings, reports how it ended.

Knows nothing of the worker's parts (service builds them). Heavy imports wait until the command line
is known to be good.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from cyxmake_common.errors import ExitStatus
from cyxmake_common.program import run_program

if TYPE_CHECKING:
    from cyxmake_worker.config import WorkerConfig

_F = TypeVar("_F", bound=Callable[..., None])


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.option("--token", help="Join token; better in CYXMAKE_WORKER_TOKEN, where `ps` sees none.")
@click.option("--token-file", type=click.Path(path_type=Path), help="File that holds the token.")
@click.option("--name", help="Name of this worker; default: the host's name.")
@click.option("--slots", type=int, help="Actions that run at once; default: one for each CPU.")
@click.option("--labels", help="Own platform properties: key=value,key=value.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where blobs are kept.")
@click.option("--config", type=click.Path(path_type=Path), help="Settings file (TOML).")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
@click.option("--log-json", is_flag=True, default=None, help="Log JSON lines.")
@click.option(
    "--allow-mapped", is_flag=True, default=None,
    help="Where the system offers no namespaces, run commands by path mapping, not isolated.",
)  # fmt: skip
@click.option(
    "--host-tools/--no-host-tools", default=None,
    help="Whether actions may ask for programs of this machine (read-only; default: yes).",
)  # fmt: skip
@click.option("--host-dirs", help="More directories that they see then: /dir,/dir.")
@click.option("--host-env", help="Variables for them, as mirrors and proxies: NAME=value,…")
@click.option(
    "--allow-network", is_flag=True, default=None,
    help="Let actions that ask for it use this machine's network.",
)  # fmt: skip
@click.option(
    "--discover", is_flag=True, default=None,
    help="Where the token's address is silent, look for its coordinator by mDNS.",
)  # fmt: skip
@click.option("--once", is_flag=True, default=None, help="End when the coordinator goes away.")
@click.version_option(package_name="cyxmake")
@click.pass_context
def cli(
    context: click.Context,
    token: str | None,
    token_file: Path | None,
    name: str | None,
    slots: int | None,
    labels: str | None,
    data_dir: Path | None,
    config: Path | None,
    log_level: str | None,
    log_json: bool | None,
    allow_mapped: bool | None,
    host_tools: bool | None,
    host_dirs: str | None,
    host_env: str | None,
    allow_network: bool | None,
    discover: bool | None,
    once: bool | None,
) -> None:
    """Let this machine compile for a CyxMake coordinator. The token alone is enough.

    SIGTERM or Ctrl-C: finish what runs, then leave; twice: leave at once.
    """
    if context.invoked_subcommand is not None:
        return
    from cyxmake_worker.config import load_config

    flags = {
        "token": token,
        "token_file": None if token_file is None else str(token_file),
        "name": name,
        "slots": slots,
        "labels": labels,
        "data_dir": None if data_dir is None else str(data_dir),
        "log_level": log_level,
        "log_json": log_json,
        "allow_mapped": allow_mapped,
        "host_tools": host_tools,
        "host_dirs": host_dirs,
        "host_env": host_env,
        "allow_network": allow_network,
        "discover": discover,
        "once": once,
    }
    sys.exit(_serve(load_config(config, flags=flags)))


def _data_options(function: _F) -> _F:
    """Add the options that say which worker is meant."""
    path = click.Path(path_type=Path)
    function = click.option("--config", type=path, help="Settings file (TOML).")(function)
    function = click.option("--name", help="Name of the worker; default: the host's.")(function)
    return click.option("--data-dir", type=path, help="Where its blobs are kept.")(function)


def _load(config: Path | None, name: str | None, data_dir: Path | None) -> WorkerConfig:
    from cyxmake_worker.config import load_config

    given = None if data_dir is None else str(data_dir)
    return load_config(config, flags={"name": name, "data_dir": given})


@cli.command()
@_data_options
def status(config: Path | None, name: str | None, data_dir: Path | None) -> None:
    """Say whether the worker on this machine is in its cluster.

    Ends with 0 when it is, 4 when it has no connection, 3 when it does not run or cannot work.
    """
    from cyxmake_common import clock
    from cyxmake_worker.report import ReportFile

    settings = _load(config, name, data_dir)
    text, ended = ReportFile(settings.effective_data_dir).read(clock.wall())
    click.echo(text)
    sys.exit(ended)


@cli.command()
@_data_options
def check(config: Path | None, name: str | None, data_dir: Path | None) -> None:
    """Try the sandbox here, and say what is missing for it.

    Needs no token. Ends with 3 when commands cannot be isolated on this machine.
    """
    import asyncio

    from cyxmake_worker.checking import check_sandbox

    text, ended = asyncio.run(check_sandbox(_load(config, name, data_dir)))
    click.echo(text)
    sys.exit(ended)


@cli.command()
@click.argument("plan", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--data-dir", type=click.Path(path_type=Path), required=True,
    help="A directory for this run alone.",
)  # fmt: skip
def replay(plan: Path, data_dir: Path) -> None:
    """Run one action from files of this machine, in the sandbox that workers use.

    PLAN is what `cyxmake replay` writes. Needs no token; prints how it ended as JSON.
    """
    import asyncio

    from cyxmake_worker.replaying import replay as run

    click.echo(asyncio.run(run(plan, data_dir)))


@cli.group()
def service() -> None:
    """Let Windows start the worker at boot.

    On Linux and macOS: deploy/install.sh.
    """


@service.command("install")
@click.option(
    "--token-file", type=click.Path(path_type=Path, dir_okay=False), required=True,
    help="File that holds the worker's token; it will be closed to everybody else.",
)  # fmt: skip
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where blobs are kept.")
@click.option("--dry-run", is_flag=True, help="Print the task, and install nothing.")
def service_install(token_file: Path, data_dir: Path | None, dry_run: bool) -> None:
    """Install the worker as a task of Windows, and start it."""
    import os
    from pathlib import PureWindowsPath

    from cyxmake_worker.windows_service import Task, install

    shared = os.environ.get("PROGRAMDATA", "C:\\ProgramData")
    task = Task(
        program=PureWindowsPath(sys.executable).with_name("cyxmake-worker.exe"),
        token_file=PureWindowsPath(token_file.absolute()),
        data_dir=PureWindowsPath(data_dir.absolute() if data_dir else f"{shared}\\cyxmake\\worker"),
    )
    click.echo(task.xml() if dry_run else install(task))


@service.command("remove")
def service_remove() -> None:
    """Stop the task and remove it; data and token stay."""
    from cyxmake_worker.windows_service import remove

    click.echo(remove())


def _serve(config: WorkerConfig) -> ExitStatus:
    import asyncio

    from cyxmake_common.telemetry.log import LogFormat, configure_logging
    from cyxmake_worker.service import serve

    configure_logging(config.log_level, LogFormat.JSON if config.log_json else LogFormat.CONSOLE)
    ended = asyncio.run(serve(config, announce=click.echo))
    if ended.status is not ExitStatus.OK:
        click.echo(f"error: {ended.reason}", err=True)
    return ended.status


def main() -> None:
    """Run the command line and exit with an ExitStatus."""
    run_program(cli, "cyxmake-worker")


if __name__ == "__main__":
    main()
