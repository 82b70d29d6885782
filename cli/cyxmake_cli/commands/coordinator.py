"""`cyxmake coordinator`: the coordinator of this machine, by its own program's commands."""

from __future__ import annotations

from pathlib import Path

import click

from cyxmake_cli.commands.options import coordinator_program, let_run_cluster

_DATA_DIR = click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Where keys, tokens and blobs are."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("coordinator", epilog="Examples: cyxmake coordinator start   |   coordinator status")
def command() -> None:
    """Start, stop and look at a coordinator on this machine.

    `cyxmake-coordinator` has more to say: foreground, backups, fsck, tokens that are revoked.
    """


@command.command("start", epilog="Example: cyxmake coordinator start --port 9876")
@click.option("--host", help="Default: 127.0.0.1; name another to be reached from outside.")
@click.option("--port", type=click.IntRange(0, 65535), help="Default: 9876; 0 takes a free one.")
@_DATA_DIR
def start(host: str | None, port: int | None, data_dir: Path | None) -> int:
    """Serve in the background; returns when the coordinator is ready."""
    let_run_cluster("start a coordinator on this machine")
    return _run("start", data_dir, ("--host", host), ("--port", port))


@command.command("stop", epilog="Example: cyxmake coordinator stop")
@_DATA_DIR
def stop(data_dir: Path | None) -> int:
    """Stop the coordinator and wait for its end."""
    let_run_cluster("stop the coordinator of this machine")
    return _run("stop", data_dir)


@command.command("status", epilog="Example: cyxmake coordinator status --json")
@_JSON
@_DATA_DIR
def status(as_json: bool, data_dir: Path | None) -> int:
    """Show the coordinator of this machine: workers, queue, store."""
    return _run("status", data_dir, *((("--json", ""),) if as_json else ()))


@command.command("token", epilog="Example: cyxmake coordinator token --role worker --expires 30d")
@click.option(
    "--role", type=click.Choice(("worker", "client", "admin")), default="worker", show_default=True
)
@click.option("--expires", default="30d", show_default=True, help="30m, 1h, 30d, never.")
@click.option("--label", default="", help="A note, shown by `cyxmake-coordinator token list`.")
@_DATA_DIR
def token(role: str, expires: str, label: str, data_dir: Path | None) -> int:
    """Print a new join token, and nothing else, on standard output."""
    let_run_cluster(f"make a token with the role {role}")
    given = (("--role", role), ("--expires", expires), ("--label", label or None))
    return _run("token create", data_dir, *given)


def _run(verb: str, data_dir: Path | None, *options: tuple[str, object]) -> int:
    """Run the coordinator's program on this terminal; returns its exit status."""
    given = [("--data-dir", data_dir), *options]
    words = [w for name, value in given if value is not None for w in (name, str(value)) if w]
    return coordinator_program(*verb.split(), *words)
