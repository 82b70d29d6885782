"""`cyxmake discover`: which coordinators announce themselves on the local network."""

from __future__ import annotations

import click

from cyxmake_cli import config


@click.command("discover", epilog="Example: cyxmake discover --seconds 5")
@click.option("--seconds", type=click.FloatRange(0.1, 60), default=2.0, show_default=True)
def command(seconds: float) -> None:
    """Show coordinators that announce themselves (`cyxmake-coordinator serve --announce`).

    Anyone can announce anything: `yours` stands only where the coordinator of your token has proven
    to be. Nothing is remembered, and your token is sent to none of them.
    """
    import asyncio

    from cyxmake_common.net import discovery
    from cyxmake_common.net.token import JoinToken

    text = config.token_text()
    token = JoinToken.parse(text) if text else None

    async def look() -> list[str]:
        lines = []
        for heard in await discovery.discover(seconds):
            whose = ""
            if token is not None and heard.ca_fingerprint == token.ca_fingerprint:
                good = await discovery.proven(token, heard.address, None)
                whose = "  yours" if good else "  says it is yours, and cannot prove it"
            lines.append(f"{heard.name}  {heard.address}  {heard.ca_fingerprint[:16]}{whose}")
        return lines

    lines = asyncio.run(look())
    click.echo("\n".join(lines) if lines else "nobody announces a coordinator here")
