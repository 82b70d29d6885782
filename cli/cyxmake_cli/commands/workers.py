"""`cyxmake workers`: who works in the cluster; drains workers, and sends them away."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cyxmake_cli.commands.options import (
    Common,
    coordinator_program,
    let_run_cluster,
    with_options,
)
from cyxmake_common.errors import ExitStatus

if TYPE_CHECKING:
    from cyxmake_common.net.token import JoinToken
    from cyxmake_common.protocol.messages import WorkerStatus

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(
    "workers", invoke_without_command=True,
    epilog="Examples: cyxmake workers   |   cyxmake workers drain anvil",
)  # fmt: skip
@click.pass_context
def command(context: click.Context) -> int | None:
    """Show the workers of the cluster, as `workers stats` does; drain or remove one.

    That needs an admin's token, or the machine that the coordinator runs on.
    """
    if context.invoked_subcommand is not None:
        return None
    status: int = context.invoke(stats)
    return status


@command.command("stats", epilog="Example: cyxmake workers stats --json")
@_JSON
def stats(as_json: bool = False) -> int:
    """Show each worker: what it runs, has done, is able to do."""
    token = _token()
    if token is None:
        return coordinator_program("workers", *(("--json",) if as_json else ()))
    workers = asyncio.run(_workers(token))
    if as_json:
        click.echo(json.dumps([w.model_dump(mode="json") for w in workers], indent=2))
    elif not workers:
        click.echo("no worker is connected")
    for worker in () if as_json else workers:
        state = worker.condition or ("draining" if worker.draining else "ready")
        memory = f", {worker.memory_bytes / 1e9:.1f} GB" if worker.memory_bytes else ""
        click.echo(
            f"{worker.name}: {state}, {worker.running} of {worker.slots} slots busy, "
            f"{worker.completed} done, load {worker.load:.1f}, speed {worker.speed:.2f}"
            f"{memory}, {len(worker.toolchains)} toolchains"
        )
    return 0


@command.command(
    "drain", epilog="Examples: cyxmake workers drain anvil   |   workers drain anvil --off"
)
@click.argument("worker")
@click.option("--off", is_flag=True, help="Let it take work again.")
def drain(worker: str, off: bool) -> int:
    """Let WORKER finish what it runs and take nothing new, now and when it comes back."""
    token = _admin_token()
    what = f"let the worker {worker} take work again" if off else f"drain the worker {worker}"
    let_run_cluster(what)
    if token is None:
        return coordinator_program("drain", worker, *(("--off",) if off else ()))
    asyncio.run(_drain(token, worker, on=not off))
    click.echo(f"{worker} takes work again" if off else f"{worker} takes no new work")
    return 0


@command.command("remove", epilog="Example: cyxmake workers remove anvil")
@click.argument("worker")
@with_options("yes")
def remove(common: Common, worker: str) -> int:
    """Let WORKER finish what it runs, and end its program, after asking.

    It gets no work should it come back, until `workers drain WORKER --off`.
    """
    from cyxmake_cli.safety.permissions import Act, ActKind

    act = Act(ActKind.REMOVE_WORKER, f"send the worker {worker} away")
    if not common.gate(common.screen(), str(Path.cwd())).permit(act):
        return int(ExitStatus.DENIED)
    token = _admin_token()
    if token is None:
        return coordinator_program("remove", worker)
    asyncio.run(_drain(token, worker, on=True, leave=True))
    click.echo(f"{worker} finishes what it runs, and leaves")
    return 0


def _token() -> JoinToken | None:
    from cyxmake_cli import config
    from cyxmake_common.net.token import JoinToken

    text = config.token_text()
    return JoinToken.parse(text) if text else None


def _admin_token() -> JoinToken | None:
    from cyxmake_common.protocol.messages import Peer

    token = _token()
    return token if token is not None and token.role is Peer.ADMIN else None


async def _workers(token: JoinToken) -> tuple[WorkerStatus, ...]:
    from cyxmake_cli import config
    from cyxmake_cli.cluster.client import ClusterClient

    async with await ClusterClient.connect(token, config.cache_directory()) as cluster:
        return (await cluster.status()).workers


async def _drain(token: JoinToken, worker: str, *, on: bool, leave: bool = False) -> None:
    from cyxmake_cli import config
    from cyxmake_cli.cluster.client import ClusterClient

    async with await ClusterClient.connect(token, config.cache_directory()) as cluster:
        await cluster.drain(worker, on=on, leave=leave)
