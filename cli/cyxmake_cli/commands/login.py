"""`cyxmake login`: remember the cluster that a token belongs to."""

from __future__ import annotations

import sys

import click

from cyxmake_cli import config
from cyxmake_cli.commands.options import let_write_settings
from cyxmake_common.errors import UsageError


@click.command("login", epilog="Example: cyxmake login - < token.txt")
@click.argument("token", required=False)
@click.option("--forget", is_flag=True, help="Forget the remembered cluster instead.")
def command(token: str | None, forget: bool) -> None:
    """Remember the cluster of TOKEN for later builds (`-` reads it from standard input).

    The coordinator is contacted once, to see that the token is good.
    """
    import asyncio

    from cyxmake_cli.cluster.client import ClusterClient
    from cyxmake_common.net.token import JoinToken

    if forget:
        let_write_settings("forget the remembered cluster", config.token_file())
        click.echo("forgotten" if config.forget_token() else "no cluster was remembered")
        return
    if token is None:
        raise UsageError("no token given", next_step="cyxmake login TOKEN, or `-` for stdin")
    text = (sys.stdin.readline() if token == "-" else token).strip()  # noqa: S105
    join = JoinToken.parse(text)

    async def check() -> int:
        async with await ClusterClient.connect(join, config.cache_directory()) as cluster:
            return len((await cluster.status()).workers)

    workers = asyncio.run(check())
    let_write_settings(f"remember the cluster {join.address}", config.token_file())
    config.remember_token(text)
    click.echo(f"logged in to {join.address} ({workers} workers)")
