"""`cyxmake status`: show the cluster that builds go to."""

from __future__ import annotations

import click

from cyxmake_cli import config
from cyxmake_common.errors import ConfigError


@click.command("status", epilog="Example: cyxmake status --json")
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON.")
def command(as_json: bool) -> None:
    """Show the cluster's workers, queue and cache."""
    import asyncio

    from cyxmake_cli.cluster.client import ClusterClient
    from cyxmake_common.net.token import JoinToken
    from cyxmake_common.protocol.messages import Status

    text = config.token_text()
    if text is None:
        raise ConfigError(
            "no cluster is configured: builds bring their own",
            next_step=f"run `cyxmake login TOKEN` or set {config.TOKEN_VARIABLE}",
        )

    async def ask() -> Status:
        token = JoinToken.parse(text)
        async with await ClusterClient.connect(token, config.cache_directory()) as cluster:
            return await cluster.status()

    status = asyncio.run(ask())
    if as_json:
        click.echo(status.model_dump_json(indent=2))
        return
    click.echo(
        f"{len(status.workers)} workers, {status.running} running, {status.queued} queued, "
        f"{status.completed} completed, {status.failed} failed, "
        f"cache {status.cas_bytes / 1e6:.0f} of {status.cas_limit_bytes / 1e6:.0f} MB"
    )
    for worker in status.workers:
        flag = " draining" if worker.draining else ""
        platform = " ".join(f"{name}={value}" for name, value in worker.properties)
        click.echo(
            f"  {worker.name}: {worker.running}/{worker.slots} running, "
            f"{worker.completed} completed{flag} {platform}"
        )
