"""`cyxmake workers`: who works in the cluster; drains workers, and sends them away."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

import click

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
        return _on_this_machine("workers", *(("--json",) if as_json else ()))
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
    if token is None:
        return _on_this_machine("drain", worker, *(("--off",) if off else ()))
    asyncio.run(_drain(token, worker, on=not off))
    click.echo(f"{worker} takes work again" if off else f"{worker} takes no new work")
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


async def _drain(token: JoinToken, worker: str, *, on: bool) -> None:
    from cyxmake_cli import config
    from cyxmake_cli.cluster.client import ClusterClient

    async with await ClusterClient.connect(token, config.cache_directory()) as cluster:
        await cluster.drain(worker, on=on)


def _on_this_machine(*words: str) -> int:
    """Ask the coordinator of this machine by its own program, as its administrator."""
    from cyxmake_common.execution.process import ProcessRequest, run_process

    argv = (sys.executable, "-P", "-m", "cyxmake_coordinator.main", *words)
    return asyncio.run(run_process(ProcessRequest(argv, console=True))).exit_code
